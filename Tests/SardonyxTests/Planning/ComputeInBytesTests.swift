import Testing

@testable import Sardonyx

@Suite struct ComputeInBytesTests {
  /// Builds quantized networks; scales are powers of 2, so that single precision rounds nothing and results
  /// must be equal.
  private struct Network {
    var nodes: [NodeDefinition] = []
    var constants: [String: Tensor] = [:]
    var numbers = Numbers(seed: 5)
    let type: ElementType

    init(_ type: ElementType) { self.type = type }

    mutating func scalar(_ name: String, _ value: Float) -> String {
      constants[name] = Tensor([value], [])
      return name
    }

    mutating func zero(_ name: String, _ value: Int) -> String {
      constants[name] = Tensor(converting: [Double(value)], to: type, [])
      return name
    }

    /// `name` as bytes, and what those stand for.
    mutating func quantize(_ name: String, scale: Float = 0.0625, zero: Int = 3) -> String {
      let parameters = [scalar("\(name).s", scale), self.zero("\(name).z", zero)]
      nodes.append(node("QuantizeLinear", [name] + parameters, ["\(name).q"]))
      nodes.append(node("DequantizeLinear", ["\(name).q"] + parameters, ["\(name).d"]))
      return "\(name).d"
    }

    /// Weights of int8, one scale for each output channel where `axis` says so.
    mutating func weights(_ name: String, _ shape: [Int], axis: Int? = nil) -> String {
      constants["\(name).q"] = Tensor(
        converting: (0..<shape.elementCount).map { _ in Double(numbers.next(in: -100...100)) },
        to: .int8, shape)
      let count = axis.map { shape[$0] }
      constants["\(name).s"] = Tensor(
        (0..<(count ?? 1)).map { [Float(0x1p-9), 0x1p-8][$0 % 2] }, count.map { [$0] } ?? [])
      constants["\(name).z"] = Tensor(
        converting: Array(repeating: 0.0, count: count ?? 1), to: .int8, count.map { [$0] } ?? [])
      nodes.append(
        node(
          "DequantizeLinear", ["\(name).q", "\(name).s", "\(name).z"], [name],
          ["axis": .int(axis ?? 1)]))
      return name
    }

    mutating func bias(_ name: String, _ count: Int) -> String {
      constants[name] = Tensor(
        (0..<count).map { _ in Float(numbers.next(in: -64...64)) / 16 }, [count])
      return name
    }
  }

  private func expectEqual(
    _ network: Network, _ inputs: [ValueDefinition], _ output: String, _ values: [String: Value],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Graph {
    let model = try model(
      graph(inputs, network.nodes, [declared(output)], constants: network.constants))
    var options = Session.Options()
    let session = try Session(model, options: options)
    options.usesBlocks = false
    let plain = try Session(model, options: options)
    let (found, expected) = (try session.run(values)[output], try plain.run(values)[output])
    let bytes = try #require(found?.tensor?.rawBytes)
    #expect(bytes == expected?.tensor?.rawBytes, sourceLocation: sourceLocation)
    #expect(Set(bytes).count > 3, sourceLocation: sourceLocation)
    return session.graph
  }

  private func inBytes(_ graph: Graph) -> [String] {
    graph.nodes.filter { $0.domain == "sardonyx" }.map(\.operatorName)
  }

  @Test(
    "A quantized network computes in bytes from its first convolution to its last product",
    arguments: [ElementType.uint8, .int8])
  func network(type: ElementType) throws {
    var n = Network(type)
    let x = n.quantize("X")
    let (w1, b1) = (n.weights("w1", [20, 3, 3, 3], axis: 0), n.bias("b1", 20))
    n.nodes += [
      node("Conv", [x, w1, b1], ["c1"], ["pads": .ints([1, 1, 1, 1])]),
      node("Relu", ["c1"], ["r1"]),
    ]
    let r1 = n.quantize("r1")
    let w2 = n.weights("w2", [20, 1, 3, 3])
    n.nodes += [
      node(
        "Conv", [r1, w2], ["c2"], ["pads": .ints([1, 1, 1, 1]), "group": .int(20)])
    ]
    let c2 = n.quantize("c2")
    n.nodes.append(node("Add", [c2, r1], ["a"]))
    let a = n.quantize("a", scale: 0.125, zero: 7)
    n.nodes.append(
      node("MaxPool", [a], ["m"], ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]))
    let m = n.quantize("m", scale: 0.125, zero: 7)
    n.nodes.append(
      node(
        "AveragePool", [m], ["v"],
        ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]))
    let v = n.quantize("v")
    n.nodes.append(node("GlobalAveragePool", [v], ["g"]))
    let g = n.quantize("g")
    n.nodes.append(node("HardSigmoid", [g], ["h"], ["alpha": .float(0.25), "beta": .float(0.5)]))
    let h = n.quantize("h", scale: 0x1p-7, zero: 0)
    n.nodes.append(node("Mul", [v, h], ["u"]))
    let u = n.quantize("u")
    n.nodes.append(node("Concat", [u, v], ["k"], ["axis": .int(1)]))
    let k = n.quantize("k", scale: 0.125, zero: 1)
    let w3 = n.weights("w3", [12, 10, 1, 1], axis: 0)
    n.nodes.append(node("Conv", [k, w3], ["c3"], ["group": .int(4)]))
    n.nodes.append(
      node("Clip", ["c3", n.scalar("lo", -1), n.scalar("hi", 3)], ["l"]))
    let l = n.quantize("l")
    n.nodes.append(node("GlobalAveragePool", [l], ["p"]))
    let p = n.quantize("p", scale: 0x1p-5)
    n.nodes.append(node("Flatten", [p], ["f"]))
    let f = n.quantize("f", scale: 0x1p-5)
    let (w4, b4) = (n.weights("w4", [12, 5], axis: 1), n.bias("b4", 5))
    n.nodes.append(node("Gemm", [f, w4, b4], ["y"]))
    let y = n.quantize("y", scale: 0x1p-6)
    for batch in 1...3 {
      let input = Tensor(
        (0..<batch * 3 * 8 * 16).map { _ in Float(n.numbers.next(in: -99...99)) / 16 },
        [batch, 3, 8, 16])
      let graph = try expectEqual(
        n, [declared("X", .float, [-1, 3, 8, 16])], y, ["X": .tensor(input)])
      #expect(
        inBytes(graph) == [
          "PutChannelsLast", "Conv", "Conv", "Add", "MaxPool", "AveragePool", "GlobalAveragePool",
          "HardSigmoid", "Mul", "Concat", "Conv", "GlobalAveragePool", "Flatten", "Gemm",
          "PutChannelsFirst",
        ])
      #expect(graph.nodes.count { $0.operatorName == "DequantizeLinear" } == 1)
    }
  }

  @Test("BatchNormalization behind a quantized convolution goes into its scales")
  func normalization() throws {
    var n = Network(.uint8)
    let x = n.quantize("X")
    let w = n.weights("w", [6, 4, 1, 3], axis: 0)
    for (name, values) in [
      ("scale", [2, 1, 0.5, -1, 4, 1]), ("shift", [0, 1, -2, 3, 0.5, 0]),
      ("mean", [1, 0, 0.5, 2, 0, -1]), ("variance", [1, 4, 0.25, 1, 16, 1]),
    ] as [(String, [Float])] { n.constants[name] = Tensor(values, [6]) }
    n.nodes += [
      node("Conv", [x, w], ["c"]),
      node(
        "BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["b"],
        ["epsilon": .float(0)]),
    ]
    let b = n.quantize("b", scale: 0.125, zero: 100)
    let input = Tensor((0..<160).map { Float($0 * 7 % 50 - 25) / 16 }, [1, 4, 4, 10])
    let graph = try expectEqual(
      n, [declared("X", .float, [1, 4, 4, 10])], b, ["X": .tensor(input)])
    #expect(inBytes(graph) == ["PutChannelsLast", "BatchNormalization", "PutChannelsFirst"])
  }

  @Test("What is read in single precision too, or has other zero points, stays as it is")
  func blockers() throws {
    for blocker in ["read twice", "weights with a zero point", "scales by channel", "output"] {
      var n = Network(.uint8)
      let x = n.quantize("X")
      let w = n.weights("w", [8, 4, 3, 3])
      if blocker == "weights with a zero point" {
        n.constants["w.z"] = Tensor(converting: [3.0], to: .int8, [])
      }
      n.nodes.append(node("Conv", [x, w], ["c"]))
      var y = n.quantize("c")
      switch blocker {
      case "read twice":
        n.nodes.append(node("Add", [y, "c"], ["sum"]))
        y = "sum"
      case "scales by channel":
        n.constants["X.s"] = Tensor([0.5, 0.25, 0.125, 1] as [Float], [4])
        n.constants["X.z"] = Tensor(converting: [0.0, 1, 2, 3], to: .uint8, [4])
      default: break
      }
      let model = try model(
        graph(
          [declared("X", .float, [1, 4, 6, 6])], n.nodes,
          [declared(y)] + (blocker == "output" ? [declared("c")] : []), constants: n.constants))
      let session = try Session(model)
      #expect(
        !session.graph.nodes.contains { $0.implementation is ChannelsLastConv }, "\(blocker)")
    }
  }

  @Test("A zero point of another type than its bytes is refused before it is taken for one")
  func zeroPointOfAnotherType() throws {
    var n = Network(.uint8)
    let x = n.quantize("X")
    n.constants["other.z"] = Tensor([Int32(-70_000)], [])
    n.nodes[1].inputs[2] = "other.z"
    let w = n.weights("w", [8, 4, 3, 3])
    n.nodes.append(node("Conv", [x, w], ["c"]))
    let y = n.quantize("c")
    let definition = graph(
      [declared("X", .float, [1, 4, 6, 6])], n.nodes, [declared(y)], constants: n.constants)
    let input = Value.tensor(n.numbers.tensor(1, 4, 6, 6))
    let error = #expect(throws: ModelError.self) {
      try Session(try model(definition)).run(["X": input])
    }
    #expect(error?.message.contains("expected one type") ?? false, "\(error?.message ?? "")")
  }

  @Test("QLinearConv and its like give the same bytes with their channels last", arguments: 1...3)
  func linearOperators(batch: Int) throws {
    var n = Network(.uint8)
    func parameters(_ name: String, _ scale: Float, _ zero: Int) -> [String] {
      [n.scalar("\(name).s", scale), n.zero("\(name).z", zero)]
    }
    let (x, c, a, s, g) = (
      parameters("X", 0.031, 5), parameters("c", 0.07, 120), parameters("a", 0.11, 90),
      parameters("s", 0.004, 0), parameters("g", 0.09, 100)
    )
    n.constants["w"] = Tensor(
      converting: (0..<17 * 5 * 9).map { _ in Double(n.numbers.next(in: -100...100)) }, to: .int8,
      [17, 5, 3, 3])
    n.constants["w.s"] = Tensor((0..<17).map { 0.001 + 0.0002 * Float($0) }, [17])
    n.constants["w.z"] = Tensor(converting: Array(repeating: 0.0, count: 17), to: .int8, [17])
    n.constants["b"] = Tensor((0..<17).map { Int32($0 * 300 - 2000) }, [17])
    n.nodes = [
      node(
        "QLinearConv", ["X"] + x + ["w", "w.s", "w.z"] + c + ["b"], ["c"],
        ["pads": .ints([1, 1, 1, 1])]),
      node("QLinearAdd", ["c"] + c + ["c"] + c + a, ["a"], domain: "com.microsoft"),
      node("QLinearSigmoid", ["a"] + a + s, ["s"], domain: "com.microsoft"),
      node("QLinearMul", ["a"] + a + ["s"] + s + a, ["m"], domain: "com.microsoft"),
      node("QLinearGlobalAveragePool", ["m"] + a + g, ["Y"], domain: "com.microsoft"),
    ]
    var definition = graph(
      [declared("X", .uint8, [-1, 5, 7, 9])], n.nodes, [declared("Y", .uint8)],
      constants: n.constants)
    definition.name = "bytes"
    let input = Tensor(
      (0..<batch * 315).map { UInt8(truncatingIfNeeded: $0 &* 89) }, [batch, 5, 7, 9])
    var model = ModelDefinition()
    (model.irVersion, model.operatorSets) = (8, ["": 17, "com.microsoft": 1])
    model.graph = definition
    let loaded = try Model(model)
    var options = Session.Options()
    let session = try Session(loaded, options: options)
    options.usesBlocks = false
    let plain = try Session(loaded, options: options)
    let values = ["X": Value.tensor(input)]
    let (found, expected) = (try session.run(values)["Y"], try plain.run(values)["Y"])
    #expect(found?.tensor?.rawBytes == expected?.tensor?.rawBytes)
    #expect(inBytes(session.graph).dropFirst().dropLast().count == 5)
  }
}
