import Testing

@testable import Sardonyx

/// A model that calls functions of the domain "f".
private func calling(_ functions: [FunctionDefinition], _ graph: GraphDefinition)
  -> ModelDefinition
{
  var model = ModelDefinition()
  model.irVersion = 8
  model.operatorSets = ["": 17, "f": 1]
  model.functions = functions
  model.graph = graph
  return model
}

private func function(
  _ name: String, _ inputs: [String], _ nodes: [NodeDefinition], _ outputs: [String]
) -> FunctionDefinition {
  FunctionDefinition(name: name, domain: "f", inputs: inputs, outputs: outputs, nodes: nodes)
}

private func run(_ model: ModelDefinition, _ x: [Float] = [1, -2]) throws -> [Float] {
  let results = try Session(try Model(model)).run(["x": .tensor(Tensor(x))])
  return try #require(results["y"]?.tensor).elements()
}

@Test("A name is made different from as many as there are, numbered ones among them")
func namesAreUnique() {
  var taken = Set((0..<1000).map { "n_\($0)" })
  let names = (0..<100_000).map { _ in unique("n", &taken) }
  #expect(Set(names).count == names.count && names[0] == "n")
  #expect(names.allSatisfy { $0.hasPrefix("n") })
  #expect(taken.count == 101_000)
}

private let input = [declared("x", .float, [-1])]
private let output = [declared("y")]

@Suite struct FunctionInliningTests {
  @Test func aCallBecomesTheNodesOfTheFunction() throws {
    let square = function(
      "Square", ["a"],
      [node("Neg", ["a"], ["b"]), node("Mul", ["b", "a"], ["c"])], ["c"])
    let model = calling(
      [square],
      graph(
        input,
        [node("Square", ["x"], ["s"], domain: "f"), node("Square", ["s"], ["y"], domain: "f")],
        output))
    let graph = try Model(model).graph
    #expect(
      graph.nodes.map { graph.values[$0.outputs[0]!].name } == [
        "the Square/b", "s", "the Square/b_2", "y",
      ])
    #expect(try run(model) == [-1, -16])
  }

  @Test func attributesComeFromTheCallOrTheDefault() throws {
    var leaky = function(
      "Leaky", ["a"], [node("LeakyRelu", ["a"], ["b"], ["alpha": .reference("slope")])], ["b"])
    leaky.attributeDefaults = ["slope": .float(0.5)]
    func call(_ attributes: [String: Attribute]) -> ModelDefinition {
      calling([leaky], graph(input, [node("Leaky", ["x"], ["y"], attributes, domain: "f")], output))
    }
    #expect(try run(call([:])) == [1, -1])
    #expect(try run(call(["slope": .float(2)])) == [1, -4])
    #expect(
      throws: ModelError(
        .invalid, "the function Leaky has no attribute beta", node: "\"the Leaky\" (f.Leaky)")
    ) { try Model(call(["beta": .float(2)])) }
  }

  @Test func anAttributeWithoutDefaultMayBeMissing() throws {
    var leaky = function(
      "Leaky", ["a"], [node("LeakyRelu", ["a"], ["b"], ["alpha": .reference("slope")])], ["b"])
    leaky.attributeNames = ["slope"]
    let model = calling(
      [leaky], graph(input, [node("Leaky", ["x"], ["y"], domain: "f")], output))
    #expect(try run(model, [-100]) == [-1])
  }

  @Test func functionsMayCallFunctions() throws {
    let inner = function("Inner", ["a"], [node("Neg", ["a"], ["b"])], ["b"])
    let outer = function(
      "Outer", ["a"],
      [node("Inner", ["a"], ["b"], domain: "f"), node("Abs", ["b"], ["c"])], ["c"])
    let model = calling(
      [outer, inner], graph(input, [node("Outer", ["x"], ["y"], domain: "f")], output))
    #expect(try run(model) == [1, 2])
  }

  @Test func aFunctionMustNotCallItself() {
    let first = function("First", ["a"], [node("Second", ["a"], ["b"], domain: "f")], ["b"])
    let second = function("Second", ["a"], [node("First", ["a"], ["b"], domain: "f")], ["b"])
    let model = calling(
      [first, second], graph(input, [node("First", ["x"], ["y"], domain: "f")], output))
    #expect(
      throws: ModelError(
        .invalid, "the function First calls itself",
        node: "\"the First\" (f.First)")
    ) { try Model(model) }
  }

  @Test func functionsThatGrowWithoutMeasureAreRefused() {
    let functions = (0..<60).map { index in
      function(
        "F\(index)", ["a"],
        [
          node("F\(index + 1)", ["a"], ["b"], domain: "f"),
          node("F\(index + 1)", ["b"], ["c"], domain: "f"),
        ], ["c"])
    }
    let last = function("F60", ["a"], [], ["a"])
    let model = calling(
      functions + [last], graph(input, [node("F0", ["x"], ["y"], domain: "f")], output))
    #expect {
      try Model(model)
    } throws: { error in
      let error = error as? ModelError
      return error?.code == .limit
        && error?.message
          == "functions: expected calls at most 64 deep that become at most 4194304 nodes, got more"
    }
  }

  @Test func anOutputMayBeAnInputOrAnotherOutput() throws {
    let pair = function("Pair", ["a"], [node("Neg", ["a"], ["b"])], ["a", "b", "b"])
    let model = calling(
      [pair],
      graph(
        input,
        [
          node("Pair", ["x"], ["p", "q", "r"], domain: "f"), node("Sum", ["p", "q", "r"], ["y"]),
        ], output))
    #expect(try run(model) == [-1, 2])
  }

  @Test func anInputLeftOutIsLeftOutInside() throws {
    let clip = function(
      "Limit", ["a", "low", "high"], [node("Clip", ["a", "low", "high"], ["b"])], ["b"])
    var definition = graph(
      input, [node("Limit", ["x", "", "high"], ["y"], domain: "f")], output,
      constants: ["high": Tensor(scalar: 0 as Float)])
    #expect(try run(calling([clip], definition)) == [0, -2])
    definition.nodes[0].inputs = ["x"]
    #expect(try run(calling([clip], definition)) == [1, -2])
  }

  @Test func aCallMustFitTheFunction() {
    let negation = function("Negation", ["a"], [node("Neg", ["a"], ["b"])], ["b"])
    #expect(
      throws: ModelError(
        .invalid, "inputs: expected at most 1, got 2", node: "\"the Negation\" (f.Negation)")
    ) {
      try Model(
        calling(
          [negation], graph(input, [node("Negation", ["x", "x"], ["y"], domain: "f")], output)))
    }
  }

  @Test func aFunctionReadsOnlyWhatIsItsOwn() {
    let thief = function("Thief", ["a"], [node("Add", ["a", "x"], ["b"])], ["b"])
    #expect(
      throws: ModelError(
        .invalid, "the function Thief reads \"x\", which nothing in it makes",
        node: "\"the Thief\" (f.Thief)")
    ) {
      try Model(calling([thief], graph(input, [node("Thief", ["x"], ["y"], domain: "f")], output)))
    }
  }

  @Test func bodiesInsideFunctionsKeepTheirNamesApart() throws {
    // The function's own "t" and the caller's "t" are different values.
    let then = graph([], [node("Neg", ["a"], ["t"])], [declared("t")])
    let otherwise = graph([], [node("Abs", ["a"], ["t"])], [declared("t")])
    let choose = function(
      "Choose", ["a", "c"],
      [node("If", ["c"], ["b"], ["then_branch": .graph(then), "else_branch": .graph(otherwise)])],
      ["b"])
    let model = calling(
      [choose],
      graph(
        input,
        [node("Exp", ["x"], ["t"]), node("Choose", ["t", "c"], ["y"], domain: "f")], output,
        constants: ["c": Tensor(scalar: true)]))
    #expect(try run(model, [0]) == [-1])
  }

  @Test func aFunctionsOwnOperatorSetCounts() throws {
    // Softmax of operator set 11 flattens; its axis defaults to 1.
    var old = function("Old", ["a"], [node("Softmax", ["a"], ["b"])], ["b"])
    old.operatorSets = ["": 11]
    let graph = try Model(
      calling([old], graph(input, [node("Old", ["x"], ["y"], domain: "f")], output))
    ).graph
    #expect(graph.nodes[0].operatorSet == 11)
  }
}
