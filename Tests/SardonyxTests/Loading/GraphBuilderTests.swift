import Testing

@testable import Sardonyx

/// Runs a model of float tensors.
private func run(_ definition: GraphDefinition, _ inputs: [String: Tensor]) throws -> [Float] {
  let session = try Session(try model(definition))
  let results = try session.run(inputs.mapValues(Value.tensor))
  return try #require(results[definition.outputs[0].name]?.tensor).elements()
}

private let x = Tensor([1, -2] as [Float])

@Suite struct GraphBuilderTests {
  @Test func namesBecomeNumbersInTheOrderOfTheFile() throws {
    let graph = try model(
      graph(
        [declared("x", .float, [-1])],
        [node("Neg", ["x"], ["a"]), node("Add", ["a", "w"], ["y"])],
        [declared("y")], constants: ["w": x])
    ).graph
    #expect(graph.inputs.map { graph.values[$0].name } == ["x"])
    #expect(graph.values[graph.inputs[0]].shape == [.symbol("N")])
    #expect(graph.outputs.map { graph.values[$0].name } == ["y"])
    #expect(graph.nodes.map(\.operatorName) == ["Neg", "Add"])
    #expect(graph.constant(graph.nodes[1], 1)?.memory == x.memory)
    #expect(graph.nodes[1].inputs[0] == graph.nodes[0].outputs[0])
  }

  @Test func nodesAreReorderedWhereTheFileHasThemWrong() throws {
    let graph = try model(
      graph(
        [declared("x")],
        [
          node("Add", ["b", "a"], ["y"]), node("Abs", ["a"], ["b"]), node("Neg", ["x"], ["a"]),
        ], [declared("y")])
    ).graph
    #expect(graph.nodes.map(\.operatorName) == ["Neg", "Abs", "Add"])
  }

  @Test func namelessAndDoubleNodesGetNamesOfTheirOwn() throws {
    var nodes = ["a", "b", "c", "d"].map { node("Neg", ["x"], [$0]) }
    nodes[0].name = ""
    nodes[1].name = "n"
    nodes[2].name = "n"
    nodes[3].name = ""
    let graph = try model(graph([declared("x")], nodes, [declared("d")])).graph
    #expect(graph.nodes.map(\.name) == ["Neg_0", "n", "n_2", "Neg_3"])
  }

  @Test func aCycleIsInvalid() {
    #expect(
      throws: ModelError(
        .invalid, "the node needs its own output: the graph has a cycle",
        node: "\"the Neg\" (Neg)")
    ) {
      try model(
        graph([], [node("Neg", ["b"], ["a"]), node("Abs", ["a"], ["b"])], [declared("a")]))
    }
  }

  @Test func aValueIsMadeOnce() {
    #expect(
      throws: ModelError(.invalid, "the value \"a\" is made twice", node: "\"the Abs\" (Abs)")
    ) {
      try model(
        graph(
          [declared("x")], [node("Neg", ["x"], ["a"]), node("Abs", ["x"], ["a"])],
          [declared("a")]))
    }
  }

  @Test func whatIsReadMustBeMade() {
    #expect(
      throws: ModelError(
        .invalid, "nothing makes the input \"b\"", node: "\"the Neg\" (Neg)")
    ) { try model(graph([], [node("Neg", ["b"], ["a"])], [declared("a")])) }
    #expect(throws: ModelError(.invalid, "nothing makes the output \"a\"")) {
      try model(graph([], [], [declared("a")]))
    }
  }

  @Test func anInitializerOfAnInputIsItsDefault() throws {
    let definition = graph(
      [declared("x"), declared("w", .float, [2])], [node("Add", ["x", "w"], ["y"])],
      [declared("y")], constants: ["w": x])
    #expect(try model(definition).optionalInputs == ["w"])
    #expect(try run(definition, ["x": x]) == [2, -4])
    #expect(try run(definition, ["x": x, "w": Tensor([5, 5] as [Float])]) == [6, 3])
  }

  @Test func beforeVersion4InitializersAreConstantsThoughListedAsInputs() throws {
    var old = ModelDefinition()
    old.irVersion = 3
    old.operatorSets = ["": 8]
    old.graph = graph(
      [declared("x"), declared("w", .float, [2])], [node("Add", ["x", "w"], ["y"])],
      [declared("y")], constants: ["w": x])
    let model = try Model(old)
    #expect(model.inputs.map(\.name) == ["x"])
    #expect(model.optionalInputs.isEmpty)
  }

  @Test func allMissingOperatorsAreToldAtOnce() {
    let branch = graph([], [node("Cosh2", ["x"], ["b"])], [declared("b")])
    var nodes = ["p", "q", "r", "s"].map { node("Convv", ["x"], [$0]) }
    for index in nodes.indices { nodes[index].name = "conv \(index)" }
    nodes.append(
      node("If", ["c"], ["y"], ["then_branch": .graph(branch), "else_branch": .graph(branch)]))
    nodes.append(node("Made", ["x"], ["t"], domain: "org.example"))
    #expect(
      throws: ModelError(
        .unsupported,
        "no operator of this build does "
          + "Convv (ai.onnx 17) of nodes \"conv 0\", \"conv 1\", \"conv 2\" and 1 more; "
          + "Cosh2 (ai.onnx 17) of nodes \"the Cosh2\", \"the Cosh2\"; "
          + "Made (org.example 1) of node \"the Made\"",
        hint: "the nearest name to Convv is Conv; the nearest name to Cosh2 is Cosh")
    ) { try model(graph([declared("x"), declared("c", .bool)], nodes, [declared("y")])) }
  }

  @Test func tensorsInTheBlocksOfOneProcessorAreRefusedWithAdvice() {
    let domain = "com.microsoft.nchwc"
    let nodes = [
      node("Conv", ["x"], ["b"], domain: domain),
      node("ReorderOutput", ["b"], ["y"], domain: domain),
    ]
    let error = #expect(throws: ModelError.self) {
      try model(graph([declared("x")], nodes, [declared("y")]))
    }
    #expect(
      error?.hint
        == "com.microsoft.nchwc is how onnxruntime lays tensors out for one processor, which files do not "
        + "tell; save the model with graph_optimization_level ORT_ENABLE_EXTENDED, or take the one it was "
        + "made from")
  }

  @Test func anOperatorOfALaterOperatorSetIsInvalid() {
    #expect(
      throws: ModelError(
        .invalid,
        "Gelu came with operator set 20, and the model imports operator set 17",
        node: "\"the Gelu\" (Gelu)")
    ) { try model(graph([declared("x")], [node("Gelu", ["x"], ["y"])], [declared("y")])) }
  }

  @Test("Domains that are not imported are read at the newest operator set known")
  func domainsThatAreNotImported() throws {
    var definition = ModelDefinition()
    definition.irVersion = 8
    definition.operatorSets = ["com.microsoft": 1]
    definition.graph = graph(
      [declared("x")],
      [
        node("Neg", ["x"], ["y"]), node("Relu", ["y"], ["z"]),
        node("Binarizer", ["z"], ["b"], domain: "ai.onnx.ml"),
      ], [declared("b")])
    let model = try Model(definition)
    let results = try Session(model).run(["x": .tensor(Tensor([Float(-2), 3]))])
    #expect(results["b"]?.tensor?.floats == [1, 0])
    #expect(
      model.graph.notes.map(\.text) == [
        "the model imports no operator set of ai.onnx: assumed 28, the newest known",
        "the model imports no operator set of ai.onnx.ml: assumed 5, the newest known",
      ])
  }
}
