/// Linear models of ai.onnx.ml.
let linearModels: OperatorFamily = [
  "LinearClassifier": LinearClassifier.init,
  "LinearRegressor": LinearRegressor.init,
]

/// Scores of linear functions of the features, one function a class or target.
struct LinearFunctions: Sendable {
  /// Row-major, a row for each function.
  let coefficients: [Double]
  /// One for each function, or none.
  let intercepts: [Double]
  let count: Int
  let width: Int

  init(_ node: inout NodeReader, count: Int?) throws(ModelError) {
    coefficients = try node.doubles("coefficients") ?? []
    intercepts = try node.doubles("intercepts") ?? []
    self.count = count ?? max(intercepts.count, 1)
    guard !coefficients.isEmpty, self.count > 0, coefficients.count % self.count == 0 else {
      throw node.invalid(
        "coefficients", expected: "as many for each of \(self.count) scores",
        got: coefficients.count)
    }
    guard intercepts.isEmpty || intercepts.count == self.count else {
      throw node.invalid("intercepts", expected: "\(self.count) or none", got: intercepts.count)
    }
    width = coefficients.count / self.count
  }

  /// The number of rows of X; a row may have fewer features than there are coefficients.
  func rows(_ facts: Facts) throws(ModelError) -> Int {
    let (count, features) = try FeatureRows.extents(facts.shape(0))
    guard features <= width else {
      throw .unexpected("features of X", expected: "\(width)", got: "\(features)")
    }
    return count
  }

  /// The scores of all rows, row-major.
  ///
  /// Coefficients are taken in rows as long as those of X, and any left over are not read: models
  /// made for onnxruntime rely on it.
  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end.
  func scores(_ rows: FeatureRows) throws(ModelError) -> [Double] {
    Interruption.expect(rows.count * count, Double.self)
    var scores: [Double] = []
    scores.reserveCapacity(rows.count * count)
    var interruption = Interruption()
    for row in 0..<rows.count {
      for function in 0..<count {
        if interruption.isDue(after: 20 &+ rows.width) { try Interruption.check() }
        let product = dot(
          rows.numbers.span.extracting(rows.range(row)),
          coefficients.span.extracting(function * rows.width..<(function + 1) * rows.width))
        scores.append(product + (intercepts.isEmpty ? 0 : intercepts[function]))
      }
    }
    return scores
  }
}

/// The sum of products of two vectors of the same length.
func dot(_ left: Span<Double>, _ right: Span<Double>) -> Double {
  sumOfEight(left, right) { $0 * $1 }
}

/// The sum of what a function makes of the numbers of two vectors of the same length: eight sums side by
/// side, added up with the rest of the vectors, filled up with zeros, last.
@inline(__always)
func sumOfEight(
  _ left: Span<Double>, _ right: Span<Double>,
  _ function: (SIMD8<Double>, SIMD8<Double>) -> SIMD8<Double>
) -> Double {
  precondition(left.count == right.count)
  return unsafe left.withUnsafeBytes { left in
    unsafe right.withUnsafeBytes { right in
      let lane = MemoryLayout<Double>.stride
      let wide = 8 * lane
      var sums = SIMD8<Double>.zero
      var offset = 0
      while offset + wide <= left.count {
        sums += unsafe function(
          left.loadUnaligned(fromByteOffset: offset, as: SIMD8<Double>.self),
          right.loadUnaligned(fromByteOffset: offset, as: SIMD8<Double>.self))
        offset += wide
      }
      var (x, y) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
      for index in 0..<(left.count - offset) / lane {
        x[index] = unsafe left.loadUnaligned(
          fromByteOffset: offset + index * lane, as: Double.self)
        y[index] = unsafe right.loadUnaligned(
          fromByteOffset: offset + index * lane, as: Double.self)
      }
      return (sums + function(x, y)).sum()
    }
  }
}

extension Collection<Double> {
  /// The position of the largest element, the first of equals; 0 where all are NaN.
  var indexOfLargest: Int {
    var best = (position: 0, value: -Double.infinity)
    for (position, value) in enumerated() where value > best.value { best = (position, value) }
    return best.position
  }
}

/// The class of the highest linear score, or of the sign of a single one.
struct LinearClassifier: Operator {
  private let functions: LinearFunctions
  private let labels: ClassLabels
  private let transform: PostTransform

  init(_ node: inout NodeReader) throws(ModelError) {
    labels = try ClassLabels(&node, integers: "classlabels_ints", texts: "classlabels_strings")
    // Without intercepts only the labels tell how many scores there are.
    let hasIntercepts = !(try node.floats("intercepts") ?? []).isEmpty
    functions = try LinearFunctions(&node, count: hasIntercepts ? nil : max(labels.count, 1))
    transform = try node.postTransform()
    node.ignore("multi_class")
    guard functions.count == 1 || functions.count == labels.count else {
      throw node.invalid(
        "coefficients", expected: "scores for \(labels.count) classes", got: functions.count)
    }
  }

  /// Whether a single score tells two classes apart.
  private var isPair: Bool { functions.count == 1 && labels.count == 2 }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let rows = try functions.rows(facts)
    return [
      Fact(labels.elementType, [rows]), Fact(.float, [rows, isPair ? 2 : functions.count]),
    ]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let rows = try FeatureRows(inputs[0])
    let raw = try functions.scores(rows)
    var scores: [Double] = []
    var classes: [Int] = []
    var interruption = Interruption()
    for row in 0..<rows.count {
      if interruption.isDue(after: 100 &+ 20 &* functions.count) { try Interruption.check() }
      let own = raw[row * functions.count..<(row + 1) * functions.count]
      classes.append(functions.count == 1 ? (own.first! > 0 ? 1 : 0) : own.indexOfLargest)
      if isPair {
        scores += transform.pair(own.first!, isProbability: true)
      } else {
        scores += own
        transform.apply(&scores, scores.count - own.count..<scores.count)
      }
    }
    try labels.put(classes, outputs)
    if outputs.wants(1) { outputs[1].store(scores) }
  }
}

/// Linear scores, one for each target.
struct LinearRegressor: Operator {
  private let functions: LinearFunctions
  private let transform: PostTransform

  init(_ node: inout NodeReader) throws(ModelError) {
    functions = try LinearFunctions(&node, count: try node.int("targets", default: 1))
    transform = try node.postTransform()
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    [Fact(.float, [try functions.rows(facts), functions.count])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let rows = try FeatureRows(inputs[0])
    var scores = try functions.scores(rows)
    var interruption = Interruption()
    for row in 0..<rows.count {
      if interruption.isDue(after: 20 &+ 20 &* functions.count) { return }
      transform.apply(&scores, row * functions.count..<(row + 1) * functions.count)
    }
    outputs[0].store(scores)
  }
}
