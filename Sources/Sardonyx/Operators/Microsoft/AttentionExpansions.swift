/// Attentions of ONNX Runtime whose projections are part of them: a product, and MultiHeadAttention.
let microsoftAttentionExpansions: [String: NodeComposition.Rule] = [
  "Attention": { node, parts throws(ModelError) in
    let product = parts.add("MatMul", [parts.input(0), parts.input(1)], set: 13)
    let sum = parts.addOptional(product, 2)
    try parts.addAttention(&node, sum, mask: 3, past: 4, bias: 5)
  },
  "QAttention": { node, parts throws(ModelError) in
    let sums = parts.add(
      "MatMulInteger", [parts.input(0), parts.input(1), parts.input(6), parts.input(7)], set: 10)
    let projected = parts.addScaled(sums, by: [parts.input(3), parts.input(4)], bias: 2)
    try parts.addAttention(&node, projected, mask: 5, past: 8, bias: nil)
  },
]

extension NodeComposition {
  /// The attention of queries, keys and values that lie side by side; the past and the present keep
  /// keys and values on an axis in front.
  fileprivate mutating func addAttention(
    _ node: inout NodeReader, _ projected: String, mask: Int, past: Int, bias: Int?
  ) throws(ModelError) {
    let attributes = node.take("num_heads", "scale", "mask_filter_value", "unidirectional")
    for name in ["do_rotary", "past_present_share_buffer"] {
      guard try node.int(name, default: 0) == 0 else {
        throw ModelError(.unsupported, "attribute \(name): expected 0, got 1")
      }
    }
    node.ignore("rotary_embedding_dim")
    let projections: [String]
    if let sizes = try node.ints("qkv_hidden_sizes"), !sizes.isEmpty {
      let lengths = constant(Tensor(sizes.map(Int64.init)))
      add(
        "Split", [projected, lengths], ["axis": .int(-1)], set: 13,
        outputs: Array(repeating: nil, count: 3))
      projections = nodes.last!.outputs
    } else {
      projections = split(projected, axis: -1, count: 3)
    }
    var pasts = ["", ""]
    if hasInput(past) {
      pasts = [0, 1].map {
        add(
          "Gather", [input(past), constant(Tensor(scalar: Int64($0)))], ["axis": .int(0)], set: 13)
      }
    }
    let wantsPresent = hasOutput(1)
    add(
      "MultiHeadAttention",
      projections + ["", input(mask), bias.map { input($0) } ?? ""] + pasts, attributes, set: 1,
      domain: "com.microsoft",
      outputs: wantsPresent ? [output(0), nil, nil] : [output(0)])
    guard wantsPresent else { return }
    let presents = nodes.last!.outputs.dropFirst().map {
      add("Unsqueeze", [$0, constant(0)], set: 13)
    }
    add("Concat", presents, ["axis": .int(0)], set: 13, outputs: [output(1)])
  }
}
