/// Divides by the L1 or L2 norm along an axis; where the norm is 0, the result is 0.
struct LpNormalization: Operator {
  private let axis: Int
  private let p: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: -1)
    p = try node.int("p", default: 2)
    guard p == 1 || p == 2 else { throw node.invalid("p", expected: "1 or 2", got: p) }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    _ = try axis.axis(ofRank: shape.count)
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let view = AxisBlock(shape, axis: try axis.axis(ofRank: shape.count))
    func compute<T: RealNumber>(_: T.Type) {
      var x: [T] = inputs[0].converted()
      view.forEachLine { first in
        let places = stride(from: first, to: first + view.count * view.inner, by: view.inner)
        let sum = places.reduce(0.0) { sum, place in
          let value = x[place].asDouble
          return sum + (p == 1 ? abs(value) : value * value)
        }
        let norm = p == 1 ? sum : sum.squareRoot()
        for place in places {
          x[place] = norm == 0 ? 0 : T(converting: x[place].asDouble / norm)
        }
      }
      outputs[0].store(x)
    }
    compute(inputs[0].type.real)
  }
}

/// Shifts and scales to mean 0 and standard deviation 1 over the given axes together.
struct MeanVarianceNormalization: Operator {
  private let axes: [Int]
  private let scales: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    if node.version < 9 {
      axes = try node.bool("across_channels") ? [0, 1, 2, 3] : [0, 2, 3]
      scales = try node.bool("normalize_variance", default: true)
    } else {
      axes = try node.ints("axes") ?? [0, 2, 3]
      scales = true
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    _ = try axes.axes(ofRank: shape.count)
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let reduced = try axes.axes(ofRank: shape.count)
    let kept = shape.indices.map { reduced.contains($0) ? 1 : shape[$0] }
    let strides = kept.strides
    func compute<T: RealNumber>(_: T.Type) {
      var x: [T] = inputs[0].converted()
      var members = [[Int]](repeating: [], count: kept.elementCount)
      var element = 0
      var interruption = Interruption()
      shape.forEachIndex { index in
        if interruption.isDue(after: 60) { return }
        let group = zip(index, zip(kept, strides)).reduce(0) {
          $1.1.0 == 1 ? $0 : $0 + $1.0 * $1.1.1
        }
        members[group].append(element)
        element += 1
      }
      for group in members {
        if interruption.isDue(after: 5 &* group.count) { return }
        let moments = Moments(group.map { x[$0] })
        // ONNX's definition adds this to the deviation, not to the variance.
        let deviation = scales ? moments.variance.squareRoot() + 1e-9 : 1
        for place in group {
          x[place] = T(converting: (x[place].asDouble - moments.mean) / deviation)
        }
      }
      outputs[0].store(x)
    }
    compute(inputs[0].type.real)
  }
}

/// Local response normalization across channels: Y = X / (bias + α/size · Σ X²)^β, the sum over
/// the `size` channels around each.
struct LRN: Operator {
  private let alpha: Double
  private let beta: Double
  private let bias: Double
  private let size: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    alpha = Double(try node.float("alpha", default: 1e-4))
    beta = Double(try node.float("beta", default: 0.75))
    bias = Double(try node.float("bias", default: 1))
    guard let size = try node.int("size") else { throw node.missing("size") }
    guard size > 0, size <= Int(Int32.max) else {
      throw node.invalid("size", expected: "a positive number", got: size)
    }
    self.size = size
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2 else {
      throw .unexpected("rank of X", expected: "at least 2", got: "\(shape.count)")
    }
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let view = AxisBlock(inputs[0].shape, axis: 1)
    func compute<T: RealNumber>(_: T.Type) {
      var interruption = Interruption()
      unsafe inputs[0].withNumbers(as: T.self) { x in
        unsafe outputs[0].writeNumbers(as: T.self) { y in
          for n in 0..<view.outer {
            for c in 0..<view.count {
              let neighbours = max(0, c - (size - 1) / 2)...min(view.count - 1, c + size / 2)
              for place in view.range(outer: n, c) {
                if interruption.isDue(after: neighbours.count &+ 80) { return }
                let squares = neighbours.reduce(0.0) { sum, channel in
                  let value = unsafe x[place + (channel - c) * view.inner].asDouble
                  return sum + value * value
                }
                let divisor = (bias + alpha / Double(size) * squares).power(beta)
                unsafe y[place] = T(converting: x[place].asDouble / divisor)
              }
            }
          }
        }
      }
    }
    compute(inputs[0].type.real)
  }
}
