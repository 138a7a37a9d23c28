/// The duels of each class with each: the sign of a weighted sum of kernel values decides.
struct Duels: Sendable {
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
        let probability = PostTransform.logistic(-(scores[index] * slope + offset))
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
  mutating func doubles(_ name: String, atLeast count: Int) throws(ModelError)
    -> [Double]
  {
    let values = try doubles(name) ?? []
    guard values.count >= count else {
      throw invalid(name, expected: "at least \(count) values", got: values.count)
    }
    return values
  }
}
