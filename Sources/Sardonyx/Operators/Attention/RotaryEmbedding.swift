/// Turns pairs of each head's numbers by angles that grow with the position.
///
/// X is batch×heads×length×size or batch×length×(heads·size). The caches hold cosines and sines by
/// position, rows×(rotated/2), where position_ids tell the rows, or else batch×length×(rotated/2).
struct RotaryEmbedding: Operator {
  private let isInterleaved: Bool
  private let heads: Int?
  private let rotated: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    isInterleaved = try node.bool("interleaved")
    heads = try node.int("num_heads").flatMap { $0 == 0 ? nil : $0 }
    rotated = try node.int("rotary_embedding_dim", default: 0)
    guard rotated >= 0 else {
      throw node.invalid("rotary_embedding_dim", expected: "a number from 0 on", got: rotated)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let layout = try HeadLayout("X", inputs.shape(0), heads: heads)
    let pairs = pairs(layout)
    guard pairs * 2 <= layout.size, rotated > 0 || layout.size % 2 == 0 else {
      throw .unexpected(
        "head size of X", expected: "an even number from \(rotated) on", got: "\(layout.size)")
    }
    for (index, name) in [(1, "cos_cache"), (2, "sin_cache")] {
      let shape = try inputs.shape(index)
      let isRight =
        inputs.has(3)
        ? shape.count == 2 && shape[1] == pairs : shape == [layout.batch, layout.length, pairs]
      guard isRight else {
        let expected = inputs.has(3) ? "positions" : "\(layout.batch),\(layout.length)"
        throw .unexpected(
          "shape of \(name)", expected: "[\(expected),\(pairs)]", got: "[\(shape.joined)]")
      }
    }
    if inputs.has(3) {
      let shape = try inputs.shape(3)
      guard shape == [layout.batch, layout.length] else {
        throw .unexpected(
          "shape of position_ids", expected: "[\(layout.batch),\(layout.length)]",
          got: "[\(shape.joined)]")
      }
    }
    return [Fact(try inputs.type(0), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let layout = try HeadLayout("X", inputs[0].shape, heads: heads)
    let pairs = pairs(layout)
    let positions = inputs.has(3) ? inputs.integers(3) : Array(0..<layout.batch * layout.length)
    let rows = min(inputs[1].elementCount, inputs[2].elementCount) / max(pairs, 1)
    if pairs > 0, let wrong = positions.first(where: { $0 < 0 || $0 >= rows }) {
      throw .unexpected("position_ids", expected: "0 to \(rows - 1)", got: "\(wrong)")
    }
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      var x: [T] = try layout.arranged(inputs[0].converted())
      Rotation<T>(
        cosines: inputs[1].converted(), sines: inputs[2].converted(), pairs: pairs,
        isInterleaved: isInterleaved
      ).turn(&x, layout, rows: positions)
      outputs[0].store(try layout.restored(x))
    }
    try compute(inputs[0].type.real)
  }

  private func pairs(_ layout: HeadLayout) -> Int { (rotated == 0 ? layout.size : rotated) / 2 }
}

/// The turning of pairs of numbers by angles whose cosines and sines stand in rows.
struct Rotation<T: RealNumber> {
  let cosines: [T]
  let sines: [T]
  /// Pairs that are turned in each vector, and angles in a row.
  let pairs: Int
  /// Whether the numbers of a pair stand side by side instead of `pairs` apart.
  let isInterleaved: Bool

  /// Turns the vectors of batch×heads×length×size.
  /// - Parameter rows: the row of angles of each position of each sample.
  func turn(_ x: inout [T], _ layout: HeadLayout, rows: [Int]) {
    var interruption = Interruption()
    for vector in 0..<layout.batch * layout.heads * layout.length {
      if interruption.isDue(after: 8 &* pairs &+ 10) { return }
      let sample = vector / (layout.heads * layout.length)
      let angle = rows[sample * layout.length + vector % layout.length] * pairs
      for pair in 0..<pairs {
        let first = vector * layout.size + (isInterleaved ? 2 * pair : pair)
        let second = first + (isInterleaved ? 1 : pairs)
        let (cosine, sine) = (cosines[angle + pair], sines[angle + pair])
        (x[first], x[second]) = (
          cosine * x[first] - sine * x[second], sine * x[first] + cosine * x[second]
        )
      }
    }
  }
}
