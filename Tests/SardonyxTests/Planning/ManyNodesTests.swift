import Testing

@testable import Sardonyx

/// What a model costs grows with its nodes and not with their square, whatever they are, and many may have
/// one name.
@Suite struct ManyNodesTests {
  private static let count = 4000

  private static let parameters = ["scale", "shift", "mean", "variance"]

  /// The value that step `index` of a chain reads.
  private static func value(_ index: Int) -> String { index == 0 ? "x" : "y\(index)" }

  /// A chain of as many steps, each of some nodes.
  private static func chain(_ step: (_ input: String, _ output: String) -> [NodeDefinition])
    -> [NodeDefinition]
  {
    (0..<count).flatMap { step(value($0), value($0 + 1)) }
  }

  private static func normalize(_ input: String, _ output: String) -> NodeDefinition {
    node("BatchNormalization", [input] + parameters, [output])
  }

  /// As many nodes side by side, and the sum of what they make.
  private static func sum(of branch: (_ output: String) -> NodeDefinition) -> [NodeDefinition] {
    let names = (1...count).map { value($0) }
    return names.map(branch) + [node("Sum", names, ["y"])]
  }

  private static func branch(_ operatorName: String) -> Attribute {
    .graph(graph([], [node(operatorName, ["x"], ["z"])], [declared("z")]))
  }

  private static let kinds: [(name: String, nodes: [NodeDefinition])] = [
    ("Identities", chain { [node("Identity", [$0], [$1])] }),
    ("activations", chain { [node("Relu", [$0], [$1])] }),
    ("equal nodes", sum { node("Relu", ["x"], [$0]) }),
    (
      "values at once",
      [node("Split", ["tall"], (1...count).map { value($0) }, ["axis": .int(0)])]
        + [node("Concat", (1...count).map { value($0) }, ["y"], ["axis": .int(0)])]
    ),
    (
      "normalisations behind weights",
      chain { [node("Conv", [$0, "w"], [$1 + "a"]), normalize($1 + "a", $1)] }
    ),
    (
      "normalisations behind pools",
      chain {
        [
          node("Conv", [$0, "w"], [$1 + "a"]),
          node("MaxPool", [$1 + "a"], [$1 + "b"], ["kernel_shape": .ints([1, 1])]),
          normalize($1 + "b", $1),
        ]
      }
    ),
    (
      "normalisations before weights",
      chain {
        [
          node("Relu", [$0], [$1 + "a"]), normalize($1 + "a", $1 + "b"),
          node("Conv", [$1 + "b", "w"], [$1]),
        ]
      }
    ),
    (
      "branches",
      sum {
        node(
          "If", ["condition"], [$0], ["then_branch": branch("Relu"), "else_branch": branch("Neg")])
      }
    ),
    (
      "shapes",
      chain {
        [
          node("Shape", [$0], [$1 + "s"]), node("Reshape", [$0, $1 + "s"], [$1]),
        ]
      }
    ),
    ("calls of a function", chain { [node("Twice", [$0], [$1], domain: "f")] }),
  ]

  @Test("A model of many nodes is prepared and planned soon", arguments: kinds.indices)
  func isPreparedSoon(_ index: Int) throws {
    let (name, nodes) = Self.kinds[index]
    var constants = ["w": Tensor([0.5, 0.25, -0.25, 0.5] as [Float], [2, 2, 1, 1])]
    for name in Self.parameters { constants[name] = Tensor([1, 1.5] as [Float], [2]) }
    let result = nodes.last!.outputs[0]
    var definition = ModelDefinition()
    definition.irVersion = 8
    definition.operatorSets = ["": 12, "f": 1]
    definition.functions = [
      FunctionDefinition(
        name: "Twice", domain: "f", inputs: ["a"], outputs: ["b"],
        operatorSets: ["": 12],
        nodes: [node("Relu", ["a"], ["t"]), node("Neg", ["t"], ["b"])])
    ]
    definition.graph = graph(
      [
        declared("x", .float, [1, 2, 2, 2]), declared("tall", .float, [Self.count, 1]),
        declared("condition", .bool, []),
      ], nodes, [declared(result)], constants: constants)
    let start = ContinuousClock.now
    let session = try Session(Model(definition))
    let outputs = try session.run([
      "x": .tensor(randomTensor([1, 2, 2, 2])), "tall": .tensor(randomTensor([Self.count, 1])),
      "condition": .tensor(Tensor(scalar: true)),
    ])
    #expect(outputs[result] != nil)
    // 3,000 steps take 0.1 to 0.7 s; copies of the graph for each let them take 15 to 20 (Cascade Lake).
    #expect(ContinuousClock.now - start < .seconds(20), "\(name)")
  }
}
