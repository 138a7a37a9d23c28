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
