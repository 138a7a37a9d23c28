import Testing

@testable import Sardonyx

@Suite struct FoldBatchNormalizationTests {
  /// The parameters of a BatchNormalization over `channels`, as constants named after `prefix`.
  private func parameters(_ channels: Int, prefix: String = "bn", seed: Int = 7) -> [String: Tensor]
  {
    let variance = numbers(channels, seed: seed + 3).map { abs($0) + 0.1 }
    return [
      "\(prefix).scale": randomTensor([channels], seed: seed),
      "\(prefix).shift": randomTensor([channels], seed: seed + 1),
      "\(prefix).mean": randomTensor([channels], seed: seed + 2),
      "\(prefix).variance": Tensor(variance, [channels]),
    ]
  }

  private func normalization(
    _ input: String, _ output: String, prefix: String = "bn", attributes: [String: Attribute] = [:]
  ) -> NodeDefinition {
    let inputs = ["scale", "shift", "mean", "variance"].map { "\(prefix).\($0)" }
    return node("BatchNormalization", [input] + inputs, [output], attributes)
  }

  private func operators(_ model: Model) throws -> [String] {
    var options = Session.Options()
    options.usesBlocks = false
    return try Session(model, options: options).graph.nodes.map(\.operatorName)
  }

  private func reasons(_ model: Model) throws -> [String] {
    try Session(model).graph.notes.filter {
      $0.pass == "fold batch normalizations" && $0.kind == .declined
    }.map(\.text)
  }

  /// Runs folded against unfolded and expects agreement within 1e-5 of the largest magnitude.
  private func expectAgreement(
    _ model: Model, _ x: Tensor, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let comparison = try Comparison(model, inputs: ["x": .tensor(x)], layers: true)
    let entry = try #require(comparison.outputs.first, sourceLocation: sourceLocation)
    #expect(
      entry.passed, "\(String(describing: entry.metrics)) \(String(describing: entry.remark))",
      sourceLocation: sourceLocation)
    #expect((entry.metrics?.magnitude ?? 0) > 0, sourceLocation: sourceLocation)
  }

  // MARK: - Memory

  /// Bytes that the constants of the models below take, which would be four times as many in double.
  private static let constantByteCount = 1 << 22

  private static let heavy: [(name: String, nodes: [NodeDefinition], x: Shape, w: Shape)] = {
    let normalize = { (input: String, output: String) in
      node("BatchNormalization", [input, "scale", "shift", "mean", "variance"], [output])
    }
    let count = constantByteCount / 2
    return [
      (
        "backward", [node("Conv", ["x", "w"], ["a"]), normalize("a", "y")],
        [1, count / 4, 1, 1], [4, count / 4, 1, 1]
      ),
      (
        "forward", [normalize("x", "a"), node("Conv", ["a", "w"], ["y"])],
        [1, 4, 1, 1], [count / 4, 4, 1, 1]
      ),
      (
        "into a product", [normalize("x", "a"), node("MatMul", ["a", "w"], ["y"])],
        [2, 4], [4, count / 4]
      ),
      (
        "into a sum",
        [node("MatMul", ["x", "v"], ["a"]), node("Add", ["a", "w"], ["b"]), normalize("b", "y")],
        [count / 4, 4], [count / 4, 4]
      ),
      (
        "sum that is none of channels",
        [node("Conv", ["x", "v"], ["a"]), node("Add", ["a", "w"], ["y"])],
        [1, 4, 2, 1], [1, 4, 2, count / 8]
      ),
    ]
  }()

  @Test("Constants are never whole in double", arguments: heavy.indices)
  func numbersInDouble(_ index: Int) throws {
    let (name, nodes, x, w) = Self.heavy[index]
    func half(_ numbers: [Float], _ shape: Shape) throws -> Tensor {
      try Tensor(numbers, shape).converted(to: .float16)
    }
    var constants = [
      "w": try half(numbers(w.elementCount), w),
      "v": try half(numbers(16), x.count == 2 ? [4, 4] : [4, 4, 1, 1]),
    ]
    for name in ["scale", "shift", "mean"] { constants[name] = try half(numbers(4), [4]) }
    constants["variance"] = try half([1, 2, 3, 4], [4])
    let model = try model(
      graph([declared("x", .float16, x)], nodes, [declared("y", .float16)], constants: constants))
    // What is made has as many bytes, and is made of some of them at a time.
    let folded = try FoldedModel(model, memoryLimit: Self.constantByteCount + 1 << 21)
    let isFolded = folded.notes.contains { $0.kind == .done }
    #expect(isFolded == (name != "sum that is none of channels"), "\(folded.notes)")
    let listing = ModelListing(folded.definition)
    let account = MemoryAccount(limit: Self.constantByteCount)
    Crew(threads: 1, deadline: nil, account: account)
      .asCurrent { _ = listing.weights.map(\.statistics) }
    #expect(!account.isExceeded)
  }

  @Test("Folding keeps to limits of time and memory", arguments: [true, false])
  func foldsWithinLimits(_ isOfTime: Bool) throws {
    let byteCount = 48 << 20
    let count = byteCount / 8
    let weights = try Tensor([Float](repeating: 1, count: 4 * count), shape: [4, count, 1, 1])
    var constants = ["w": try weights.converted(to: .float16)]
    for name in ["scale", "shift", "mean", "variance"] {
      constants[name] = try Tensor([1, 2, 3, 4] as [Float], shape: [4]).converted(to: .float16)
    }
    let model = try model(
      graph(
        [declared("x", .float16, [1, count, 1, 1])],
        [
          node("Conv", ["x", "w"], ["a"]),
          node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["y"]),
        ],
        [declared("y", .float16)], constants: constants))
    let start = ContinuousClock.now
    let error = #expect(throws: ModelError.self) {
      _ =
        try isOfTime
        ? FoldedModel(model, timeLimit: 0.02) : FoldedModel(model, memoryLimit: byteCount / 2)
    }
    #expect(error?.code == .limit)
    #expect(ContinuousClock.now - start < .seconds(isOfTime ? 5 : 20))
    let folded = try FoldedModel(model, timeLimit: 60, memoryLimit: 2 * byteCount)
    #expect(folded.notes.contains { $0.kind == .done })
  }

  @Test("Copies of shared weights take no more than the model brings")
  func copiesForFile() throws {
    let width = 1 << 11
    var constants = ["w": Tensor(zeros: .float, [width, width])]
    var nodes: [NodeDefinition] = []
    for index in 0..<4 {
      constants.merge(parameters(width, prefix: "bn\(index)")) { first, _ in first }
      nodes.append(node("Gemm", ["x", "w"], ["a\(index)"]))
      nodes.append(normalization("a\(index)", "y\(index)", prefix: "bn\(index)"))
    }
    let model = try model(
      graph(
        [declared("x", .float, [1, width])], nodes, (0..<4).map { declared("y\($0)") },
        constants: constants))
    let folded = try FoldedModel(model)
    #expect(folded.graph.constantByteCount <= 3 * model.graph.constantByteCount + 1 << 20)
    #expect(folded.notes.contains { $0.kind == .declined && $0.text.contains("whose copy") })
  }

  @Test("A thousand of one name fold, each into weights of its own")
  func foldsManyOfOneName() throws {
    let count = 1000
    var constants = parameters(2)
    constants["w"] = randomTensor([2, 2, 1, 1])
    var nodes: [NodeDefinition] = []
    for index in 0..<count {
      let input = index == 0 ? "x" : "y\(index - 1)"
      nodes.append(node("Conv", [input, "w"], ["a\(index)"]))
      nodes.append(normalization("a\(index)", "y\(index)"))
    }
    let graph = graph(
      [declared("x", .float, [1, 2, 3, 3])], nodes, [declared("y\(count - 1)")],
      constants: constants)
    #expect(try operators(model(graph)) == Array(repeating: "Conv", count: count))
  }

  // MARK: - Folded

  @Test(
    "Sums and products with constants fold as a BatchNormalization does",
    arguments: ["Conv", "ConvTranspose"])
  func arithmeticWithConstants(_ convolution: String) throws {
    var constants = parameters(6)
    constants["w"] = randomTensor(convolution == "Conv" ? [6, 4, 3, 3] : [4, 6, 3, 3])
    constants["each"] = randomTensor([1, 6, 1, 1], seed: 2)
    constants["factors"] = Tensor((1...6).map { Float($0) / 3 }, [6, 1, 1])
    constants["number"] = Tensor(scalar: Float(0.7))
    constants["one"] = Tensor([Float(-1.5)], [1])
    let model = try model(
      graph(
        [declared("x", .float, [2, 4, 7, 6])],
        [
          node(convolution, ["x", "w"], ["a"]),
          node("Add", ["each", "a"], ["b"]),
          node("Identity", ["b"], ["c"]),
          node("Mul", ["one", "c"], ["d"]),
          normalization("d", "e"),
          node("Sub", ["number", "e"], ["f"]),
          node("Div", ["f", "factors"], ["g"]),
          node("Sub", ["g", "each"], ["y"]),
        ], [declared("y")], constants: constants))
    #expect(try operators(model) == [convolution])
    try expectAgreement(model, randomTensor([2, 4, 7, 6], seed: 5))
  }

  @Test("What varies within a channel, divides by it or is seen elsewhere is not folded")
  func arithmeticThatStays() throws {
    let constants = [
      "w": randomTensor([6, 4, 1, 1]), "plane": randomTensor([1, 1, 7, 6], seed: 2),
      "each": randomTensor([1, 6, 1, 1], seed: 3), "images": randomTensor([2, 6, 1, 1], seed: 4),
    ]
    for (nodes, outputs) in [
      ([node("Add", ["a", "plane"], ["y"])], ["y"]),
      ([node("Mul", ["a", "images"], ["y"])], ["y"]),
      ([node("Div", ["each", "a"], ["y"])], ["y"]),
      ([node("Add", ["a", "each"], ["y"])], ["y", "a"]),
      ([node("Add", ["a", "each"], ["b"]), node("Mul", ["a", "b"], ["y"])], ["y"]),
    ] {
      let model = try model(
        graph(
          [declared("x", .float, [2, 4, 7, 6])], [node("Conv", ["x", "w"], ["a"])] + nodes,
          outputs.map { declared($0) }, constants: constants))
      #expect(try operators(model) == ["Conv"] + nodes.map(\.operatorName))
      try expectAgreement(model, randomTensor([2, 4, 7, 6], seed: 5))
    }
  }

  @Test("Functions and numbers behind a convolution are done by it")
  func stepsBehindConvolution() throws {
    var constants = parameters(6)
    constants["w"] = randomTensor([6, 4, 3, 3])
    constants["v"] = randomTensor([6, 6, 1, 1], seed: 9)
    constants["number"] = Tensor(scalar: Float(0.7))
    constants["one"] = Tensor([Float(-1.5)], [1])
    let model = try model(
      graph(
        [declared("x", .float, [2, 4, 7, 6])],
        [
          node("Conv", ["x", "w"], ["a"]),
          node("HardSwish", ["a"], ["b"]),
          node("Mul", ["one", "b"], ["c"]),
          node("Add", ["c", "number"], ["d"]),
          node("Conv", ["d", "v"], ["e"]),
          node("Relu", ["e"], ["f"]),
          node("Sub", ["one", "f"], ["y"]),
        ], [declared("y")], constants: constants))
    #expect(try operators(model) == ["Conv", "Conv"])
    try expectAgreement(model, randomTensor([2, 4, 7, 6], seed: 5))
  }

  @Test(arguments: [1, 2, 4], [true, false])
  func convOfAnyGroupTakesItIn(_ group: Int, _ hasBias: Bool) throws {
    var constants = parameters(8)
    constants["w"] = randomTensor([8, 4 / group, 3, 3])
    constants["b"] = randomTensor([8], seed: 2)
    let model = try model(
      graph(
        [declared("x", .float, [-1, 4, 9, 9])],
        [
          node("Conv", ["x", "w"] + (hasBias ? ["b"] : []), ["c"], ["group": .int(group)]),
          normalization("c", "y"),
        ], [declared("y")], constants: constants))
    #expect(try operators(model) == ["Conv"])
    try expectAgreement(model, randomTensor([2, 4, 9, 9]))
  }

  @Test func aBiasLeftOutByAnEmptyNameIsNoBias() throws {
    var constants = parameters(8)
    constants["w"] = randomTensor([8, 4, 3, 3])
    let model = try model(
      graph(
        [declared("x", .float, [-1, 4, 9, 9])],
        [node("Conv", ["x", "w", ""], ["c"]), normalization("c", "y")], [declared("y")],
        constants: constants))
    #expect(try operators(model) == ["Conv"])
    try expectAgreement(model, randomTensor([1, 4, 9, 9]))
  }

  @Test(arguments: [1, 2]) func convTransposeScalesAxisOneWithinItsGroup(_ group: Int) throws {
    var constants = parameters(6)
    constants["w"] = randomTensor([4, 6 / group, 3, 3])
    let model = try model(
      graph(
        [declared("x", .float, [-1, 4, 5, 5])],
        [
          node(
            "ConvTranspose", ["x", "w"], ["c"], ["group": .int(group), "strides": .ints([2, 2])]),
          normalization("c", "y"),
        ], [declared("y")], constants: constants))
    #expect(try operators(model) == ["ConvTranspose"])
    try expectAgreement(model, randomTensor([1, 4, 5, 5]))
  }

  @Test(arguments: [0, 1], [[], [1], [5], [1, 5]])
  func gemmTakesItInWithItsFactors(_ transB: Int, _ biasShape: [Int]) throws {
    var constants = parameters(5)
    constants["w"] = randomTensor(transB == 0 ? [3, 5] : [5, 3])
    constants["c"] = randomTensor(biasShape, seed: 4)
    let model = try model(
      graph(
        [declared("x", .float, [-1, 3])],
        [
          node(
            "Gemm", ["x", "w", "c"], ["g"],
            ["transB": .int(transB), "alpha": .float(0.5), "beta": .float(2)]),
          normalization("g", "y"),
        ], [declared("y")], constants: constants))
    #expect(try operators(model) == ["Gemm"])
    try expectAgreement(model, randomTensor([4, 3]))
  }

  @Test(arguments: [false, true]) func matMulTakesItInWithOrWithoutAnAddition(_ adds: Bool) throws {
    var constants = parameters(5)
    constants["w"] = randomTensor([3, 5])
    constants["c"] = randomTensor([5], seed: 4)
    var nodes = [node("MatMul", ["x", "w"], ["m"])]
    if adds { nodes.append(node("Add", ["c", "m"], ["a"])) }
    nodes.append(normalization(adds ? "a" : "m", "y"))
    let model = try model(
      graph([declared("x", .float, [-1, 3])], nodes, [declared("y")], constants: constants))
    #expect(try operators(model) == ["MatMul"])
    try expectAgreement(model, randomTensor([4, 3]))
  }

  @Test func aSharedWeightIsClonedForEach() throws {
    var constants = parameters(4).merging(parameters(4, prefix: "other", seed: 20)) { a, _ in a }
    constants["w"] = randomTensor([4, 4, 1, 1])
    let model = try model(
      graph(
        [declared("x", .float, [1, 4, 3, 3])],
        [
          node("Conv", ["x", "w"], ["a"]), normalization("a", "b"),
          node("Conv", ["b", "w"], ["c"]), normalization("c", "y", prefix: "other"),
        ], [declared("y")], constants: constants))
    #expect(try operators(model) == ["Conv", "Conv"])
    try expectAgreement(model, randomTensor([1, 4, 3, 3]))
  }

  /// By default a copy of weights that others read too is taken up to 16 MiB.
  @Test(arguments: [Session.BatchNormalizationMode.auto, .folded])
  func largeSharedWeightsAreCopiedOnDemand(mode: Session.BatchNormalizationMode) throws {
    let count = 3 << 19
    var constants = parameters(3)
    constants["w"] = Tensor(Array(repeating: Float(0.25), count: 3 * count), [3, count, 1, 1])
    let nodes = [
      node("Conv", ["x", "w"], ["c"]), normalization("c", "y"), node("Relu", ["x"], ["r"]),
      node("Conv", ["r", "w"], ["z"]),
    ]
    let model = try model(
      graph(
        [declared("x", .float, [1, count, 1, 1])], nodes, [declared("y"), declared("z")],
        constants: constants))
    var options = Session.Options()
    options.batchNormalization = mode
    let notes = try Session(model, options: options).notes.filter {
      $0.pass == Planner.foldingName
    }
    #expect(notes.map(\.kind) == [mode == .auto ? .declined : .done])
    guard mode == .auto else { return }
    #expect(
      notes.first?.text
        == "others read the weights of \"the Conv\" (Conv), whose copy would take 18874368 bytes")
  }

  @Test func aLargeMeanDoesNotCancel() throws {
    let mean = Tensor([Float](repeating: 10_000, count: 2), [2])
    let constants: [String: Tensor] = [
      "w": randomTensor([2, 2, 1, 1]), "b": mean, "bn.scale": Tensor([1, 1] as [Float], [2]),
      "bn.shift": Tensor([0, 0] as [Float], [2]), "bn.mean": mean,
      "bn.variance": Tensor([1e-3, 1e-3] as [Float], [2]),
    ]
    let model = try model(
      graph(
        [declared("x", .float, [1, 2, 4, 4])],
        [node("Conv", ["x", "w", "b"], ["c"]), normalization("c", "y")], [declared("y")],
        constants: constants))
    let x = randomTensor([1, 2, 4, 4])
    let folded = try Session(model).run(["x": .tensor(x)])["y"]!.tensor!
    let weights = constants["w"]!.converted(to: Double.self)
    let inputs = x.converted(to: Double.self)
    let scale = 1 / (Double(Float(1e-3)) + Double(Float(1e-5))).squareRoot()
    let expected = (0..<32).map { index -> Double in
      let (channel, pixel) = (index / 16, index % 16)
      let sum = weights[channel * 2] * inputs[pixel] + weights[channel * 2 + 1] * inputs[16 + pixel]
      return sum * scale
    }
    let metrics = Metrics(folded.converted(), reference: expected)
    #expect(metrics.relative < 1e-6)
  }

  // MARK: - Left alone

  private func conv(
    _ attributes: [String: Attribute] = [:], constants changed: [String: Tensor] = [:],
    extra: [NodeDefinition] = [], outputs: [String] = ["y"], opset: Int = 17,
    inputs: [ValueDefinition] = []
  ) throws -> Model {
    var constants = parameters(3)
    constants["w"] = randomTensor([3, 2, 1, 1])
    constants.merge(changed) { _, new in new }
    return try model(
      graph(
        [declared("x", .float, [1, 2, 4, 4])] + inputs,
        [node("Conv", ["x", "w"], ["c"]), normalization("c", "y", attributes: attributes)] + extra,
        outputs.map { declared($0) }, constants: constants), opset: opset)
  }

  @Test func trainingModeStays() throws {
    let model = try conv(["training_mode": .int(1)])
    #expect(try reasons(model) == ["runs in training mode, with the statistics of its batch"])
  }

  @Test func beforeVersionSevenTheDefaultIsTraining() throws {
    #expect(
      try reasons(conv(opset: 6)) == ["runs in training mode, with the statistics of its batch"])
    #expect(try reasons(conv(["is_test": .int(1)], opset: 6)).isEmpty)
  }

  @Test func scalingEachElementStays() throws {
    let constants = Dictionary(
      uniqueKeysWithValues: ["scale", "shift", "mean", "variance"].map {
        ("bn.\($0)", Tensor([Float](repeating: 0.5, count: 48), [3, 4, 4]))
      })
    let model = try conv(["spatial": .int(0)], constants: constants, opset: 7)
    #expect(try reasons(model) == ["spatial = 0 scales each element, not each channel"])
    try expectAgreement(model, randomTensor([1, 2, 4, 4]))
  }

  @Test func aConvWithAnotherReaderStays() throws {
    let model = try conv(extra: [node("Relu", ["c"], ["z"])], outputs: ["y", "z"])
    #expect(try reasons(model) == ["\"c\" has 2 readers"])
  }

  @Test func aConvThatIsAnOutputStays() throws {
    #expect(
      try reasons(conv(outputs: ["y", "c"])) == ["\"c\" is an output of the graph"])
  }

  @Test(arguments: ["w", "bn.mean"])
  func defaultsFoldUntilTheCallerOverridesOne(name: String) throws {
    let shape = name == "w" ? [3, 2, 1, 1] : [3]
    let open = try conv(inputs: [declared(name, .float, shape)])
    #expect(try reasons(open) == [])
    let inputs = ["x": Value.tensor(randomTensor([1, 2, 4, 4]))]
    let other = randomTensor(shape, seed: 5)
    let session = try Session(open)
    let usual = try session.run(inputs)["y"]!.tensor!
    let overridden = try session.run(inputs.merging([name: .tensor(other)]) { $1 })["y"]!.tensor!
    let again = try session.run(inputs)["y"]!.tensor!
    let closed = try Session(conv(constants: [name: other])).run(inputs)["y"]!.tensor!
    #expect(usual.array(of: Float.self) == again.array(of: Float.self))
    #expect(overridden.isClose(to: closed.array(of: Float.self)))
    #expect(!overridden.isClose(to: usual.array(of: Float.self)))
  }

  @Test func aFoldThatWouldOverflowStays() throws {
    let model = try conv(
      ["epsilon": .float(1e-30)],
      constants: [
        "bn.scale": Tensor([1e30, 1, 1] as [Float], [3]),
        "bn.variance": Tensor([0, 1, 1] as [Float], [3]),
      ])
    let reason = try #require(try reasons(model).first)
    #expect(reason.hasSuffix("is beyond the range of float"))
  }

  @Test func aNegativeVarianceStays() throws {
    let model = try conv(constants: ["bn.variance": Tensor([1, -1, 1] as [Float], [3])])
    let reason = try #require(try reasons(model).first)
    #expect(reason.hasPrefix("variance + epsilon is -0.9999"))
    #expect(reason.hasSuffix("in channel 1"))
  }

  @Test func channelsOfARankThreeMatMulAreNotColumns() throws {
    var constants = parameters(4)
    constants["w"] = randomTensor([3, 4])
    let model = try model(
      graph(
        [declared("x", .float, [2, 4, 3])],
        [node("MatMul", ["x", "w"], ["m"]), normalization("m", "y")], [declared("y")],
        constants: constants))
    #expect(try operators(model) == ["MatMul", "BatchNormalization"])
  }

  @Test func aBiasThatVariesFromRowToRowIsSpreadOverColumns() throws {
    var constants = parameters(5)
    constants["w"] = randomTensor([3, 5])
    constants["c"] = randomTensor([4, 1])
    let model = try model(
      graph(
        [declared("x", .float, [4, 3])],
        [node("Gemm", ["x", "w", "c"], ["g"]), normalization("g", "y")], [declared("y")],
        constants: constants))
    #expect(try operators(model) == ["Gemm"])
    try expectAgreement(model, randomTensor([4, 3]))
  }

  @Test("In branches and loops, with weights from outside", arguments: ["If", "Loop"])
  func insideBodies(_ operatorName: String) throws {
    var constants = parameters(3)
    constants["w"] = randomTensor([3, 3, 1, 1])
    constants["yes"] = try Tensor(.bool, [], bytes: [1])
    constants["twice"] = Tensor(scalar: Int64(2))
    let isLoop = operatorName == "Loop"
    var body = GraphDefinition()
    body.name = "body"
    body.nodes = [node("Conv", [isLoop ? "v" : "x", "w"], ["c"]), normalization("c", "n")]
    body.outputs = [declared("n")]
    if isLoop {
      body.inputs = [
        declared("i", .int64, []), declared("go", .bool, []), declared("v", .float, [1, 3, 4, 4]),
      ]
      body.nodes.append(node("Identity", ["go"], ["on"]))
      body.outputs.insert(declared("on", .bool, []), at: 0)
    }
    let call =
      isLoop
      ? node("Loop", ["twice", "yes", "x"], ["y"], ["body": .graph(body)])
      : node("If", ["yes"], ["y"], ["then_branch": .graph(body), "else_branch": .graph(body)])
    let model = try model(
      graph(
        [declared("x", .float, [1, 3, 4, 4])], [call], [declared("y")], constants: constants))
    let folded = try FoldedModel(model)
    #expect(folded.notes.filter { $0.kind == .declined }.isEmpty, "\(folded.notes)")
    #expect(folded.notes.count == (isLoop ? 1 : 2))
    try expectAgreement(model, randomTensor([1, 3, 4, 4]))
  }

  @Test func aFoldThatWouldBeDenormalStays() throws {
    let scale = Tensor([Float.leastNormalMagnitude / 16, 1, 1], [3])
    let model = try conv(constants: ["bn.scale": scale])
    #expect(try reasons(model) == ["the folded weights of channel 0 are denormal"])
  }

  @Test func nothingIsFoldedWhenTheSessionSaysSo() throws {
    var options = Session.Options()
    options.batchNormalization = .unfolded
    options.usesBlocks = false
    let session = try Session(conv(), options: options)
    #expect(session.graph.nodes.map(\.operatorName) == ["Conv", "BatchNormalization"])
  }
}
