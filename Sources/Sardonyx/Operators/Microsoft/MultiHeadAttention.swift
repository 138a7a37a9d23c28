/// ONNX Runtime's own operators of attention.
let microsoftAttention: OperatorFamily = [
  "GroupQueryAttention": GroupQueryAttention.init,
  "MultiHeadAttention": MultiHeadAttention.init,
  "RotaryEmbedding": OffsetRotaryEmbedding.init,
]

/// Y = softmax(Q·Kᵀ·scale + mask + bias)·V for each head.
///
/// Q is batch×length×(heads·size), K and V are the same or batch×heads×length×size; packed, K is
/// batch×length×heads×2×size with V in it, or Q batch×length×heads×3×size with both.
struct MultiHeadAttention: Operator {
  private let heads: Int
  private let scale: Float?
  private let isCausal: Bool
  /// What the score of a key becomes less by where the mask hides it.
  private let maskFilter: Float

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let heads = try node.int("num_heads") else { throw node.missing("num_heads") }
    guard heads > 0, heads <= Int(Int32.max) else {
      throw node.invalid("num_heads", expected: "a positive number", got: heads)
    }
    self.heads = heads
    scale = try node.float("scale").flatMap { $0 == 0 ? nil : $0 }
    isCausal = try node.bool("unidirectional")
    maskFilter = try node.float("mask_filter_value", default: -10000)
    guard !node.hasOutput(3) else {
      throw ModelError(.unsupported, "output qk of \(node.operatorName)")
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try extents(inputs)
    let type = try inputs.type(0)
    guard !inputs.has(8), !inputs.has(9) else {
      throw ModelError(.unsupported, "past_sequence_length and cache_indirection")
    }
    return [
      Fact(type, extents.outputShape), Fact(type, extents.presentKeyShape),
      Fact(type, extents.presentValueShape),
    ]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    let mask = try PaddingMask(
      inputs.tensor(4), extents, isCausal: isCausal, filter: Double(maskFilter))
    let crew = outputs.context.crew
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let (query, newKeys, newValues): ([T], [T], [T]) = try projections(inputs, extents)
      let keys = try extents.joined(inputs.tensor(6), newKeys, extents.key)
      let values = try extents.joined(inputs.tensor(7), newValues, extents.value)
      var scores = try extents.products(query, keys, scale: scale, on: crew)
      if let bias = inputs.tensor(5) {
        let numbers: [T] = bias.repeated(to: extents.productShape)
        var interruption = Interruption()
        for place in scores.indices {
          if interruption.isDue(after: 4) { try Interruption.check() }
          scores[place] += numbers[place % numbers.count]
        }
      }
      mask.add(to: &scores)
      softmaxRows(&scores, extents.totalLength, on: crew)
      if outputs.wants(0) {
        outputs[0].store(try extents.output.restored(extents.weighted(scores, values, on: crew)))
      }
      if outputs.wants(1) { outputs[1].store(keys) }
      if outputs.wants(2) { outputs[2].store(values) }
    }
    try compute(inputs[0].type.real)
  }

  /// Q and what is new of K and V, each batch×heads×length×size.
  private func projections<T: RealNumber>(
    _ inputs: Inputs, _ extents: AttentionExtents
  ) throws(ModelError) -> ([T], [T], [T]) {
    if inputs[0].shape.count == 5 {
      return (part(inputs[0], 0), part(inputs[0], 1), part(inputs[0], 2))
    }
    var query: [T] = inputs[0].converted()
    let bias: [T] = inputs.tensor(3)?.converted() ?? []
    let width = heads * extents.query.size
    add(bias.prefix(width), to: &query)
    query = try extents.query.arranged(query)
    if inputs[1].shape.count == 5 { return (query, part(inputs[1], 0), part(inputs[1], 1)) }
    var (keys, values): ([T], [T]) = (inputs[1].converted(), inputs[2].converted())
    if extents.key.isPacked {
      add(bias.dropFirst(width).prefix(width), to: &keys)
      add(bias.dropFirst(2 * width), to: &values)
    }
    return (query, try extents.key.arranged(keys), try extents.value.arranged(values))
  }

  /// Part `index` of batch×length×heads×parts×size, as batch×heads×length×size.
  private func part<T: RealNumber>(_ tensor: Tensor, _ index: Int) -> [T] {
    let shape = tensor.shape
    let numbers = tensor.converted(to: T.self)
    let region = Region(shape).sliced(3, from: index, count: 1).permuted([0, 2, 1, 3, 4])
    var part = [T](zerosUntilDue: region.extents.elementCount)
    let offsets = region.offsets
    // Fewer where the run is to end, and then any numbers do.
    for (place, offset) in offsets.enumerated() { part[place] = numbers[offset] }
    return part
  }

  private func add<T: RealNumber>(_ bias: ArraySlice<T>, to rows: inout [T]) {
    if bias.isEmpty { return }
    var interruption = Interruption()
    for first in stride(from: 0, to: rows.count, by: bias.count) {
      if interruption.isDue(after: bias.count &+ 4) { return }
      for (offset, number) in bias.enumerated() { rows[first + offset] += number }
    }
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> AttentionExtents {
    let query = try layout("query", inputs.shape(0), parts: 3)
    var (key, value) = (query, query)
    if !query.isPacked {
      guard try inputs.shape(0).count == 5, !inputs.has(1), !inputs.has(2) else {
        throw .unexpected(
          "query", expected: "rank 3, or 5 without key and value",
          got: "rank \(try inputs.shape(0).count)")
      }
    } else {
      let shape = try inputs.shape(1)
      key = try layout("key", shape, parts: 2)
      value = shape.count == 5 ? key : try layout("value", inputs.shape(2), parts: 1)
    }
    guard inputs.has(6) == inputs.has(7) else {
      throw ModelError(
        .mismatch, "past_key and past_value: expected both or none, got one of them")
    }
    var past = 0
    if inputs.has(6) {
      let shape = try inputs.shape(6)
      try checkRank(shape, 4, "past_key")
      past = shape[2]
      for (index, name, layout) in [(6, "past_key", key), (7, "past_value", value)] {
        let (own, expected) = (try inputs.shape(index), layout.shape(length: past))
        guard own == expected else {
          throw .unexpected(
            "shape of \(name)", expected: "[\(expected.joined)]", got: "[\(own.joined)]")
        }
      }
    }
    let output = HeadLayout(
      batch: query.batch, heads: query.heads, length: query.length, size: query.size,
      isPacked: true)
    let extents = try AttentionExtents(
      query: output, key: key, value: value, pastLength: past)
    if inputs.has(3), query.isPacked {
      let width = heads * query.size
      let expected = width + (key.isPacked ? width + heads * value.size : 0)
      let count = try inputs.shape(3).elementCount
      guard count == expected || !key.isPacked && count >= width else {
        throw .unexpected("elements of bias", expected: "\(expected)", got: "\(count)")
      }
    }
    if inputs.has(5) { try checkBroadcast(inputs, 5, "attention_bias", to: extents.productShape) }
    return extents
  }

  /// - Parameter parts: how many tensors one of rank 5 holds.
  private func layout(_ name: String, _ shape: Shape, parts: Int) throws(ModelError) -> HeadLayout {
    guard shape.count == 5 else { return try HeadLayout(name, shape, heads: heads) }
    guard shape[2] == heads, shape[3] == parts else {
      throw .unexpected(
        "shape of \(name)", expected: "[batch,length,\(heads),\(parts),size]",
        got: "[\(shape.joined)]")
    }
    return HeadLayout(
      batch: shape[0], heads: heads, length: shape[1], size: shape[4], isPacked: false)
  }
}

/// Which keys count, as ONNX Runtime's attentions are told: by a number for each key (and query),
/// or by the positions where the keys of each sample end, and perhaps begin.
struct PaddingMask {
  private let extents: AttentionExtents
  private let isCausal: Bool
  private let filter: Double
  private let numbers: [Int]
  private let shape: Shape

  init(
    _ tensor: Tensor?, _ extents: AttentionExtents, isCausal: Bool, filter: Double
  ) throws(ModelError) {
    self.extents = extents
    self.isCausal = isCausal
    self.filter = filter
    shape = tensor?.shape ?? []
    guard let tensor else {
      numbers = []
      return
    }
    let (batch, queries, keys) = (extents.query.batch, extents.query.length, extents.totalLength)
    let allowed: [Shape] = [
      [batch], [2 * batch], [3 * batch + 2], [batch, keys], [batch, queries, keys],
    ]
    // A single column stands for no mask at all.
    if tensor.shape == [batch, 1] {
      numbers = []
      return
    }
    guard allowed.contains(tensor.shape) else {
      let shapes = allowed.map { "[\($0.joined)]" }.joined(separator: ", ")
      throw .unexpected(
        "shape of the mask", expected: "one of \(shapes)", got: "[\(tensor.shape.joined)]")
    }
    numbers = tensor.converted(to: Int64.self).map(Int.init)
  }

  /// Adds the filter to the scores of keys that do not count; those behind the query count in no case,
  /// but the last query sees all, be there more keys than queries.
  func add<T: RealNumber>(to scores: inout [T]) {
    if numbers.isEmpty && !isCausal { return }
    let (queries, keys) = (extents.query.length, extents.totalLength)
    let rowsOfSample = extents.query.heads * queries
    var interruption = Interruption()
    for row in 0..<extents.query.batch * rowsOfSample {
      if interruption.isDue(after: 4 &* keys &+ 10) { return }
      let (sample, query) = (row / rowsOfSample, row % queries)
      for key in 0..<keys {
        let isBehind = isCausal && query < queries - 1 && key > extents.pastLength + query
        let bias = isBehind ? -.infinity : isHidden(sample, query, key) ? filter : 0
        if bias != 0 { scores[row * keys + key] += T(bias) }
      }
    }
  }

  private func isHidden(_ sample: Int, _ query: Int, _ key: Int) -> Bool {
    let (batch, keys) = (extents.query.batch, extents.totalLength)
    if numbers.isEmpty { return false }
    switch shape.count {
    case 1:
      let start = shape[0] == 2 * batch && batch > 0 ? numbers[sample + batch] : 0
      return key >= numbers[sample] || key < start
    case 2: return numbers[sample * keys + key] <= 0
    default: return numbers[(sample * extents.query.length + query) * keys + key] <= 0
    }
  }
}

/// Turns pairs of each head's numbers by angles that grow with the position, which is told by the
/// position of each vector, or by that of the first.
struct OffsetRotaryEmbedding: Operator {
  private let isInterleaved: Bool
  private let heads: Int
  private let rotated: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    isInterleaved = try node.bool("interleaved")
    heads = try node.int("num_heads", default: 0)
    rotated = try node.int("rotary_embedding_dim", default: 0)
    node.ignore("scale")
    guard try node.int("is_packed_batching", default: 0) == 0 else {
      throw ModelError(.unsupported, "attribute is_packed_batching: expected 0, got 1")
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    _ = try layout(inputs)
    return [Fact(try inputs.type(0), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let layout = try layout(inputs.facts)
    let pairs = inputs[2].shape[1]
    let given = inputs.integers(1)
    let rows =
      inputs[1].elementCount == 1
      ? (0..<layout.batch * layout.length).map { given[0] &+ $0 % max(layout.length, 1) } : given
    if let wrong = rows.first(where: { $0 < 0 || $0 >= inputs[2].shape[0] }) {
      throw .unexpected("position_ids", expected: "0 to \(inputs[2].shape[0] - 1)", got: "\(wrong)")
    }
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      var x: [T] = try layout.arranged(inputs[0].converted())
      Rotation<T>(
        cosines: inputs[2].converted(), sines: inputs[3].converted(), pairs: pairs,
        isInterleaved: isInterleaved
      ).turn(&x, layout, rows: rows)
      outputs[0].store(try layout.restored(x))
    }
    try compute(inputs[0].type.real)
  }

  private func layout(_ inputs: Facts) throws(ModelError) -> HeadLayout {
    let (x, cosines) = (try inputs.shape(0), try inputs.shape(2))
    try checkRank(cosines, 2, "cos_cache")
    guard try inputs.shape(3) == cosines else {
      throw .unexpected(
        "shape of sin_cache", expected: "[\(cosines.joined)]",
        got: "[\(try inputs.shape(3).joined)]")
    }
    // Without the number of heads, all of a head is turned.
    let size = 2 * cosines[1]
    let layout = try HeadLayout(
      "input", x, heads: heads > 0 ? heads : size > 0 ? (x.last ?? 0) / size : nil)
    guard size <= layout.size, rotated == 0 || rotated == size else {
      throw .unexpected(
        "columns of cos_cache", expected: "\((rotated == 0 ? layout.size : rotated) / 2)",
        got: "\(cosines[1])")
    }
    let positions = try inputs.shape(1)
    guard positions.elementCount == 1 || positions == [layout.batch, layout.length] else {
      throw .unexpected(
        "shape of position_ids", expected: "[1] or [\(layout.batch),\(layout.length)]",
        got: "[\(positions.joined)]")
    }
    return layout
  }
}
