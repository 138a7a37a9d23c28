import Testing

@testable import Sardonyx

/// What sessions do as in training, and what they take into weights besides.
@Suite struct TrainingModeTests {
  private func dropping() throws -> Model {
    try model(
      graph(
        [declared("x", .float, [64, 8])],
        [node("Dropout", ["x"], ["d"]), node("Relu", ["d"], ["y"])], [declared("y")]))
  }

  private let ones = ["x": Value.tensor(Tensor([Float](repeating: 1, count: 512), [64, 8]))]

  @Test func dropoutDropsWhenTold() throws {
    var options = Session.Options()
    #expect(
      try Session(dropping(), options: options).run(ones)["y"]!.tensor!.floats.allSatisfy {
        $0 == 1
      })
    options.dropout = .train
    options.seed = 3
    let first = try Session(dropping(), options: options).run(ones)["y"]!.tensor!.floats
    #expect(Set(first) == [0, 2])
    #expect(abs(first.count { $0 == 0 } - 256) < 80)
    #expect(try Session(dropping(), options: options).run(ones)["y"]!.tensor!.floats == first)
    options.seed = 4
    #expect(try Session(dropping(), options: options).run(ones)["y"]!.tensor!.floats != first)
  }

  @Test func batchStatisticsAreVerifiedAgainstThemselves() throws {
    var options = Session.Options()
    options.batchNormalization = .batch
    let inputs = ["x": Value.tensor(randomTensor([4, 3, 8, 8], seed: 5))]
    let model = try normalizedModel()
    let (values, verdict) = try VerifiedSession(model, options: options).run(inputs)
    #expect(verdict == .agreed)
    let stored = try Session(model).run(inputs)["y"]!.tensor!.floats
    #expect(values["y"]!.tensor!.floats != stored)
  }

  @Test("The normalisation of the input folds into a convolution that pads", arguments: [1, 3])
  func normalisationOfTheInput(_ batch: Int) throws {
    let model = try model(
      graph(
        [declared("x", .float, [-1, 3, 9, 9])],
        [node("Conv", ["x", "w", "b"], ["y"], ["pads": .ints([1, 1, 1, 1])])], [declared("y")],
        constants: ["w": randomTensor([5, 3, 3, 3]), "b": randomTensor([5], seed: 2)]))
    var normalization = InputNormalization()
    normalization.divisor = 255
    normalization.mean = [0.485, 0.456, 0.406]
    normalization.deviation = [0.229, 0.224, 0.225]
    let bytes = numbers(batch * 243).map { (($0 + 1) * 127.5).rounded() }
    let normalized = bytes.enumerated().map { index, byte in
      let channel = index / 81 % 3
      return Float(
        (Double(byte) / 255 - normalization.mean[channel]) / normalization.deviation[channel])
    }
    let shape = [batch, 3, 9, 9]
    let expected = try Session(model).run(["x": .tensor(Tensor(normalized, shape))])["y"]!.tensor!
    let taking = try model.normalizing(normalization)
    let folded = try FoldedModel(taking)
    #expect(folded.graph.nodes.map(\.operatorName) == ["Conv", "Add"])
    for candidate in [taking, try Model(folded.definition)] {
      let found = try Session(candidate).run(["x": .tensor(Tensor(bytes, shape))])["y"]!.tensor!
      #expect(
        Metrics(found.converted(to: Double.self), reference: expected.converted(to: Double.self))
          .relative < 1e-6)
    }
    normalization.mean = [1, 2]
    #expect(throws: ModelError.self) { _ = try model.normalizing(normalization) }
  }
}
