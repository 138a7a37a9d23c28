import Testing

@testable import Sardonyx

@Suite struct SelectionTests {
  private let x = Tensor((0..<6).map(Float.init), [2, 3])

  private func ints(_ values: Int...) -> Tensor { Tensor(values.map(Int64.init)) }

  private func message(_ body: () throws -> Tensor) -> String? {
    do { _ = try body() } catch { return (error as? ModelError)?.message }
    return nil
  }

  @Test func gatherTakesSlices() throws {
    #expect(try run("Gather", [x, ints(-1, 0)]).elements() == [Float(3), 4, 5, 0, 1, 2])
    let scalar = try run("Gather", [x, Tensor(scalar: Int32(1))], ["axis": .int(1)])
    #expect(try scalar.shape == [2] && scalar.elements() == [Float(1), 4])
    #expect(try run("Gather", [x, ints()]).shape == [0, 3])
    #expect(message { try run("Gather", [x, ints(2)]) } == "indices: expected -2 to 1, got 2")
    #expect(message { try run("Gather", [x, ints(.min)]) }?.hasPrefix("indices:") == true)
    #expect(
      message { try run("Gather", [Tensor([Float](), [0, 3]), ints(0)]) }
        == "indices: expected none, as the axis is empty, got 0")
  }

  @Test func gatherElementsFollowsIndicesAlongOneAxis() throws {
    let indices = Tensor([Int64(2), -3, 1, 0], [2, 2])
    #expect(
      try run("GatherElements", [x, indices], ["axis": .int(1)]).elements() == [Float(2), 0, 4, 3])
    #expect(
      message { try run("GatherElements", [x, Tensor([Int64(0)], [1, 1, 1])]) }
        == "rank of indices: expected 2, got 3")
    #expect(
      message { try run("GatherElements", [x, Tensor([Int64](repeating: 0, count: 4), [1, 4])]) }
        == "extent of axis 1 of indices: expected at most 3, got 4")
  }

  @Test func gatherNDReadsCoordinates() throws {
    let pairs = Tensor([Int64(0), 0, -1, -1], [2, 2])
    #expect(try run("GatherND", [x, pairs]).elements() == [Float(0), 5])
    let batched = try run(
      "GatherND", [x, Tensor([Int64(1), 0], [2, 1])], ["batch_dims": .int(1)])
    #expect(try batched.elements() == [Float(1), 3])
    #expect(
      message { try run("GatherND", [x, Tensor([Int64(0), 0, 0], [1, 3])]) }
        == "last extent of indices: expected 1 to 2, got 3")
  }

  @Test func scatterElementsInAllReductions() throws {
    let data = Tensor([Float(1), 2, 3])
    let (indices, updates) = (ints(1, -2), Tensor([Float(10), 20]))
    let expected: [String: Float] = ["none": 20, "add": 32, "mul": 400, "max": 20, "min": 2]
    for (reduction, middle) in expected {
      let y = try run(
        "ScatterElements", [data, indices, updates], ["reduction": .string(reduction)])
      #expect(try y.elements() == [Float(1), middle, 3])
    }
    let old = try run("Scatter", opset: 9, [data, indices, updates])
    #expect(try old.elements() == [Float(1), 20, 3])
    #expect(
      message {
        try run(
          "ScatterElements", opset: 16, [data, indices, updates], ["reduction": .string("max")])
      } == "attribute reduction: expected none, add or mul, got max")
    #expect(
      message { try run("ScatterElements", [data, indices, Tensor([Float(1)])]) }
        == "shape of updates: expected [2], got [1]")
  }

  @Test func scatterWrapsIntegersAndKeepsNaN() throws {
    let bytes = try run(
      "ScatterElements", [Tensor([UInt8(250)]), ints(0), Tensor([UInt8(10)])],
      ["reduction": .string("add")])
    #expect(try bytes.elements() == [UInt8(4)])
    let maximum = try run(
      "ScatterElements", [Tensor([Float(1)]), ints(0), Tensor([Float.nan])],
      ["reduction": .string("max")])
    #expect(try maximum.elements(of: Float.self)[0].isNaN)
  }

  @Test func scatterNDWritesSlices() throws {
    let y = try run(
      "ScatterND", [x, Tensor([Int64(-1)], [1, 1]), Tensor([Float(7), 8, 9], [1, 3])])
    #expect(try y.elements() == [Float(0), 1, 2, 7, 8, 9])
    #expect(
      message {
        try run("ScatterND", [x, Tensor([Int64(2)], [1, 1]), Tensor([Float(7), 8, 9], [1, 3])])
      }
        == "indices: expected -2 to 1, got 2")
  }

  @Test func tensorScatterWrapsRoundInCircularMode() throws {
    let cache = Tensor([Float](repeating: 0, count: 4), [1, 4, 1])
    let update = Tensor([Float(1), 2], [1, 2, 1])
    let y = try run("TensorScatter", [cache, update, ints(3)], ["mode": .string("circular")])
    #expect(try y.elements() == [Float(2), 0, 0, 1])
    #expect(
      message { try run("TensorScatter", [cache, update, ints(3)]) }
        == "write_indices: expected 0 to 2, got 3")
  }

  @Test func compressKeepsWhatTheConditionNames() throws {
    let condition = Tensor([false, true, true, true])
    #expect(try run("Compress", [x, condition]).elements() == [Float(1), 2, 3])
    let columns = try run("Compress", [x, Tensor([true])], ["axis": .int(1)])
    #expect(try columns.elements() == [Float(0), 3])
  }

  @Test func nonZeroListsCoordinates() throws {
    let y = try run("NonZero", [Tensor([Int8(0), 3, 4, 0], [2, 2])])
    #expect(try y.shape == [2, 2] && y.elements() == [Int64(0), 1, 1, 0])
    #expect(try run("NonZero", [Tensor(strings: ["", "x"], [2])]).elements() == [Int64(1)])
    #expect(try run("NonZero", [Tensor(scalar: true)]).shape == [0, 1])
  }

  @Test func oneHotIgnoresIndicesOutOfRange() throws {
    let values = Tensor([Int8(0), 1])
    let y = try run("OneHot", [ints(0, -1, 5), Tensor(scalar: Int64(3)), values])
    #expect(
      try y.shape == [3, 3]
        && y.elements()
          == [Int8](
            [1, 0, 0, 0, 0, 1, 0, 0, 0])
    )
    let first = try run("OneHot", [ints(1), ints(2), values], ["axis": .int(0)])
    #expect(try first.shape == [2, 1] && first.elements() == [Int8(0), 1])
    #expect(
      message { try run("OneHot", [ints(1), ints(-2), values]) }
        == "depth: expected one number from 0, got [-2.0]")
  }

  @Test func topKPrefersTheFirstOfEquals() throws {
    let row = Tensor([Float(3), 1, 3, 2, 3])
    let largest = try run("TopK", [.tensor(row), .tensor(ints(2))], outputs: 2)
    #expect(try largest[0]!.tensor!.elements() == [Float(3), 3])
    #expect(try largest[1]!.tensor!.elements() == [Int64(0), 2])
    let smallest = try run(
      "TopK", [.tensor(row), .tensor(ints(3))], ["largest": .int(0)], outputs: 2)
    #expect(try smallest[1]!.tensor!.elements() == [Int64(1), 3, 0])
    let old = try run("TopK", opset: 1, [.tensor(row)], ["k": .int(1)], outputs: 2)
    #expect(try old[1]!.tensor!.elements() == [Int64(0)])
    #expect(
      message { try run("TopK", [.tensor(row), .tensor(ints(6))], outputs: 2)[0]!.tensor! }
        == "K: expected 0 to 5, got 6")
  }

  @Test func topKAlongAnAxisInTheMiddle() throws {
    let cube = Tensor([Float(1), 8, 5, 2, 3, 4, 7, 6], [2, 2, 2])
    let y = try run("TopK", [.tensor(cube), .tensor(ints(1))], ["axis": .int(1)], outputs: 2)
    #expect(try y[0]!.tensor!.elements() == [Float(5), 8, 7, 6])
    #expect(try y[1]!.tensor!.elements() == [Int64(1), 0, 1, 1])
  }

  @Test func topKOfALongRowIsThatOfSorting() throws {
    let numbers = (0..<1000).map { Float(($0 * 7919) % 1009) }
    let y = try run("TopK", [.tensor(Tensor(numbers)), .tensor(ints(40))], outputs: 2)
    #expect(try y[0]!.tensor!.elements() == Array(numbers.sorted(by: >).prefix(40)))
  }

  @Test func uniqueSortsOrKeepsTheOrder() throws {
    let row = Value.tensor(Tensor([Float(2), 1, 1, 3, 4, 3]))
    let sorted = try run("Unique", [row], outputs: 4).map { $0!.tensor! }
    #expect(try sorted[0].elements() == [Float(1), 2, 3, 4])
    #expect(try sorted[1].elements() == [Int64(1), 0, 3, 4])
    #expect(try sorted[2].elements() == [Int64(1), 0, 0, 2, 3, 2])
    #expect(try sorted[3].elements() == [Int64(2), 1, 2, 1])
    let kept = try run("Unique", [row], ["sorted": .int(0)], outputs: 4).map { $0!.tensor! }
    #expect(try kept[0].elements() == [Float(2), 1, 3, 4])
    #expect(try kept[2].elements() == [Int64(0), 1, 1, 2, 3, 2])
  }

  @Test func uniqueOfSlicesTextsAndNothing() throws {
    let matrix = Tensor([Int16(1), 0, 0, 1, 0, 0, 2, 3, 4], [3, 3])
    #expect(
      try run("Unique", [matrix], ["axis": .int(0)]).elements() == [Int16(1), 0, 0, 2, 3, 4])
    #expect(
      try run("Unique", [Tensor(strings: ["b", "é", "Z", "b"], [4])]).strings() == ["Z", "b", "é"])
    #expect(try run("Unique", [Tensor([Float]())]).shape == [0])
  }

  @Test func col2ImSumsOverlaps() throws {
    let columns = Tensor([Float(1), 2, 3, 4, 5, 6], [1, 2, 3])
    let y = try run("Col2Im", [columns, ints(1, 4), ints(1, 2)])
    #expect(try y.shape == [1, 1, 1, 4] && y.elements() == [Float(1), 6, 8, 6])
    #expect(
      message { try run("Col2Im", [columns, ints(1, 5), ints(1, 2)]) }
        == "columns of input: expected 4, got 3")
  }
}
