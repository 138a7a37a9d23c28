#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// What becomes of the scores of a classical model before they leave it.
///
/// Cases stand in the order of the numbers that TreeEnsemble writes for them.
enum PostTransform: String, Sendable, CaseIterable {
  case none = "NONE"
  case softmax = "SOFTMAX"
  case logistic = "LOGISTIC"
  case softmaxZero = "SOFTMAX_ZERO"
  case probit = "PROBIT"

  /// Transforms one row of scores in place.
  func apply(_ scores: inout [Double], _ row: Range<Int>) {
    unsafe scores.withUnsafeMutableBufferPointer {
      unsafe apply(UnsafeMutableBufferPointer(rebasing: $0[row]))
    }
  }

  /// Transforms one row of scores in place.
  ///
  /// The specification does not say what becomes of a row of a single score; as in onnxruntime,
  /// only PROBIT changes it.
  func apply(_ row: UnsafeMutableBufferPointer<Double>) {
    switch self {
    case .none: break
    case .probit: for index in row.indices { unsafe row[index] = Self.probit(row[index]) }
    case _ where row.count == 1: break
    case .logistic: for index in row.indices { unsafe row[index] = Self.logistic(row[index]) }
    case .softmax: unsafe Self.softmax(row) { _ in false }
    case .softmaxZero: unsafe Self.softmax(row) { abs($0) <= 1e-7 }
    }
  }

  /// The scores of both classes where a model has a score for the positive one alone.
  /// - Parameter isProbability: whether the score is a probability, so that the other is 1 - score.
  func pair(_ score: Double, isProbability: Bool) -> [Double] {
    let (negative, positive) = both(score, isProbability: isProbability)
    return [negative, positive]
  }

  /// The same without an array.
  func both(_ score: Double, isProbability: Bool) -> (negative: Double, positive: Double) {
    switch self {
    case .logistic: (Self.logistic(-score), Self.logistic(score))
    case .probit: (Self.probit(1 - score), Self.probit(score))
    case .none, .softmax, .softmaxZero: (isProbability ? 1 - score : -score, score)
    }
  }

  static func logistic(_ score: Double) -> Double {
    // The exponential of a negative number cannot overflow, and nothing cancels.
    let small = exp(-abs(score))
    return (score < 0 ? small : 1) / (1 + small)
  }

  /// The quantile of the normal distribution, by Winitzki's approximation of the inverse error
  /// function, which all implementations share.
  static func probit(_ probability: Double) -> Double {
    let x = 2 * probability - 1
    let a = 0.147
    let logarithm = log((1 - x) * (1 + x))
    let half = 2 / (Double.pi * a) + logarithm / 2
    let magnitude = (-half + (half * half - logarithm / a).squareRoot()).squareRoot()
    return 2.0.squareRoot() * (x < 0 ? -magnitude : magnitude)
  }

  /// exp(x - max) over its sum; scores to skip become 0 and do not count.
  private static func softmax(
    _ row: UnsafeMutableBufferPointer<Double>, skip: (Double) -> Bool
  ) {
    let largest = unsafe row.max() ?? 0
    var sum = 0.0
    for index in row.indices {
      unsafe row[index] = skip(row[index]) ? 0 : exp(row[index] - largest)
      unsafe sum += row[index]
    }
    for index in row.indices { unsafe row[index] = sum == 0 ? 0.5 : row[index] / sum }
  }
}

extension NodeReader {
  /// The attribute `post_transform`, a name.
  mutating func postTransform() throws(ModelError) -> PostTransform {
    try choice("post_transform", default: .none)
  }

  /// A list of floats as doubles.
  mutating func doubles(_ name: String) throws(ModelError) -> [Double]? {
    try floats(name)?.map { Double($0) }
  }
}
