import Testing

@testable import Sardonyx

@Suite struct PaddingTests {
  private let row = Tensor((1...4).map(Float.init))

  private func pad(_ before: Int, _ after: Int, _ mode: String) throws -> [Float] {
    try run("Pad", [row, Tensor([Int64(before), Int64(after)])], ["mode": .string(mode)]).elements()
  }

  @Test(arguments: [
    ("constant", [0, 0, 1, 2, 3, 4, 0]), ("edge", [1, 1, 1, 2, 3, 4, 4]),
    ("reflect", [3, 2, 1, 2, 3, 4, 3]), ("wrap", [3, 4, 1, 2, 3, 4, 1]),
  ])
  func eachModeFillsInItsWay(mode: String, expected: [Float]) throws {
    #expect(try pad(2, 1, mode) == expected)
  }

  @Test func padsMayBeLongerThanTheInput() throws {
    #expect(try pad(7, 0, "reflect") == [2, 1, 2, 3, 4, 3, 2, 1, 2, 3, 4])
    #expect(try pad(0, 6, "wrap") == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2])
  }

  @Test func negativePadsCutOffFirst() throws {
    #expect(try pad(-1, -2, "constant") == [2])
    #expect(try pad(-2, 2, "edge") == [3, 4, 4, 4])
    #expect(try pad(-1, 3, "reflect") == [2, 3, 4, 3, 2, 3])
    #expect(try pad(-5, 3, "constant") == [0, 0])
  }

  @Test func everyVersionReadsItsOwnParameters() throws {
    let old = try run("Pad", opset: 1, [row], ["paddings": .ints([1, 0]), "value": .float(9)])
    #expect(try old.elements() == [Float(9), 1, 2, 3, 4])
    let second = try run("Pad", opset: 2, [row], ["pads": .ints([0, 1]), "value": .float(7)])
    #expect(try second.elements() == [Float(1), 2, 3, 4, 7])
    let matrix = row.reshaped([2, 2])
    let axes = try run(
      "Pad", [matrix, Tensor([Int64(1), 0]), Tensor(scalar: Float(5)), Tensor([Int64(-1)])])
    #expect(try axes.elements() == [Float(5), 1, 2, 5, 3, 4])
  }

  @Test func padSaysWhatDoesNotFit() {
    #expect(
      message { try run("Pad", [row, Tensor([Int64(1)])]) } == "elements of pads: expected 2, got 1"
    )
    #expect(
      message { try run("Pad", [row, Tensor([Int64(-3), -2])]) }
        == "pads of axis 0: expected at most 4 elements cut off, got -3 and -2")
    #expect(
      message {
        try run("Pad", opset: 18, [row, Tensor([Int64(1), 1])], ["mode": .string("wrap")])
      }
        == "attribute mode: expected constant, reflect or edge, got wrap")
    #expect(
      message {
        try run("Pad", [Tensor([Float]()), Tensor([Int64(1), 1])], ["mode": .string("edge")])
      }
        == "extent of axis 0: expected an element to repeat in mode edge, got 0")
  }

  /// What is made ready for known pads does as the operator does that is asked for them in the run.
  @Test(arguments: ["constant", "reflect", "edge", "wrap"]) func preparedPadsAreThoseOfRuns(
    mode: String
  ) throws {
    let pads: [[Int64]] = [
      [0, 1, 2, 0, 2, 1], [1, 0, 2, 1, 3, 2], [0, -1, 1, 0, 0, -2], [0, 0, 7, 0, 9, 0],
      [0, -1, -1, 0, 0, 0], [0, 0, 0, 0, 0, 0],
    ]
    let numbers = (0..<24).map { $0 * 7 % 11 }
    let tensors = [
      Tensor(numbers.map(Float.init), [2, 4, 3]), Tensor(numbers.map(Int64.init), [2, 4, 3]),
      Tensor(numbers.map(UInt8.init), [2, 4, 3]), Tensor(numbers.map(Int16.init), [2, 4, 3]),
    ]
    for tensor in tensors {
      for pads in pads {
        let value = Tensor(converting: [Float(5)], to: tensor.type, [])
        let expected = try run(
          "Pad", opset: 19, [tensor, Tensor(pads), value], ["mode": .string(mode)])
        let definition = graph(
          [declared("x", tensor.type, [2, 4, 3])],
          [node("Pad", ["x", "pads", "value"], ["y"], ["mode": .string(mode)])],
          [declared("y", tensor.type)], constants: ["pads": Tensor(pads), "value": value])
        let results = try Session(model(definition, opset: 19)).run(["x": .tensor(tensor)])
        #expect(results["y"]?.tensor?.shape == expected.shape)
        #expect(results["y"]?.tensor?.rawBytes == expected.rawBytes, "\(tensor.type) \(pads)")
      }
    }
  }
}
