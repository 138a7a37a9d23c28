#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// How far a value is from its reference.
public struct Metrics: Sendable, Equatable {
  /// The largest |x − y|; infinite where one is NaN or infinite and the other is not the same.
  public var maxAbsolute = 0.0
  /// The largest finite |y| of the reference.
  public var magnitude = 0.0
  /// The root of the mean of (x − y)².
  public var rms = 0.0
  /// The cosine of the angle between x and y; 1 where both are all zero.
  public var cosine = 1.0
  /// The largest distance in units in the last place of the element type; nil for other types than
  /// float and double.
  public var ulp: UInt64?

  /// How many numbers of the reference are NaN or infinite, of which nothing but that can be compared.
  public var indefiniteCount = 0

  /// ``maxAbsolute`` relative to ``magnitude``.
  public var relative: Double {
    maxAbsolute == 0 ? 0 : magnitude == 0 ? .infinity : maxAbsolute / magnitude
  }

  /// Measures numbers against their reference; the counts must be equal.
  init(_ numbers: [Double], reference: [Double]) {
    var squares = 0.0
    var dot = 0.0
    var norms = (0.0, 0.0)
    for (x, y) in zip(numbers, reference) {
      if y.isFinite { magnitude = max(magnitude, abs(y)) } else { indefiniteCount += 1 }
      guard x != y, !(x.isNaN && y.isNaN) else {
        if y.isFinite { accumulate(x, y, &dot, &norms) }
        continue
      }
      guard x.isFinite, y.isFinite else {
        maxAbsolute = .infinity
        continue
      }
      maxAbsolute = max(maxAbsolute, abs(x - y))
      squares += (x - y) * (x - y)
      accumulate(x, y, &dot, &norms)
    }
    rms = reference.isEmpty ? 0 : (squares / Double(reference.count)).squareRoot()
    let product = norms.0.squareRoot() * norms.1.squareRoot()
    cosine = product > 0 ? dot / product : norms.0 == norms.1 ? 1 : 0
  }

  private func accumulate(
    _ x: Double, _ y: Double, _ dot: inout Double, _ norms: inout (Double, Double)
  ) {
    dot += x * y
    norms.0 += x * x
    norms.1 += y * y
  }

  /// Measures a tensor against its reference.
  /// - Returns: nil where type or shape differ, or the elements are not numbers.
  init?(_ tensor: Tensor, reference: Tensor) {
    guard tensor.shape == reference.shape, tensor.type == reference.type,
      tensor.type.computed != nil
    else { return nil }
    self.init(tensor.converted(), reference: reference.converted())
    switch tensor.type {
    case .float:
      ulp = Self.largestDistance(tensor.array(of: Float.self), reference.array(of: Float.self)) {
        Self.order(Int64(Int32(bitPattern: $0.bitPattern)), Int64(Int32.min))
      }
    case .double:
      ulp = Self.largestDistance(tensor.array(of: Double.self), reference.array(of: Double.self)) {
        Self.order(Int64(bitPattern: $0.bitPattern), Int64.min)
      }
    default: break
    }
  }

  /// Maps the bits of a floating-point number to integers in the order of the numbers.
  private static func order(_ bits: Int64, _ lowest: Int64) -> Int64 {
    bits < 0 ? lowest &- bits : bits
  }

  private static func largestDistance<T: BinaryFloatingPoint>(
    _ numbers: [T], _ reference: [T], _ rank: (T) -> Int64
  ) -> UInt64 {
    var largest: UInt64 = 0
    for (x, y) in zip(numbers, reference) where !(x.isNaN && y.isNaN) {
      let (left, right) = (rank(x), rank(y))
      largest = max(
        largest,
        left > right ? UInt64(bitPattern: left &- right) : UInt64(bitPattern: right &- left))
    }
    return largest
  }
}
