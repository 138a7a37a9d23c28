import CKernels

/// What may happen to a result before it is stored.
enum Activation: Equatable, Sendable {
  case none
  case relu
  case clamp(low: Float, high: Float)
  case leaky(slope: Float)
  /// Any other function, applied while the result is still in the cache.
  case unary(Unary, alpha: Float = 0, beta: Float = 0)

  /// As kernels take it: min(max(v < 0 ? v·slope : v, low), high).
  var bounds: (slope: Float, low: Float, high: Float) {
    switch self {
    case .none, .unary: (1, -.infinity, .infinity)
    case .relu: (1, 0, .infinity)
    case .clamp(let low, let high): (1, low, high)
    case .leaky(let slope): (slope, -.infinity, .infinity)
    }
  }

  /// Applies what `bounds` does not tell to some rows of a result.
  func finish(
    rows: Int, columns: Int, at start: UnsafeMutablePointer<Float>, step: Int,
    with instructions: InstructionSet
  ) {
    guard case .unary(let function, let alpha, let beta) = self else { return }
    let kernel = unsafe function.kernel(of: instructions)
    for row in 0..<rows {
      let place = unsafe start + row * step
      unsafe kernel(columns, place, place, alpha, beta)
    }
  }

  /// Applies the whole of it to numbers in place.
  func apply(
    _ count: Int, at start: UnsafeMutablePointer<Float>, with instructions: InstructionSet
  ) {
    let whole: Activation =
      switch self {
      case .none: .none
      case .relu: .unary(.relu)
      case .clamp(let low, let high): .unary(.clip, alpha: low, beta: high)
      case .leaky(let slope): .unary(.leakyRelu, alpha: slope)
      case .unary: self
      }
    unsafe whole.finish(rows: 1, columns: count, at: start, step: 0, with: instructions)
  }
}
