/// The discrete Fourier transform of one length: yₖ = Σ xₙ·e^(-2πi·kn/N).
///
/// The length is cut into small factors, one pass each (Cooley and Tukey); where it has a large prime
/// factor, the transform becomes a convolution, done with a power of two (Bluestein).
struct FourierTransform<T: RealNumber>: Sendable {
  let length: Int
  private var factors: [Int] = []
  /// e^(-2πi·k/N) for k < N.
  private var roots: [Complex<T>] = []
  private var convolution: Bluestein?

  /// The cost of a pass grows with the square of its factor.
  private static var largestFactor: Int { 31 }

  init(length: Int) {
    precondition(length > 0)
    self.length = length
    factors = Self.factors(of: length)
    if factors.allSatisfy({ $0 <= Self.largestFactor }) {
      roots = Interruption.map(length, cost: 40) { Complex(turn: $0, of: length) }
      // A transform that has not all its roots leaves what it is given as it is.
    } else {
      convolution = Bluestein(length)
    }
  }

  /// 4 as often as it goes, then 2, then odd primes.
  static func factors(of length: Int) -> [Int] {
    var rest = length
    var factors: [Int] = []
    func split(off factor: Int) {
      while rest % factor == 0 {
        factors.append(factor)
        rest /= factor
      }
    }
    split(off: 4)
    split(off: 2)
    var odd = 3
    while odd * odd <= rest {
      split(off: odd)
      odd += 2
    }
    return rest > 1 ? factors + [rest] : factors
  }

  /// Transforms `values`, which are as many as the length.
  func transform(_ values: inout [Complex<T>]) {
    precondition(values.count == length)
    if Interruption.isDue { return }
    if let convolution {
      values = convolution.transform(values.map(Complex<Double>.init)).map(Complex.init)
      return
    }
    var turned = values
    var done = 1
    for factor in factors {
      TransformPass(factor: factor, groups: done, roots: roots).run(values, into: &turned)
      swap(&values, &turned)
      done *= factor
    }
  }

  /// The inverse, xₙ = Σ yₖ·e^(2πi·kn/N) / N.
  func invert(_ values: inout [Complex<T>]) {
    for index in values.indices { values[index] = values[index].swapped }
    transform(&values)
    let scale = 1 / T(converting: Int64(length))
    for index in values.indices {
      let value = values[index].swapped
      values[index] = Complex(value.real * scale, value.imaginary * scale)
    }
  }
}

/// One pass: transforms of `factor` values that lie N / (groups · factor) places apart.
private struct TransformPass<T: RealNumber> {
  let factor: Int
  /// The product of the factors of the passes before.
  let groups: Int
  let roots: [Complex<T>]

  func run(_ values: [Complex<T>], into result: inout [Complex<T>]) {
    let width = values.count / (groups * factor)
    var parts = [Complex<T>](repeating: .zero, count: factor)
    var interruption = Interruption()
    for group in 0..<groups {
      for place in 0..<width {
        if interruption.isDue(after: 20 * factor) { return }
        for part in 0..<factor {
          parts[part] = values[place + width * (part + factor * group)]
        }
        transform(&parts)
        for part in 0..<factor {
          // Where the turn is none, multiplying by 1 + 0i would only cost time.
          let turned =
            place == 0 || part == 0 ? parts[part] : parts[part] * roots[part * place * groups]
          result[place + width * (group + groups * part)] = turned
        }
      }
    }
  }

  private func transform(_ x: inout [Complex<T>]) {
    switch factor {
    case 2: x = [x[0] + x[1], x[0] - x[1]]
    case 4:
      let (even, oddEven) = (x[0] + x[2], x[0] - x[2])
      let (odd, oddOdd) = (x[1] + x[3], (x[1] - x[3]).turnedBack)
      x[0] = even + odd
      x[1] = oddEven + oddOdd
      x[2] = even - odd
      x[3] = oddEven - oddOdd
    default: transformOdd(&x)
    }
  }

  /// Values j and p - j are turned by conjugate roots: their sum and difference serve outputs k and
  /// p - k alike.
  private func transformOdd(_ x: inout [Complex<T>]) {
    let half = factor / 2
    let step = roots.count / factor
    let sums = (1...half).map { x[$0] + x[factor - $0] }
    let differences = (1...half).map { x[$0] - x[factor - $0] }
    let first = x[0]
    x[0] = sums.reduce(first, +)
    var interruption = Interruption()
    for output in 1...half {
      if interruption.isDue(after: 5 * half) { return }
      var (even, odd) = (first, Complex<T>.zero)
      for index in 1...half {
        let root = roots[output * index % factor * step]
        let (sum, difference) = (sums[index - 1], differences[index - 1])
        even = even + Complex(root.real * sum.real, root.real * sum.imaginary)
        odd =
          odd + Complex(-root.imaginary * difference.imaginary, root.imaginary * difference.real)
      }
      x[output] = even + odd
      x[factor - output] = even - odd
    }
  }
}

/// kn = (k² + n² - (k - n)²) / 2 makes the transform a convolution with the chirp e^(-πi·n²/N).
private final class Bluestein: Sendable {
  private let chirp: [Complex<Double>]
  private let padded: FourierTransform<Double>
  /// The transform of the conjugate chirp, at places n and -n.
  private let spectrum: [Complex<Double>]

  init(_ length: Int) {
    // n² modulo 2N keeps the angle small, and so exact.
    let chirp = Interruption.map(length, cost: 40) {
      Complex<Double>(turn: $0 * $0 % (2 * length), of: 2 * length)
    }
    var size = 1
    guard chirp.count == length else {
      // The run is to end, and no transform will be asked for.
      (self.chirp, padded, spectrum) = (chirp, FourierTransform<Double>(length: 1), [])
      return
    }
    while size < 2 * length - 1 { size *= 2 }
    let padded = FourierTransform<Double>(length: size)
    var spectrum = [Complex<Double>](repeating: .zero, count: size)
    for index in chirp.indices {
      spectrum[index] = chirp[index].conjugate
      spectrum[(size - index) % size] = chirp[index].conjugate
    }
    padded.transform(&spectrum)
    self.chirp = chirp
    self.padded = padded
    self.spectrum = spectrum
  }

  func transform(_ values: [Complex<Double>]) -> [Complex<Double>] {
    if spectrum.isEmpty { return values }
    var convolved = zip(values, chirp).map { $0 * $1 }
    convolved += Array(repeating: .zero, count: padded.length - values.count)
    padded.transform(&convolved)
    for index in convolved.indices { convolved[index] = convolved[index] * spectrum[index] }
    padded.invert(&convolved)
    return zip(convolved, chirp).map { $0 * $1 }
  }
}
