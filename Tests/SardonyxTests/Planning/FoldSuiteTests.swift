import Testing

@testable import Sardonyx

/// Every pattern of a BatchNormalization, folded and as written, against the same in double.
@Suite struct FoldSuiteTests {
  /// A model with a BatchNormalization, and what becomes of it.
  struct Case: CustomStringConvertible, Sendable {
    var description: String
    var shape: [Int]
    var nodes: [NodeDefinition]
    var constants: [String: Tensor]
    /// How the reason begins why one stays; nil where none does.
    var reason: String?
    var opset = 17
    var outputs = ["y"]
    /// Constants that the caller may override.
    var overridable: [String] = []

    func model(_ type: ElementType) throws -> Model {
      let scales = Set(
        nodes.filter { $0.operatorName == "DequantizeLinear" }.map { $0.inputs[1] })
      var converted = constants
      for (name, tensor) in constants where tensor.type == .float && !scales.contains(name) {
        converted[name] = Tensor(
          converting: tensor.converted(to: Double.self), to: type, tensor.shape)
      }
      // There are no scales in double.
      let nodes = nodes.flatMap { example in
        guard example.operatorName == "DequantizeLinear" else { return [example] }
        var single = example
        single.outputs = [example.outputs[0] + "_single"]
        let cast: [String: Attribute] = ["to": .int(Int(type.rawValue))]
        return [single, node("Cast", single.outputs, example.outputs, cast)]
      }
      let inputs =
        [declared("x", type, shape)]
        + overridable.map { declared($0, type, constants[$0]!.shape) }
      return try SardonyxTests.model(
        graph(inputs, nodes, outputs.map { declared($0, type) }, constants: converted), opset: opset
      )
    }
  }

  private static func parameters(_ channels: Int, _ prefix: String = "bn", seed: Int = 7)
    -> [String: Tensor]
  {
    [
      "\(prefix).scale": Tensor(
        numbers(channels, seed: seed).map { $0 < 0 ? $0 - 0.2 : $0 + 0.2 }, [channels]),
      "\(prefix).shift": randomTensor([channels], seed: seed + 1),
      "\(prefix).mean": randomTensor([channels], seed: seed + 2),
      "\(prefix).variance": Tensor(
        numbers(channels, seed: seed + 3).map { abs($0) + 0.1 }, [channels]),
    ]
  }

  private static func normalize(
    _ input: String, _ output: String, _ attributes: [String: Attribute] = [:],
    prefix: String = "bn"
  ) -> NodeDefinition {
    node(
      "BatchNormalization",
      [input] + ["scale", "shift", "mean", "variance"].map { "\(prefix).\($0)" }, [output],
      attributes)
  }

  static let cases =
    convolutions + transposed + quantized + gemms + products + versions + arithmetic
    + behindOthers + sums + moved + forward + padded + carried + blockers

  static var convolutions: [Case] {
    var cases: [Case] = []
    for rank in 1...3 {
      for group in [1, 2, 4] {
        for (bias, inputs) in [
          ("no", ["x", "w"]), ("empty", ["x", "w", ""]), ("a", ["x", "w", "b"]),
        ] {
          var constants = parameters(8)
          constants["w"] = randomTensor([8, 4 / group] + Array(repeating: 3, count: rank))
          constants["b"] = randomTensor([8], seed: 2)
          let attributes: [String: Attribute] = [
            "group": .int(group),
            "strides": .ints(Array(repeating: group == 2 ? 2 : 1, count: rank)),
            "pads": .ints((0..<2 * rank).map { $0 % 2 + 1 }),
            "dilations": .ints(Array(repeating: group == 4 ? 2 : 1, count: rank)),
          ]
          cases.append(
            Case(
              description: "Conv of rank \(rank), \(group) groups, \(bias) bias",
              shape: [2, 4] + Array(repeating: 6, count: rank),
              nodes: [node("Conv", inputs, ["c"], attributes), normalize("c", "y")],
              constants: constants))
        }
      }
    }
    return cases
  }

  static var transposed: [Case] {
    var cases: [Case] = []
    for rank in 1...2 {
      for group in [1, 2] {
        for outputs in [4, 6] {
          for hasBias in [false, true] {
            var constants = parameters(outputs)
            constants["w"] = randomTensor([4, outputs / group] + Array(repeating: 3, count: rank))
            constants["b"] = randomTensor([outputs], seed: 2)
            let attributes: [String: Attribute] = [
              "group": .int(group), "strides": .ints(Array(repeating: 2, count: rank)),
            ]
            cases.append(
              Case(
                description:
                  "ConvTranspose of rank \(rank), \(group) groups, \(outputs) channels, bias \(hasBias)",
                shape: [1, 4] + Array(repeating: 5, count: rank),
                nodes: [
                  node("ConvTranspose", ["x", "w"] + (hasBias ? ["b"] : []), ["c"], attributes),
                  normalize("c", "y"),
                ], constants: constants))
          }
        }
      }
    }
    return cases
  }

  /// Weights of 8 bits, with a scale for all or for each output channel.
  static var quantized: [Case] {
    var constants = parameters(6)
    let bytes: [UInt8] = (0..<216).map { UInt8($0 * 37 % 251) }
    constants["q"] = Tensor(bytes.map { Int8(bitPattern: $0) }, [6, 4, 3, 3])
    constants["u"] = Tensor(Array(bytes.prefix(24)), [4, 6])
    constants["each"] = Tensor((1...6).map { Float($0) / 300 }, [6])
    constants["one"] = Tensor(scalar: Float(0.01))
    constants["zero"] = Tensor(scalar: UInt8(128))
    constants["zeros"] = Tensor([120, 121, 122, 123, 124, 125] as [UInt8], [6])
    let examples: [(String, [Int], NodeDefinition, String)] = [
      (
        "Conv of 8 bits, a scale each", [2, 4, 5, 5],
        node("DequantizeLinear", ["q", "each"], ["w"], ["axis": .int(0)]), "Conv"
      ),
      ("Conv of 8 bits", [2, 4, 5, 5], node("DequantizeLinear", ["q", "one"], ["w"]), "Conv"),
      (
        "Gemm of 8 bits, a scale each", [3, 4],
        node("DequantizeLinear", ["u", "each", "zeros"], ["w"], ["axis": .int(1)]), "Gemm"
      ),
      (
        "MatMul of 8 bits", [3, 4], node("DequantizeLinear", ["u", "one", "zero"], ["w"]), "MatMul"
      ),
    ]
    return examples.map { text, shape, weights, name in
      Case(
        description: text, shape: shape,
        nodes: [weights, node(name, ["x", "w"], ["c"]), normalize("c", "y")],
        constants: constants, opset: 19)
    }
  }

  static var gemms: [Case] {
    var cases: [Case] = []
    for transA in 0...1 {
      for transB in 0...1 {
        for bias in [nil, [], [1], [5], [1, 5], [4, 1], [4, 5]] as [[Int]?] {
          var constants = parameters(5)
          constants["w"] = randomTensor(transB == 0 ? [3, 5] : [5, 3])
          if let bias { constants["c"] = randomTensor(bias, seed: 4) }
          let attributes: [String: Attribute] = [
            "transA": .int(transA), "transB": .int(transB), "alpha": .float(0.5),
            "beta": .float(2),
          ]
          cases.append(
            Case(
              description:
                "Gemm, transA \(transA), transB \(transB), C \(bias.map { "\($0)" } ?? "none")",
              shape: transA == 0 ? [4, 3] : [3, 4],
              nodes: [
                node("Gemm", ["x", "w"] + (bias == nil ? [] : ["c"]), ["g"], attributes),
                normalize("g", "y"),
              ], constants: constants))
        }
      }
    }
    return cases
  }

  static var products: [Case] {
    var constants = parameters(5)
    constants["w"] = randomTensor([3, 5])
    constants["b"] = randomTensor([5], seed: 3)
    constants["rows"] = randomTensor([5, 1], seed: 3)
    func make(
      _ text: String, _ shape: [Int], _ nodes: [NodeDefinition], _ reason: String? = nil
    ) -> Case {
      Case(
        description: text, shape: shape, nodes: nodes, constants: constants, reason: reason)
    }
    let product = node("MatMul", ["x", "w"], ["m"])
    return [
      make("MatMul", [4, 3], [product, normalize("m", "y")]),
      make(
        "MatMul and Add", [4, 3], [product, node("Add", ["m", "b"], ["a"]), normalize("a", "y")]),
      make(
        "Add of MatMul", [4, 3], [product, node("Add", ["b", "m"], ["a"]), normalize("a", "y")]),
      make(
        "MatMul and Add of rows", [5, 3],
        [product, node("Add", ["m", "rows"], ["a"]), normalize("a", "y")]),
      make("MatMul of rank 3", [2, 5, 3], [product, normalize("m", "y")], "axis 1 is not"),
    ]
  }

  /// A 1×1 convolution before a BatchNormalization.
  private static func simple(
    _ text: String, _ attributes: [String: Attribute] = [:], _ reason: String? = nil,
    opset: Int = 17, changed: [String: Tensor] = [:], extra: [NodeDefinition] = [],
    outputs: [String] = ["y"], overridable: [String] = []
  ) -> Case {
    var constants = parameters(3)
    constants["w"] = randomTensor([3, 2, 1, 1])
    constants["b"] = randomTensor([3], seed: 5)
    constants.merge(changed) { $1 }
    return Case(
      description: text, shape: [2, 2, 4, 4],
      nodes: [node("Conv", ["x", "w", "b"], ["c"]), normalize("c", "y", attributes)] + extra,
      constants: constants, reason: reason, opset: opset, outputs: outputs,
      overridable: overridable)
  }

  static var versions: [Case] {
    [
      simple("version 6", ["is_test": .int(1)], opset: 6), simple("version 7", opset: 7),
      simple("version 9", opset: 9), simple("version 14", opset: 14),
      simple("version 15", opset: 15), simple("operator set 21", opset: 21),
      simple("large epsilon", ["epsilon": .float(0.5)]),
      simple("momentum", ["momentum": .float(0.1)]),
      simple("variance 0", changed: ["bn.variance": Tensor([0, 1, 0] as [Float], [3])]),
      simple("scale 0", changed: ["bn.scale": Tensor([0, 1, -0.0] as [Float], [3])]),
    ]
  }

  static var arithmetic: [Case] {
    var constants = parameters(6)
    constants["w"] = randomTensor([6, 4, 3, 3])
    constants["each"] = Tensor((1...6).map { Float($0) / 3 }, [1, 6, 1, 1])
    constants["three"] = Tensor((1...6).map { Float($0) / 3 }, [6, 1, 1])
    constants["number"] = Tensor(scalar: Float(0.7))
    return ["each", "three", "number"].flatMap { constant in
      [
        ("Add", true), ("Sub", true), ("Mul", true), ("Div", true), ("Add", false), ("Sub", false),
        ("Mul", false),
      ].map { name, isRight in
        Case(
          description: "\(name) of \(constant), \(isRight ? "right" : "left")",
          shape: [1, 4, 6, 6],
          nodes: [
            node("Conv", ["x", "w"], ["c"]),
            node(name, isRight ? ["c", constant] : [constant, "c"], ["a"]), normalize("a", "y"),
          ], constants: constants)
      }
    }
  }

  static var behindOthers: [Case] {
    var constants = parameters(6)
    constants["w"] = randomTensor([6, 4, 1, 1])
    constants["v"] = randomTensor([2, 4, 1, 1], seed: 3)
    constants["u"] = randomTensor([4, 4, 1, 1], seed: 4)
    var positive = constants
    positive["bn.scale"] = Tensor((0..<6).map { Float($0) / 3 }, [6])
    let window: [String: Attribute] = [
      "kernel_shape": .ints([2, 2]), "pads": .ints([1, 1, 1, 1]),
    ]
    let counting = window.merging(["count_include_pad": .int(1)]) { $1 }
    func make(
      _ text: String, _ nodes: [NodeDefinition], _ constants: [String: Tensor],
      _ reason: String? = nil, outputs: [String] = ["y"]
    ) -> Case {
      Case(
        description: text, shape: [2, 4, 6, 6], nodes: nodes, constants: constants, reason: reason,
        outputs: outputs)
    }
    let convolution = node("Conv", ["x", "w"], ["c"])
    let branches = [node("Conv", ["x", "v"], ["a"]), node("Conv", ["x", "u"], ["b"])]
    let join = node("Concat", ["a", "b"], ["c"], ["axis": .int(1)])
    func pool(_ name: String, _ attributes: [String: Attribute] = [:]) -> [NodeDefinition] {
      [convolution, node(name, ["c"], ["p"], attributes), normalize("p", "y")]
    }
    return [
      make("MaxPool, scale 0 and above", pool("MaxPool", window), positive),
      make("MaxPool, scale below 0", pool("MaxPool", window), constants, "the scale of a channel"),
      make("AveragePool", pool("AveragePool", window), constants),
      make(
        "AveragePool that counts padding", pool("AveragePool", counting), constants, "the means of"),
      make("GlobalAveragePool", pool("GlobalAveragePool"), constants),
      make("GlobalMaxPool, scale 0 and above", pool("GlobalMaxPool"), positive),
      make(
        "GlobalMaxPool, scale below 0", pool("GlobalMaxPool"), constants, "the scale of a channel"),
      make("ReduceMean of images", pool("ReduceMean", ["axes": .ints([2, -1])]), constants),
      make(
        "ReduceMean of images to vectors",
        pool("ReduceMean", ["axes": .ints([2, 3]), "keepdims": .int(0)]), constants),
      make("Relu", pool("Relu"), constants, "follows"),
      make("Concat", branches + [join, normalize("c", "y")], constants),
      make(
        "Concat of an output", branches + [join, normalize("c", "y")], constants,
        "\"a\" is an output", outputs: ["y", "a"]),
      make(
        "Concat of a Relu",
        [
          branches[0], node("Conv", ["x", "u"], ["d"]), node("Relu", ["d"], ["b"]), join,
          normalize("c", "y"),
        ], constants, "follows"),
    ]
  }

  /// Sums of branches.
  static var sums: [Case] {
    var constants = parameters(6)
    constants["w"] = randomTensor([6, 4, 3, 3])
    constants["v"] = randomTensor([6, 4, 3, 3], seed: 3)
    constants["u"] = randomTensor([6, 4, 3, 3], seed: 6)
    constants["plane"] = randomTensor([1, 1, 4, 4], seed: 4)
    constants["one"] = randomTensor([1, 4, 3, 3], seed: 5)
    let branches = [node("Conv", ["x", "w"], ["a"]), node("Conv", ["x", "v"], ["b"])]
    func make(
      _ text: String, _ nodes: [NodeDefinition], _ reason: String? = nil, outputs: [String] = ["y"]
    ) -> Case {
      Case(
        description: text, shape: [2, 4, 6, 6], nodes: nodes + [normalize("s", "y")],
        constants: constants, reason: reason, outputs: outputs)
    }
    return [
      make("sum of two Conv", branches + [node("Add", ["a", "b"], ["s"])]),
      make(
        "sum of three",
        branches + [
          node("Conv", ["x", "u"], ["d"]), node("Sum", ["a", "b", "plane", "d"], ["s"]),
        ]),
      make("difference of two Conv", branches + [node("Sub", ["a", "b"], ["s"])]),
      make("sum of a Conv and a plane", [branches[0], node("Add", ["plane", "a"], ["s"])]),
      make("a plane less a Conv", [branches[0], node("Sub", ["plane", "a"], ["s"])]),
      make("a Conv less a plane", [branches[0], node("Sub", ["a", "plane"], ["s"])]),
      make(
        "sum of sums",
        branches + [
          node("Add", ["a", "plane"], ["p"]), node("Add", ["p", "b"], ["s"]),
        ]),
      make(
        "sum with a value spread over channels",
        [
          branches[0], node("Conv", ["x", "one"], ["b"]), node("Add", ["a", "b"], ["s"]),
        ], "\"b\", which"),
      make("a value and itself", [branches[0], node("Add", ["a", "a"], ["s"])], "follows"),
      make(
        "sum with an output", branches + [node("Add", ["a", "b"], ["s"])], "\"b\" is an output",
        outputs: ["y", "b"]),
    ]
  }

  /// Nodes that move elements between weights and BatchNormalization.
  static var moved: [Case] {
    var constants = parameters(6)
    constants["w"] = randomTensor([5, 6])
    constants["left"] = randomTensor([6, 4], seed: 2)
    constants["kernel"] = randomTensor([6, 4, 3, 3], seed: 3)
    constants["rows"] = Tensor([8, 6] as [Int64], [2])
    constants["wide"] = Tensor([2, 3, 8] as [Int64], [3])
    constants["each"] = randomTensor([6], seed: 6)
    constants.merge(parameters(24, "flat", seed: 30)) { $1 }
    constants.merge(parameters(4, "four", seed: 40)) { $1 }
    let product = node("MatMul", ["x", "w"], ["m"])
    func make(
      _ text: String, _ shape: [Int], _ nodes: [NodeDefinition], _ reason: String? = nil
    ) -> Case {
      Case(description: text, shape: shape, nodes: nodes, constants: constants, reason: reason)
    }
    return [
      make(
        "MatMul and Transpose", [2, 4, 5],
        [
          product, node("Transpose", ["m"], ["t"], ["perm": .ints([0, 2, 1])]), normalize("t", "y"),
        ]
      ),
      make(
        "MatMul, Add and Transpose", [2, 4, 5],
        [
          product, node("Add", ["m", "each"], ["a"]),
          node("Transpose", ["a"], ["t"], ["perm": .ints([0, 2, 1])]), normalize("t", "y"),
        ]),
      make(
        "MatMul and Reshape to rows", [2, 4, 5],
        [product, node("Reshape", ["m", "rows"], ["t"]), normalize("t", "y")]),
      make(
        "MatMul and Reshape that mixes axes", [2, 4, 5],
        [
          product, node("Reshape", ["m", "wide"], ["t"]),
          normalize("t", "y", prefix: "four"),
        ].map { changed in
          var changed = changed
          if changed.operatorName == "BatchNormalization" {
            changed.inputs = ["t"] + ["scale", "shift", "mean", "variance"].map { "three.\($0)" }
          }
          return changed
        }, "its channels cannot be told apart"),
      make(
        "MatMul of constants from the left", [2, 4, 5],
        [node("MatMul", ["left", "x"], ["m"]), normalize("m", "y")]),
      make(
        "Conv and Squeeze", [2, 4, 3, 3],
        [
          node("Conv", ["x", "kernel"], ["c"]), node("Flatten", ["c"], ["f"]), normalize("f", "y"),
        ]),
    ].map { example in
      var example = example
      example.constants.merge(parameters(3, "three", seed: 50)) { $1 }
      return example
    }
  }

  /// Into convolutions that have a border.
  static var padded: [Case] {
    var cases: [Case] = []
    for rank in 1...3 {
      for group in [1, 2] {
        for (name, bias) in [("Conv", true), ("Conv", false), ("ConvTranspose", true)] {
          var constants = parameters(4)
          let isConv = name == "Conv"
          constants["w"] = randomTensor(
            (isConv ? [6, 4 / group] : [4, 6 / group]) + Array(repeating: 3, count: rank))
          constants["b"] = randomTensor([6], seed: 3)
          cases.append(
            Case(
              description: "before a \(name) of rank \(rank), \(group) groups, bias \(bias)",
              shape: [2, 4] + Array(repeating: 5, count: rank),
              nodes: [
                normalize("x", "n"),
                node(
                  name, ["n", "w"] + (bias ? ["b"] : []), ["y"],
                  [
                    "group": .int(group), "pads": .ints((0..<2 * rank).map { $0 % 2 + 1 }),
                    "strides": .ints(Array(repeating: isConv ? 1 : 2, count: rank)),
                    "dilations": .ints(Array(repeating: isConv && group == 2 ? 2 : 1, count: rank)),
                  ]),
              ], constants: constants))
        }
      }
    }
    for padding in ["SAME_UPPER", "SAME_LOWER"] {
      var constants = parameters(4)
      constants["w"] = randomTensor([6, 4, 3, 3])
      cases.append(
        Case(
          description: "before a Conv that pads as \(padding)", shape: [1, 4, 6, 6],
          nodes: [
            normalize("x", "n"),
            node(
              "Conv", ["n", "w"], ["y"],
              ["auto_pad": .string(padding), "strides": .ints([2, 2])]),
          ], constants: constants))
    }
    return cases
  }

  /// Forward through others.
  static var carried: [Case] {
    var constants = parameters(4)
    constants["scaleAbove"] = Tensor((1...4).map { Float($0) / 3 }, [4])
    constants["w"] = randomTensor([6, 4, 3, 3])
    constants["v"] = randomTensor([2, 4, 1, 1], seed: 8)
    constants["flat"] = randomTensor([64, 5], seed: 2)
    constants["flatTurned"] = randomTensor([5, 64], seed: 3)
    constants["square"] = randomTensor([4, 6], seed: 4)
    constants["left"] = randomTensor([6, 4], seed: 5)
    constants["five"] = randomTensor([5], seed: 6)
    constants["each"] = randomTensor([1, 4, 1, 1], seed: 7)
    constants["shape"] = Tensor([0, -1] as [Int64], [2])
    constants["around"] = Tensor([0, 0, 1, 2, 0, 0, 0, 1] as [Int64], [8])
    constants["turned"] = Tensor([0, 1, 0, 0, 0, -1, 0, 0] as [Int64], [8])
    constants["zero"] = Tensor(scalar: Float(0))
    constants["half"] = Tensor(scalar: Float(0.5))
    constants["six"] = randomTensor([6], seed: 12)
    constants["single"] = randomTensor([6, 1, 1, 1], seed: 13)
    constants["eight"] = randomTensor([6, 8, 3, 3], seed: 14)
    let first = normalize("x", "n")
    let image = [2, 4, 4, 4]
    func make(
      _ text: String, _ shape: [Int], _ nodes: [NodeDefinition], _ reason: String? = nil,
      outputs: [String] = ["y"]
    ) -> Case {
      Case(
        description: text, shape: shape, nodes: nodes, constants: constants, reason: reason,
        outputs: outputs)
    }
    let window: [String: Attribute] = ["kernel_shape": .ints([2, 2])]
    var above = first
    above.inputs[1] = "scaleAbove"
    return [
      make(
        "Flatten and Gemm", image,
        [first, node("Flatten", ["n"], ["f"]), node("Gemm", ["f", "flat"], ["y"])]),
      make(
        "Reshape and transposed Gemm", image,
        [
          first, node("Reshape", ["n", "shape"], ["f"]),
          node("Gemm", ["f", "flatTurned", "five"], ["y"], ["transB": .int(1)]),
        ]),
      make(
        "Flatten and MatMul", image,
        [first, node("Flatten", ["n"], ["f"]), node("MatMul", ["f", "flat"], ["y"])]),
      make("into the next MatMul", [3, 4], [first, node("MatMul", ["n", "square"], ["y"])]),
      make(
        "into the next MatMul and Add", [3, 4],
        [
          first, node("MatMul", ["n", "square"], ["m"]), node("Relu", ["m"], ["y"]),
        ]),
      make(
        "into a MatMul from the left", [2, 4, 3],
        [first, node("MatMul", ["left", "n"], ["y"])]),
      make(
        "Transpose and MatMul", [2, 4, 3],
        [
          first, node("Transpose", ["n"], ["t"], ["perm": .ints([0, 2, 1])]),
          node("MatMul", ["t", "square"], ["y"]),
        ]),
      make(
        "transposed Gemm", [5, 4],
        [
          first, node("Transpose", ["n"], ["t"]),
          node("Gemm", ["t", "square"], ["y"], ["transA": .int(1)]),
        ]),
      make(
        "a MatMul along another axis", [2, 4, 4],
        [first, node("MatMul", ["n", "square"], ["y"])], "its input"),
      make(
        "MaxPool and Conv", image,
        [above, node("MaxPool", ["n"], ["p"], window), node("Conv", ["p", "w"], ["y"])]),
      make(
        "MaxPool and Conv, scale below 0", image,
        [first, node("MaxPool", ["n"], ["p"], window), node("Conv", ["p", "w"], ["y"])],
        "its input"),
      make(
        "AveragePool and padded Conv", image,
        [
          first, node("AveragePool", ["n"], ["p"], window),
          node("Conv", ["p", "w"], ["y"], ["pads": .ints([1, 1, 1, 1])]),
        ]),
      make(
        "Pad and Conv", image,
        [first, node("Pad", ["n", "around"], ["p"]), node("Conv", ["p", "w"], ["y"])]),
      make(
        "MaxPool, Pad by a stated zero and padded Conv", image,
        [
          above, node("MaxPool", ["n"], ["q"], window),
          node("Pad", ["q", "around", "zero"], ["p"]),
          node("Conv", ["p", "w", "six"], ["y"], ["pads": .ints([1, 0, 0, 1])]),
        ]),
      make(
        "Pad by a number and Conv", image,
        [first, node("Pad", ["n", "around", "half"], ["p"]), node("Conv", ["p", "w"], ["y"])],
        "its input"),
      make(
        "Pad by reflection and Conv", image,
        [
          first, node("Pad", ["n", "around"], ["p"], ["mode": .string("reflect")]),
          node("Conv", ["p", "w"], ["y"]),
        ], "its input"),
      make(
        "Pad that moves channels and Conv", image,
        [first, node("Pad", ["n", "turned"], ["p"]), node("Conv", ["p", "w"], ["y"])], "its input"),
      make(
        "GlobalAveragePool, Flatten and Gemm", image,
        [
          first, node("GlobalAveragePool", ["n"], ["p"]), node("Flatten", ["p"], ["f"]),
          node("Gemm", ["f", "square"], ["y"]),
        ]),
      make(
        "ReduceMean and Gemm", image,
        [
          first, node("ReduceMean", ["n"], ["p"], ["axes": .ints([2, 3]), "keepdims": .int(0)]),
          node("Gemm", ["p", "square"], ["y"]),
        ]),
      make(
        "ReduceMean over channels", image,
        [
          first, node("ReduceMean", ["n"], ["p"], ["axes": .ints([1])]),
          node("Conv", ["p", "single"], ["y"]),
        ], "its input"),
      make(
        "Concat and padded Conv", image,
        [
          first, node("Relu", ["x"], ["r"]), node("Concat", ["r", "n"], ["c"], ["axis": .int(1)]),
          node("Conv", ["c", "eight"], ["y"], ["pads": .ints([1, 1, 1, 1])]),
        ]),
      make(
        "Concat of another axis and Conv", image,
        [
          first, node("Relu", ["x"], ["r"]), node("Concat", ["r", "n"], ["c"], ["axis": .int(2)]),
          node("Conv", ["c", "w"], ["y"]),
        ], "its input"),
      make(
        "behind a product that then goes too", image,
        [
          node("Relu", ["x"], ["r"]), node("Mul", ["r", "half"], ["m"]), normalize("m", "n"),
          node("Conv", ["n", "w"], ["y"]),
        ]),
      make(
        "two readers", image,
        [first, node("Conv", ["n", "w"], ["y"]), node("Conv", ["n", "v"], ["z"])],
        outputs: ["y", "z"]),
      make(
        "two readers, one without weights", image,
        [first, node("Conv", ["n", "w"], ["y"]), node("Relu", ["n"], ["z"])], "its input",
        outputs: ["y", "z"]),
      make(
        "products and sums behind one that stays", image,
        [
          node("Relu", ["x"], ["r"]), normalize("r", "n"), node("Mul", ["n", "each"], ["m"]),
          node("Add", ["each", "m"], ["y"]),
        ], "follows"),
      make(
        "products and sums before a Conv", image,
        [
          node("Sub", ["x", "each"], ["m"]), node("Div", ["m", "each"], ["n"]),
          node("Conv", ["n", "w"], ["c"]), normalize("c", "y", prefix: "wide"),
        ]),
    ].map { example in
      var example = example
      example.constants.merge(parameters(6, "wide", seed: 60)) { $1 }
      return example
    }
  }

  static var forward: [Case] {
    var constants = parameters(4).merging(parameters(4, "second", seed: 20)) { $1 }
    constants["w"] = randomTensor([6, 4, 3, 3])
    constants["grouped"] = randomTensor([6, 2, 3, 3])
    constants["b"] = randomTensor([6], seed: 3)
    constants["square"] = randomTensor([4, 6])
    constants["turned"] = randomTensor([6, 4])
    func make(
      _ text: String, _ shape: [Int], _ nodes: [NodeDefinition], _ reason: String? = nil,
      changed: [String: Tensor] = [:]
    ) -> Case {
      Case(
        description: text, shape: shape, nodes: nodes,
        constants: constants.merging(changed) { $1 }, reason: reason)
    }
    let first = normalize("x", "n")
    let image = [2, 4, 6, 6]
    return [
      make("into the next Conv", image, [first, node("Conv", ["n", "w"], ["y"])]),
      make("into the next Conv with bias", image, [first, node("Conv", ["n", "w", "b"], ["y"])]),
      make(
        "into the next Conv of 2 groups", image,
        [first, node("Conv", ["n", "grouped"], ["y"], ["group": .int(2)])]),
      make(
        "before a Conv that pads", image,
        [first, node("Conv", ["n", "w"], ["y"], ["pads": .ints([1, 1, 1, 1])])]),
      make(
        "a mean far from 0", image, [first, node("Conv", ["n", "w"], ["y"])], "its input",
        changed: ["bn.mean": Tensor([1e4, 0, 0, 0] as [Float], [4])]),
      make(
        "into the next Gemm", [3, 4],
        [
          first,
          node("Gemm", ["n", "square", "b"], ["y"], ["alpha": .float(0.5), "beta": .float(2)]),
        ]),
      make(
        "into the next Gemm, transposed", [3, 4],
        [first, node("Gemm", ["n", "turned"], ["y"], ["transB": .int(1)])]),
      make(
        "into the next of two, which stays", image,
        [first, normalize("n", "y", prefix: "second")], "its input"),
      make(
        "two into the next Conv", image,
        [first, normalize("n", "m", prefix: "second"), node("Conv", ["m", "w"], ["y"])]),
    ]
  }

  static var blockers: [Case] {
    [
      simple("version 6 in training", [:], "runs in training", opset: 6),
      simple("training mode", ["training_mode": .int(1)], "runs in training"),
      simple(
        "each element", ["spatial": .int(0)], "spatial = 0", opset: 7,
        changed: Dictionary(
          uniqueKeysWithValues: ["scale", "shift", "mean", "variance"].map {
            ("bn.\($0)", Tensor([Float](repeating: 0.5, count: 48), [3, 4, 4]))
          })),
      simple(
        "another reader", [:], "\"c\" has 2 readers", extra: [node("Relu", ["c"], ["z"])],
        outputs: ["y", "z"]),
      simple("an output", [:], "\"c\" is an output", outputs: ["y", "c"]),
      simple("weights overridable", [:], "the weights of", overridable: ["w"]),
      simple("bias overridable", [:], "the bias of", overridable: ["b"]),
      simple("scale overridable", [:], "its scale", overridable: ["bn.scale"]),
      simple("B overridable", [:], "its B", overridable: ["bn.shift"]),
      simple("mean overridable", [:], "its mean", overridable: ["bn.mean"]),
      simple("variance overridable", [:], "its var", overridable: ["bn.variance"]),
    ]
  }

  @Test func coversEveryPattern() { #expect(Self.cases.count >= 90) }

  /// Several folds into the same weights and biases, from before and from behind.
  static var chains: [Case] {
    var constants = parameters(4, "before").merging(parameters(6)) { first, _ in first }
    constants["b"] = randomTensor([6], seed: 2)
    constants["m"] = randomTensor([1, 6, 1, 1], seed: 3)
    constants["a"] = randomTensor([1, 6, 1, 1], seed: 4)
    let before = normalize("x", "n", prefix: "before")
    let behind = [
      node("Mul", ["c", "m"], ["d"]), node("Add", ["d", "a"], ["e"]), normalize("e", "y"),
    ]
    let joined = [
      normalize("c", "d"), node("Mul", ["d", "m"], ["e"]), node("Add", ["e", "a"], ["y"]),
    ]
    func example(
      _ name: String, _ shape: [Int], _ operatorName: String, _ weights: [Int],
      _ rest: [NodeDefinition], _ attributes: [String: Attribute] = [:]
    ) -> Case {
      var constants = constants
      constants["w"] = randomTensor(weights)
      return Case(
        description: name, shape: shape,
        nodes: [before, node(operatorName, ["n", "w", "b"], ["c"], attributes)] + rest,
        constants: constants)
    }
    return [
      example("Conv, arithmetic", [2, 4, 5, 5], "Conv", [6, 4, 3, 3], behind),
      example("Conv, joined", [2, 4, 5, 5], "Conv", [6, 4, 3, 3], joined),
      example("Conv of groups", [2, 4, 5, 5], "Conv", [6, 2, 3, 3], behind, ["group": .int(2)]),
      example("Gemm", [2, 4], "Gemm", [4, 6], [normalize("c", "y")], ["beta": .float(0.3)]),
      example(
        "Gemm, transposed", [2, 4], "Gemm", [6, 4], [normalize("c", "y")], ["transB": .int(1)]),
    ]
  }

  @Test("What several folds make is rounded once", arguments: chains)
  func isRoundedOnce(_ example: Case) throws {
    let single = try FoldedModel(try example.model(.float)).graph
    let double = try FoldedModel(try example.model(.double)).graph
    #expect(single.nodes.count == 1)
    #expect(single.nodes.map(\.operatorName) == double.nodes.map(\.operatorName))
    for (node, exact) in zip(single.nodes, double.nodes) {
      for index in 1...2 {
        let numbers = try #require(single.constant(node, index)).converted(to: Double.self)
        let expected = try #require(double.constant(exact, index)).converted(to: Double.self)
        #expect(numbers == expected.map { Double(Float($0)) })
      }
    }
  }

  @Test(arguments: cases) func isAsInDouble(_ example: Case) throws {
    let x = randomTensor(example.shape, seed: 11)
    var unfolded = Session.Options()
    unfolded.batchNormalization = .unfolded
    let wide = Tensor(converting: x.converted(to: Double.self), to: .double, x.shape)
    let expected = try Session(try example.model(.double), options: unfolded)
      .run(["x": .tensor(wide)])["y"]!.tensor!.converted(to: Double.self)
    let model = try example.model(.float)
    for mode in Session.BatchNormalizationMode.allCases where mode != .batch {
      var options = Session.Options()
      options.batchNormalization = mode
      let session = try Session(model, options: options)
      let found = try session.run(["x": .tensor(x)])["y"]!.tensor!.converted(to: Double.self)
      try #require(found.count == expected.count)
      #expect(Metrics(found, reference: expected).relative < 1e-5)
    }
    let folded = try FoldedModel(model)
    let declined = folded.notes.filter { $0.kind == .declined }.map(\.text)
    let left = folded.graph.nodes.filter { $0.operatorName == "BatchNormalization" }.count
    print("\(example): \(declined.first.map { "stays: \($0)" } ?? "folded")")
    guard let reason = example.reason else {
      #expect(declined.isEmpty && left == 0, "\(declined)")
      return
    }
    #expect(left == 1 && declined.count == 1)
    #expect(declined.first?.hasPrefix(reason) == true, "\(declined)")
  }
}
