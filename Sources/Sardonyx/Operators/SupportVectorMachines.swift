#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif

/// Support vector machines of ai.onnx.ml.
let supportVectorMachines: OperatorFamily = [
  "SVMClassifier": SVMClassifier.init,
  "SVMRegressor": SVMRegressor.init,
]

/// Support vectors and the kernel that compares a row with them.
struct SupportVectors: Sendable {
  enum Kernel: String, CaseIterable {
    case linear = "LINEAR"
    case poly = "POLY"
    case rbf = "RBF"
    case sigmoid = "SIGMOID"
  }
  private let kernel: Kernel
  private let gamma: Double
  private let offset: Double
  private let degree: Double
  /// Row-major, a row for each vector.
  private let vectors: [Double]
  let count: Int
  let width: Int

  init(_ node: inout NodeReader, count: Int) throws(ModelError) {
    kernel = try node.choice("kernel_type", default: .linear)
    let parameters = try node.floats("kernel_params") ?? []
    guard parameters.isEmpty || parameters.count >= 3 else {
      throw node.invalid(
        "kernel_params", expected: "gamma, coef0 and degree", got: "\(parameters.count) values")
    }
    (gamma, offset, degree) =
      parameters.isEmpty
      ? (0, 0, 0) : (Double(parameters[0]), Double(parameters[1]), Double(parameters[2]))
    vectors = try node.doubles("support_vectors") ?? []
    guard vectors.count % count == 0 else {
      throw node.invalid(
        "support_vectors", expected: "as many values for each of \(count) vectors",
        got: vectors.count)
    }
    self.count = count
    width = vectors.count / count
  }

  /// K(row, vector) for each support vector.
  func compare(_ row: Span<Double>) -> [Double] {
    var results: [Double] = []
    results.reserveCapacity(count)
    for vector in 0..<count {
      results.append(compare(row, vectors.span.extracting(vector * width..<(vector + 1) * width)))
    }
    return results
  }

  private func compare(_ row: Span<Double>, _ vector: Span<Double>) -> Double {
    switch kernel {
    case .linear: dot(row, vector)
    case .poly: pow(gamma * dot(row, vector) + offset, degree)
    case .sigmoid: tanh(gamma * dot(row, vector) + offset)
    case .rbf: exp(-gamma * Self.squaredDistance(row, vector))
    }
  }

  private static func squaredDistance(_ left: Span<Double>, _ right: Span<Double>) -> Double {
    precondition(left.count == right.count)
    var sum = 0.0
    for index in left.indices {
      let difference = left[index] - right[index]
      sum += difference * difference
    }
    return sum
  }
}

/// The class that wins most duels of classes over the support vectors, or the highest linear score.
struct SVMClassifier: Operator {
  private enum Machine {
    case linear(LinearFunctions)
    case duels(Duels)
  }
  private let machine: Machine
  private let labels: ClassLabels
  private let transform: PostTransform

  init(_ node: inout NodeReader) throws(ModelError) {
    labels = try ClassLabels(&node, integers: "classlabels_ints", texts: "classlabels_strings")
    transform = try node.postTransform()
    let vectorsPerClass = try node.ints("vectors_per_class") ?? []
    if vectorsPerClass.contains(where: { $0 > 0 }) {
      machine = .duels(
        try Duels(&node, vectorsPerClass: vectorsPerClass, classes: labels.count))
    } else {
      node.ignore("kernel_type", "kernel_params", "support_vectors", "prob_a", "prob_b")
      machine = .linear(
        try LinearFunctions(&node, rho: "rho", count: max(labels.count, 1)))
    }
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let (width, scores) =
      switch machine {
      case .linear(let functions): (functions.width, functions.count)
      case .duels(let duels): (duels.vectors.width, duels.scoreCount)
      }
    let rows = try facts.rows(features: width)
    return [Fact(labels.elementType, [rows]), Fact(.float, [rows, scores])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let rows = try FeatureRows(inputs[0])
    var scores: [Double] = []
    var classes: [Int] = []
    switch machine {
    case .linear(let functions):
      scores = functions.scores(rows)
      let isPositive = functions.coefficients.allSatisfy { $0 >= 0 }
      for row in 0..<rows.count {
        let range = row * functions.count..<(row + 1) * functions.count
        classes.append(Self.linearClass(scores[range], isPositive: isPositive))
        transform.apply(&scores, range)
      }
    case .duels(let duels):
      let results = try outputs.context.map(rows.count, cost: duels.vectors.count * rows.width) {
        duels.decide(rows.numbers.span.extracting(rows.range($0)), transform)
      }
      for result in results {
        classes.append(result.winner)
        scores += result.scores
      }
    }
    labels.put(classes, outputs)
    if outputs.wants(1) { outputs[1].store(scores) }
  }

  /// The class of the highest score; of two classes, as in onnxruntime, the second wins as soon as
  /// any score is high enough.
  private static func linearClass(_ scores: ArraySlice<Double>, isPositive: Bool) -> Int {
    let best = scores.indexOfLargest
    guard scores.count <= 2 else { return best }
    let highest = scores[scores.startIndex + best]
    if isPositive && scores.count == 2 ? highest >= 0.5 : highest > 0 { return 1 }
    return scores.count == 2 ? best : 0
  }
}

extension LinearFunctions {
  /// The linear mode of a support vector machine, whose intercept is the first `rho` for all.
  init(_ node: inout NodeReader, rho: String, count: Int) throws(ModelError) {
    let coefficients = try node.doubles("coefficients") ?? []
    guard !coefficients.isEmpty, coefficients.count % count == 0 else {
      throw node.invalid(
        "coefficients", expected: "as many for each of \(count) scores", got: coefficients.count)
    }
    self.coefficients = coefficients
    self.count = count
    width = coefficients.count / count
    let intercept = try node.doubles(rho)?.first ?? 0
    intercepts = Array(repeating: intercept, count: count)
  }
}

/// The duels of each class with each: the sign of a weighted sum of kernel values decides.
private struct Duels: Sendable {
  let vectors: SupportVectors
  private let classes: Int
  /// Where the vectors of each class begin, and their end.
  private let starts: [Int]
  /// [classes - 1, vectors]: row c holds the weights of a class's vectors in the duel with class c,
  /// or with c + 1 from the class itself on.
  private let coefficients: [Double]
  private let rho: [Double]
  /// Platt's sigmoids, one for each duel, or none.
  private let sigmoids: [(slope: Double, offset: Double)]

  init(_ node: inout NodeReader, vectorsPerClass: [Int], classes: Int) throws(ModelError) {
    guard classes > 1, vectorsPerClass.count == classes,
      vectorsPerClass.allSatisfy({ (0...0x7fff_ffff).contains($0) })
    else {
      throw node.invalid(
        "vectors_per_class", expected: "a count for each of \(max(classes, 2)) classes",
        got: vectorsPerClass)
    }
    self.classes = classes
    starts = vectorsPerClass.reduce(into: [0]) { $0.append($0.last! + $1) }
    vectors = try SupportVectors(&node, count: starts.last!)
    coefficients = try node.doubles("coefficients", atLeast: (classes - 1) * vectors.count)
    let duels = classes * (classes - 1) / 2
    rho = try node.doubles("rho", atLeast: duels)
    guard node.has("prob_a") || node.has("prob_b") else {
      sigmoids = []
      return
    }
    let slopes = try node.doubles("prob_a", atLeast: 0)
    let offsets = try node.doubles("prob_b", atLeast: slopes.count)
    guard slopes.isEmpty || slopes.count >= duels else {
      throw node.invalid("prob_a", expected: "at least \(duels) values", got: slopes.count)
    }
    sigmoids = zip(slopes, offsets).map { (slope: $0, offset: $1) }
  }

  /// Scores of a row: a probability for each class, or a score for each duel, two if there is one.
  var scoreCount: Int {
    sigmoids.isEmpty && classes > 2 ? classes * (classes - 1) / 2 : classes
  }

  func decide(_ row: Span<Double>, _ transform: PostTransform) -> (winner: Int, scores: [Double]) {
    var (votes, scores) = duel(vectors.compare(row))
    let winner = votes.indexOfLargest
    if !sigmoids.isEmpty {
      scores = probabilities(scores)
    } else if classes == 2 {
      return (winner, transform.pair(scores[0], isProbability: transform != .none))
    }
    transform.apply(&scores, scores.indices)
    return (winner, scores)
  }

  private func duel(_ kernels: [Double]) -> (votes: [Double], scores: [Double]) {
    var votes = [Double](repeating: 0, count: classes)
    var scores: [Double] = []
    for first in 0..<classes {
      for second in first + 1..<classes {
        let sum =
          weigh(kernels, of: first, row: second - 1) + weigh(kernels, of: second, row: first)
          + rho[scores.count]
        votes[sum > 0 ? first : second] += 1
        scores.append(sum)
      }
    }
    return (votes, scores)
  }

  private func weigh(_ kernels: [Double], of owner: Int, row: Int) -> Double {
    let range = starts[owner]..<starts[owner + 1]
    let offset = row * vectors.count
    return dot(
      kernels.span.extracting(range),
      coefficients.span.extracting(offset + range.lowerBound..<offset + range.upperBound))
  }

  /// The probability of each class that agrees best with those of the duels.
  ///
  /// Wu, Lin and Weng: Probability estimates for multi-class classification by pairwise coupling
  /// (2004), algorithm 2: minimises pᵀQp over the simplex, one coordinate after the other.
  private func probabilities(_ scores: [Double]) -> [Double] {
    let q = coupling(scores)
    var p = [Double](repeating: 1 / Double(classes), count: classes)
    for _ in 0..<100 {
      var qp = (0..<classes).map { row in (0..<classes).reduce(0) { $0 + q[row][$1] * p[$1] } }
      var pqp = zip(p, qp).reduce(0) { $0 + $1.0 * $1.1 }
      if qp.allSatisfy({ abs($0 - pqp) < 0.005 / Double(classes) }) { break }
      for t in 0..<classes {
        let step = (pqp - qp[t]) / q[t][t]
        let scale = 1 / (1 + step)
        pqp = (pqp + step * (step * q[t][t] + 2 * qp[t])) * scale * scale
        p[t] += step
        for index in 0..<classes {
          qp[index] = (qp[index] + step * q[t][index]) * scale
          p[index] *= scale
        }
      }
    }
    return p
  }

  /// Q of the duels' probabilities r: Q[t][t] = Σ r[s][t]², Q[t][s] = -r[s][t] r[t][s].
  private func coupling(_ scores: [Double]) -> [[Double]] {
    var r = [[Double]](repeating: Array(repeating: 0, count: classes), count: classes)
    var index = 0
    for first in 0..<classes {
      for second in first + 1..<classes {
        let (slope, offset) = sigmoids[index]
        let probability = 1 - PostTransform.logistic(scores[index] * slope + offset)
        r[first][second] = min(max(probability, 1e-7), 1 - 1e-7)
        r[second][first] = 1 - r[first][second]
        index += 1
      }
    }
    return (0..<classes).map { t in
      (0..<classes).map { s in
        guard s == t else { return -r[s][t] * r[t][s] }
        return (0..<classes).reduce(0) { $0 + r[$1][t] * r[$1][t] }
      }
    }
  }
}

extension NodeReader {
  /// A list of floats of which the operator needs so many.
  fileprivate mutating func doubles(_ name: String, atLeast count: Int) throws(ModelError)
    -> [Double]
  {
    let values = try doubles(name) ?? []
    guard values.count >= count else {
      throw invalid(name, expected: "at least \(count) values", got: values.count)
    }
    return values
  }
}

/// A weighted sum of kernel values, or a linear function; for one class, its sign.
struct SVMRegressor: Operator {
  private enum Machine {
    case linear(LinearFunctions)
    case vectors(SupportVectors, weights: [Double], rho: Double)
  }
  private let machine: Machine
  private let isOneClass: Bool
  private let transform: PostTransform

  init(_ node: inout NodeReader) throws(ModelError) {
    isOneClass = try node.bool("one_class")
    transform = try node.postTransform()
    let supports = try node.int("n_supports", default: 0)
    if supports > 0 {
      let vectors = try SupportVectors(&node, count: supports)
      machine = .vectors(
        vectors, weights: Array(try node.doubles("coefficients", atLeast: supports)[..<supports]),
        rho: try node.doubles("rho")?.first ?? 0)
    } else {
      node.ignore("kernel_type", "kernel_params", "support_vectors")
      machine = .linear(try LinearFunctions(&node, rho: "rho", count: 1))
    }
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let width =
      switch machine {
      case .linear(let functions): functions.width
      case .vectors(let vectors, _, _): vectors.width
      }
    return [Fact(.float, [try facts.rows(features: width), 1])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let rows = try FeatureRows(inputs[0])
    var scores: [Double]
    switch machine {
    case .linear(let functions): scores = functions.scores(rows)
    case .vectors(let vectors, let weights, let rho):
      scores = try outputs.context.map(rows.count, cost: vectors.count * rows.width) {
        let kernels = vectors.compare(rows.numbers.span.extracting(rows.range($0)))
        return dot(kernels.span, weights.span) + rho
      }
    }
    for row in scores.indices { transform.apply(&scores, row..<row + 1) }
    if isOneClass { scores = scores.map { $0 > 0 ? 1 : -1 } }
    outputs[0].store(scores)
  }
}
