/// Attention, causal by default, in which groups of heads of Q share one head of K and V, with a cache of keys
/// and values that grows at a place of its own in each sample.
///
/// Q is batch×length×(heads·size), K and V batch×length×(kv_heads·size), or Q holds them all side by
/// side; the cache is batch×kv_heads×positions×size. seqlens_k tells the number of valid keys of each
/// sample, less 1.
struct GroupQueryAttention: Operator {
  private let heads: Int
  private let keyHeads: Int
  private let scale: Float?
  private let softcap: Double
  private let isSmooth: Bool
  private let window: Int
  private let turns: Bool
  private let isInterleaved: Bool
  private let isCausal: Bool
  /// Whether output 3 shows the scores before or after the softmax, or is not asked for.
  private let shownScores: ShownScores

  private enum ShownScores: Int {
    case none = 0
    case before, after
  }

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let heads = try node.int("num_heads") else { throw node.missing("num_heads") }
    guard let keyHeads = try node.int("kv_num_heads") else { throw node.missing("kv_num_heads") }
    guard keyHeads > 0, heads > 0, heads <= Int(Int32.max), heads % keyHeads == 0 else {
      throw node.invalid(
        "num_heads", expected: "a multiple of kv_num_heads, \(keyHeads)", got: heads)
    }
    (self.heads, self.keyHeads) = (heads, keyHeads)
    scale = try node.float("scale").flatMap { $0 == 0 ? nil : $0 }
    softcap = Double(try node.float("softcap", default: 0))
    isSmooth = try node.bool("smooth_softmax")
    window = try node.int("local_window_size", default: -1)
    turns = try node.bool("do_rotary")
    isInterleaved = try node.bool("rotary_interleaved")
    isCausal = try node.bool("causal", default: true)
    guard isCausal || window <= 0 else {
      throw node.invalid(
        "local_window_size", expected: "-1, as without causal there is no window", got: window)
    }
    let shown = try node.int("qk_output", default: 0)
    guard let shownScores = ShownScores(rawValue: max(shown, 0)) else {
      throw node.invalid("qk_output", expected: "0, 1 or 2", got: shown)
    }
    self.shownScores = shownScores
    guard shownScores != .none || !node.hasOutput(3) else {
      throw node.invalid("qk_output", expected: "1 or 2, as output_qk is asked for", got: shown)
    }
    for name in ["kv_cache_bit_width", "sliding_window_cache"] {
      let value = try node.int(name, default: 0)
      guard value == 0 else {
        throw ModelError(.unsupported, "attribute \(name): expected 0, got \(value)")
      }
    }
    for name in ["k_quant_type", "v_quant_type"] {
      let value = try node.string(name, default: "NONE")
      guard value == "NONE" else {
        throw ModelError(.unsupported, "attribute \(name): expected NONE, got \(value)")
      }
    }
    node.ignore("q_norm_epsilon", "k_norm_epsilon", "qk_norm_epsilon")
  }

  /// Where everything lies.
  private struct Layouts {
    let query: HeadLayout
    /// K and V as they come in.
    let new: HeadLayout
    /// Keys in the cache before and after.
    let pastLength: Int
    let presentLength: Int
    /// The most valid keys that a sample has.
    let totalLength: Int
    let isPacked: Bool

    var extents: AttentionExtents {
      get throws(ModelError) {
        let present = HeadLayout(
          batch: new.batch, heads: new.heads, length: presentLength, size: new.size,
          isPacked: false)
        return try AttentionExtents(query: query, key: present, value: present)
      }
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    for index in 12..<17 where inputs.has(index) {
      throw ModelError(
        .unsupported, "inputs from k_scale on: expected none of them, got input \(index)")
    }
    let layouts = try layouts(inputs)
    let extents = try layouts.extents
    let type = try inputs.type(0)
    if inputs.has(10) {
      try checkBroadcast(
        inputs, 10, "attention_bias", to: extents.productShape.dropLast() + [layouts.totalLength])
    }
    if inputs.has(11), try inputs.shape(11) != [heads] {
      throw .unexpected(
        "shape of head_sink", expected: "[\(heads)]", got: "[\(try inputs.shape(11).joined)]")
    }
    let present = Fact(type, extents.presentKeyShape)
    let scores = Fact(type, extents.productShape.dropLast() + [layouts.totalLength])
    return [Fact(type, extents.outputShape), present, present, scores]
  }

  private func layouts(_ inputs: Facts) throws(ModelError) -> Layouts {
    let isPacked = !inputs.has(1)
    let shape = try inputs.shape(0)
    try checkRank(shape, 3, "query")
    let all = isPacked ? heads + 2 * keyHeads : heads
    guard shape[2] % all == 0 else {
      throw .unexpected(
        "last axis of query", expected: "a multiple of \(all), the number of heads",
        got: "\(shape[2])")
    }
    let query = HeadLayout(
      batch: shape[0], heads: heads, length: shape[1], size: shape[2] / all, isPacked: true)
    let new = HeadLayout(
      batch: query.batch, heads: keyHeads, length: query.length, size: query.size, isPacked: true)
    if !isPacked {
      for (index, name) in [(1, "key"), (2, "value")] {
        let own = try inputs.shape(index)
        guard own == new.shape else {
          throw .unexpected(
            "shape of \(name)", expected: "[\(new.shape.joined)]", got: "[\(own.joined)]")
        }
      }
    }
    var past = 0
    for (index, name) in [(3, "past_key"), (4, "past_value")] where inputs.has(index) {
      let own = try inputs.shape(index)
      try checkRank(own, 4, name)
      if index == 3 { past = own[2] }
      guard own == new.shape(length: past) else {
        throw .unexpected(
          "shape of \(name)", expected: "[\(new.shape(length: past).joined)]",
          got: "[\(own.joined)]")
      }
    }
    let lengths = try inputs.shape(5)
    guard lengths.elementCount == query.batch else {
      throw .unexpected(
        "shape of seqlens_k", expected: "[\(query.batch)]", got: "[\(lengths.joined)]")
    }
    let totals = try inputs.integers(6)
    guard totals.count == 1, totals[0] >= query.length, totals[0] <= Int(Int32.max) else {
      throw .unexpected(
        "total_sequence_length", expected: "a number from \(query.length) on",
        got: "[\(totals.joined)]")
    }
    return Layouts(
      query: query, new: new, pastLength: past, presentLength: max(past, totals[0]),
      totalLength: totals[0], isPacked: isPacked)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let layouts = try layouts(inputs.facts)
    let extents = try layouts.extents
    let starts = try starts(inputs, layouts)
    let rows = try angleRows(inputs, layouts, starts)
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      var (query, newKeys, newValues): ([T], [T], [T]) = try projections(inputs, layouts)
      if let rows {
        let rotation = Rotation<T>(
          cosines: inputs[7].converted(), sines: inputs[8].converted(),
          pairs: inputs[7].shape[1], isInterleaved: isInterleaved)
        rotation.turn(&query, layouts.query, rows: rows)
        rotation.turn(&newKeys, layouts.new, rows: rows)
      }
      let keys = cached(inputs.tensor(3), newKeys, layouts, starts)
      let values = cached(inputs.tensor(4), newValues, layouts, starts)
      let crew = outputs.context.crew
      var scores = try extents.products(query, keys, scale: scale, on: crew)
      let total = layouts.totalLength
      let bias: [T] =
        inputs.tensor(10)?.repeated(to: extents.productShape.dropLast() + [total]) ?? []
      let sinks: [T] = inputs.tensor(11)?.converted() ?? []
      let (queries, width) = (layouts.query.length, layouts.presentLength)
      let totals = inputs.integers(5).map { min($0 &+ 1, width) }
      var shown: [T] = []
      /// Keeps the scores of the keys that count, and 0 for the others.
      func show(_ line: [T], _ stretch: Range<Int>) {
        guard outputs.wants(3) else { return }
        shown += (0..<total).map { stretch.contains($0) ? line[$0] : 0 }
      }
      var interruption = Interruption()
      for row in 0..<layouts.query.batch * heads * queries {
        if interruption.isDue(after: 32 &* width &+ 100) { try Interruption.check() }
        let sample = row / (heads * queries)
        let head = row / queries % heads
        let end =
          isCausal ? min(starts[sample] + row % queries + 1, totals[sample]) : totals[sample]
        let first = window > 0 ? max(0, end - window) : 0
        var line = Array(scores[row * width..<(row + 1) * width])
        for place in first..<end {
          if softcap > 0 {
            line[place] = line[place].through { softcap * ($0 / softcap).hyperbolicTangent }
          }
          if !bias.isEmpty { line[place] += bias[(row * total + place) % bias.count] }
        }
        if shownScores == .before { show(line, first..<end) }
        let sink = sinks.isEmpty ? (isSmooth ? 0 : nil) : sinks[head]
        softmax(&line, first..<end, sink: sink)
        if shownScores == .after { show(line, first..<end) }
        scores.replaceSubrange(row * width..<(row + 1) * width, with: line)
      }
      if outputs.wants(0) {
        outputs[0].store(try extents.output.restored(extents.weighted(scores, values, on: crew)))
      }
      if outputs.wants(1) { outputs[1].store(keys) }
      if outputs.wants(2) { outputs[2].store(values) }
      if outputs.wants(3) { outputs[3].store(shown) }
    }
    try compute(inputs[0].type.real)
  }

  /// The softmax of a stretch of a line, zeros elsewhere; a sink takes its share and is no key.
  private func softmax<T: RealNumber>(_ line: inout [T], _ stretch: Range<Int>, sink: T?) {
    var largest = line[stretch].max() ?? 0
    if let sink { largest = max(largest, sink) }
    var sum = sink.map { ($0 - largest).exponential } ?? 0
    for place in line.indices {
      line[place] = stretch.contains(place) ? (line[place] - largest).exponential : 0
      sum += line[place]
    }
    for place in stretch { line[place] /= sum }
  }

  /// The position of the first new key of each sample.
  private func starts(_ inputs: Inputs, _ layouts: Layouts) throws(ModelError) -> [Int] {
    let (length, present) = (layouts.query.length, layouts.presentLength)
    let totals = inputs.integers(5).map { $0 &+ 1 }
    if let wrong = totals.first(where: { $0 < 1 || $0 > present }) {
      throw .unexpected("seqlens_k", expected: "0 to \(present - 1)", got: "\(wrong &- 1)")
    }
    // A first prompt begins at 0, however much of it is padding.
    let isPrompt = inputs.integers(6)[0] == length
    return totals.map { isPrompt ? 0 : max(0, $0 - length) }
  }

  /// The row of the caches of cosines and sines for each new key, where keys are turned.
  private func angleRows(_ inputs: Inputs, _ layouts: Layouts, _ starts: [Int])
    throws(ModelError) -> [Int]?
  {
    guard turns else { return nil }
    guard let cosines = inputs.tensor(7)?.shape, let sines = inputs.tensor(8)?.shape else {
      throw ModelError(.mismatch, "do_rotary: expected cos_cache and sin_cache, got none")
    }
    guard cosines.count == 2, sines == cosines, 2 * cosines[1] <= layouts.query.size else {
      throw .unexpected(
        "shapes of cos_cache and sin_cache",
        expected: "[positions,n] with n up to \(layouts.query.size / 2)",
        got: "[\(cosines.joined)] and [\(sines.joined)]")
    }
    var rows: [Int] = []
    if inputs.has(9) {
      rows = inputs.integers(9)
    } else {
      // Padding is turned as what it stands for would be.
      for start in starts { rows += start..<start + layouts.query.length }
    }
    guard rows.count == layouts.query.batch * layouts.query.length,
      rows.allSatisfy({ $0 >= 0 && $0 < cosines[0] })
    else {
      throw .unexpected(
        "positions", expected: "\(layouts.query.batch * layouts.query.length) below \(cosines[0])",
        got: "\(rows.count) up to \(rows.max() ?? 0)")
    }
    return rows
  }

  /// Q and what is new of K and V, each batch×heads×length×size.
  private func projections<T: RealNumber>(
    _ inputs: Inputs, _ layouts: Layouts
  ) throws(ModelError) -> ([T], [T], [T]) {
    var parts: [[T]] = []
    if layouts.isPacked {
      let all: [T] = inputs[0].converted()
      let size = layouts.query.size
      let widths = [heads * size, keyHeads * size, keyHeads * size]
      let row = widths.reduce(0, +)
      var offset = 0
      for width in widths {
        parts.append(
          stride(from: offset, to: all.count, by: max(row, 1)).flatMap { all[$0..<$0 + width] })
        offset += width
      }
    } else {
      parts = (0..<3).map { inputs[$0].converted() }
    }
    return (
      try layouts.query.arranged(parts[0]), try layouts.new.arranged(parts[1]),
      try layouts.new.arranged(parts[2])
    )
  }

  /// The cache with the new vectors at their places, as batch×heads×positions×size.
  private func cached<T: RealNumber>(
    _ past: Tensor?, _ new: [T], _ layouts: Layouts, _ starts: [Int]
  ) -> [T] {
    let (size, length) = (layouts.new.size, layouts.new.length)
    let (old, present) = (layouts.pastLength, layouts.presentLength)
    let before: [T] = past?.converted() ?? []
    var cache = [T](repeating: 0, untilDue: layouts.new.batch * keyHeads * present * size)
    for head in 0..<layouts.new.batch * keyHeads {
      let start = starts[head / keyHeads]
      let target = head * present * size
      let kept = min(start, old) * size
      cache.replaceSubrange(
        target..<target + kept, with: before[head * old * size..<head * old * size + kept])
      let added = min(length, present - start) * size
      cache.replaceSubrange(
        target + start * size..<target + start * size + added,
        with: new[head * length * size..<head * length * size + added])
    }
    return cache
  }
}
