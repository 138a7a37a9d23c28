import Testing

@testable import Sardonyx

@Suite struct TranspositionsTests {
  private let x = Tensor((0..<24).map(Int32.init), [2, 3, 4])

  /// Element by element, by definition: the element of the output at each place.
  private func gather(_ shape: [Int], _ place: ([Int]) -> Int) -> [Int32] {
    (0..<shape.elementCount).map { index in
      Int32(place(shape.strides.indices.map { index / shape.strides[$0] % shape[$0] }))
    }
  }

  @Test(arguments: [
    [0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 3, 1], [0, 3, 1, 2], [1, 0, 2, 3], [2, 3, 0, 1],
    [0, 2, 1, 3], [3, 1, 0, 2],
  ])
  func transposeMovesEachElement(permutation: [Int]) throws {
    let shape = [3, 17, 5, 19]
    let wide = Tensor((0..<Int32(shape.elementCount)).map { $0 }, shape)
    let turned = permutation.map { shape[$0] }
    let expected = gather(turned) { place in
      zip(permutation, place).reduce(0) { $0 + shape.strides[$1.0] * $1.1 }
    }
    let y = try run("Transpose", [wide], ["perm": .ints(permutation)])
    #expect(y.shape == turned)
    #expect(try y.elements() == expected)
    // The same bytes whatever their meaning.
    let bytes = Tensor(expected.map { Int8(truncatingIfNeeded: $0) }, turned)
    let narrow = Tensor(
      try wide.elements(of: Int32.self).map { Int8(truncatingIfNeeded: $0) }, shape)
    #expect(
      try run("Transpose", [narrow], ["perm": .ints(permutation)]).elements(of: Int8.self)
        == bytes.elements())
  }

  @Test func transposeReversesUnlessTold() throws {
    #expect(try run("Transpose", [x]).shape == [4, 3, 2])
    #expect(try run("Transpose", [Tensor(scalar: Float(3))]).elements() == [Float(3)])
    #expect(try run("Transpose", [Tensor([Float](), [0, 3])]).shape == [3, 0])
    #expect(
      message { try run("Transpose", [x], ["perm": .ints([0, 0, 1])]) }
        == "attribute perm: expected a permutation of the 3 axes, got [0,0,1]")
  }

  @Test func stringsMoveLikeOtherElements() throws {
    let words = Tensor(strings: ["a", "b", "c", "d"], [2, 2])
    #expect(try run("Transpose", [words]).strings() == ["a", "c", "b", "d"])
    #expect(try run("Concat", [words, words], ["axis": .int(0)]).strings().last == "d")
    #expect(try run("Gather", [words, ints(1)], ["axis": .int(1)]).strings() == ["b", "d"])
    #expect(try run("Pad", [words, ints(0, 1, 0, 0)]).strings() == ["", "a", "b", "", "c", "d"])
    #expect(
      try run("Where", [Tensor([true, false]), words, words.reshaped([2, 2])]).strings()
        == ["a", "b", "c", "d"])
  }

  @Test(arguments: [
    (start: 0, end: 4, step: 1, expected: [0, 1, 2, 3]), (1, 3, 1, [1, 2]), (-2, .max, 1, [2, 3]),
    (0, -1, 1, [0, 1, 2]), (3, -9, -1, [3, 2, 1, 0]), (.max, .min, -2, [3, 1]), (2, 2, 1, []),
    (3, 1, 1, []), (0, 4, .max, [0]), (-1, .min, .min, [3]), (1, .max, 2, [1, 3]),
  ])
  func sliceClampsItsBounds(start: Int, end: Int, step: Int, expected: [Int]) throws {
    let row = Tensor((0..<4).map(Int32.init))
    let y = try run("Slice", [row, ints(start), ints(end), ints(0), ints(step)])
    #expect(try y.elements() == expected.map(Int32.init))
  }

  @Test func sliceInAllItsVersions() throws {
    let old = try run(
      "Slice", opset: 1, [x],
      ["starts": .ints([1, -2]), "ends": .ints([2, 1000]), "axes": .ints([0, 2])])
    #expect(try old.elements() == [Int32(14), 15, 18, 19, 22, 23])
    #expect(try run("Slice", opset: 10, [x, ints(1), ints(2)]).shape == [1, 3, 4])
    #expect(try run("Slice", [x, ints(0), ints(2), ints(-1), nil]).shape == [2, 3, 2])
    #expect(
      message { try run("Slice", [x, ints(0), ints(1), ints(0), ints(0)]) }
        == "steps: expected no 0, got [0]")
    #expect(
      message { try run("Slice", [x, ints(0, 0), ints(1, 1), ints(0)]) }
        == "starts, ends, axes and steps: expected as many elements each, got 2, 2, 1 and 2")
    #expect(
      message { try run("Slice", [x, ints(0), ints(1), ints(3)]) }
        == "axes: expected -3 to 2, got 3")
  }

  @Test func splitCutsIntoEqualOrGivenParts() throws {
    let equal = try run(
      "Split", [.tensor(x)], ["axis": .int(2), "num_outputs": .int(3)], outputs: 3)
    #expect(equal.map { $0!.tensor!.shape } == [[2, 3, 2], [2, 3, 2], [2, 3, 0]])
    let given = try run(
      "Split", opset: 2, [.tensor(x)], ["axis": .int(1), "split": .ints([1, 2])], outputs: 2)
    #expect(
      try given[1]!.tensor!.elements() == gather([2, 2, 4]) { $0[0] * 12 + $0[1] * 4 + 4 + $0[2] })
    #expect(
      message { try run("Split", opset: 13, [x, ints(1, 1)], ["axis": .int(1)]) }
        == "elements of split: expected 1, got 2")
    #expect(
      message { try run("Split", opset: 13, [x, ints(2)], ["axis": .int(1)]) }
        == "split: expected sizes that add up to 3, got [2]")
  }

  @Test func concatJoinsAlongAnAxis() throws {
    let y = try run("Concat", [x, x.reshaped([2, 3, 4])], ["axis": .int(-1)])
    #expect(try y.elements() == gather([2, 3, 8]) { $0[0] * 12 + $0[1] * 4 + $0[2] % 4 })
    let wide = Tensor(
      converting: try x.elements(of: Int32.self).map(Int64.init), to: .float, x.shape)
    #expect(try run("Concat", opset: 1, [wide, wide]).shape == [2, 6, 4])
    let endless = Tensor(zeros: .float, [0, 1 << 58])
    #expect(throws: ModelError.self) {
      try run("Concat", [Tensor](repeating: endless, count: 40), ["axis": .int(1)])
    }
    #expect(
      try run("Concat", [Tensor([Int32](), [0, 3, 4]), x], ["axis": .int(0)]).shape == [2, 3, 4])
    #expect(
      message { try run("Concat", [x, x.reshaped([2, 4, 3])], ["axis": .int(0)]) }
        == "shape of input 1: expected [2,3,4] but for axis 0, got [2,4,3]")
  }

  @Test func expandAndTileRepeat() throws {
    let column = Tensor([Int32(1), 2], [2, 1])
    #expect(
      try run("Expand", [column, ints(2, 1, 3)]).elements()
        == [Int32](
          [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]))
    #expect(try run("Expand", [column, ints(1)]).shape == [2, 1])
    #expect(try run("Tile", [column, ints(1, 2)]).elements() == [Int32(1), 1, 2, 2])
    #expect(try run("Tile", [column, ints(2, 0)]).shape == [4, 0])
    let old = try run(
      "Tile", opset: 1,
      [
        Tensor([Float(1), 2], [2, 1]), Tensor([Float(2)]), Tensor([Float(0)]),
      ])
    #expect(try old.elements() == [Float(1), 2, 1, 2])
    #expect(
      message { try run("Expand", [column, ints(3, 1)]) }
        == "shapes: expected extents that are equal or 1 on each axis from the right, got [2,1] and [3,1]"
    )
    #expect(
      message { try run("Tile", [column, ints(1, .max)]) }?.contains("at most") ?? true)
  }

  @Test func blocksOfPixelsBecomeChannelsAndBack() throws {
    let image = Tensor((0..<32).map(Int32.init), [1, 8, 2, 2])
    for mode in ["DCR", "CRD"] {
      let wide = try run("DepthToSpace", [image], ["blocksize": .int(2), "mode": .string(mode)])
      #expect(wide.shape == [1, 2, 4, 4])
      let deep = try run("SpaceToDepth", [wide], ["blocksize": .int(2), "mode": .string(mode)])
      #expect(try deep.elements() == image.elements(of: Int32.self))
    }
    #expect(
      message { try run("DepthToSpace", [image], ["blocksize": .int(3)]) }
        == "channels of input: expected a multiple of 9, got 8")
  }

  @Test func reverseSequenceLeavesTheRest() throws {
    let y = try run(
      "ReverseSequence", [Tensor((0..<8).map(Int32.init), [2, 4]), ints(3, 0)],
      ["batch_axis": .int(0), "time_axis": .int(1)])
    #expect(try y.elements() == [Int32(2), 1, 0, 3, 4, 5, 6, 7])
    #expect(
      message {
        try run(
          "ReverseSequence", [Tensor([Int32(1)], [1, 1]), ints(2)],
          ["batch_axis": .int(0), "time_axis": .int(1)])
      } == "sequence_lens: expected 0 to 1, got 2")
  }

  @Test(arguments: [
    (1, 0, [0, 1, 2, 0, 4, 5]), (1, 1, [0, 1, 2, 0, 0, 5]), (0, 0, [0, 0, 0, 3, 4, 0]),
    (0, -1, [0, 0, 0, 3, 0, 0]), (1, .min, [0, 1, 2, 3, 4, 5]), (0, .max, [0, 1, 2, 3, 4, 5]),
    (1, .max, [0, 0, 0, 0, 0, 0]),
  ])
  func triluKeepsATriangle(upper: Int, diagonal: Int, expected: [Int32]) throws {
    let matrix = Tensor((0..<6).map(Int32.init), [2, 3])
    let k = Tensor(scalar: Int64(diagonal))
    #expect(try run("Trilu", [matrix, k], ["upper": .int(upper)]).elements() == expected)
  }

  @Test func centerCropPadKeepsTheMiddle() throws {
    let row = Tensor((1...4).map(Int32.init))
    #expect(try run("CenterCropPad", [row, ints(2)]).elements() == [Int32(2), 3])
    #expect(try run("CenterCropPad", [row, ints(1)]).elements() == [Int32(2)])
    #expect(
      try run("CenterCropPad", [row, ints(7)]).elements()
        == [Int32](
          [0, 1, 2, 3, 4, 0, 0]))
  }
}
