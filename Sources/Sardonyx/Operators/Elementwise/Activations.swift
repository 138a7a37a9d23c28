#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// Activations of ONNX that have one input, the experimental ones that ONNX dropped among them.
let activations: OperatorFamily = activationFunctions.filter { $0.key != "QuickGelu" }
  .mapValues { _ in ElementwiseFunction.init }

/// Activations of ONNX Runtime that have one input.
let microsoftActivations: OperatorFamily = [
  "Gelu": ElementwiseFunction.init,
  "QuickGelu": ElementwiseFunction.init,
]

/// Functions that follow a layer of a network, by the name of their operator.
let activationFunctions: [String: UnaryFunction.Maker] = [
  "Affine": { node throws(ModelError) in
    .affine(alpha: try node.float("alpha", default: 1), beta: try node.float("beta", default: 0))
  },
  "Celu": { node throws(ModelError) in .celu(alpha: try node.float("alpha", default: 1)) },
  "Elu": { node throws(ModelError) in .elu(alpha: try node.float("alpha", default: 1)) },
  "Gelu": { node throws(ModelError) in
    try node.string("approximate", default: "none") == "tanh" ? .geluTanh : .gelu
  },
  "HardSigmoid": { node throws(ModelError) in
    .hardSigmoid(
      alpha: try node.float("alpha", default: 0.2), beta: try node.float("beta", default: 0.5))
  },
  "HardSwish": real(.hardSwish) { $0 * max(0, min(1, $0 / 6 + 0.5)) },
  "LeakyRelu": { node throws(ModelError) in
    .leakyRelu(alpha: try node.float("alpha", default: 0.01))
  },
  "Mish": real(.mish) { $0 * tanh(softplus($0)) },
  "ParametricSoftplus": { node throws(ModelError) in
    .softplus(alpha: try node.float("alpha", default: 1), beta: try node.float("beta", default: 1))
  },
  "QuickGelu": { node throws(ModelError) in
    .swish(alpha: try node.float("alpha", default: 1.702))
  },
  "Relu": constant(.relu),
  "Scale": { node throws(ModelError) in
    .affine(alpha: try node.float("scale", default: 1), beta: 0)
  },
  "ScaledTanh": { node throws(ModelError) in
    .scaledTanh(
      alpha: try node.float("alpha", default: 1), beta: try node.float("beta", default: 1))
  },
  "Selu": { node throws(ModelError) in try .selu(&node) },
  "Shrink": { node throws(ModelError) in
    .shrink(lambd: try node.float("lambd", default: 0.5), bias: try node.float("bias", default: 0))
  },
  "Sigmoid": constant(.sigmoid),
  "Softplus": real(.softplus, softplus),
  "Softsign": real(.softsign) { $0 / (1 + abs($0)) },
  "Swish": { node throws(ModelError) in .swish(alpha: try node.float("alpha", default: 1)) },
  "ThresholdedRelu": { node throws(ModelError) in
    .thresholdedRelu(alpha: try node.float("alpha", default: 1))
  },
]

/// log(1 + eˣ), without overflow.
@Sendable func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

/// 1 / (1 + e⁻ˣ).
@Sendable private func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

extension UnaryFunction {
  /// max(x, 0), which keeps NaN.
  static let relu = UnaryFunction(
    .init(function: .relu), real: { $0 < 0 ? 0 : $0 }, signed: { max($0, 0) }, unsigned: { $0 })

  static let sigmoid = UnaryFunction(.sigmoid, real: logistic)

  /// x·Φ(x), by the error function.
  static let gelu = UnaryFunction(.gelu, real: { 0.5 * $0 * erfc(-$0 / 2.0.squareRoot()) })

  /// ½x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
  static let geluTanh = UnaryFunction(
    .geluTanh,
    real: {
      0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
    })

  /// alpha·x + beta.
  static func affine(alpha: Float, beta: Float) -> UnaryFunction {
    UnaryFunction(
      .init(function: .affine, alpha: alpha, beta: beta),
      real: { Double(alpha) * $0 + Double(beta) })
  }

  static func celu(alpha: Float) -> UnaryFunction {
    let a = Double(alpha)
    return UnaryFunction(
      alpha > 0 ? .init(function: .celu, alpha: alpha) : nil,
      real: { $0 < 0 ? a * expm1($0 / a) : $0 })
  }

  static func elu(alpha: Float) -> UnaryFunction {
    UnaryFunction(
      .init(function: .elu, alpha: alpha), real: { $0 < 0 ? Double(alpha) * expm1($0) : $0 })
  }

  static func hardSigmoid(alpha: Float, beta: Float) -> UnaryFunction {
    UnaryFunction(
      .init(function: .hardSigmoid, alpha: alpha, beta: beta),
      real: {
        let y = Double(alpha) * $0 + Double(beta)
        return y < 0 ? 0 : y > 1 ? 1 : y
      })
  }

  static func leakyRelu(alpha: Float) -> UnaryFunction {
    UnaryFunction(
      .init(function: .leakyRelu, alpha: alpha), real: { $0 < 0 ? Double(alpha) * $0 : $0 })
  }

  /// alpha·tanh(beta·x).
  static func scaledTanh(alpha: Float, beta: Float) -> UnaryFunction {
    UnaryFunction(real: { Double(alpha) * tanh(Double(beta) * $0) })
  }

  /// gamma·(x > 0 ? x : alpha·(eˣ - 1)).
  fileprivate static func selu(_ node: inout NodeReader) throws(ModelError) -> UnaryFunction {
    // Version 1 knew the constants to four digits only.
    let isExact = node.version > 1
    let defaults: (alpha: Float, gamma: Float) =
      isExact ? (1.6732632423543772, 1.0507009873554805) : (1.6732, 1.0507)
    let alpha = try node.float("alpha", default: defaults.alpha)
    let gamma = try node.float("gamma", default: defaults.gamma)
    let isUsual = isExact && (alpha, gamma) == defaults
    return UnaryFunction(
      isUsual ? .init(function: .selu) : nil,
      real: { Double(gamma) * ($0 > 0 ? $0 : Double(alpha) * expm1($0)) })
  }

  /// x + bias below -lambd, x - bias above lambd, else 0.
  fileprivate static func shrink(lambd: Float, bias: Float) -> UnaryFunction {
    let (lambd, bias) = (Double(lambd), Double(bias))
    return UnaryFunction(real: { $0 < -lambd ? $0 + bias : $0 > lambd ? $0 - bias : 0 })
  }

  /// alpha·log(1 + e^(beta·x)).
  fileprivate static func softplus(alpha: Float, beta: Float) -> UnaryFunction {
    UnaryFunction(real: { Double(alpha) * Sardonyx.softplus(Double(beta) * $0) })
  }

  /// x / (1 + e^(-alpha·x)).
  static func swish(alpha: Float) -> UnaryFunction {
    UnaryFunction(
      alpha == 1 ? .init(function: .silu) : nil, real: { $0 * logistic(Double(alpha) * $0) })
  }

  fileprivate static func thresholdedRelu(alpha: Float) -> UnaryFunction {
    UnaryFunction(
      .init(function: .thresholdedRelu, alpha: alpha), real: { $0 > Double(alpha) ? $0 : 0 })
  }
}
