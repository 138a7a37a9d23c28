import CKernels

/// Functions of one number, each a kernel; what alpha and beta mean is told where they mean
/// something.
enum Unary: CaseIterable, Sendable {
  case absolute, negate, sign, reciprocal, squareRoot, reciprocalSquareRoot, square
  case floor, ceiling, roundHalfEven
  case exp, expm1, log, log1p, sin, cos, tanh, erf
  case relu, sigmoid, softplus, softsign, silu, mish, gelu, geluTanh, hardSwish, selu
  /// x < 0 ? alpha·x : x.
  case leakyRelu
  /// x < 0 ? alpha·(eˣ - 1) : x.
  case elu
  /// x < 0 ? alpha·(e^(x / alpha) - 1) : x.
  case celu
  /// min(max(alpha·x + beta, 0), 1).
  case hardSigmoid
  /// min(max(x, alpha), beta).
  case clip
  /// x > alpha ? x : 0.
  case thresholdedRelu
  /// alpha·x + beta.
  case affine

  func kernel(of instructions: InstructionSet) -> UnaryKernel {
    switch self {
    case .absolute: unsafe instructions.kernels.absolute
    case .negate: unsafe instructions.kernels.negate
    case .sign: unsafe instructions.kernels.sign
    case .reciprocal: unsafe instructions.kernels.reciprocal
    case .squareRoot: unsafe instructions.kernels.square_root
    case .reciprocalSquareRoot: unsafe instructions.kernels.reciprocal_square_root
    case .square: unsafe instructions.kernels.square
    case .floor: unsafe instructions.kernels.floor
    case .ceiling: unsafe instructions.kernels.ceiling
    case .roundHalfEven: unsafe instructions.kernels.round_half_even
    case .exp: unsafe instructions.kernels.exp
    case .expm1: unsafe instructions.kernels.expm1
    case .log: unsafe instructions.kernels.log
    case .log1p: unsafe instructions.kernels.log1p
    case .sin: unsafe instructions.kernels.sin
    case .cos: unsafe instructions.kernels.cos
    case .tanh: unsafe instructions.kernels.tanh
    case .erf: unsafe instructions.kernels.erf
    case .relu: unsafe instructions.kernels.relu
    case .sigmoid: unsafe instructions.kernels.sigmoid
    case .softplus: unsafe instructions.kernels.softplus
    case .softsign: unsafe instructions.kernels.softsign
    case .silu: unsafe instructions.kernels.silu
    case .mish: unsafe instructions.kernels.mish
    case .gelu: unsafe instructions.kernels.gelu
    case .geluTanh: unsafe instructions.kernels.gelu_tanh
    case .hardSwish: unsafe instructions.kernels.hard_swish
    case .selu: unsafe instructions.kernels.selu
    case .leakyRelu: unsafe instructions.kernels.leaky_relu
    case .elu: unsafe instructions.kernels.elu
    case .celu: unsafe instructions.kernels.celu
    case .hardSigmoid: unsafe instructions.kernels.hard_sigmoid
    case .clip: unsafe instructions.kernels.clip
    case .thresholdedRelu: unsafe instructions.kernels.thresholded_relu
    case .affine: unsafe instructions.kernels.affine
    }
  }
}

/// Functions of two numbers, each a kernel; maximum and minimum are NaN where either number is.
enum Binary: CaseIterable, Sendable {
  case add, subtract, multiply, divide, maximum, minimum

  func kernel(of instructions: InstructionSet) -> BinaryKernel {
    switch self {
    case .add: unsafe instructions.kernels.add
    case .subtract: unsafe instructions.kernels.subtract
    case .multiply: unsafe instructions.kernels.multiply
    case .divide: unsafe instructions.kernels.divide
    case .maximum: unsafe instructions.kernels.maximum
    case .minimum: unsafe instructions.kernels.minimum
    }
  }
}
