#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// A floating-point format of at most 16 bits, by the numbers that define it.
///
/// Values convert through `Double`, which holds each of them exactly; encoding rounds once, to
/// nearest with ties to even. Source: ONNX specification, "Float stored in 8 bits" and Cast.
struct SmallFloat: Sendable {
  /// How a format spells "not a number".
  enum NotANumber { case ieee, allOnes, negativeZero, none }

  let exponentBits: Int
  let mantissaBits: Int
  let bias: Int
  let notANumber: NotANumber

  /// The distance from 1 to the next larger number.
  var epsilon: Double { scalbn(1, Int32(-mantissaBits)) }

  /// Only IEEE-like formats have infinities.
  var hasInfinity: Bool { notANumber == .ieee }

  static let float16 = SmallFloat(exponentBits: 5, mantissaBits: 10, bias: 15, notANumber: .ieee)
  static let bfloat16 = SmallFloat(exponentBits: 8, mantissaBits: 7, bias: 127, notANumber: .ieee)
  static let float8e4m3fn = SmallFloat(
    exponentBits: 4, mantissaBits: 3, bias: 7, notANumber: .allOnes)
  static let float8e4m3fnuz = SmallFloat(
    exponentBits: 4, mantissaBits: 3, bias: 8, notANumber: .negativeZero)
  static let float8e5m2 = SmallFloat(exponentBits: 5, mantissaBits: 2, bias: 15, notANumber: .ieee)
  static let float8e5m2fnuz = SmallFloat(
    exponentBits: 5, mantissaBits: 2, bias: 16, notANumber: .negativeZero)
  static let float6e2m3 = SmallFloat(
    exponentBits: 2, mantissaBits: 3, bias: 1, notANumber: .none)
  static let float6e3m2 = SmallFloat(
    exponentBits: 3, mantissaBits: 2, bias: 3, notANumber: .none)
  static let float4e2m1 = SmallFloat(
    exponentBits: 2, mantissaBits: 1, bias: 1, notANumber: .none)

  private var signBit: UInt16 { 1 << UInt16(exponentBits + mantissaBits) }
  private var magnitudeMask: UInt16 { signBit - 1 }
  private var infinityBits: UInt16 { magnitudeMask & ~((1 << UInt16(mantissaBits)) - 1) }

  /// The largest finite magnitude's bits.
  private var largestBits: UInt16 {
    switch notANumber {
    case .ieee: infinityBits - 1
    case .allOnes: magnitudeMask - 1
    case .negativeZero, .none: magnitudeMask
    }
  }

  private var notANumberBits: UInt16 {
    switch notANumber {
    case .ieee: infinityBits | (1 << UInt16(mantissaBits - 1))
    case .allOnes: magnitudeMask
    case .negativeZero: signBit
    case .none: signBit
    }
  }

  func decode(_ bits: UInt16) -> Double {
    let magnitude = bits & magnitudeMask
    let negative = bits & signBit != 0
    switch notANumber {
    case .ieee where magnitude > infinityBits: return .nan
    case .ieee where magnitude == infinityBits: return negative ? -.infinity : .infinity
    case .allOnes where magnitude == magnitudeMask: return .nan
    case .negativeZero where bits == signBit: return .nan
    default: break
    }
    let value = finite(magnitude)
    return negative ? -value : value
  }

  private func finite(_ magnitude: UInt16) -> Double {
    let exponent = Int(magnitude >> UInt16(mantissaBits))
    let fraction = Int(magnitude & ((1 << UInt16(mantissaBits)) - 1))
    let significand = exponent == 0 ? fraction : fraction + (1 << mantissaBits)
    return scalbn(Double(significand), Int32(max(exponent, 1) - bias - mantissaBits))
  }

  /// The nearest representable bits; `saturate` turns overflow and infinity into the largest
  /// finite value instead of infinity (or NaN where the format has none).
  func encode(_ value: Double, saturate: Bool) -> UInt16 {
    if value.isNaN { return notANumberBits }
    let sign = value.sign == .minus ? signBit : 0
    let magnitude = encodeMagnitude(abs(value))
    if magnitude > largestBits {
      if saturate || notANumber == .none { return sign | largestBits }
      return hasInfinity ? sign | infinityBits : (sign & signBit) | notANumberBits
    }
    return notANumber == .negativeZero && magnitude == 0 ? 0 : sign | magnitude
  }

  /// Bits without sign; anything above ``largestBits`` means overflow.
  private func encodeMagnitude(_ value: Double) -> UInt16 {
    guard value.isFinite, value < 0x1p200 else { return .max }
    guard value > 0 else { return 0 }
    let smallest = 1 - bias
    let exponent = max(Int(value.exponent), smallest)
    let steps = scalbn(value, Int32(mantissaBits - exponent)).rounded(.toNearestOrEven)
    let field = (exponent - smallest) << mantissaBits
    return UInt16(clamping: field + Int(steps))
  }

  /// Decodes float8e8m0: a power of two, without sign or zero; 255 is NaN.
  static func decodePowerOfTwo(_ bits: UInt8) -> Double {
    bits == 255 ? .nan : scalbn(1, Int32(bits) - 127)
  }
}
