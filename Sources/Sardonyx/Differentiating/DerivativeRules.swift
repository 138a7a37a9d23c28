/// How a node passes a derivative on: from that by its first output to those by its inputs.
///
/// A rule gets the node and the name of the derivative dy by its output (which has the output's
/// shape), writes nodes, and returns a name for each input in turn, nil where there is none.
typealias DerivativeRule =
  @Sendable (inout DerivativeWriter, NodeDefinition, String) throws(ModelError) -> [String?]

/// Operators whose result does not change with small changes of the input.
let piecewiseConstant: Set<String> = [
  "And", "ArgMax", "ArgMin", "Ceil", "ConstantOfShape", "Equal", "EyeLike", "Floor", "Greater",
  "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "NonZero", "Not", "OneHot", "Or",
  "Round", "Shape", "Sign", "Size", "Xor",
]

/// The rule of each operator that can be differentiated.
let derivativeRules: [String: DerivativeRule] = [
  // y = f(x)
  "Abs": unary { w, x, _, dy in w("Mul", dy, w("Sign", x)) },
  "Cast": unary { w, x, _, dy in w("CastLike", dy, x) },
  "Cos": unary { w, x, _, dy in w("Neg", w("Mul", dy, w("Sin", x))) },
  "Erf": unary { w, x, _, dy in
    let slope = w("Mul", w.number(1.128_379_2, like: x), w("Exp", w("Neg", w("Mul", x, x))))
    return w("Mul", dy, slope)
  },
  "Exp": unary { w, _, y, dy in w("Mul", dy, y) },
  "Expand": unary { w, x, _, dy in w("SumTo", dy, x) },
  "Flatten": unary { w, x, _, dy in w.reshaped(dy, like: x) },
  "GlobalAveragePool": unary { w, x, y, dy in
    w.expanded(w("Mul", dy, w.share(of: x, for: y)), like: x)
  },
  "Identity": unary { _, _, _, dy in dy },
  "Log": unary { w, x, _, dy in w("Div", dy, x) },
  "Neg": unary { w, _, _, dy in w("Neg", dy) },
  "Reciprocal": unary { w, _, y, dy in w("Neg", w("Mul", dy, w("Mul", y, y))) },
  "Relu": unary { w, x, _, dy in w("Mul", dy, w.isPositive(x)) },
  "Reshape": unary { w, x, _, dy in w.reshaped(dy, like: x) },
  "Sigmoid": unary { w, _, y, dy in
    w("Mul", dy, w("Mul", y, w("Sub", w.number(1, like: y), y)))
  },
  "Sin": unary { w, x, _, dy in w("Mul", dy, w("Cos", x)) },
  "Softplus": unary { w, x, _, dy in w("Mul", dy, w("Sigmoid", x)) },
  "Sqrt": unary { w, _, y, dy in w("Div", dy, w("Add", y, y)) },
  "Squeeze": unary { w, x, _, dy in w.reshaped(dy, like: x) },
  "Tanh": unary { w, _, y, dy in
    w("Mul", dy, w("Sub", w.number(1, like: y), w("Mul", y, y)))
  },
  "Unsqueeze": unary { w, x, _, dy in w.reshaped(dy, like: x) },
  "LeakyRelu": differentiateLeakyRelu,

  // Several inputs that broadcast
  "Add": broadcasting { _, _, dy in [dy, dy] },
  "Div": broadcasting { w, node, dy in
    let quotient = w("Div", dy, node.inputs[1])
    return [quotient, w("Neg", w("Mul", quotient, node.outputs[0]))]
  },
  "Max": extreme("GreaterOrEqual"),
  "Mean": broadcasting { w, node, dy in
    let part = w("Div", dy, w.number(Float(node.inputs.count), like: dy))
    return node.inputs.map { _ in part }
  },
  "Min": extreme("LessOrEqual"),
  "Mul": broadcasting { w, node, dy in
    [w("Mul", dy, node.inputs[1]), w("Mul", dy, node.inputs[0])]
  },
  "Pow": broadcasting(differentiatePow),
  "Sub": broadcasting { w, _, dy in [dy, w("Neg", dy)] },
  "Sum": broadcasting { _, node, dy in node.inputs.map { _ in dy } },
  "Where": broadcasting { w, node, dy in
    let zero = w.number(0, like: dy)
    return [nil, w("Where", node.inputs[0], dy, zero), w("Where", node.inputs[0], zero, dy)]
  },

  // Axes
  "Concat": differentiateConcat,
  "LogSoftmax": softmax { w, y, dy, sum in w("Sub", dy, w("Mul", w("Exp", y), sum(&w, dy))) },
  "ReduceMean": { (w, node, dy) throws(ModelError) in
    let sum = try differentiateReduction(&w, node, dy)
    return [w("Mul", sum, w.share(of: node.inputs[0], for: node.outputs[0]))]
  },
  "ReduceSum": { (w, node, dy) throws(ModelError) in
    [try differentiateReduction(&w, node, dy)]
  },
  "Softmax": softmax { w, y, dy, sum in
    let product = w("Mul", dy, y)
    return w("Sub", product, w("Mul", y, sum(&w, product)))
  },
  "Transpose": { w, node, dy in
    guard case .ints(let order)? = node.attributes["perm"] else { return [w("Transpose", dy)] }
    let inverse = order.indices.map { axis in order.firstIndex(of: axis) ?? axis }
    return [w("Transpose", dy, attributes: ["perm": .ints(inverse)])]
  },

  // Products
  "Conv": differentiateConv,
  "Gemm": differentiateGemm,
  "MatMul": { w, node, dy in
    let (a, b) = (node.inputs[0], node.inputs[1])
    return [
      w("SumTo", w("MatMul", dy, w("SwapLastAxes", b)), a),
      w("SumTo", w("MatMul", w("SwapLastAxes", a), dy), b),
    ]
  },

  // What rules themselves write
  "CastLike": unary { w, x, _, dy in w("CastLike", dy, x) },
  "SumTo": unary { w, x, _, dy in w.expanded(dy, like: x) },
  "SwapLastAxes": unary { w, _, _, dy in w("SwapLastAxes", dy) },
  "ConstantLike": { _, _, _ in [nil] },
]

// MARK: - Kinds of rules

/// A rule for one input that counts, by names of x, y = f(x) and dy.
private func unary(
  _ rule: @escaping @Sendable (inout DerivativeWriter, String, String, String) -> String
) -> DerivativeRule {
  { writer, node, dy in [rule(&writer, node.inputs[0], node.outputs[0], dy)] }
}

/// A rule whose results still have the shape of y, to be summed to those of the inputs.
private func broadcasting(
  _ rule: @escaping @Sendable (inout DerivativeWriter, NodeDefinition, String) -> [String?]
) -> DerivativeRule {
  { (writer, node, dy) throws(ModelError) in
    guard node.attributes["axis"] == nil else {
      throw ModelError(
        .unsupported,
        "Gradient: this build cannot differentiate \(node.label), which broadcasts along an axis")
    }
    return zip(rule(&writer, node, dy), node.inputs).map { part, input in
      part.map { writer("SumTo", $0, input) }
    }
  }
}

/// The derivative goes to the inputs that are as large (or as small) as the result.
private func extreme(_ comparison: String) -> DerivativeRule {
  broadcasting { w, node, dy in
    node.inputs.map { input in
      w("Mul", dy, w("CastLike", w(comparison, input, node.outputs[0]), dy))
    }
  }
}

/// A rule that needs sums along the axis of a softmax, or over all from it on in old versions.
private func softmax(
  _ rule:
    @escaping @Sendable (
      inout DerivativeWriter, String, String, (inout DerivativeWriter, String) -> String
    ) -> String
) -> DerivativeRule {
  { w, node, dy in
    let isFlat = (node.operatorSet ?? 13) < 13
    let axis = node.attributes.int("axis") ?? (isFlat ? 1 : -1)
    let y = node.outputs[0]
    guard isFlat else { return [rule(&w, y, dy) { w, value in w.sum(value, axes: [axis]) }] }
    let flat = [y, dy].map { w("Flatten", $0, attributes: ["axis": .int(axis)]) }
    let result = rule(&w, flat[0], flat[1]) { w, value in w.sum(value, axes: [1]) }
    return [w.reshaped(result, like: y)]
  }
}

// MARK: - Longer rules

extension DerivativeWriter {
  /// 1 where a value is positive, else 0.
  fileprivate mutating func isPositive(_ value: String) -> String {
    self("CastLike", self("Greater", value, number(0, like: value)), value)
  }
}

@Sendable private func differentiateLeakyRelu(
  _ w: inout DerivativeWriter, _ node: NodeDefinition, _ dy: String
) -> [String?] {
  let alpha = node.attributes.float("alpha") ?? 0.01
  let x = node.inputs[0]
  let isPositive = w("Greater", x, w.number(0, like: x))
  return [w("Where", isPositive, dy, w("Mul", dy, w.number(alpha, like: dy)))]
}

/// d(xᵖ)/dx = p·xᵖ⁻¹, d(xᵖ)/dp = xᵖ·ln x.
@Sendable private func differentiatePow(
  _ w: inout DerivativeWriter, _ node: NodeDefinition, _ dy: String
) -> [String?] {
  let x = node.inputs[0]
  let power = w("CastLike", node.inputs[1], x)
  let lower = w("Pow", x, w("Sub", power, w.number(1, like: x)))
  return [
    w("Mul", dy, w("Mul", power, lower)), w("Mul", dy, w("Mul", node.outputs[0], w("Log", x))),
  ]
}

/// dy is split at the seams.
@Sendable private func differentiateConcat(
  _ w: inout DerivativeWriter, _ node: NodeDefinition, _ dy: String
) -> [String?] {
  let axis = node.attributes.int("axis") ?? 1
  let index = w("Constant", attributes: ["value_ints": .ints([axis])])
  let extents = node.inputs.map { w("Gather", w("Shape", $0), index) }
  let sizes = w("Concat", extents, attributes: ["axis": .int(0)], outputs: 1)[0]
  return w(
    "Split", [dy, sizes], attributes: ["axis": .int(axis)], outputs: node.inputs.count)
}

/// dy spread over the axes that were summed.
private func differentiateReduction(
  _ w: inout DerivativeWriter, _ node: NodeDefinition, _ dy: String
) throws(ModelError) -> String {
  // The same reduction once more, with its axes kept, has the shape that broadcasts.
  var kept = node
  kept.name = w.unique(node.operatorName)
  kept.attributes["keepdims"] = .int(1)
  kept.outputs = [kept.name]
  w.append(kept)
  return w.expanded(w.reshaped(dy, like: kept.name), like: node.inputs[0])
}

/// Y = α·A′·B′ + β·C, where ′ may transpose.
@Sendable private func differentiateGemm(
  _ w: inout DerivativeWriter, _ node: NodeDefinition, _ dy: String
) -> [String?] {
  func isTransposed(_ name: String) -> Bool { node.attributes.int(name) ?? 0 != 0 }
  let scaled = w("Mul", dy, w.number(node.attributes.float("alpha") ?? 1, like: dy))
  let (a, b) = (node.inputs[0], node.inputs[1])
  // d by A′ and by B′.
  let left = w("MatMul", scaled, isTransposed("transB") ? b : w("Transpose", b))
  let right = w("MatMul", isTransposed("transA") ? a : w("Transpose", a), scaled)
  var parts: [String?] = [
    isTransposed("transA") ? w("Transpose", left) : left,
    isTransposed("transB") ? w("Transpose", right) : right,
  ]
  if node.inputs.count > 2, !node.inputs[2].isEmpty {
    let addend = w("Mul", dy, w.number(node.attributes.float("beta") ?? 1, like: dy))
    parts.append(w("SumTo", addend, node.inputs[2]))
  }
  return parts
}

@Sendable private func differentiateConv(
  _ w: inout DerivativeWriter, _ node: NodeDefinition, _ dy: String
) -> [String?] {
  let parts = w(
    "ConvGradient", [node.inputs[0], node.inputs[1], dy], attributes: node.attributes, outputs: 2)
  guard node.inputs.count > 2, !node.inputs[2].isEmpty else { return parts }
  let planes = w("Constant", attributes: ["value_ints": .ints([0, 0, -1])])
  let sums = w.sum(w("Reshape", dy, planes), axes: [0, 2], keepsAxes: false)
  return parts + [sums]
}
