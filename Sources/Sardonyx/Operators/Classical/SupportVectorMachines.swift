#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
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
    sumOfEight(left, right) { x, y in
      let differences = x - y
      return differences * differences
    }
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
    var interruption = Interruption()
    switch machine {
    case .linear(let functions):
      scores = try functions.scores(rows)
      let isPositive = functions.coefficients.allSatisfy { $0 >= 0 }
      for row in 0..<rows.count {
        if interruption.isDue(after: 50 &+ 10 &* functions.count) { try Interruption.check() }
        let range = row * functions.count..<(row + 1) * functions.count
        classes.append(Self.linearClass(scores[range], isPositive: isPositive))
        transform.apply(&scores, range)
      }
    case .duels(let duels):
      let results = try outputs.context.map(rows.count, cost: duels.vectors.count * rows.width) {
        duels.decide(rows.numbers.span.extracting(rows.range($0)), transform)
      }
      for result in results {
        if interruption.isDue(after: 50) { try Interruption.check() }
        classes.append(result.winner)
        scores += result.scores
      }
    }
    try labels.put(classes, outputs)
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
    case .linear(let functions): scores = try functions.scores(rows)
    case .vectors(let vectors, let weights, let rho):
      scores = try outputs.context.map(rows.count, cost: vectors.count * rows.width) {
        let kernels = vectors.compare(rows.numbers.span.extracting(rows.range($0)))
        return dot(kernels.span, weights.span) + rho
      }
    }
    var interruption = Interruption()
    for row in scores.indices {
      if interruption.isDue(after: 50) { return }
      transform.apply(&scores, row..<row + 1)
      if isOneClass { scores[row] = scores[row] > 0 ? 1 : -1 }
    }
    outputs[0].store(scores)
  }
}
