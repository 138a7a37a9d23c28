#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension ElementType {
  /// What elements of this floating-point type are computed in.
  var real: any RealNumber.Type { self == .double ? Double.self : Float.self }
}

extension RealNumber {
  /// The value of a function of a double, rounded once.
  @inline(__always)
  func through(_ function: (Double) -> Double) -> Self { Self(converting: function(asDouble)) }

  var exponential: Self { through(exp) }
  var logarithm: Self { through(log) }
  var hyperbolicTangent: Self { through(tanh) }

  /// This number to the power of another.
  func power(_ exponent: Double) -> Self { through { pow($0, exponent) } }
}

/// 1 / (1 + e⁻ˣ).
func sigmoid<T: RealNumber>(_ x: T) -> T { x.through { 1 / (1 + exp(-$0)) } }
