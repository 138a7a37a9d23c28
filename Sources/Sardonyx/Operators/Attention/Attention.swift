/// Attention and what stands around it in transformers.
let attention: OperatorFamily = [
  "Attention": Attention.init,
  "LinearAttention": LinearAttention.init,
  "RotaryEmbedding": RotaryEmbedding.init,
]

/// Operators of attention that ONNX offers for trial.
let attentionPreviews: OperatorFamily = ["FlexAttention": FlexAttention.init]

/// Y = softmax(Q·Kᵀ·scale + bias)·V for each head.
///
/// Q, K and V are batch×heads×length×size or batch×length×(heads·size). Several heads of Q may
/// share one of K and V. The bias gathers attn_mask, causality, windows and padding.
struct Attention: Operator {
  private let isCausal: Bool
  private let queryHeads: Int?
  private let keyHeads: Int?
  private let scale: Float?
  private let softcap: Double
  private let window: (left: Int, right: Int)
  /// What output 3 shows: 0 products, 1 after softcap, 2 with the bias, 3 after softmax.
  private let productMode: Int
  private let padsMask: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    isCausal = try node.bool("is_causal")
    queryHeads = try node.int("q_num_heads")
    keyHeads = try node.int("kv_num_heads")
    scale = try node.float("scale")
    softcap = Double(try node.float("softcap", default: 0))
    window = (
      try node.int("left_window_size", default: -1), try node.int("right_window_size", default: -1)
    )
    productMode = try node.int("qk_matmul_output_mode", default: 0)
    padsMask = node.version >= 24
    node.ignore("softmax_precision")
    for (name, count) in [("q_num_heads", queryHeads), ("kv_num_heads", keyHeads)] {
      guard count.map({ $0 > 0 }) ?? true else {
        throw node.invalid(name, expected: "a positive number", got: count ?? 0)
      }
    }
    guard (0...3).contains(productMode) else {
      throw node.invalid("qk_matmul_output_mode", expected: "0 to 3", got: productMode)
    }
    guard window.left >= -1, window.right >= -1 else {
      throw node.invalid(
        "left_window_size, right_window_size", expected: "numbers from -1 on", got: window)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try extents(inputs)
    let type = try inputs.type(0)
    return [
      Fact(type, extents.outputShape), Fact(try inputs.type(1), extents.presentKeyShape),
      Fact(try inputs.type(2), extents.presentValueShape), Fact(type, extents.productShape),
    ]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let extents = try extents(inputs)
    for index in [0, 1, 2, 4, 5] where inputs.has(index) {
      guard try inputs.type(index) == .float else { return nil }
    }
    // A mask may be shorter than the keys only where that has a meaning, which is left to `run`.
    var maskShape: Shape?
    if inputs.has(3) {
      let shape = try inputs.shape(3)
      guard [.float, .bool].contains(try inputs.type(3)), shape.last == extents.totalLength,
        shape.broadcasts(to: extents.productShape)
      else { return nil }
      maskShape = Array(repeating: 1, count: 4 - shape.count) + shape
    }
    let countsKeys = inputs.has(6) ? try inputs.type(6) == .int64 : true
    guard outputs.count < 4 || outputs[3] == nil, extents.key.heads > 0, countsKeys else {
      return nil
    }
    let maskIsBool = inputs.has(3) ? try inputs.type(3) == .bool : false
    return AttentionKernel(
      extents: extents, scale: scale ?? Float(1 / Double(extents.query.size).squareRoot()),
      softcap: Float(softcap),
      visibility: KeyVisibility(extents: extents, isCausal: isCausal, window: window),
      maskShape: maskShape, maskIsBool: maskIsBool
    ).computation(inputs)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    let bias = try AttentionBias(inputs, extents, isCausal, window, padsMask: padsMask)
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let query: [T] = try extents.query.arranged(inputs[0].converted())
      let keys: [T] = try extents.joined(inputs.tensor(4), inputs[1], extents.key)
      let values: [T] = try extents.joined(inputs.tensor(5), inputs[2], extents.value)
      let crew = outputs.context.crew
      var scores = try extents.products(query, keys, scale: scale, on: crew)
      func show(_ mode: Int) {
        if mode == productMode, outputs.wants(3) { outputs[3].store(scores) }
      }
      show(0)
      if softcap > 0 { scores = scores.interruptibleMap(cost: 40) { capped($0) } }
      try Interruption.check()
      show(1)
      let masked = try bias.add(to: &scores)
      show(2)
      softmaxRows(&scores, extents.totalLength, on: crew)
      var interruption = Interruption()
      for row in masked {
        if interruption.isDue(after: extents.totalLength) { try Interruption.check() }
        for index in 0..<extents.totalLength { scores[row * extents.totalLength + index] = 0 }
      }
      show(3)
      if outputs.wants(0) {
        outputs[0].store(try extents.output.restored(extents.weighted(scores, values, on: crew)))
      }
      if outputs.wants(1) { outputs[1].store(keys) }
      if outputs.wants(2) { outputs[2].store(values) }
    }
    try compute(inputs[0].type.real)
  }

  private func capped<T: RealNumber>(_ score: T) -> T {
    score.through { softcap * ($0 / softcap).hyperbolicTangent }
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> AttentionExtents {
    let query = try HeadLayout("Q", inputs.shape(0), heads: queryHeads)
    let key = try HeadLayout("K", inputs.shape(1), heads: keyHeads)
    let value = try HeadLayout("V", inputs.shape(2), heads: keyHeads)
    guard inputs.has(4) == inputs.has(5) else {
      throw ModelError(
        .mismatch, "past_key and past_value: expected both or none, got one of them")
    }
    var past = 0
    if inputs.has(4) {
      let shape = try inputs.shape(4)
      try checkRank(shape, 4, "past_key")
      past = shape[2]
      try check(inputs, 4, "past_key", key.shape(length: past))
      try check(inputs, 5, "past_value", value.shape(length: past))
    }
    if inputs.has(6) { try check(inputs, 6, "nonpad_kv_seqlen", [query.batch]) }
    return try AttentionExtents(query: query, key: key, value: value, pastLength: past)
  }

  private func check(_ inputs: Facts, _ index: Int, _ name: String, _ expected: Shape)
    throws(ModelError)
  {
    let shape = try inputs.shape(index)
    guard shape == expected else {
      throw .unexpected(
        "shape of \(name)", expected: "[\(expected.joined)]", got: "[\(shape.joined)]")
    }
  }
}
