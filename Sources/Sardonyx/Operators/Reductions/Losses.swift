/// Losses of classifiers.
let losses: OperatorFamily = [
  "NegativeLogLikelihoodLoss": NegativeLogLikelihoodLoss.init,
  "SoftmaxCrossEntropyLoss": SoftmaxCrossEntropyLoss.init,
]

/// How a loss is made of the logarithms of probabilities N×C×places and the labels N×places:
/// -weight[label]·log p[label] for each place, and perhaps their sum or their weighted mean.
struct LikelihoodLoss: Sendable {
  private enum Reduction: String, CaseIterable { case none, sum, mean }

  private let reduction: Reduction
  /// A label that counts as nothing.
  private let ignored: Int?

  init(_ node: inout NodeReader) throws(ModelError) {
    reduction = try node.choice("reduction", default: .mean)
    ignored = try node.int("ignore_index", within: NodeReader.any)
  }

  /// The shape of the loss.
  func shape(_ inputs: Facts) throws(ModelError) -> Shape {
    let (x, target) = (try inputs.shape(0), try inputs.shape(1))
    guard x.count >= 2 else {
      throw .unexpected("rank of input", expected: "at least 2", got: "\(x.count)")
    }
    let expected = [x[0]] + x.dropFirst(2)
    guard target == expected else {
      throw .unexpected(
        "shape of target", expected: "[\(expected.joined)]", got: "[\(target.joined)]")
    }
    if inputs.has(2) {
      let weight = try inputs.shape(2)
      guard weight == [x[1]] else {
        throw .unexpected("shape of weight", expected: "[\(x[1])]", got: "[\(weight.joined)]")
      }
    }
    return reduction == .none ? expected : []
  }

  /// The loss, given the logarithms of the probabilities of input 0.
  func loss<T: RealNumber>(_ logarithms: [T], _ inputs: Inputs) throws(ModelError) -> [T] {
    let view = AxisBlock(inputs[0].shape, axis: 1)
    let weights: [Double]? = inputs.tensor(2)?.converted()
    var losses: [Double] = []
    var total = 0.0
    var interruption = Interruption()
    for (place, label) in inputs.integers(1).enumerated() {
      if interruption.isDue(after: 10) { try Interruption.check() }
      guard label != ignored else {
        losses.append(0)
        continue
      }
      guard label >= 0, label < view.count else {
        throw .unexpected("target", expected: "0 to \(view.count - 1)", got: "\(label)")
      }
      let weight = weights?[label] ?? 1
      let range = view.range(outer: place / view.inner, label)
      losses.append(-weight * logarithms[range.lowerBound + place % view.inner].asDouble)
      total += weight
    }
    switch reduction {
    case .none: return losses.map { T($0) }
    case .sum: return [T(losses.reduce(0, +))]
    case .mean: return [T(losses.reduce(0, +) / total)]
    }
  }
}

/// The loss of labels whose probabilities are given by their logarithms.
struct NegativeLogLikelihoodLoss: Operator {
  private let likelihood: LikelihoodLoss

  init(_ node: inout NodeReader) throws(ModelError) { likelihood = try LikelihoodLoss(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try likelihood.shape(inputs))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let logarithms: [T] = inputs[0].converted()
      outputs[0].store(try likelihood.loss(logarithms, inputs))
    }
    try compute(inputs[0].type.real)
  }
}

/// The loss of labels whose probabilities are the softmax of scores.
struct SoftmaxCrossEntropyLoss: Operator {
  private let likelihood: LikelihoodLoss

  init(_ node: inout NodeReader) throws(ModelError) { likelihood = try LikelihoodLoss(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let type = try inputs.type(0)
    return [Fact(type, try likelihood.shape(inputs)), Fact(type, try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let view = AxisBlock(inputs[0].shape, axis: 1)
      let logarithms: [T] = logSoftmax(inputs[0].converted(), view)
      if outputs.wants(0) { outputs[0].store(try likelihood.loss(logarithms, inputs)) }
      if outputs.wants(1) { outputs[1].store(logarithms) }
    }
    try compute(inputs[0].type.real)
  }

  private func logSoftmax<T: RealNumber>(_ x: [T], _ view: AxisBlock) -> [T] {
    var y = [T](zerosUntilDue: x.count)
    view.forEachLine { first in
      let places = stride(from: first, to: first + view.count * view.inner, by: view.inner)
      let maximum = places.reduce(-Double.infinity) { max($0, x[$1].asDouble) }
      let sum = places.reduce(0.0) { $0 + (x[$1].asDouble - maximum).exponential }
      for place in places {
        y[place] = T(converting: x[place].asDouble - maximum - sum.logarithm)
      }
    }
    return y
  }
}
