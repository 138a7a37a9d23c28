#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif

/// The discrete Fourier transform of one length: yₖ = Σ xₙ·e^(-2πi·kn/N), in double precision.
///
/// A power of two halves itself again and again (Cooley and Tukey); any other length becomes a
/// convolution, done with a power of two (Bluestein).
struct FourierTransform: Sendable {
  let length: Int
  /// e^(-2πi·k/N) for k < N/2 of a power of two.
  private var roots: [Complex] = []
  private var bluestein: Bluestein?

  init(length: Int) {
    precondition(length > 0)
    self.length = length
    if length & (length - 1) == 0 {
      roots = (0..<length / 2).map { Complex(turn: $0, of: length) }
    } else {
      bluestein = Bluestein(length)
    }
  }

  /// Transforms `values`, which are as many as the length.
  func transform(_ values: inout [Complex]) {
    precondition(values.count == length)
    if let bluestein { values = bluestein.transform(values) } else { transformPowerOfTwo(&values) }
  }

  /// The inverse, xₙ = Σ yₖ·e^(2πi·kn/N) / N.
  func invert(_ values: inout [Complex]) {
    for index in values.indices { values[index] = values[index].swapped }
    transform(&values)
    let scale = 1 / Double(length)
    for index in values.indices {
      let value = values[index].swapped
      values[index] = Complex(value.real * scale, value.imaginary * scale)
    }
  }

  private func transformPowerOfTwo(_ values: inout [Complex]) {
    var reversed = 0
    for index in 1..<max(length, 1) {
      var bit = length >> 1
      while reversed & bit != 0 {
        reversed ^= bit
        bit >>= 1
      }
      reversed |= bit
      if index < reversed { values.swapAt(index, reversed) }
    }
    var half = 1
    while half < length {
      let step = length / (2 * half)
      for block in stride(from: 0, to: length, by: 2 * half) {
        for index in 0..<half {
          let even = values[block + index]
          let odd = values[block + half + index] * roots[index * step]
          values[block + index] = even + odd
          values[block + half + index] = even - odd
        }
      }
      half *= 2
    }
  }
}

/// A number of two doubles.
struct Complex: Sendable, Equatable {
  var real: Double
  var imaginary: Double

  static let zero = Complex(0, 0)

  init(_ real: Double, _ imaginary: Double) {
    self.real = real
    self.imaginary = imaginary
  }

  /// e^(-2πi·part/whole).
  init(turn part: Int, of whole: Int) {
    let angle = -2 * Double.pi * Double(part) / Double(whole)
    self.init(cos(angle), sin(angle))
  }

  /// Real and imaginary part exchanged, which turns a transform into its inverse.
  var swapped: Complex { Complex(imaginary, real) }
  var conjugate: Complex { Complex(real, -imaginary) }

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

/// kn = (k² + n² - (k - n)²) / 2 makes the transform a convolution with the chirp e^(-πi·n²/N).
private final class Bluestein: Sendable {
  private let chirp: [Complex]
  private let padded: FourierTransform
  /// The transform of the conjugate chirp, at places n and -n.
  private let spectrum: [Complex]

  init(_ length: Int) {
    // n² modulo 2N keeps the angle small, and so exact.
    let chirp = (0..<length).map { Complex(turn: $0 * $0 % (2 * length), of: 2 * length) }
    var size = 1
    while size < 2 * length - 1 { size *= 2 }
    let padded = FourierTransform(length: size)
    var spectrum = [Complex](repeating: .zero, count: size)
    for index in 0..<length {
      spectrum[index] = chirp[index].conjugate
      spectrum[(size - index) % size] = chirp[index].conjugate
    }
    padded.transform(&spectrum)
    self.chirp = chirp
    self.padded = padded
    self.spectrum = spectrum
  }

  func transform(_ values: [Complex]) -> [Complex] {
    var convolved = zip(values, chirp).map { $0 * $1 }
    convolved += Array(repeating: .zero, count: padded.length - values.count)
    padded.transform(&convolved)
    for index in convolved.indices { convolved[index] = convolved[index] * spectrum[index] }
    padded.invert(&convolved)
    return zip(convolved, chirp).map { $0 * $1 }
  }
}
