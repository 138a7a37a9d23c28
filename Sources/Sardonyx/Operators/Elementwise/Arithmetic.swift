#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// Operators with two inputs of one type, which is that of the output too.
let arithmetic: OperatorFamily = combinations.mapValues { _ in ElementwiseCombination.init }
  .merging(["BitShift": BitShift.init, "Pow": Pow.init]) { $1 }

/// Functions of two numbers by the name of their operator.
let combinations: [String: BinaryFunction.Maker] = [
  "Add": constant(.sum),
  "And": constant(.conjunction),
  "BitwiseAnd": constant(.conjunction),
  "BitwiseOr": constant(.disjunction),
  "BitwiseXor": constant(.exclusion),
  "Div": constant(.quotient),
  "Mod": { node throws(ModelError) in try node.bool("fmod") ? .truncatedRemainder : .modulus },
  "Mul": constant(.product),
  "Or": constant(.disjunction),
  "Sub": constant(
    BinaryFunction(.subtract, real: { $0 - $1 }, signed: { $0 &- $1 }, unsigned: { $0 &- $1 })),
  "SwiGLU": { node throws(ModelError) in .gatedSwish(alpha: try node.float("alpha", default: 1)) },
  "Xor": constant(.exclusion),
]

extension BinaryFunction {
  static let sum = BinaryFunction(
    .add, real: { $0 + $1 }, signed: { $0 &+ $1 }, unsigned: { $0 &+ $1 })

  static let product = BinaryFunction(
    .multiply, real: { $0 * $1 }, signed: { $0 &* $1 }, unsigned: { $0 &* $1 })

  static let quotient = BinaryFunction(
    .divide, real: { $0 / $1 }, signed: Int64.quotient, unsigned: UInt64.quotient)

  /// NaN where either number is.
  static let maximum = BinaryFunction(
    .maximum, real: { $0.isNaN || $0 > $1 ? $0 : $1 }, signed: { max($0, $1) },
    unsigned: { max($0, $1) })

  /// NaN where either number is.
  static let minimum = BinaryFunction(
    .minimum, real: { $0.isNaN || $0 < $1 ? $0 : $1 }, signed: { min($0, $1) },
    unsigned: { min($0, $1) })

  static let conjunction = BinaryFunction(signed: { $0 & $1 }, unsigned: { $0 & $1 })
  static let disjunction = BinaryFunction(signed: { $0 | $1 }, unsigned: { $0 | $1 })
  static let exclusion = BinaryFunction(signed: { $0 ^ $1 }, unsigned: { $0 ^ $1 })

  /// a - trunc(a / b)·b, with the sign of a; 0 for integers and b = 0.
  static let truncatedRemainder = BinaryFunction(
    real: { fmod($0, $1) }, signed: remainder, unsigned: { $1 == 0 ? 0 : $0 % $1 })

  /// a - floor(a / b)·b, with the sign of b; 0 for integers and b = 0.
  static let modulus = BinaryFunction(
    real: modulus,
    signed: { dividend, divisor in
      let rest = remainder(dividend, divisor)
      return rest != 0 && (rest < 0) != (divisor < 0) ? rest + divisor : rest
    }, unsigned: { $1 == 0 ? 0 : $0 % $1 })

  @Sendable private static func remainder(_ dividend: Int64, _ divisor: Int64) -> Int64 {
    divisor == 0 ? 0 : dividend.remainderReportingOverflow(dividingBy: divisor).partialValue
  }

  @Sendable private static func modulus(_ dividend: Double, _ divisor: Double) -> Double {
    let rest = fmod(dividend, divisor)
    if rest == 0 { return Double(signOf: divisor, magnitudeOf: 0) }
    return (rest < 0) != (divisor < 0) ? rest + divisor : rest
  }

  /// swish(a)·b.
  fileprivate static func gatedSwish(alpha: Float) -> BinaryFunction {
    let swish = UnaryFunction.swish(alpha: alpha).real
    return BinaryFunction(real: { swish($0) * $1 })
  }
}

/// A power, whose exponents may have a type of their own.
struct Pow: Operator {
  private let alignment: Alignment

  init(_ node: inout NodeReader) throws(ModelError) { alignment = try Alignment(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shapes = try alignment.shapes(inputs.shape(0), inputs.shape(1))
    return [Fact(try inputs.type(0), try .broadcast(shapes))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard try inputs.type(0) == .float, let exponent = inputs[1].value?.tensor, isSquare(exponent),
      try inputs.shape(0) == outputs[0]?.shape
    else { return nil }
    return UnaryFunction.Kernel(function: .square).computation(
      try inputs.shape(0).elementCount)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (base, exponent) = (inputs[0], inputs[1])
    let broadcast = try Broadcast(alignment.shapes(base.shape, exponent.shape))
    if base.type.isInteger, exponent.type.isInteger {
      outputs[0].store(
        broadcast.combine(
          base.converted(asPlaces: false), exponent.converted(asPlaces: false), Self.power))
    } else if isSquare(exponent), broadcast.shape == base.shape {
      let square = UnaryFunction(.square) { $0 * $0 }
      square.apply(base, into: outputs[0], on: outputs.context.crew)
    } else {
      let bases: [Double] = base.converted()
      outputs[0].store(broadcast.combine(bases, exponent.converted()) { pow($0, $1) })
    }
  }

  private func isSquare(_ exponent: Tensor) -> Bool {
    exponent.elementCount == 1 && exponent.converted(to: Double.self) == [2]
  }

  /// A power of integers, which wraps; the truncated fraction for negative exponents.
  @Sendable private static func power(_ base: Int64, _ exponent: Int64) -> Int64 {
    if exponent < 0 { return Int64(converting: pow(Double(base), Double(exponent))) }
    var (result, factor, rest) = (Int64(1), base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result &*= factor }
      factor &*= factor
      rest >>= 1
    }
    return result
  }
}

/// Moves the bits of integers; signed ones keep their sign to the right.
struct BitShift: Operator {
  private let isLeft: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    switch try node.string("direction") {
    case "LEFT": isLeft = true
    case "RIGHT": isLeft = false
    case let direction:
      throw node.invalid("direction", expected: "LEFT or RIGHT", got: direction ?? "nothing")
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try .broadcast([inputs.shape(0), inputs.shape(1)]))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let width = inputs[0].type.byteCount * 8
    let function = isLeft ? Self.left(width: width) : Self.right(width: width)
    let broadcast = try Broadcast([inputs[0].shape, inputs[1].shape])
    function.apply(
      inputs[0], inputs[1], broadcast, into: outputs[0], on: outputs.context.crew)
  }

  var reusableInput: Int? { 0 }

  private static func left(width: Int) -> BinaryFunction {
    BinaryFunction(
      signed: { $1 < 0 || $1 >= width ? 0 : $0 << $1 }, unsigned: { $1 >= width ? 0 : $0 << $1 })
  }

  private static func right(width: Int) -> BinaryFunction {
    BinaryFunction(
      signed: { $1 < 0 || $1 >= width ? ($0 < 0 ? -1 : 0) : $0 >> $1 },
      unsigned: { $1 >= width ? 0 : $0 >> $1 })
  }
}
