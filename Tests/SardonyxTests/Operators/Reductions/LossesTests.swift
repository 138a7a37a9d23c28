import Testing

@testable import Sardonyx

@Suite struct LossesTests {
  static let logarithms = Tensor([Float(-1), -2, -3, -4, -5, -6], [2, 3])
  static let labels = Tensor([Int64(2), 0])

  private func loss(_ attributes: [String: Attribute], weighted: Bool = false) throws -> [Float] {
    let weight = weighted ? Tensor([Float(1), 10, 3]) : nil
    return try run("NegativeLogLikelihoodLoss", [Self.logarithms, Self.labels, weight], attributes)
      .floats
  }

  @Test func lossesAreSummedAveragedOrLeft() throws {
    #expect(try loss(["reduction": .string("none")]) == [3, 4])
    #expect(try loss(["reduction": .string("sum")]) == [7])
    #expect(try loss([:]) == [3.5])
    #expect(try loss([:], weighted: true) == [3.25])
    #expect(try loss(["ignore_index": .int(2)]) == [4])
    #expect(try loss(["ignore_index": .int(2), "reduction": .string("none")]) == [0, 4])
  }

  @Test func crossEntropyBeginsWithASoftmax() throws {
    let results = try run(
      "SoftmaxCrossEntropyLoss",
      [.tensor(Tensor([Float(5), 5], [1, 2])), .tensor(Tensor([Int32(1)]))], outputs: 2)
    #expect(results[0]!.tensor!.isClose(to: [0.6931472]))
    #expect(results[1]!.tensor!.isClose(to: [-0.6931472, -0.6931472]))
  }

  @Test func labelsHaveToBeClasses() throws {
    #expect(throws: ModelError(.mismatch, "target: expected 0 to 2, got 3")) {
      try run("NegativeLogLikelihoodLoss", [Self.logarithms, Tensor([Int64(3), 0])])
    }
    #expect(throws: ModelError(.mismatch, "shape of target: expected [2], got [3]")) {
      try run("NegativeLogLikelihoodLoss", [Self.logarithms, Tensor([Int64(1), 0, 0])])
    }
  }
}

@Suite struct NonMaxSuppressionTests {
  static let boxes = Tensor(
    [Float(0), 0, 1, 1, 0, 0.1, 1, 1.1, 0, 5, 1, 6, 1, 1, 0, 0], [1, 4, 4])
  static let scores = Tensor([Float(0.9), 0.8, 0.7, 0.9], [1, 1, 4])

  private func pick(_ more: Tensor?...) throws -> [Int64] {
    try run("NonMaxSuppression", [Self.boxes, Self.scores] + more).array(of: Int64.self)
  }

  @Test func overlappingBoxesGoAndTheBestStay() throws {
    let three = Tensor([Int64(3)])
    #expect(try pick(three, Tensor([Float(0.5)])) == [0, 0, 0, 0, 0, 2])
    #expect(try pick(three, Tensor([Float(0.95)])) == [0, 0, 0, 0, 0, 1, 0, 0, 2])
    #expect(try pick(three, Tensor([Float(0.5)]), Tensor([Float(0.75)])) == [0, 0, 0])
    #expect(try pick(Tensor([Int64(1)]), Tensor([Float(0.5)])) == [0, 0, 0])
    #expect(try pick() == [])
  }

  @Test func boxesMayHaveACentre() throws {
    let boxes = Tensor([Float(0.5), 0.5, 1, 1, 0.6, 0.5, 1, 1], [1, 2, 4])
    let scores = Tensor([Float(0.5), 0.6], [1, 1, 2])
    let picked = try run(
      "NonMaxSuppression", [boxes, scores, Tensor([Int64(2)]), Tensor([Float(0.5)])],
      ["center_point_box": .int(1)])
    #expect(picked.array(of: Int64.self) == [0, 0, 1])
  }
}
