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

/// Embedded words, from single precision.
@Sendable private func embedLayerNormalization(
  _ node: inout NodeReader, _ parts: inout NodeComposition
) throws(ModelError) {
  node.ignore("mask_index_type")
  let embedding = Embedding(
    words: parts.input(0), segments: parts.input(1), positions: parts.input(8),
    wordTable: parts.input(2), positionTable: parts.input(3), segmentTable: parts.input(4),
    scale: parts.input(5), shift: parts.input(6), mask: parts.input(7))
  try parts.add(embedding, &node)
}

/// What words become vectors by: names of values, "" for one left out.
struct Embedding {
  let words: String
  let segments: String
  /// Of each word; "" where they count from 0.
  let positions: String
  let wordTable: String
  let positionTable: String
  let segmentTable: String
  let scale: String
  let shift: String
  let mask: String
}

extension NodeComposition {
  /// LayerNormalization of the sum of a word's, its position's and its segment's vector; output 1
  /// counts the words of each sentence that its mask shows.
  mutating func add(_ embedding: Embedding, _ node: inout NodeReader) throws(ModelError) {
    let epsilon = try node.float("epsilon", default: 1e-12)
    var sum = add("Gather", [embedding.wordTable, embedding.words])
    let positions: String
    if !embedding.positions.isEmpty {
      positions = add("Gather", [embedding.positionTable, embedding.positions])
    } else {
      let shape = add("Shape", [embedding.words], set: 13)
      let length = add("Slice", [shape, constant(1), constant(2)], set: 13)
      positions = add("Slice", [embedding.positionTable, constant(0), length], set: 13)
    }
    sum = add("Add", [sum, positions])
    if !embedding.segments.isEmpty {
      sum = add("Add", [sum, add("Gather", [embedding.segmentTable, embedding.segments])])
    }
    if hasOutput(2) { add("Identity", [sum], outputs: [output(2)]) }
    add(
      "LayerNormalization", [sum, embedding.scale, embedding.shift],
      ["axis": .int(-1), "epsilon": .float(epsilon)], outputs: [output(0)])
    guard hasOutput(1) else { return }
    var counted = embedding.mask
    if counted.isEmpty { counted = add("Sub", [embedding.words, embedding.words]) }
    add(
      "ReduceSum", [counted, constant(1)], ["keepdims": .int(0)], set: 13, outputs: [output(1)])
  }
}
