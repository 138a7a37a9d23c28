import Testing

@testable import Sardonyx

@Suite struct ComparisonTests {
  private func product(_ factor: Float, then operators: [String] = []) throws -> Model {
    var nodes = [node("Mul", ["x", "factor"], ["product"])]
    var last = "product"
    for name in operators {
      nodes.append(node(name, [last], [name]))
      last = name
    }
    return try model(
      graph(
        [declared("x", .float, [4])], nodes, [declared(last, .float, [4])],
        constants: ["factor": Tensor(scalar: factor)]))
  }

  private let x: [String: Value] = ["x": .tensor(Tensor([1, -2, 3, -4] as [Float], [4]))]

  @Test func equalModelsDifferNowhere() throws {
    let comparison = try Comparison(product(2), inputs: x, layers: true)
    #expect(comparison.passed)
    #expect(comparison.outputs.map(\.name) == ["product"])
    #expect(comparison.outputs.map(\.operatorName) == ["Mul"])
    #expect(comparison.outputs[0].metrics?.maxAbsolute == 0)
    #expect(comparison.outputs[0].metrics?.ulp == 0)
  }

  @Test func theFirstLayerThatDiffersIsNamed() throws {
    let comparison = try Comparison(
      product(2, then: ["Neg", "Abs"]), against: product(2.001, then: ["Neg", "Abs"]), inputs: x,
      layers: true)
    #expect(!comparison.passed)
    #expect(comparison.firstFailure?.name == "product")
    #expect(comparison.firstFailure?.operatorName == "Mul")
    #expect(comparison.layers.map(\.name) == ["product", "Neg", "Abs"])
  }

  @Test func aSquashingOperatorIsJudgedByTheResolutionOfItsInput() throws {
    func shifted(_ shift: Float) throws -> Model {
      try model(
        graph(
          [declared("x", .float, [2])],
          [node("Add", ["x", "shift"], ["sum"]), node("Sigmoid", ["sum"], ["y"])],
          [declared("y", .float, [2])], constants: ["shift": Tensor(scalar: shift)]))
    }
    // Of 300, 5e-4 is under 1e-5; behind Sigmoid it moves the element at 0 by 1.25e-4.
    let inputs: [String: Value] = ["x": .tensor(Tensor([0, 300] as [Float], [2]))]
    #expect(try Comparison(shifted(0), against: shifted(5e-4), inputs: inputs).passed)
    #expect(try !Comparison(shifted(0), against: shifted(5e-2), inputs: inputs).passed)
  }

  @Test func otherEnginesOutputsAreComparedByName() throws {
    let results = try Session(product(2)).run(x)
    let expected = Value.tensor(Tensor([2, -4, 6, -8] as [Float], [4]))
    #expect(Comparison(results, reference: ["product": expected]).passed)
    let wrongShape = Value.tensor(Tensor([2, -4] as [Float], [2]))
    let comparison = Comparison(results, reference: ["product": wrongShape, "other": expected])
    #expect(comparison.outputs.map(\.passed) == [false, false])
    #expect(comparison.outputs.map(\.remark) == ["no such output", "shape [4], not [2]"])
  }

  @Test func recordedValuesAreJudgedAsTwoRunsAre() throws {
    let squashed = try model(
      graph(
        [declared("x", .float, [2])],
        [node("Neg", ["x"], ["sum"]), node("Sigmoid", ["sum"], ["y"])],
        [declared("y", .float, [2])]))
    let inputs: [String: Value] = ["x": .tensor(Tensor([0, -300] as [Float], [2]))]
    func comparison(_ y: [Float]) throws -> Comparison {
      try Comparison(
        squashed,
        recorded: [
          "y": .tensor(Tensor(y, [2])), "sum": .tensor(Tensor([0, 300] as [Float], [2])),
          "nowhere": .tensor(Tensor(y, [2])),
        ], inputs: inputs)
    }
    // A change of 5e-4 in 300 is under 1e-5, and moves the sigmoid of 0 by 1.25e-4.
    let near = try comparison([0.500125, 1])
    #expect(near.passed)
    #expect(near.outputs[0].allowed.map { abs($0 - 7.5e-4) < 1e-12 } == true)
    #expect(near.outputs[0].operatorName == "Sigmoid")
    #expect(near.layers.map(\.name) == ["sum", "nowhere"])
    #expect(near.layers.map(\.remark) == [nil, "no such value"])
    #expect(near.firstFailure?.name == "nowhere")
    #expect(try !comparison([0.502, 1]).passed)
  }

  @Test("Looking at what a fold took in does not undo the fold")
  func recordedValuesLeaveThePlanAlone() throws {
    let ones = Tensor([1] as [Float])
    let folding = try model(
      graph(
        [declared("x", .float, [1, 1, 1, 1])],
        [
          node("Conv", ["x", "w"], ["c"]),
          node("BatchNormalization", ["c", "s", "s", "s", "v"], ["y"]),
        ],
        [declared("y", .float, [1, 1, 1, 1])],
        constants: [
          "w": Tensor([2] as [Float], [1, 1, 1, 1]), "s": ones, "v": Tensor([4] as [Float]),
        ]))
    let inputs: [String: Value] = ["x": .tensor(Tensor([3] as [Float], [1, 1, 1, 1]))]
    let y = try Session(folding).run(inputs)["y"]!
    let comparison = try Comparison(
      folding, recorded: ["c": .tensor(Tensor([6] as [Float], [1, 1, 1, 1])), "y": y],
      inputs: inputs)
    #expect(comparison.layers.map(\.name) == ["c"] && comparison.layers[0].passed)
    // The output is that of the folded plan to the last bit.
    #expect(comparison.outputs[0].metrics?.maxAbsolute == 0)
    #expect(comparison.outputs[0].operatorName != "BatchNormalization")
  }

  @Test func valuesWithoutAPartnerAreCounted() throws {
    let comparison = try Comparison(
      product(2, then: ["Neg", "Abs"]), against: product(2, then: ["Neg"]), inputs: x)
    #expect(comparison.unmatched?.first == 1 && comparison.unmatched?.reference == 0)
  }

  @Test func metricsTellNotANumberFromNumbers() {
    #expect(Metrics([.nan, 1], reference: [.nan, 1]).maxAbsolute == 0)
    #expect(Metrics([.nan, 1, -.infinity], reference: [.nan, 1, -.infinity]).indefiniteCount == 2)
    #expect(Metrics([.nan, 1], reference: [0, 1]).maxAbsolute == .infinity)
    #expect(Metrics([.infinity], reference: [.infinity]).maxAbsolute == 0)
    #expect(Metrics([.infinity], reference: [-.infinity]).maxAbsolute == .infinity)
  }

  @Test func unitsInTheLastPlaceCountRepresentableNumbers() {
    let one = Tensor([1, -0.0] as [Float], [2])
    let next = Tensor([Float(1).nextUp, 0], [2])
    #expect(Metrics(next, reference: one)?.ulp == 1)
    let opposite = Tensor([-Float.leastNonzeroMagnitude], [1])
    #expect(Metrics(opposite, reference: Tensor([Float.leastNonzeroMagnitude], [1]))?.ulp == 2)
  }

  @Test(arguments: [(1.001, true), (1.003, false)])
  func halvesAgreeWithinTheirOwnResolution(_ number: Double, _ passes: Bool) {
    func halves(_ number: Double) -> [String: Value] {
      ["y": .tensor(Tensor(converting: [number], to: .float16, [1]))]
    }
    #expect(Comparison(halves(number), reference: halves(1)).passed == passes)
  }

  @Test func integersMustBeEqual() {
    let results: [String: Value] = ["y": .tensor(Tensor([1_000_000] as [Int64], [1]))]
    let reference: [String: Value] = ["y": .tensor(Tensor([1_000_001] as [Int64], [1]))]
    #expect(!Comparison(results, reference: reference).passed)
  }
}
