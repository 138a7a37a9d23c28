/// Attention without a softmax, as a state that each token writes to and reads from.
///
/// S ← exp(decay)·S (gated rules); v ← beta·(v - Sᵀ·k) (delta rules); S ← S + k⊗v; y = scale·Sᵀ·q.
/// Inputs are batch×length×(heads·size), the state is batch×heads×key size×value size.
struct LinearAttention: Operator {
  private enum Rule: String, CaseIterable {
    case linear, gated, delta
    case gatedDelta = "gated_delta"

    var isGated: Bool { self == .gated || self == .gatedDelta }
    var isDelta: Bool { self == .delta || self == .gatedDelta }
  }

  private let rule: Rule
  private let queryHeads: Int
  private let keyHeads: Int
  private let scale: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    rule = try node.choice("update_rule", default: .gatedDelta)
    guard let queryHeads = try node.int("q_num_heads") else { throw node.missing("q_num_heads") }
    guard let keyHeads = try node.int("kv_num_heads") else { throw node.missing("kv_num_heads") }
    scale = Double(try node.float("scale", default: 0))
    node.ignore("chunk_size")
    guard keyHeads > 0, queryHeads > 0, queryHeads % keyHeads == 0 else {
      throw node.invalid(
        "q_num_heads", expected: "a positive multiple of kv_num_heads, which is \(keyHeads)",
        got: queryHeads)
    }
    (self.queryHeads, self.keyHeads) = (queryHeads, keyHeads)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try extents(inputs)
    let stateType = try inputs.type(inputs.has(3) ? 3 : 0)
    return [
      Fact(try inputs.type(0), extents.outputShape), Fact(stateType, stateShape(extents)),
    ]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    func compute<T: RealNumber>(_: T.Type) {
      let (keySize, valueSize) = (extents.key.size, extents.value.size)
      let q: [T] = inputs[0].converted()
      let k: [T] = inputs[1].converted()
      let v: [T] = inputs[2].converted()
      let stateSize = keySize * valueSize
      var states: [T] =
        inputs.tensor(3)?.converted()
        ?? Array(zerosUntilDue: extents.query.batch * keyHeads * stateSize)
      let decay = inputs.tensor(4).map { Gate<T>($0, extents) }
      let beta = inputs.tensor(5).map { Gate<T>($0, extents) }
      let factor = T(scale == 0 ? 1 / Double(keySize).squareRoot() : scale)
      let sharing = queryHeads / keyHeads
      var y = [T](zerosUntilDue: extents.outputShape.elementCount)
      var interruption = Interruption()
      for head in 0..<extents.query.batch * keyHeads {
        let (sample, keyHead) = head.quotientAndRemainder(dividingBy: keyHeads)
        var state = LinearState(
          Array(states[head * stateSize..<(head + 1) * stateSize]), valueSize: valueSize)
        for token in 0..<extents.query.length {
          if Interruption.isDue { return }
          let position = sample * extents.query.length + token
          let place = position * keyHeads + keyHead
          let key = Array(k[place * keySize..<(place + 1) * keySize])
          var value = Array(v[place * valueSize..<(place + 1) * valueSize])
          if let decay { state.decay { decay.value(position, keyHead, $0).exponential } }
          if let beta {
            let rate = beta.value(position, keyHead, 0)
            let read = state.read(key)
            for index in 0..<valueSize {
              if interruption.isDue(after: 8) { return }
              value[index] = rate * (value[index] - read[index])
            }
          }
          state.write(key, value)
          for shared in 0..<sharing {
            let place = position * queryHeads + keyHead * sharing + shared
            let read = state.read(Array(q[place * keySize..<(place + 1) * keySize]))
            for index in 0..<valueSize {
              if interruption.isDue(after: 8) { return }
              y[place * valueSize + index] = factor * read[index]
            }
          }
        }
        states.replaceSubrange(head * stateSize..<(head + 1) * stateSize, with: state.elements)
      }
      if outputs.wants(0) { outputs[0].store(y) }
      if outputs.wants(1) { outputs[1].store(states) }
    }
    compute(inputs[0].type.real)
  }

  private func stateShape(_ extents: AttentionExtents) -> Shape {
    [extents.query.batch, keyHeads, extents.key.size, extents.value.size]
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> AttentionExtents {
    for (index, name) in ["query", "key", "value"].enumerated() {
      try checkRank(inputs.shape(index), 3, name)
    }
    let extents = try AttentionExtents(
      query: HeadLayout("query", inputs.shape(0), heads: queryHeads),
      key: HeadLayout("key", inputs.shape(1), heads: keyHeads),
      value: HeadLayout("value", inputs.shape(2), heads: keyHeads))
    guard extents.key.length == extents.query.length else {
      throw .unexpected(
        "length of key", expected: "\(extents.query.length)", got: "\(extents.key.length)")
    }
    guard inputs.has(4) == rule.isGated, inputs.has(5) == rule.isDelta else {
      throw ModelError(
        .mismatch,
        "decay and beta: expected decay for gated rules and beta for delta rules alone, "
          + "got others for \(rule.rawValue)")
    }
    try check(inputs, 3, "past_state", [stateShape(extents)])
    let places = [extents.query.batch, extents.query.length]
    try check(
      inputs, 4, "decay", [places + [keyHeads], places + [keyHeads * extents.key.size]])
    try check(inputs, 5, "beta", [places + [keyHeads], places + [1]])
    return extents
  }

  private func check(_ inputs: Facts, _ index: Int, _ name: String, _ allowed: [Shape])
    throws(ModelError)
  {
    guard inputs.has(index) else { return }
    let shape = try inputs.shape(index)
    guard allowed.contains(shape) else {
      throw .unexpected(
        "shape of \(name)",
        expected: allowed.map { "[\($0.joined)]" }.joined(separator: " or "),
        got: "[\(shape.joined)]")
    }
  }
}

/// Numbers for each token: one for all heads, one for each head, or one for each number of a key.
private struct Gate<T: RealNumber> {
  private let numbers: [T]
  private let width: Int
  private let heads: Int

  init(_ tensor: Tensor, _ extents: AttentionExtents) {
    numbers = tensor.converted()
    width = tensor.shape[2]
    heads = extents.key.heads
  }

  func value(_ position: Int, _ head: Int, _ index: Int) -> T {
    let perHead = width / heads
    return numbers[position * width + (perHead == 0 ? 0 : head * perHead + index % perHead)]
  }
}

/// A matrix of key size × value size; what is done to it is left off where the run is to end.
private struct LinearState<T: RealNumber> {
  private(set) var elements: [T]
  private let valueSize: Int
  private var interruption = Interruption()

  init(_ elements: [T], valueSize: Int) {
    self.elements = elements
    self.valueSize = valueSize
  }

  /// Multiplies each row by a factor of its own.
  mutating func decay(_ factor: (Int) -> T) {
    guard valueSize > 0 else { return }
    for row in 0..<elements.count / valueSize {
      let factor = factor(row)
      for column in 0..<valueSize {
        if interruption.isDue(after: 8) { return }
        elements[row * valueSize + column] *= factor
      }
    }
  }

  /// Sᵀ·key.
  mutating func read(_ key: [T]) -> [T] {
    var sums = [T](zerosUntilDue: valueSize)
    for (row, number) in key.enumerated() {
      for column in 0..<valueSize {
        if interruption.isDue(after: 8) { return sums }
        sums[column] += number * elements[row * valueSize + column]
      }
    }
    return sums
  }

  /// S + key⊗value.
  mutating func write(_ key: [T], _ value: [T]) {
    for (row, number) in key.enumerated() {
      for column in 0..<valueSize {
        if interruption.isDue(after: 8) { return }
        elements[row * valueSize + column] += number * value[column]
      }
    }
  }
}
