/// ONNX Runtime's operators on quantized tensors that are operators of ONNX between a dequantization
/// and a quantization, or products of integers with what scales them.
let microsoftQuantizedExpansions: [String: NodeComposition.Rule] = [
  "DynamicQuantizeMatMul": { _, parts throws(ModelError) in
    parts.add("DynamicQuantizeLinear", [parts.input(0)], set: 11, outputs: [nil, nil, nil])
    let quantized = parts.nodes.last!.outputs
    let sums = parts.add(
      "MatMulInteger", [quantized[0], parts.input(1), quantized[2], parts.input(3)], set: 10)
    parts.addScaled(
      sums, by: [quantized[1], parts.input(2)], bias: 4, outputs: [parts.output(0)])
  },
  "MatMulIntegerToFloat": { _, parts throws(ModelError) in
    let sums = parts.add(
      "MatMulInteger", [parts.input(0), parts.input(1), parts.input(4), parts.input(5)], set: 10)
    parts.addScaled(
      sums, by: [parts.input(2), parts.input(3)], bias: 6, outputs: [parts.output(0)])
  },
  "NhwcMaxPool": { node, parts throws(ModelError) in
    let rank = (try node.ints("kernel_shape") ?? []).count + 2
    let attributes = node.take(
      "auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
    let planes = parts.addTransposed(parts.input(0), rank: rank, channelsFirst: true)
    let pooled = parts.add("MaxPool", [planes], attributes, set: 12)
    parts.addTransposed(pooled, rank: rank, channelsFirst: false, outputs: [parts.output(0)])
  },
  "QEmbedLayerNormalization": { node, parts throws(ModelError) in
    func real(_ index: Int, _ scale: Int, _ zero: Int) -> String {
      guard parts.hasInput(index) else { return "" }
      return parts.add(
        "DequantizeLinear", [parts.input(index), parts.input(scale), parts.input(zero)], set: 13)
    }
    let embedding = Embedding(
      words: parts.input(0), segments: parts.input(1), positions: "",
      wordTable: real(2, 8, 13), positionTable: real(3, 9, 14), segmentTable: real(4, 10, 15),
      scale: real(5, 11, 16), shift: real(6, 12, 17), mask: parts.input(7))
    try parts.add(embedding, &node)
  },
  "QLinearAveragePool": { node, parts throws(ModelError) in
    let rank = (try node.ints("kernel_shape") ?? []).count + 2
    let isLast = try node.bool("channels_last")
    let attributes = node.take(
      "auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
    var x = parts.addDequantized(0)
    if isLast { x = parts.addTransposed(x, rank: rank, channelsFirst: true) }
    x = parts.add("AveragePool", [x], attributes, set: 19)
    if isLast { x = parts.addTransposed(x, rank: rank, channelsFirst: false) }
    parts.addQuantized(x, scale: 3)
  },
  "QLinearConcat": { node, parts throws(ModelError) in
    let axis = try node.int("axis", default: 0)
    var values: [String] = []
    for first in stride(from: 2, to: parts.inputs(from: 0).count, by: 3) {
      values.append(parts.addDequantized(first))
    }
    let joined = parts.add("Concat", values, ["axis": .int(axis)], set: 13)
    parts.addQuantized(joined, scale: 0)
  },
  "QLinearConv": { node, parts throws(ModelError) in
    let isLast = try node.bool("channels_last")
    let axes = [
      try node.ints("kernel_shape"), try node.ints("strides"), try node.ints("dilations"),
      try node.ints("pads").map { Array($0.dropLast($0.count / 2)) },
    ].compactMap(\.self)
    let rank = (axes.first?.count ?? 2) + 2
    let attributes = node.take("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    var inputs = parts.inputs(from: 0)
    guard isLast else {
      parts.add("QLinearConv", inputs, attributes, set: 10, outputs: [parts.output(0)])
      return
    }
    inputs[0] = parts.addTransposed(inputs[0], rank: rank, channelsFirst: true)
    let planes = parts.add("QLinearConv", inputs, attributes, set: 10)
    parts.addTransposed(planes, rank: rank, channelsFirst: false, outputs: [parts.output(0)])
  },
  "QLinearReduceMean": { node, parts throws(ModelError) in
    let attributes = node.take("axes", "keepdims")
    let mean = parts.add("ReduceMean", [parts.addDequantized(0)], attributes, set: 13)
    parts.addQuantized(mean, scale: 3)
  },
  "QLinearSoftmax": { node, parts throws(ModelError) in
    let set = try node.int("opset", default: 13)
    let axis = try node.int("axis", default: set < 13 ? 1 : -1)
    let shares = parts.add(
      "Softmax", [parts.addDequantized(0)], ["axis": .int(axis)], set: set)
    parts.addQuantized(shares, scale: 3)
  },
  "QLinearWhere": { _, parts throws(ModelError) in
    let chosen = parts.add(
      "Where", [parts.input(0), parts.addDequantized(1), parts.addDequantized(4)], set: 16)
    parts.addQuantized(chosen, scale: 7)
  },
]

extension NodeComposition {
  /// Input `index` as real numbers; its scale and its zero point stand behind it.
  fileprivate mutating func addDequantized(_ index: Int) -> String {
    add(
      "DequantizeLinear", [input(index), input(index + 1), input(index + 2)], set: 13)
  }

  /// The result, quantized with the scale that an input holds and the zero point behind it, to the
  /// type of input 0 where that is left out.
  fileprivate mutating func addQuantized(_ value: String, scale: Int) {
    var zeroPoint = input(scale + 1)
    if zeroPoint.isEmpty {
      zeroPoint = add("CastLike", [constant(Tensor(scalar: Float(0))), input(0)], set: 15)
    }
    add("QuantizeLinear", [value, input(scale), zeroPoint], set: 13, outputs: [output(0)])
  }

  /// Sums of integers times the product of two scales, with a bias where input `bias` is given.
  @discardableResult
  mutating func addScaled(
    _ sums: String, by scales: [String], bias: Int, outputs: [String?] = [nil]
  ) -> String {
    let scale = add("Mul", scales, set: 13)
    let numbers = add("Cast", [sums], ["to": .int(Int(ElementType.float.rawValue))], set: 13)
    guard hasInput(bias) else { return add("Mul", [numbers, scale], set: 13, outputs: outputs) }
    let product = add("Mul", [numbers, scale], set: 13)
    return add("Add", [product, input(bias)], set: 13, outputs: outputs)
  }

  /// A value with its channels moved to the front or to the back.
  @discardableResult
  fileprivate mutating func addTransposed(
    _ value: String, rank: Int, channelsFirst: Bool, outputs: [String?] = [nil]
  ) -> String {
    let spatial = channelsFirst ? Array(1..<rank - 1) : Array(2..<rank)
    let order = channelsFirst ? [0, rank - 1] + spatial : [0] + spatial + [1]
    return add("Transpose", [value], ["perm": .ints(order)], set: 13, outputs: outputs)
  }
}
