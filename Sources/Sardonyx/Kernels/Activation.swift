import CKernels

/// What may happen to a result before it is stored.
enum Activation: Equatable, Sendable {
  case none
  case relu
  case clamp(low: Float, high: Float)
  case leaky(slope: Float)
  /// Any other functions, one after the other, applied while the result is still in the cache.
  case steps([Step])

  struct Step: Equatable, Sendable {
    var function: Unary
    var alpha: Float = 0
    var beta: Float = 0
  }

  static func unary(_ function: Unary, alpha: Float = 0, beta: Float = 0) -> Activation {
    .steps([Step(function: function, alpha: alpha, beta: beta)])
  }

  /// Whether `bounds` leaves something to `finish`.
  var hasSteps: Bool { if case .steps = self { true } else { false } }

  /// The function and then another.
  func followed(by next: Activation) -> Activation {
    if self == .none { return next }
    if next == .none { return self }
    var steps = steps
    for step in next.steps {
      if step.function == .affine, let last = steps.last, last.function == .affine {
        steps[steps.count - 1].alpha *= step.alpha
        steps[steps.count - 1].beta = last.beta * step.alpha + step.beta
      } else {
        steps.append(step)
      }
    }
    return .steps(steps)
  }

  private var steps: [Step] {
    switch self {
    case .none: []
    case .relu: [Step(function: .relu)]
    case .clamp(let low, let high): [Step(function: .clip, alpha: low, beta: high)]
    case .leaky(let slope): [Step(function: .leakyRelu, alpha: slope)]
    case .steps(let steps): steps
    }
  }

  /// As kernels take it: min(max(v < 0 ? v·slope : v, low), high).
  var bounds: (slope: Float, low: Float, high: Float) {
    switch self {
    case .none, .steps: (1, -.infinity, .infinity)
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
    guard case .steps(let functions) = self else { return }
    for row in 0..<rows {
      let place = unsafe start + row * step
      for function in functions {
        unsafe function.function.kernel(of: instructions)(
          columns, place, place, function.alpha, function.beta)
      }
    }
  }

  /// Applies the whole of it to numbers in place.
  func apply(
    _ count: Int, at start: UnsafeMutablePointer<Float>, with instructions: InstructionSet
  ) {
    unsafe Activation.steps(steps).finish(
      rows: 1, columns: count, at: start, step: 0, with: instructions)
  }
}
