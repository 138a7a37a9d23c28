/// Puts each number where MaxPool found it, zeros everywhere else.
///
/// Indices count in the tensor that was pooled, whose shape X tells but for what the pooling left
/// over: it is the inferred shape at the beginning of a larger output, or that of the output itself.
struct MaxUnpool: Operator {
  private let window: Window

  init(_ node: inout NodeReader) throws(ModelError) { window = try Window(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let inferred = try inferredShape(inputs)
    let type = try inputs.type(0)
    guard inputs.has(2) else { return [Fact(type, inferred)] }
    let shape = try inputs.integers(2)
    guard shape.count == inferred.count, shape.prefix(2) == inferred.prefix(2),
      shape.allSatisfy({ $0 >= 0 })
    else {
      throw .unexpected(
        "output_shape",
        expected: "\(inferred.count) numbers that begin with \(inferred[0]),"
          + "\(inferred[1])", got: "[\(shape.joined)]")
    }
    return [Fact(type, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try unsafe inputs[1].withNumbers(as: Int64.self) { (indices) throws(ModelError) in
      let pooled = try unsafe pooledShape(inputs, indices, outputs[0].shape)
      let (extents, strides) = (pooled.strides, outputs[0].shape.strides)
      func compute<T: Number>(_: T.Type) {
        var y = [T](zerosUntilDue: outputs[0].elementCount)
        var interruption = Interruption()
        unsafe inputs[0].withNumbers(as: T.self) { values in
          for position in 0..<values.count {
            if interruption.isDue(after: 8 * pooled.count) { return }
            let index = unsafe Int(indices[position])
            let place = pooled.indices.reduce(0) {
              $0 + index / extents[$1] % pooled[$1] * strides[$1]
            }
            y[place] = unsafe values[position]
          }
        }
        outputs[0].store(y)
      }
      compute(try inputs[0].type.number())
    }
  }

  /// The shape that the indices count in: the inferred one if each then lies in the window that it
  /// was found in, else that of the output under the same condition, else the first that has them.
  private func pooledShape(
    _ inputs: Inputs, _ indices: UnsafeBufferPointer<Int64>, _ output: Shape
  ) throws(ModelError) -> Shape {
    let inferred = try inferredShape(inputs.facts)
    let fits = zip(inferred, output).allSatisfy { $0 <= $1 }
    let all = fits && inferred != output ? [inferred, output] : [output]
    let (least, largest) = try unsafe Self.bounds(indices)
    let candidates = all.filter { least >= 0 && largest < $0.elementCount }
    guard let first = candidates.first else {
      let count = all.map(\.elementCount).max() ?? 0
      throw .unexpected(
        "indices", expected: "numbers from 0 to \(count - 1)",
        got: "\(least < 0 ? least : largest)")
    }
    guard candidates.count > 1 else { return first }
    let x = inputs[0].shape
    let axes = try window.unpaddedAxes(over: Array(x.dropFirst(2)))
    let pads = try window.checkedPads(axisCount: axes.count)
    var interruption = Interruption()
    let placesPerIndex = 10 * axes.count
    let steps = x.strides
    let found = candidates.first { shape in
      let strides = shape.strides
      return (0..<indices.count).allSatisfy { position in
        // Whatever this says once the run is to end, nobody sees.
        if interruption.isDue(after: placesPerIndex) { return false }
        let index = unsafe Int(indices[position])
        return axes.indices.allSatisfy { axis in
          let place = index / strides[axis + 2] % shape[axis + 2]
          let start = position / steps[axis + 2] % x[axis + 2] * axes[axis].stride - pads[axis]
          return place >= start && place < start + axes[axis].kernel
        }
      }
    }
    try Interruption.check()
    return found ?? first
  }

  /// The least and the largest index; of none, 0 and -1.
  private static func bounds(
    _ indices: UnsafeBufferPointer<Int64>
  ) throws(ModelError) -> (least: Int, largest: Int) {
    guard let first = unsafe indices.first else { return (0, -1) }
    var bounds = (least: first, largest: first)
    var interruption = Interruption()
    for position in 0..<indices.count {
      if interruption.isDue(after: 2) { try Interruption.check() }
      let index = unsafe indices[position]
      bounds = (min(bounds.least, index), max(bounds.largest, index))
    }
    return (Int(bounds.least), Int(bounds.largest))
  }

  /// The shape of the tensor that was pooled, as far as X tells it.
  private func inferredShape(_ inputs: Facts) throws(ModelError) -> Shape {
    let shape = try inputs.shape(0)
    guard shape.count >= 3 else {
      throw .unexpected("rank of X", expected: "at least 3", got: "\(shape.count)")
    }
    let indices = try inputs.shape(1)
    guard indices == shape else {
      throw .unexpected("shape of I", expected: "[\(shape.joined)]", got: "[\(indices.joined)]")
    }
    let count = shape.count - 2
    let axes = try window.unpaddedAxes(over: Array(shape.dropFirst(2)))
    let pads = try window.checkedPads(axisCount: count)
    return shape.prefix(2)
      + axes.indices.map {
        let padding = pads[$0] + pads[$0 + count]
        return max(0, (shape[$0 + 2] - 1) * axes[$0].stride - padding + axes[$0].kernel)
      }
  }
}
