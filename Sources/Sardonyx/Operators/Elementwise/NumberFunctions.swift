#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// The operators of ``numberFunctions`` and ``realFunctions``.
let elementwiseFunctions: OperatorFamily = [numberFunctions, realFunctions].reduce(into: [:]) {
  for name in $1.keys { $0[name] = ElementwiseFunction.init }
}

/// Functions that integers have too.
let numberFunctions: [String: UnaryFunction.Maker] = [
  "Abs": constant(
    UnaryFunction(
      .init(function: .absolute), real: { abs($0) }, signed: { $0 < 0 ? 0 &- $0 : $0 },
      unsigned: { $0 })),
  "BitwiseNot": constant(
    UnaryFunction(real: { $0 }, signed: { ~$0 }, unsigned: { ~$0 })),
  "Neg": constant(
    UnaryFunction(
      .init(function: .negate), real: { -$0 }, signed: { 0 &- $0 }, unsigned: { 0 &- $0 })),
  "Not": constant(
    UnaryFunction(
      real: { $0 == 0 ? 1 : 0 }, signed: { $0 == 0 ? 1 : 0 }, unsigned: { $0 == 0 ? 1 : 0 })),
  "Sign": constant(
    UnaryFunction(
      .init(function: .sign), real: { $0.isNaN ? .nan : $0 > 0 ? 1 : $0 < 0 ? -1 : 0 },
      signed: { $0.signum() }, unsigned: { min($0, 1) })),
]

/// Functions of real numbers.
let realFunctions: [String: UnaryFunction.Maker] = [
  "Acos": real { acos($0) },
  "Acosh": real { acosh($0) },
  "Asin": real { asin($0) },
  "Asinh": real { asinh($0) },
  "Atan": real { atan($0) },
  "Atanh": real { atanh($0) },
  "Ceil": real(.ceiling) { $0.rounded(.up) },
  "Cos": real(.cos) { cos($0) },
  "Cosh": real { cosh($0) },
  "Erf": real(.erf) { erf($0) },
  "Exp": real(.exp) { exp($0) },
  "Floor": real(.floor) { $0.rounded(.down) },
  "Log": real(.log) { log($0) },
  "Reciprocal": real(.reciprocal) { 1 / $0 },
  "Round": real(.roundHalfEven) { $0.rounded(.toNearestOrEven) },
  "Sin": real(.sin) { sin($0) },
  "Sinh": real { sinh($0) },
  "Sqrt": real(.squareRoot) { $0.squareRoot() },
  "Tan": real { tan($0) },
  "Tanh": real(.tanh) { tanh($0) },
]
