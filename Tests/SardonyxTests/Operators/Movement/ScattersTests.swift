import Testing

@testable import Sardonyx

@Suite struct ScattersTests {
  private let x = Tensor((0..<6).map(Float.init), [2, 3])

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

  @Test func col2ImSumsOverlaps() throws {
    let columns = Tensor([Float(1), 2, 3, 4, 5, 6], [1, 2, 3])
    let y = try run("Col2Im", [columns, ints(1, 4), ints(1, 2)])
    #expect(try y.shape == [1, 1, 1, 4] && y.elements() == [Float(1), 6, 8, 6])
    #expect(
      message { try run("Col2Im", [columns, ints(1, 5), ints(1, 2)]) }
        == "columns of input: expected 4, got 3")
  }
}
