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

@Suite struct GatherBlockQuantizedTests {
  private func gather(
    _ data: Tensor, _ scales: Tensor, _ points: Tensor? = nil,
    _ attributes: [String: Attribute] = [:]
  ) throws -> Tensor {
    try run(
      "GatherBlockQuantized", domain: "com.microsoft", opset: 1, [data, ints(0), scales, points],
      ["block_size": .int(16)].merging(attributes) { $1 })
  }

  @Test func whatDoesNotFitIsTold() throws {
    let (data, scales) = (
      Tensor([UInt8](repeating: 0x21, count: 16), [2, 8]), Tensor([Float(2), 3], [2, 1])
    )
    #expect(
      try gather(data, scales, Tensor([UInt8(1), 0], [2, 1])).floats
        == (0..<16).map { $0 % 2 == 0 ? 0 : 2 })
    #expect(
      message { try gather(data, Tensor([Float(2)], [1, 1])) }
        == "shape of scales: expected [2,1], got [1,1]")
    #expect(
      message { try gather(data, scales, Tensor([UInt8(1)], [1, 1])) }
        == "shape of zero_points: expected [2,1], got [1,1]")
    #expect(
      message { try gather(data, scales, nil, ["block_size": .int(24)]) }
        == "attribute block_size: expected a power of 2 from 16 on, got 24")
    #expect(
      message { try gather(data, scales, nil, ["quantize_axis": .int(0), "gather_axis": .int(1)]) }
        == "quantize_axis: expected the last axis, as bytes hold several numbers, got 0")
    #expect(
      message { try gather(data, scales, nil, ["gather_axis": .int(1)]) }
        == "gather_axis: expected another than quantize_axis, along which bytes hold several numbers, "
        + "got 1")
  }
}
