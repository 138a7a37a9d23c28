import Testing

@testable import Sardonyx

@Suite struct FusePatternTests {
  private func fused(
    _ nodes: [NodeDefinition], _ constants: [String: Tensor], _ shape: [Int]
  ) throws -> [String] {
    let model = try model(
      graph([declared("x", .float, shape)], nodes, [declared("y")], constants: constants))
    let x = randomTensor(shape, seed: 5)
    let comparison = try Comparison(model, inputs: ["x": .tensor(x)], layers: true)
    #expect(comparison.passed)
    #expect(comparison.layers.contains { $0.name == "y" })
    return try Session(model).graph.nodes.map(\.operatorName)
  }

  private func normalization(mean: [String: Attribute], square: Bool) -> [NodeDefinition] {
    [
      node("ReduceMean", ["x"], ["mean"], mean),
      node("Sub", ["x", "mean"], ["difference"]),
      square
        ? node("Pow", ["difference", "two"], ["square"])
        : node("Mul", ["difference", "difference"], ["square"]),
      node("ReduceMean", ["square"], ["variance"], mean),
      node("Add", ["variance", "epsilon"], ["sum"]),
      node("Sqrt", ["sum"], ["root"]),
      node("Div", ["difference", "root"], ["quotient"]),
      node("Mul", ["quotient", "scale"], ["scaled"]),
      node("Add", ["scaled", "bias"], ["y"]),
    ]
  }

  private var rows: [String: Tensor] {
    [
      "two": Tensor(scalar: Float(2)), "epsilon": Tensor(scalar: Float(1e-5)),
      "scale": randomTensor([7], seed: 2), "bias": randomTensor([7], seed: 3),
    ]
  }

  @Test(arguments: [true, false]) func layerNormalizationIsFound(_ square: Bool) throws {
    let nodes = normalization(mean: ["axes": .ints([-1])], square: square)
    #expect(try fused(nodes, rows, [3, 7]) == ["LayerNormalization"])
  }

  @Test func anotherAxisOrAnotherReaderIsNoLayerNormalization() throws {
    let others = normalization(mean: ["axes": .ints([0])], square: true)
    #expect(try fused(others, rows, [3, 7]).contains("ReduceMean"))
    var nodes = normalization(mean: ["axes": .ints([-1])], square: true)
    nodes[8] = node("Add", ["scaled", "bias"], ["z"])
    nodes.append(node("Mul", ["z", "difference"], ["y"]))
    #expect(try fused(nodes, rows, [3, 7]).contains("ReduceMean"))
  }

  @Test func geluIsFoundHoweverItIsHalved() throws {
    let constants = [
      "root": Tensor(scalar: Float(2).squareRoot()), "one": Tensor(scalar: Float(1)),
      "half": Tensor(scalar: Float(0.5)),
    ]
    let start = [
      node("Div", ["x", "root"], ["scaled"]), node("Erf", ["scaled"], ["erf"]),
      node("Add", ["erf", "one"], ["sum"]),
    ]
    let last = [node("Mul", ["x", "sum"], ["whole"]), node("Mul", ["whole", "half"], ["y"])]
    let first = [node("Mul", ["x", "half"], ["halved"]), node("Mul", ["halved", "sum"], ["y"])]
    #expect(try fused(start + last, constants, [4, 33]) == ["Gelu"])
    #expect(try fused(start + first, constants, [4, 33]) == ["Gelu"])
    // A convolution behind it, which could take the half into its weights.
    let halved = [node("Mul", ["x", "sum"], ["whole"]), node("Mul", ["whole", "half"], ["gelu"])]
    let weights = ["w": randomTensor([5, 3, 1, 1], seed: 6)]
    let operators = try fused(
      start + halved + [node("Conv", ["gelu", "w"], ["y"])],
      constants.merging(weights) { $1 }, [2, 3, 4, 4])
    #expect(operators.contains("Gelu") && !operators.contains("Erf"))
  }

  /// x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³))), as JAX, PyTorch and Keras spell it.
  @Test func geluByTanhIsFoundHoweverItIsSpelled() throws {
    func constants(_ factor: Float) -> [String: Tensor] {
      [
        "third": Tensor(scalar: factor), "root": Tensor(scalar: Float(0.7978846)),
        "one": Tensor([Float(1)], [1, 1]), "half": Tensor(scalar: Float(0.5)),
        "three": Tensor(scalar: Float(3)), "two": Tensor(scalar: Float(2)),
      ]
    }
    let cubes = [
      [
        node("Mul", ["third", "x"], ["p"]), node("Mul", ["x", "p"], ["q"]),
        node("Mul", ["x", "q"], ["cube"]),
      ],
      [node("Pow", ["x", "three"], ["p"]), node("Mul", ["p", "third"], ["cube"])],
      [
        node("Mul", ["x", "x"], ["p"]), node("Mul", ["p", "x"], ["q"]),
        node("Mul", ["third", "q"], ["cube"]),
      ],
    ]
    let sums = [
      node("Add", ["x", "cube"], ["inner"]), node("Mul", ["root", "inner"], ["scaled"]),
    ]
    let factored = [
      node("Pow", ["x", "two"], ["p"]), node("Mul", ["third", "p"], ["q"]),
      node("Add", ["one", "q"], ["r"]), node("Mul", ["x", "root"], ["s"]),
      node("Mul", ["s", "r"], ["scaled"]),
    ]
    let end = [node("Tanh", ["scaled"], ["t"]), node("Add", ["one", "t"], ["sum"])]
    let halves = [
      [node("Mul", ["half", "sum"], ["gate"]), node("Mul", ["x", "gate"], ["y"])],
      [node("Mul", ["x", "half"], ["halved"]), node("Mul", ["halved", "sum"], ["y"])],
      [node("Mul", ["x", "sum"], ["whole"]), node("Mul", ["whole", "half"], ["y"])],
    ]
    for (start, half) in zip(cubes.map { $0 + sums } + [factored], halves + [halves[0]]) {
      #expect(try fused(start + end + half, constants(0.044715), [4, 33]) == ["Gelu"])
    }
    let other = try fused(cubes[0] + sums + end + halves[0], constants(0.05), [4, 33])
    #expect(other.contains("Tanh"))
  }

  @Test func hardSwishIsFound() throws {
    let slope: [String: Attribute] = ["alpha": .float(1 / 6), "beta": .float(0.5)]
    for inputs in [["x", "gate"], ["gate", "x"]] {
      let nodes = [node("HardSigmoid", ["x"], ["gate"], slope), node("Mul", inputs, ["y"])]
      #expect(try fused(nodes, [:], [2, 5]) == ["HardSwish"])
    }
    let other = [node("HardSigmoid", ["x"], ["gate"]), node("Mul", ["x", "gate"], ["y"])]
    #expect(try fused(other, [:], [2, 5]).contains("HardSigmoid"))
  }

  @Test func swishIsFound() throws {
    let nodes = [node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "x"], ["y"])]
    #expect(try fused(nodes, [:], [5, 9]) == ["Swish"])
  }
}
