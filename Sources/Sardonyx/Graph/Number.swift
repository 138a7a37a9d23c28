/// A type that arithmetic is done in: each stored numeric type is computed in the narrowest of
/// `Float`, `Double`, `Int64` and `UInt64` that holds all of its values.
///
/// Widening is exact and storing rounds (or wraps) once, so one generic form of an operator serves
/// every element type of ONNX. Arithmetic on integers wraps, as in all peers.
protocol Number: Element, Comparable, ExpressibleByIntegerLiteral {
  static func sum(_ left: Self, _ right: Self) -> Self
  static func difference(_ left: Self, _ right: Self) -> Self
  static func product(_ left: Self, _ right: Self) -> Self
  /// The quotient, truncated for integers; an integer divided by 0 is 0, never a trap.
  static func quotient(_ dividend: Self, _ divisor: Self) -> Self

  /// Truncates toward zero and saturates; NaN becomes 0 for integers.
  init(converting value: Double)
  init(converting value: Int64)
  init(converting value: UInt64)
  var asDouble: Double { get }
  /// The nearest single-precision number, rounded once.
  var asFloat: Float { get }
  /// As `Int64(converting:)`.
  var asInt64: Int64 { get }
  var isNaN: Bool { get }
}

extension Number {
  /// Converts between any two computing types.
  init<T: Number>(converting value: T) {
    switch value {
    case let value as Int64: self.init(converting: value)
    case let value as UInt64: self.init(converting: value)
    default: self.init(converting: value.asDouble)
    }
  }
}

/// The two floating-point types that are computed in.
protocol RealNumber: Number, BinaryFloatingPoint {
  init(converting value: Float)
}

extension Float: RealNumber {
  static func sum(_ left: Float, _ right: Float) -> Float { left + right }
  static func difference(_ left: Float, _ right: Float) -> Float { left - right }
  static func product(_ left: Float, _ right: Float) -> Float { left * right }
  static func quotient(_ dividend: Float, _ divisor: Float) -> Float { dividend / divisor }
  init(converting value: Double) { self.init(value) }
  init(converting value: Float) { self = value }
  init(converting value: Int64) { self.init(value) }
  init(converting value: UInt64) { self.init(value) }
  var asDouble: Double { Double(self) }
  var asFloat: Float { self }
  var asInt64: Int64 { Double(self).saturated() }
}

extension Double: RealNumber {
  static func sum(_ left: Double, _ right: Double) -> Double { left + right }
  static func difference(_ left: Double, _ right: Double) -> Double { left - right }
  static func product(_ left: Double, _ right: Double) -> Double { left * right }
  static func quotient(_ dividend: Double, _ divisor: Double) -> Double { dividend / divisor }
  init(converting value: Double) { self = value }
  init(converting value: Float) { self.init(value) }
  init(converting value: Int64) { self.init(value) }
  init(converting value: UInt64) { self.init(value) }
  var asDouble: Double { self }
  var asFloat: Float { Float(self) }
  var asInt64: Int64 { saturated() }
}

extension Int64: Number {
  static func sum(_ left: Int64, _ right: Int64) -> Int64 { left &+ right }
  static func difference(_ left: Int64, _ right: Int64) -> Int64 { left &- right }
  static func product(_ left: Int64, _ right: Int64) -> Int64 { left &* right }
  static func quotient(_ dividend: Int64, _ divisor: Int64) -> Int64 {
    divisor == 0 ? 0 : dividend.dividedReportingOverflow(by: divisor).partialValue
  }
  init(converting value: Double) { self = value.saturated() }
  init(converting value: Int64) { self = value }
  init(converting value: UInt64) { self.init(truncatingIfNeeded: value) }
  var asDouble: Double { Double(self) }
  var asFloat: Float { Float(self) }
  var asInt64: Int64 { self }
  var isNaN: Bool { false }
}

extension UInt64: Number {
  static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 { left &+ right }
  static func difference(_ left: UInt64, _ right: UInt64) -> UInt64 { left &- right }
  static func product(_ left: UInt64, _ right: UInt64) -> UInt64 { left &* right }
  static func quotient(_ dividend: UInt64, _ divisor: UInt64) -> UInt64 {
    divisor == 0 ? 0 : dividend / divisor
  }
  init(converting value: Double) { self = value.saturated() }
  init(converting value: Int64) { self.init(truncatingIfNeeded: value) }
  init(converting value: UInt64) { self = value }
  var asDouble: Double { Double(self) }
  var asFloat: Float { Float(self) }
  var asInt64: Int64 { Int64(truncatingIfNeeded: self) }
  var isNaN: Bool { false }
}

extension Double {
  /// Toward zero, within the bounds of `T`; NaN becomes 0.
  @inline(__always)
  func saturated<T: FixedWidthInteger>() -> T {
    if isNaN { return 0 }
    if self <= Double(T.min) { return .min }
    if self >= Double(T.max) { return .max }
    return T(self)
  }
}

extension ElementType {
  /// What elements of this type are computed in; nil for strings and complex numbers.
  var computed: (any Number.Type)? {
    switch self {
    case .double: Double.self
    case .float, .float16, .bfloat16, .float8e4m3fn, .float8e4m3fnuz, .float8e5m2,
      .float8e5m2fnuz, .float6e2m3, .float6e3m2, .float4e2m1, .float8e8m0:
      Float.self
    case .uint64: UInt64.self
    case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .bool, .int4, .uint4, .int2,
      .uint2:
      Int64.self
    case .string, .complex64, .complex128: nil
    }
  }

  /// What elements of this type are computed in.
  /// - Throws: ``ModelError`` (unsupported) for strings and complex numbers, which some operators'
  ///   schemas allow.
  func number() throws(ModelError) -> any Number.Type {
    guard let computed else {
      throw ModelError(
        .unsupported, "this build does not compute this operator with elements of type \(self)")
    }
    return computed
  }

  /// The format of a floating-point type of at most 16 bits, but for float8e8m0.
  var smallFloat: SmallFloat? {
    switch self {
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .float8e4m3fn: .float8e4m3fn
    case .float8e4m3fnuz: .float8e4m3fnuz
    case .float8e5m2: .float8e5m2
    case .float8e5m2fnuz: .float8e5m2fnuz
    case .float6e2m3: .float6e2m3
    case .float6e3m2: .float6e3m2
    case .float4e2m1: .float4e2m1
    default: nil
    }
  }
}
