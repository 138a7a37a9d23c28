import Testing

@testable import Sardonyx

/// A convolution, BatchNormalization and Relu, twice; the second's statistics are those of the first where shared.
func normalizedModel(
  _ statistics: [String: Tensor] = [:], shared: Bool = false,
  attributes: [String: Attribute] = ["epsilon": .float(1e-5)], opset: Int = 17
) throws -> Model {
  var constants: [String: Tensor] = [
    "w1": randomTensor([4, 3, 3, 3], seed: 1), "w2": randomTensor([4, 4, 1, 1], seed: 2),
    "scale": Tensor([Float(1), 0.5, 2, -1], [4]), "shift": Tensor([Float(0), 1, -1, 0.5], [4]),
    "mean1": Tensor([Float(0.1), 0.2, 0.3, 0.4], [4]),
    "var1": Tensor([Float(1.5), 2, 0.5, 1.25], [4]),
    "mean2": Tensor([Float(0.5), 0.25, 0, 1], [4]), "var2": Tensor([Float(1), 2, 3, 4], [4]),
  ]
  constants.merge(statistics) { $1 }
  let second = shared ? ["mean1", "var1"] : ["mean2", "var2"]
  let nodes = [
    node("Conv", ["x", "w1"], ["c1"]),
    node("BatchNormalization", ["c1", "scale", "shift", "mean1", "var1"], ["n1"], attributes),
    node("Relu", ["n1"], ["r1"]), node("Conv", ["r1", "w2"], ["c2"]),
    node("BatchNormalization", ["c2", "scale", "shift"] + second, ["y"], attributes),
  ]
  return try model(
    graph(
      [declared("x", .float, [-1, 3, 8, 8])], nodes, [declared("y")],
      constants: shared ? constants.filter { !["mean2", "var2"].contains($0.key) } : constants),
    opset: opset)
}

@Suite struct NormalizationStatisticsTests {
  private func samples(_ count: Int, seed: Int, scale: Float = 1, shift: Float = 0) -> Value {
    let numbers = randomTensor([count, 3, 8, 8], seed: seed).floats
    return .tensor(Tensor(numbers.map { $0 * scale + shift }, [count, 3, 8, 8]))
  }

  @Test func momentsOfPartsAreThoseOfTheWhole() {
    let numbers = randomTensor([1001], seed: 3).floats.map { Double($0) * 3 + 1e6 }
    let whole = ChannelMoments(numbers)
    var merged = ChannelMoments()
    for range in [0..<1, 1..<500, 500..<500, 500..<1001] {
      merged.merge(ChannelMoments(numbers[range]))
    }
    let mean = numbers.reduce(0, +) / 1001
    let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 1001
    #expect(merged.count == 1001)
    #expect(abs(merged.mean - mean) < 1e-9 && abs(whole.mean - mean) < 1e-9)
    #expect(abs(merged.variance - variance) < 1e-9 * variance)
  }

  @Test func recalibratedModelsMeetWhatTheyStore() throws {
    let model = try normalizedModel()
    let batches = [samples(24, seed: 7), samples(40, seed: 8)]
    func feed(_ run: ([String: Value]) throws(ModelError) -> Void) throws(ModelError) {
      for batch in batches { try run(["x": batch]) }
    }
    let before = try Drift(model, batches: feed)
    #expect(before.hasDrifted)
    #expect(before.layers.map(\.sampleCount) == [64, 64])
    #expect(before.layers.map(\.count) == [64 * 36, 64 * 36])
    let recalibration = try Recalibration(model, batches: feed)
    #expect(recalibration.layers.map(\.distance)[0] == before.layers[0].distance)
    let after = try Drift(try Model(recalibration.definition), batches: feed)
    #expect(!after.hasDrifted)
    for layer in after.layers {
      #expect(layer.distance < 1e-5)
      #expect(layer.divergence.allSatisfy { abs($0) < 1e-6 })
    }
    // All else is as it was.
    for (name, tensor) in model.definition.graph.initializers where !"mv".contains(name.first!) {
      let new = try #require(recalibration.definition.graph.initializers.first { $0.0 == name })
      #expect(new.1.floats == tensor.floats)
    }
    // The file that is written says the same.
    let again = try Drift(try Model(bytes: recalibration.definition.bytes()), batches: feed)
    #expect(again.layers.map(\.distance) == after.layers.map(\.distance))
  }

  @Test func sharedStatisticsArePartedWhenRecalibrated() throws {
    let model = try normalizedModel(shared: true)
    let recalibration = try Recalibration(model) { run throws(ModelError) in
      try run(["x": samples(32, seed: 9)])
    }
    let names = recalibration.definition.graph.initializers.map(\.0)
    #expect(names.contains("mean1_recalibrated") && names.contains("var1_recalibrated"))
    let drift = try Drift(try Model(recalibration.definition)) { run throws(ModelError) in
      try run(["x": samples(32, seed: 9)])
    }
    #expect(drift.layers.allSatisfy { $0.distance < 1e-5 })
  }

  @Test func shiftedAndDimmedDataDrift() throws {
    let model = try normalizedModel()
    let calibrated = try Model(
      Recalibration(model) { run throws(ModelError) in
        try run(["x": samples(200, seed: 1)])
      }.definition)
    func drift(_ value: Value) throws -> Drift {
      try Drift(calibrated) { run throws(ModelError) in try run(["x": value]) }
    }
    #expect(try !drift(samples(200, seed: 2)).hasDrifted)
    #expect(try drift(samples(200, seed: 2, shift: 2)).hasDrifted)
    #expect(try drift(samples(200, seed: 2, scale: 0.2)).hasDrifted)
    // A single sample tells less.
    #expect(try drift(samples(1, seed: 2)).layers[0].allowance > 1)
  }

  @Test func modelsWithoutStatisticsAndMissingDataAreRefused() throws {
    let plain = try model(
      graph([declared("x", .float, [2])], [node("Relu", ["x"], ["y"])], [declared("y")]))
    let error = #expect(throws: ModelError.self) { _ = try Drift(plain) { _ in } }
    #expect(error?.message == "the model has no BatchNormalization with stored statistics")
    #expect(throws: ModelError.self) { _ = try Drift(try normalizedModel()) { _ in } }
    #expect(throws: ModelError.self) { _ = try Recalibration(try normalizedModel()) { _ in } }
  }

  @Test(
    "Numbers that are not finite are no data a model was trained on",
    arguments: [Float.nan, .infinity])
  func numbersThatAreNotFinite(_ number: Float) throws {
    var numbers = randomTensor([8, 3, 8, 8], seed: 7).floats
    numbers[100] = number
    let x = Value.tensor(Tensor(numbers, [8, 3, 8, 8]))
    let model = try normalizedModel()
    let drift = try Drift(model) { run throws(ModelError) in try run(["x": x]) }
    #expect(drift.hasDrifted)
    #expect(drift.layers[0].distance == .infinity)
    let error = #expect(throws: ModelError.self) {
      _ = try Recalibration(model) { run throws(ModelError) in try run(["x": x]) }
    }
    let node = drift.layers[0].node
    #expect(
      error?.message == "node \"\(node)\": expected finite numbers, got others in channel 0")
  }

  @Test func batchStatisticsAreThoseOfTraining() throws {
    let inference = try normalizedModel()
    let training = try normalizedModel(
      attributes: ["epsilon": .float(1e-5), "training_mode": .int(1)])
    var options = Session.Options()
    options.batchNormalization = .batch
    let session = try Session(inference, options: options)
    let x = samples(5, seed: 4)
    let y = try session.run(["x": x])["y"]!.tensor!.floats
    #expect(y == (try Session(training).run(["x": x])["y"]!.tensor!.floats))
    #expect(y != (try Session(inference).run(["x": x])["y"]!.tensor!.floats))
    #expect(session.graph.notes.count { $0.pass == "use batch statistics" } == 2)
  }

  // MARK: - Diagnosis

  private func kinds(_ model: Model) -> [String] {
    NormalizationDiagnosis(model).findings.map { "\($0.severity.rawValue) \($0.kind)" }
  }

  @Test func soundModelsHaveNoFindings() throws {
    let diagnosis = NormalizationDiagnosis(try normalizedModel())
    #expect(diagnosis.findings.isEmpty)
    #expect(diagnosis.normalizationCount == 2)
  }

  @Test(
    arguments: [
      ("var1", [1.5, -2, 0.5, 1.25], "error negative-variance", [1]),
      ("var1", [1.5, -1e-6, 0.5, 1.25], "warning negative-variance", [1]),
      ("var1", [1.5, 2, 0, 0], "warning zero-variance", [2, 3]),
      ("var1", [1.5, .infinity, 0.5, 1.25], "error not-finite", [1]),
      ("mean1", [0.1, .nan, 0.3, 0.4], "error not-finite", [1]),
      ("scale", [1, 0, 2, -1], "warning dead-channel", [1]),
      ("scale", [1, 1e-9, 2, -1], "warning dead-channel", [1]),
      ("scale", [1, 0.5, 3000, -1], "warning large-factor", [2]),
      ("scale", [1, 0.5, 1e38, -1], "warning overflowing-fold", [2]),
    ] as [(String, [Float], String, [Int])]) func oddParametersAreFound(
      _ name: String, _ numbers: [Float], _ expected: String, _ channels: [Int]
    ) throws
  {
    var statistics = [name: Tensor(numbers, [4])]
    if expected.contains("overflow") {
      statistics["w1"] = Tensor([Float](repeating: 100, count: 108), [4, 3, 3, 3])
    }
    let model = try normalizedModel(statistics)
    #expect(kinds(model).contains(expected))
    let finding = try #require(
      NormalizationDiagnosis(model).findings.first {
        "\($0.severity.rawValue) \($0.kind)" == expected
      })
    #expect(finding.channels == channels)
    #expect(!finding.text.isEmpty && !finding.remedy.isEmpty)
  }

  @Test func oddNodesAreFound() throws {
    #expect(try kinds(normalizedModel(attributes: [:])) == ["remark epsilon", "remark epsilon"])
    #expect(
      try kinds(normalizedModel(attributes: ["epsilon": .float(0)])).contains("warning epsilon"))
    #expect(
      try kinds(
        normalizedModel(attributes: ["epsilon": .float(1e-5), "training_mode": .int(1)])
      ).contains("warning training-mode"))
    #expect(try kinds(normalizedModel(shared: true)).contains("warning shared-statistics"))
    let fresh = [
      "mean1": Tensor([Float](repeating: 0, count: 4), [4]),
      "var1": Tensor([Float](repeating: 1, count: 4), [4]),
    ]
    #expect(try kinds(normalizedModel(fresh)) == ["warning untrained"])
    let behind = try model(
      graph(
        [declared("x", .float, [1, 2, 3]), declared("s", .float, [2])],
        [
          node("Relu", ["x"], ["r"]),
          node("BatchNormalization", ["r", "s", "b", "m", "v"], ["y"], ["epsilon": .float(1e-3)]),
        ], [declared("y")],
        constants: [
          "b": Tensor([Float(1), 2], [2]), "m": Tensor([Float(1), 2], [2]),
          "v": Tensor([Float(1), 2], [2]),
        ]))
    #expect(kinds(behind) == ["remark run-time", "remark behind-activation"])
  }
}
