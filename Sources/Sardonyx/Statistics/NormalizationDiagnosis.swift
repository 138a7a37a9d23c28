/// What is suspicious about the BatchNormalizations of a model, from the file alone.
public struct NormalizationDiagnosis: Sendable {
  /// Something that is worth a look.
  public struct Finding: Sendable {
    /// How bad it is.
    public enum Severity: String, Sendable, Comparable {
      /// Worth knowing.
      case remark
      /// Likely a mistake.
      case warning
      /// Outputs are wrong or not numbers.
      case error

      /// In the order of how bad they are.
      public static func < (left: Severity, right: Severity) -> Bool {
        left != right && (left == .remark || right == .error)
      }
    }

    /// How bad it is.
    public let severity: Severity
    /// A word for the kind, such as `negative-variance`.
    public let kind: String
    /// The node's name.
    public let node: String
    /// The channels it is about; empty for the whole node.
    public let channels: [Int]
    /// What was found.
    public let text: String
    /// What to do about it.
    public let remedy: String
  }

  /// All findings, by node in the graph's order; bodies of If, Loop and Scan follow their node.
  public private(set) var findings: [Finding] = []
  /// How many BatchNormalizations were looked at.
  public private(set) var normalizationCount = 0

  /// Looks at all BatchNormalizations of a model.
  ///
  /// Parameters that nodes make of constants count as constants.
  public init(_ model: Model) {
    var graph = model.graph
    try? graph.apply(
      Planner.foldConstants(within: FoldingBudget(constantByteCount: graph.constantByteCount)))
    examine(graph)
  }

  private mutating func examine(_ graph: Graph) {
    let producers = graph.producers()
    let readers = graph.readers()
    for node in graph.nodes {
      for body in node.implementation.bodies { examine(body.graph) }
      guard let normalization = node.implementation as? BatchNormalization else { continue }
      normalizationCount += 1
      var patient = Patient(node, normalization, graph)
      patient.examineMode()
      patient.examineParameters()
      patient.examineNeighbours(producers, readers)
      findings += patient.findings
    }
  }
}

/// A BatchNormalization under examination.
private struct Patient {
  typealias Finding = NormalizationDiagnosis.Finding

  let node: Node
  let normalization: BatchNormalization
  let graph: Graph
  var findings: [Finding] = []

  init(_ node: Node, _ normalization: BatchNormalization, _ graph: Graph) {
    (self.node, self.normalization, self.graph) = (node, normalization, graph)
  }

  private mutating func find(
    _ severity: Finding.Severity, _ kind: String, _ channels: [Int] = [], _ text: String,
    _ remedy: String
  ) {
    findings.append(
      Finding(
        severity: severity, kind: kind, node: node.name, channels: channels, text: text,
        remedy: remedy))
  }

  // MARK: - Attributes

  mutating func examineMode() {
    if !normalization.isInference {
      find(
        .warning, "training-mode", [],
        "normalises with the statistics of its batch, as in training: an output depends on what else is in the batch",
        "export the model in evaluation mode (PyTorch: model.eval(); training_mode = 0)")
    }
    if !normalization.isSpatial {
      find(
        .remark, "not-spatial", [], "spatial = 0: every element has statistics of its own",
        "expected of models before operator set 9 only; others normalise channels")
    }
    let epsilon = normalization.epsilon
    if !(epsilon > 0) {
      find(
        .warning, "epsilon", [], "epsilon is \(epsilon)",
        "nothing keeps a channel of variance 0 from infinity; 1e-5 is usual")
    } else if epsilon > 1e-2 || epsilon < 1e-8 {
      find(
        .remark, "epsilon", [], "epsilon is \(epsilon), usual are 1e-5 and 1e-3",
        "check that it is what the model was trained with")
    } else if node.attributes["epsilon"] == nil {
      find(
        .remark, "epsilon", [], "epsilon is not given, so that 1e-5 counts",
        "check that it is what the model was trained with: TensorFlow and Keras use 1e-3")
    }
  }

  // MARK: - Parameters

  private static let names = ["X", "scale", "B", "mean", "var"]

  /// The numbers of a parameter that the file gives.
  private func numbers(_ index: Int) -> [Double]? {
    guard let id = node.inputs[index], let tensor = graph.stored(id), tensor.type.computed != nil,
      tensor.elementCount <= AxisPath.largestExtent
    else { return nil }
    return tensor.converted(to: Double.self)
  }

  mutating func examineParameters() {
    for index in 1...4 {
      guard let id = node.inputs[index] else { continue }
      let name = Self.names[index]
      if graph.defaults[id] != nil {
        find(
          .remark, "overridable", [],
          "\(name) is an input with a default, which a caller may override",
          "fold with the default, or take it out of the graph's inputs")
      } else if graph.inputs.contains(id) {
        find(
          .remark, "run-time", [],
          "\(name) is an input of the model, so that nothing can be folded",
          "make it an initializer if it is the same in each run")
      } else if graph.stored(id) == nil {
        find(
          .remark, "computed", [],
          "\(name) is computed while the model runs, so nothing can be folded",
          "make it an initializer if it is the same in each run")
      }
      if let bad = numbers(index)?.indices(where: { !$0.isFinite }), !bad.isEmpty {
        find(
          .error, "not-finite", bad, "\(name) holds NaN or infinity",
          "training has diverged, or the export is broken; train or export again")
      }
    }
    guard let scale = numbers(1), let shift = numbers(2), let mean = numbers(3),
      let variance = numbers(4),
      Set([scale.count, shift.count, mean.count, variance.count]).count == 1
    else { return }
    if normalization.isInference { examineStatistics(mean, variance) }
    examineFactors(scale, shift, variance)
  }

  private mutating func examineStatistics(_ mean: [Double], _ variance: [Double]) {
    let epsilon = normalization.epsilon
    let impossible = variance.indices { !($0 + epsilon > 0) && !$0.isNaN }
    if !impossible.isEmpty {
      find(
        .error, "negative-variance", impossible,
        "variance + epsilon is not positive, so that outputs are NaN or infinite",
        "a variance is never negative: look for swapped parameters or a broken export")
    }
    let negative = variance.indices { $0 < 0 && $0 + epsilon > 0 }
    if !negative.isEmpty {
      find(
        .warning, "negative-variance", negative, "the variance is negative",
        "a variance is never negative: look for swapped parameters or a broken export")
    }
    let zero = variance.indices { $0 == 0 }
    if !zero.isEmpty {
      find(
        .warning, "zero-variance", zero,
        "the variance is 0: the channel was the same number in all of training, and 1/√epsilon multiplies whatever differs now",
        "prune the channel, or recalibrate with data that move it")
    }
    if !mean.isEmpty, mean.allSatisfy({ $0 == 0 }), variance.allSatisfy({ $0 == 1 }) {
      find(
        .warning, "untrained", [], "all means are 0 and all variances 1, as before training",
        "statistics were never updated: train, or `sardonyx recalibrate` with real data")
    }
  }

  private mutating func examineFactors(_ scale: [Double], _ shift: [Double], _ variance: [Double]) {
    let epsilon = normalization.epsilon
    let factors = zip(scale, variance).map { $0 / ($1 + epsilon).squareRoot() }
    let large = factors.indices { abs($0) > 1e3 && $0.isFinite }
    if !large.isEmpty {
      let most = large.map { abs(factors[$0]) }.max() ?? 0
      find(
        .warning, "large-factor", large,
        "|scale / √(var + epsilon)| is up to \(Float(most)): errors and drift of the input grow as much",
        "look at what the channel sees; its variance was almost 0 in training")
    }
    let dead = scale.indices { $0 == 0 }
    if !dead.isEmpty {
      find(
        .warning, "dead-channel", dead, "scale is 0: the channel is a constant",
        "prune the channel: the weights that make it do nothing")
    }
    let faint = scale.indices.filter {
      scale[$0] != 0 && abs(scale[$0]) < abs(shift[$0]) * 0x1p-24
    }
    if !faint.isEmpty {
      find(
        .warning, "dead-channel", faint,
        "scale is so small beside B that a deviation of the input changes nothing in float32",
        "prune the channel: it is a constant in effect")
    }
    let tiny = factors.indices { $0 != 0 && abs($0) < Double(Float.leastNormalMagnitude) }
    if !tiny.isEmpty {
      find(
        .remark, "denormal-fold", tiny, "the folded factor is below the smallest normal float32",
        "prune the channel, or leave it unfolded")
    }
    examineFold(factors)
  }

  /// Whether the weights of the convolution before leave their type when they are multiplied.
  private mutating func examineFold(_ factors: [Double]) {
    guard let x = node.inputs[0],
      let conv = graph.nodes.first(where: { $0.outputs.first == x && $0.operatorName == "Conv" }),
      let weights = graph.constant(conv, 1), [.float, .float16].contains(weights.type),
      let layout = try? ChannelLayout(conv, weights.shape, channels: factors.count)
    else { return }
    let largest = layout.largestMagnitudes(weights, channelCount: factors.count)
    let limit = weights.type == .float ? Double(Float.greatestFiniteMagnitude) : 65504
    let overflowing = factors.indices.filter { channel in
      factors[channel].isFinite && largest[channel] * abs(factors[channel]) > limit
    }
    if !overflowing.isEmpty {
      find(
        .warning, "overflowing-fold", overflowing,
        "the weights of node \"\(conv.name)\" times the factor are beyond \(weights.type)",
        "leave it unfolded (--batchnorm unfolded), or use a wider type")
    }
  }

  // MARK: - Neighbours

  private static let activations: Set<String> = [
    "Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "Tanh", "HardSwish",
    "HardSigmoid", "Softplus", "Mish", "Gelu", "Swish",
  ]

  mutating func examineNeighbours(_ producers: [Int?], _ readers: Readers) {
    if let x = node.inputs[0], let maker = producers[x],
      Self.activations.contains(graph.nodes[maker].operatorName)
    {
      find(
        .remark, "behind-activation", [],
        "stands behind \(graph.nodes[maker].operatorName), so that it cannot go into the weights before it",
        "it may go into the next convolution's; before the activation it would cost nothing")
    }
    for index in 3...4 {
      guard let id = node.inputs[index], graph.stored(id) != nil, readers[id].count > 1,
        let numbers = numbers(index), numbers.contains(where: { $0 != 0 && $0 != 1 })
      else { continue }
      find(
        .warning, "shared-statistics", [],
        "\(Self.names[index]) is shared by \(readers[id].count) nodes, whose data can hardly be the same",
        "look at the export: each layer has running statistics of its own")
    }
  }
}

extension [Double] {
  /// Where numbers are as a condition wants them.
  fileprivate func indices(where condition: (Double) -> Bool) -> [Int] {
    indices.filter { condition(self[$0]) }
  }
}
