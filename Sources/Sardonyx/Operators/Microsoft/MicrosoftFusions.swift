/// ONNX Runtime's fusions of operators of ONNX, taken apart again.
let microsoftFusions: [String: NodeComposition.Rule] = [
  "BiasAdd": { _, parts throws(ModelError) in
    let sum = parts.add("Add", [parts.input(0), parts.input(1)])
    parts.add("Add", [sum, parts.input(2)], outputs: [parts.output(0)])
  },
  "BiasSoftmax": { node, parts throws(ModelError) in
    node.ignore("is_inner_broadcast")
    let axis = try node.int("axis", default: 1)
    let sum = parts.add("Add", [parts.input(0), parts.input(1)])
    // All axes from this one on are one.
    parts.add("Softmax", [sum], ["axis": .int(axis)], set: 11, outputs: [parts.output(0)])
  },
  "BiasSplitGelu": { _, parts throws(ModelError) in
    let sum = parts.add("Add", [parts.input(0), parts.input(1)])
    let halves = parts.split(sum, axis: -1, count: 2)
    let gate = parts.add("Gelu", [halves[1]], set: 1, domain: "com.microsoft")
    parts.add("Mul", [halves[0], gate], outputs: [parts.output(0)])
  },
  "ConvTransposeWithDynamicPads": convTransposeWithDynamicPads,
  "EmbedLayerNormalization": embedLayerNormalization,
  "FusedConv": fusedConv,
  "FusedGemm": fusedGemm,
  "SkipLayerNormalization": { node, parts throws(ModelError) in
    try parts.addSkipNormalization(&node, "LayerNormalization", shift: 3, bias: 4)
  },
  "SkipSimplifiedLayerNormalization": { node, parts throws(ModelError) in
    try parts.addSkipNormalization(&node, "SimplifiedLayerNormalization", shift: nil, bias: 3)
  },
]

extension NodeComposition {
  /// Adds equal parts of a value along an axis.
  mutating func split(_ value: String, axis: Int, count: Int) -> [String] {
    add(
      "Split", [value], ["axis": .int(axis)], set: 13,
      outputs: Array(repeating: nil, count: count))
    return nodes.last!.outputs
  }

  /// A value, or `sum` with it where it is given.
  mutating func addOptional(_ sum: String, _ index: Int?) -> String {
    guard let index, hasInput(index) else { return sum }
    return add("Add", [sum, input(index)])
  }

  /// The sum of input, skip and bias, normalised; output 3 shows the sum.
  fileprivate mutating func addSkipNormalization(
    _ node: inout NodeReader, _ operatorName: String, shift: Int?, bias: Int
  ) throws(ModelError) {
    let epsilon = try node.float("epsilon", default: 1e-12)
    var sum = addNamed("Add", [input(0), input(1)], output: hasInput(bias) ? nil : output(3))
    if hasInput(bias) { sum = addNamed("Add", [sum, input(bias)], output: output(3)) }
    let isSimplified = shift == nil
    guard !isSimplified || !hasOutput(1) else {
      throw ModelError(.unsupported, "output mean of \(node.operatorName), which subtracts none")
    }
    add(
      operatorName, [sum, input(2), shift.map { input($0) } ?? ""],
      ["axis": .int(-1), "epsilon": .float(epsilon)],
      outputs: isSimplified ? [output(0), output(2)] : [output(0), output(1), output(2)])
  }

  /// Adds a node whose output has a name of its own where nobody wants it.
  private mutating func addNamed(
    _ operatorName: String, _ inputs: [String], output: String?
  ) -> String {
    let name = output.flatMap { $0.isEmpty ? nil : $0 }
    return add(operatorName, inputs, outputs: [name])
  }

  /// The function that a fused node applies last.
  fileprivate mutating func addActivation(
    _ name: String, _ parameters: [Float], of value: String
  ) throws(ModelError) {
    let names: [String]
    var set: Int?
    switch name {
    case "LeakyRelu", "Elu", "Celu", "ThresholdedRelu": names = ["alpha"]
    case "HardSigmoid", "ScaledTanh", "ParametricSoftplus", "Affine": names = ["alpha", "beta"]
    case "Clip": (names, set) = (["min", "max"], 6)
    case "Selu": names = ["alpha", "gamma"]
    case "", "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish": names = []
    default:
      throw ModelError(.unsupported, "attribute activation: no function is known by \(name)")
    }
    let attributes = zip(names, parameters).map { ($0, Attribute.float($1)) }
    add(
      name.isEmpty ? "Identity" : name, [value],
      Dictionary(attributes, uniquingKeysWith: { $1 }), set: set, outputs: [output(0)])
  }
}

/// activation(Conv(X, W, B) + Z).
@Sendable private func fusedConv(
  _ node: inout NodeReader, _ parts: inout NodeComposition
) throws(ModelError) {
  let name = try node.string("activation", default: "")
  let parameters = try node.floats("activation_params") ?? []
  let attributes = node.take("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
  let product = parts.add(
    "Conv", [parts.input(0), parts.input(1), parts.input(2)], attributes)
  try parts.addActivation(name, parameters, of: parts.addOptional(product, 3))
}

/// activation(alpha·A·B + beta·C).
@Sendable private func fusedGemm(
  _ node: inout NodeReader, _ parts: inout NodeComposition
) throws(ModelError) {
  let name = try node.string("activation", default: "")
  let parameters = [
    try node.float("activation_alpha"), try node.float("activation_beta"),
    try node.float("activation_gamma"),
  ].compactMap(\.self)
  let attributes = node.take("alpha", "beta", "transA", "transB")
  let product = parts.add(
    "Gemm", [parts.input(0), parts.input(1), parts.input(2)], attributes)
  try parts.addActivation(name, parameters, of: product)
}

/// A ConvTranspose without padding, of whose spatial axes as much is cut off as Pads tells.
@Sendable private func convTransposeWithDynamicPads(
  _ node: inout NodeReader, _ parts: inout NodeComposition
) throws(ModelError) {
  let attributes = node.take(
    "auto_pad", "dilations", "group", "kernel_shape", "output_padding", "strides")
  let inputs = [parts.input(0), parts.input(1), parts.input(3)]
  guard parts.hasInput(2) else {
    parts.add("ConvTranspose", inputs, attributes, outputs: [parts.output(0)])
    return
  }
  let whole = parts.add("ConvTranspose", inputs, attributes)
  let pads = parts.split(parts.input(2), axis: 0, count: 2)
  let shape = parts.add("Shape", [whole], set: 13)
  let rank = parts.add("Size", [shape], set: 13)
  let end = parts.add("Reshape", [rank, parts.constant(1)], set: 13)
  let extents = parts.add("Slice", [shape, parts.constant(2), end], set: 13)
  let axes = parts.add(
    "Range",
    [
      parts.constant(Tensor(scalar: Int64(2))), rank, parts.constant(Tensor(scalar: Int64(1))),
    ], set: 11)
  let ends = parts.add("Sub", [extents, pads[1]], set: 13)
  parts.add("Slice", [whole, pads[0], ends, axes], set: 13, outputs: [parts.output(0)])
}

/// LayerNormalization of the sum of a word's, its position's and its segment's vector; output 1
/// counts the words of each sentence that its mask shows.
@Sendable private func embedLayerNormalization(
  _ node: inout NodeReader, _ parts: inout NodeComposition
) throws(ModelError) {
  let epsilon = try node.float("epsilon", default: 1e-12)
  node.ignore("mask_index_type")
  let ids = parts.input(0)
  var sum = parts.add("Gather", [parts.input(2), ids])
  let positions: String
  if parts.hasInput(8) {
    positions = parts.add("Gather", [parts.input(3), parts.input(8)])
  } else {
    let shape = parts.add("Shape", [ids], set: 13)
    let length = parts.add("Slice", [shape, parts.constant(1), parts.constant(2)], set: 13)
    positions = parts.add("Slice", [parts.input(3), parts.constant(0), length], set: 13)
  }
  sum = parts.add("Add", [sum, positions])
  if parts.hasInput(1) {
    sum = parts.add("Add", [sum, parts.add("Gather", [parts.input(4), parts.input(1)])])
  }
  if parts.hasOutput(2) { parts.add("Identity", [sum], outputs: [parts.output(2)]) }
  parts.add(
    "LayerNormalization", [sum, parts.input(5), parts.input(6)],
    ["axis": .int(-1), "epsilon": .float(epsilon)], outputs: [parts.output(0)])
  if parts.hasOutput(1) {
    var counted = parts.input(7)
    if counted.isEmpty { counted = parts.add("Sub", [ids, ids]) }
    parts.add(
      "ReduceSum", [counted, parts.constant(1)], ["keepdims": .int(0)], set: 13,
      outputs: [parts.output(1)])
  }
}
