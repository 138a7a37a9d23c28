import Testing

@testable import Sardonyx

/// Folding that takes back what moves outputs too far.
@Suite struct ProvedFoldingTests {
  private static let inputs = ["x": Value.tensor(randomTensor([2, 4, 6, 6], seed: 5))]

  private func parameters(_ prefix: String, _ scale: [Float]) -> [String: Tensor] {
    [
      "\(prefix).scale": Tensor(scale, [4]), "\(prefix).shift": Tensor(zeros: .float, [4]),
      "\(prefix).mean": Tensor(zeros: .float, [4]),
      "\(prefix).variance": Tensor([0.7, 1.3, 2.1, 0.9] as [Float], [4]),
    ]
  }

  private func normalization(
    _ name: String, _ input: String, _ output: String
  ) -> NodeDefinition {
    var made = node(
      "BatchNormalization",
      [input] + ["scale", "shift", "mean", "variance"].map { "\(name).\($0)" }, [output])
    made.name = name
    return made
  }

  /// A normalised convolution less one of nearly the same weights, where `isCancelling`, and two more behind.
  private func network(isCancelling: Bool) throws -> Model {
    let scale: [Float] = [1.1, 0.8, 1.3, 0.6]
    let weights = numbers(16, seed: 2)
    var constants = ["w1": Tensor(weights, [4, 4, 1, 1])]
    for (name, scale) in [("first", scale), ("second", [1.7, 0.9, 0.3, 1.2]), ("third", scale)] {
      constants.merge(parameters(name, scale)) { first, _ in first }
    }
    let variances = constants["first.variance"]!.floats.map { Double($0) + 1e-5 }
    let near = weights.indices.map { index in
      let factor = Double(scale[index / 4]) / variances[index / 4].squareRoot()
      return Float(Double(weights[index]) * factor * 1.001)
    }
    constants["w2"] = Tensor(isCancelling ? near : numbers(16, seed: 9), [4, 4, 1, 1])
    constants["w3"] = randomTensor([4, 4, 1, 1], seed: 3)
    constants["w4"] = randomTensor([4, 4, 1, 1], seed: 4)
    return try model(
      graph(
        [declared("x", .float, [-1, 4, 6, 6])],
        [
          node("Conv", ["x", "w1"], ["a"]), normalization("first", "a", "b"),
          node("Conv", ["x", "w2"], ["c"]), node("Sub", ["b", "c"], ["d"]),
          node("Conv", ["d", "w3"], ["e"]), normalization("second", "e", "f"),
          node("Relu", ["f"], ["g"]), node("Conv", ["g", "w4"], ["h"]),
          normalization("third", "h", "y"),
        ], [declared("y")], constants: constants))
  }

  private func folded(
    _ model: Model, relative: Double = 1e-5, options: Session.Options = Session.Options(),
    inputs: [[String: Value]] = [Self.inputs]
  ) throws -> FoldedModel {
    var tolerance = Comparison.Tolerance()
    tolerance.relative = relative
    return try FoldedModel(model, keeping: tolerance, options: options) { run throws(ModelError) in
      for inputs in inputs { try run(inputs) }
    }
  }

  private func difference(_ folded: FoldedModel, _ model: Model) throws -> Double {
    var options = Session.Options()
    options.batchNormalization = .unfolded
    let found = try Session(Model(folded.definition), options: options).run(Self.inputs)
    let expected = try Session(model, options: options).run(Self.inputs)
    return try #require(Metrics(found["y"]!.tensor!, reference: expected["y"]!.tensor!)).relative
  }

  @Test func theFoldThatMovesTheOutputIsTakenBackAndNoOther() throws {
    let model = try network(isCancelling: true)
    #expect(try difference(FoldedModel(model), model) > 1e-5)
    let folded = try folded(model)
    #expect(folded.foldedNodes.sorted() == ["second", "third"])
    let reasons = folded.notes.filter { $0.kind == .declined }
    #expect(reasons.map(\.node) == ["first"])
    let text = try #require(reasons.first).text
    #expect(text.hasPrefix("taken back: with it output \"y\" differs by "), "\(text)")
    #expect(text.hasSuffix(" of its largest magnitude, more than the 2.5e-06 allowed"), "\(text)")
    let kept = ModelListing(folded.definition).operators.filter { $0.name == "BatchNormalization" }
    #expect(kept.map(\.count) == [1])
    let proof = try #require(folded.proof)
    #expect(proof.difference < 2.5e-6 && proof.trialCount > 2)
    #expect(try difference(folded, model) < 2.5e-6)
  }

  @Test func nothingIsTakenBackWithinTheTolerance() throws {
    let model = try network(isCancelling: false)
    let (folded, plain) = (try folded(model), try FoldedModel(model))
    #expect(folded.notes.map(\.node) == plain.notes.map(\.node))
    #expect(folded.notes.map(\.text) == plain.notes.map(\.text))
    let proof = try #require(folded.proof)
    #expect(proof.trialCount == 1 && proof.output == "y" && proof.difference < 2.5e-6)
    #expect(plain.proof == nil)
  }

  @Test func aToleranceOfNothingKeepsEachBit() throws {
    let model = try network(isCancelling: false)
    let folded = try folded(model, relative: 0)
    #expect(folded.notes.contains { $0.kind == .declined })
    #expect(folded.proof?.difference == 0 && folded.proof?.output == nil)
    #expect(try difference(folded, model) == 0)
  }

  @Test func theWorstOfAllDataCounts() throws {
    let model = try network(isCancelling: true)
    let zeros = ["x": Value.tensor(Tensor(zeros: .float, [1, 4, 6, 6]))]
    #expect(try folded(model, inputs: [zeros]).foldedNodes.count == 3)
    #expect(try folded(model, inputs: [zeros, Self.inputs]).foldedNodes.count == 2)
    #expect(try folded(model, inputs: [Self.inputs, zeros]).foldedNodes.count == 2)
  }

  @Test func dataThatAreMissingOrDoNotFitAreToldOf() throws {
    let model = try network(isCancelling: false)
    let missing = #expect(throws: ModelError.self) { _ = try folded(model, inputs: []) }
    #expect(missing?.code == .mismatch && missing?.message.contains("no data") == true)
    let wrong = ["x": Value.tensor(randomTensor([1, 3, 6, 6]))]
    let error = #expect(throws: ModelError.self) { _ = try folded(model, inputs: [wrong]) }
    #expect(error?.code == .mismatch && error?.message.contains("\"x\"") == true)
  }

  @Test func limitsAreThoseOfAllRunsTogether() throws {
    let model = try network(isCancelling: true)
    var options = Session.Options()
    options.memoryLimit = 1000
    let large = #expect(throws: ModelError.self) { _ = try folded(model, options: options) }
    #expect(large?.code == .limit)
    options = Session.Options()
    options.timeLimit = 0.5
    var count = 0
    let late = #expect(throws: ModelError.self) {
      _ = try FoldedModel(model, keeping: Comparison.Tolerance(), options: options) {
        run throws(ModelError) in
        count += 1
        let end = ContinuousClock.now + .milliseconds(300)
        while ContinuousClock.now < end {}
        try run(Self.inputs)
      }
    }
    #expect(late?.code == .limit)
    #expect(count < 4)
  }

  // MARK: - The search

  /// What is taken back where differences add up and 1 is allowed, and the sets that were measured.
  private func search(_ differences: [Double]) throws -> (rejected: [Int], sets: [[Int]]) {
    var sets: [[Int]] = []
    let search = try FoldSearch(differences.indices.map(String.init)) { kept throws(ModelError) in
      let indices = kept.compactMap { Int($0) }
      sets.append(indices)
      let sum = abs(indices.reduce(0) { $0 + differences[$1] })
      return FoldDifference(output: "y", relative: sum, allowed: 1, share: sum)
    }
    return (search.rejections.compactMap { Int($0.node) }, sets)
  }

  @Test func oneOfManyIsFoundInFewRuns() throws {
    var differences = [Double](repeating: 0.001, count: 100)
    differences[37] = 5
    let (rejected, sets) = try search(differences)
    #expect(rejected == [37])
    #expect(sets.count <= 24, "\(sets.count)")
    #expect(sets.contains(differences.indices.filter { $0 != 37 }))
    #expect(Set(sets).count == sets.count)
  }

  @Test func theLargestGoesWhereOnlyTheSumIsTooLarge() throws {
    #expect(try search([0.6, 0.3, 0.4, 0.2]).rejected == [0])
    #expect(try search([0.2, 0.3, 0.1, 0.9]).rejected == [3])
  }

  @Test func differencesThatCancelStay() throws {
    let (rejected, sets) = try search([1.5, 0.2, -1.5])
    #expect(rejected.isEmpty && sets.count == 1)
  }

  @Test func allCanBeTakenBack() throws {
    let (rejected, sets) = try search([Double](repeating: 2, count: 64))
    #expect(rejected.count == 64 && sets.count < 128)
  }
}
