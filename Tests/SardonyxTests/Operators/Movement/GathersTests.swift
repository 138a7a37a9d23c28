import Testing

@testable import Sardonyx

@Suite struct GathersTests {
  private let x = Tensor((0..<6).map(Float.init), [2, 3])

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
}
