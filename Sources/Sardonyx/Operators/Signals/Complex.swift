#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// A complex number.
struct Complex<T: RealNumber>: Sendable, Equatable {
  var real: T
  var imaginary: T

  static var zero: Complex { Complex(0, 0) }

  init(_ real: T, _ imaginary: T) {
    self.real = real
    self.imaginary = imaginary
  }

  init<Other: RealNumber>(_ other: Complex<Other>) {
    self.init(T(converting: other.real.asDouble), T(converting: other.imaginary.asDouble))
  }

  /// e^(-2πi·part/whole).
  init(turn part: Int, of whole: Int) {
    let angle = -2 * Double.pi * Double(part) / Double(whole)
    self.init(T(converting: cos(angle)), T(converting: sin(angle)))
  }

  /// Real and imaginary part exchanged, which turns a transform into its inverse.
  var swapped: Complex { Complex(imaginary, real) }
  var conjugate: Complex { Complex(real, -imaginary) }
  /// This number times -i.
  var turnedBack: Complex { Complex(imaginary, -real) }

  static func + (left: Complex, right: Complex) -> Complex {
    Complex(left.real + right.real, left.imaginary + right.imaginary)
  }

  static func - (left: Complex, right: Complex) -> Complex {
    Complex(left.real - right.real, left.imaginary - right.imaginary)
  }

  static func * (left: Complex, right: Complex) -> Complex {
    Complex(
      left.real * right.real - left.imaginary * right.imaginary,
      left.real * right.imaginary + left.imaginary * right.real)
  }
}
