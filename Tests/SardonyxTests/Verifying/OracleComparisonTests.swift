import Testing

@testable import Sardonyx

@Suite struct OracleComparisonTests {
  private let inputs = ["x": Value.tensor(randomTensor([2, 3, 8, 8], seed: 5))]

  @Test func everyValueOfThreeWaysIsMeasured() throws {
    let model = try normalizedModel()
    let truth = try OracleComparison(model, inputs: inputs)
    let output = try #require(truth.outputs.first { $0.name == "y" })
    let (folded, written) = (try #require(output.folded), try #require(output.written))
    #expect(folded.maxAbsolute > 0 && folded.relative < 1e-6)
    #expect(written.maxAbsolute > 0 && written.relative < 1e-6)
    #expect(output.histogram.reduce(0, +) == output.channels.count * 72)
    #expect(output.channels.max() == folded.maxAbsolute)
    #expect(truth.leastTolerance > 0 && truth.leastTolerance < 1e-6)
    #expect(!truth.folds.isEmpty)
    for fold in truth.folds { #expect(fold.error > 0 && fold.error <= fold.bound) }
  }

  /// A bias that the mean takes away again: folded, their difference is taken once, in double.
  private func cancellingModel(mean: Float = 10_000) throws -> Model {
    let bias = Tensor([Float](repeating: 10_000, count: 2), [2])
    let mean = Tensor([Float](repeating: mean, count: 2), [2])
    let constants: [String: Tensor] = [
      "w": randomTensor([2, 2, 1, 1]), "b": bias, "scale": Tensor([1, 1] as [Float], [2]),
      "shift": Tensor([0, 0] as [Float], [2]), "mean": mean,
      "variance": Tensor([1e-3, 1e-3] as [Float], [2]),
    ]
    return try model(
      graph(
        [declared("x", .float, [1, 2, 4, 4])],
        [
          node("Conv", ["x", "w", "b"], ["c"]),
          node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["y"]),
        ], [declared("y")], constants: constants))
  }

  @Test func aFoldCanBeNearerTheTruth() throws {
    let truth = try OracleComparison(
      cancellingModel(), inputs: ["x": .tensor(randomTensor([1, 2, 4, 4]))])
    let ratio = try #require(truth.outputs.first?.ratio)
    #expect(ratio < 0.01)
    #expect(truth.leastTolerance > 1e-5)
  }

  @Test func whatIsFarFromAsWrittenPassesNearDouble() throws {
    let inputs = ["x": Value.tensor(randomTensor([1, 2, 4, 4]))]
    let near = try #require(Comparison(cancellingModel(), inputs: inputs).outputs.first)
    #expect(try #require(near.metrics).maxAbsolute > #require(near.allowed))
    #expect(near.passed && near.remark == "ok, within tolerance of double")
    var strict = Comparison.Tolerance()
    strict.relative = 1e-9
    let nearer = try Comparison(cancellingModel(), inputs: inputs, tolerance: strict)
    #expect(nearer.outputs.first?.remark == "ok, as far from double as written")
    // Double speaks for one model, not for another one.
    let far = try Comparison(
      cancellingModel(), against: cancellingModel(mean: 10_001), inputs: inputs)
    #expect(!far.passed && far.outputs.first?.remark == nil)
  }

  @Test func scalesOfResizeStayInSinglePrecision() throws {
    let model = try model(
      graph(
        [declared("x", .float, [1, 2, 4, 4])],
        [
          node("Resize", ["x", "", "scales"], ["r"], ["mode": .string("linear")]),
          node("Sigmoid", ["r"], ["y"]),
        ], [declared("y")], constants: ["scales": Tensor([1, 1, 2, 2] as [Float], [4])]))
    let truth = try OracleComparison(
      model, inputs: ["x": .tensor(randomTensor([1, 2, 4, 4]))])
    #expect(try #require(truth.outputs.first?.folded).relative < 1e-6)
  }

  @Test func quantizedNetworksHaveATruthToo() throws {
    let constants: [String: Tensor] = [
      "w": randomTensor([3, 2, 1, 1]), "s": Tensor(scalar: Float(0.1)),
      "z": Tensor(converting: [100], to: .uint8, []),
    ]
    let model = try model(
      graph(
        [declared("x", .float, [1, 2, 4, 4])],
        [
          node("QuantizeLinear", ["x", "s", "z"], ["q"]),
          node("DequantizeLinear", ["q", "s", "z"], ["d"]), node("Conv", ["d", "w"], ["y"]),
        ], [declared("y")], constants: constants))
    let truth = try OracleComparison(
      model, inputs: ["x": .tensor(randomTensor([1, 2, 4, 4]))])
    let output = try #require(truth.outputs.first?.folded)
    #expect(output.relative > 0 && output.relative < 1e-6)
  }

  @Test func classesThatCouldTurnAreTold() throws {
    for (weights, isSafe) in [([1, 0.5] as [Float], true), ([1, 1], false)] {
      let model = try model(
        graph(
          [declared("x", .float, [1, 1])], [node("MatMul", ["x", "w"], ["y"])], [declared("y")],
          constants: ["w": Tensor(weights, [1, 2])]))
      let truth = try OracleComparison(model, inputs: ["x": .tensor(Tensor([2 as Float], [1, 1]))])
      let decision = try #require(truth.decisions.first)
      #expect(decision.rowCount == 1 && decision.agreeing == 1)
      #expect(decision.isSafe == isSafe)
    }
  }

  @Test func bisectingFindsTheFoldThatRounds() throws {
    // The first scale is a power of 2 and rounds nothing, the second one is not.
    func parameters(_ prefix: String, _ scale: Float) -> [String: Tensor] {
      [
        "\(prefix).scale": Tensor([scale, scale], [2]),
        "\(prefix).shift": Tensor([0, 0] as [Float], [2]),
        "\(prefix).mean": Tensor([0, 0] as [Float], [2]),
        "\(prefix).variance": Tensor([1, 1] as [Float], [2]),
      ]
    }
    func normalize(_ input: String, _ output: String, _ prefix: String) -> NodeDefinition {
      var made = node(
        "BatchNormalization",
        [input] + ["scale", "shift", "mean", "variance"].map { "\(prefix).\($0)" }, [output],
        ["epsilon": .float(0)])
      made.name = prefix
      return made
    }
    var constants = parameters("even", 2).merging(parameters("odd", 0.7)) { $1 }
    constants["w"] = randomTensor([2, 2, 1, 1])
    let model = try model(
      graph(
        [declared("x", .float, [1, 2, 4, 4])],
        [
          node("Conv", ["x", "w"], ["a"]), normalize("a", "b", "even"),
          node("Conv", ["b", "w"], ["c"]), normalize("c", "y", "odd"),
        ], [declared("y")], constants: constants))
    let x = ["x": Value.tensor(randomTensor([1, 2, 4, 4]))]
    var tolerance = Comparison.Tolerance()
    #expect(try Bisection(model, inputs: x, tolerance: tolerance).rewrites.isEmpty)
    tolerance.relative = 1e-9
    let found = try Bisection(model, inputs: x, tolerance: tolerance)
    #expect(found.rewrites == ["fold of \"odd\""])
    #expect(found.count > 5 && found.runs > 1)
  }
}
