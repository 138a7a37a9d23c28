/// Puts each number where MaxPool found it, zeros everywhere else.
struct MaxUnpool: Operator {
  private let window: Window

  init(_ node: inout NodeReader) throws(ModelError) { window = try Window(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let inferred = try inferredShape(inputs)
    let type = try inputs.type(0)
    guard inputs.has(2) else { return [Fact(type, inferred)] }
    let shape = try inputs.integers(2)
    guard shape.count == inferred.count, zip(shape, inferred).allSatisfy({ $0 >= $1 }) else {
      throw .unexpected(
        "output_shape", expected: "at least [\(inferred.joined)]", got: "[\(shape.joined)]")
    }
    return [Fact(type, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let inferred = try inferredShape(inputs.facts)
    let indices = inputs.integers(1)
    let count = inferred.elementCount
    if let wrong = indices.first(where: { $0 < 0 || $0 >= count }) {
      throw .unexpected("indices", expected: "numbers from 0 to \(count - 1)", got: "\(wrong)")
    }
    // Indices count in the shape that the pooling had, which lies at the output's beginning.
    let (extents, strides) = (inferred.strides, outputs[0].shape.strides)
    func compute<T: Number>(_: T.Type) {
      var y = [T](repeating: 0, count: outputs[0].elementCount)
      for (value, index) in zip(inputs[0].converted(to: T.self), indices) {
        let place = inferred.indices.reduce(0) {
          $0 + index / extents[$1] % inferred[$1] * strides[$1]
        }
        y[place] = value
      }
      outputs[0].store(y)
    }
    compute(try inputs[0].type.number())
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
