/// Folded and as written against the same model in double: which of the two is nearer the truth.
public struct OracleComparison: Sendable {
  /// What a run folded and one as written are away from the truth at one value.
  public struct Entry: Sendable {
    /// The value's name in the model.
    public let name: String
    /// The operator that makes it in the model as written.
    public let operatorName: String
    /// Against double; nil where folding left no value of that name.
    public let folded: Metrics?
    /// Against double.
    public let written: Metrics?
    /// Of the folded model: how far its channels, those of axis 1, are from the truth at most.
    public let channels: [Double]
    /// Of the folded model: how many differences lie in each decade, the first for none, the next for
    /// up to 1e-16 of the largest magnitude, the last for 1e-1 and more.
    public let histogram: [Int]
    /// Numbers of the folded model that are no numbers or infinite, where those of double are finite.
    public let brokenCount: Int
    /// Numbers of the folded model that are denormal.
    public let denormalCount: Int

    /// How many times the folded error is as large as that of the model as written; nil where one is not
    /// known or both are none.
    public var ratio: Double? {
      guard let folded, let written, written.maxAbsolute > 0 || folded.maxAbsolute > 0 else {
        return nil
      }
      return folded.maxAbsolute / written.maxAbsolute
    }
  }

  /// A fold by itself: what its nodes make of inputs that are given, against the same in double.
  public struct Fold: Sendable {
    /// The node that reads the folded weights.
    public let node: String
    /// The value that it makes.
    public let value: String
    /// By how much its sums may be wrong, in any order of summation, for these inputs.
    public let bound: Double
    /// By how much they are.
    public let error: Double
    /// The largest magnitude of its results.
    public let magnitude: Double
  }

  /// What an output's rows, scores of classes, say of the largest ones.
  public struct Decision: Sendable {
    /// The output.
    public let name: String
    /// Rows of scores.
    public let rowCount: Int
    /// Rows whose class is the same folded and in double.
    public let agreeing: Int
    /// Rows whose best five classes are the same, in any order; all where there are no more than five.
    public let agreeingAmongFive: Int
    /// The least distance of the best score from the next, in double.
    public let margin: Double
    /// The largest error folded: a margin of more than twice as much cannot be turned.
    public let error: Double

    /// Whether no error of this size could have changed a class.
    public var isSafe: Bool { margin > 2 * error }
  }

  /// The values that both compute, in the order of the model as written.
  public let layers: [Entry]
  /// The outputs of the model.
  public let outputs: [Entry]
  /// The nodes with folded weights.
  public let folds: [Fold]
  /// Outputs that look like scores of classes.
  public let decisions: [Decision]

  /// The least relative tolerance that all outputs pass, folded against as written.
  public let leastTolerance: Double

  /// Runs a model three ways on the same inputs, two plans at a time.
  /// - Throws: ``ModelError`` of a run; unsupported where an operator has no numbers of double precision.
  public init(
    _ model: Model, inputs: [String: Value], options: Session.Options = Session.Options()
  ) throws(ModelError) {
    let double = try model.inDouble()
    let truth = try Session(double, options: options.asWritten)
    let wide = inputs.mapValues(\.inDouble)
    let folded = try Self.walk(
      Session(model, options: options.keepingLayers), truth, inputs, wide)
    let written = try Self.walk(
      Session(model, options: options.asWritten), truth, inputs, wide)
    let outputs = Set(model.outputs.map(\.name))
    let entries = written.order.map { name in
      let (own, other) = (folded.records[name], written.records[name]!)
      return Entry(
        name: name, operatorName: other.operatorName, folded: own?.metrics,
        written: other.metrics, channels: own?.channels ?? [], histogram: own?.histogram ?? [],
        brokenCount: own?.brokenCount ?? 0, denormalCount: own?.denormalCount ?? 0)
    }
    layers = entries.filter { !outputs.contains($0.name) }
    self.outputs = entries.filter { outputs.contains($0.name) }
    decisions = model.outputs.compactMap { folded.records[$0.name]?.decision }
    folds = try FoldBounds(model, double, inputs, options).folds
    let direct = try Comparison(model, inputs: inputs, options: options)
    leastTolerance = direct.outputs.reduce(0) { max($0, $1.metrics?.relative ?? .infinity) }
  }

  /// What is kept of a value.
  fileprivate struct Record {
    let operatorName: String
    let metrics: Metrics
    var channels: [Double] = []
    var histogram: [Int] = []
    var brokenCount = 0
    var denormalCount = 0
    var decision: Decision?
  }

  private static func walk(
    _ session: Session, _ truth: Session, _ inputs: [String: Value], _ wide: [String: Value]
  ) throws(ModelError) -> (order: [String], records: [String: Record]) {
    var first = try session.executor(inputs)
    defer { first.finish() }
    var second = try truth.executor(wide)
    defer { second.finish() }
    var order: [String] = []
    var records: [String: Record] = [:]
    var lockStep = LockStep(
      first.plan, second.plan, Comparison.Tolerance(), recording: true)
    let outputs = Set(truth.graph.outputs.map { truth.graph.values[$0].name })
    lockStep.visit = { name, operatorName, value, reference in
      guard case .tensor(let found) = value.inDouble, case .tensor(let expected) = reference,
        found.shape == expected.shape, found.type == .double, expected.type == .double
      else { return }
      let (numbers, reference) = (found.array(of: Double.self), expected.array(of: Double.self))
      order.append(name)
      var record = Record(
        operatorName: operatorName, metrics: Metrics(numbers, reference: reference))
      record.look(at: numbers, reference, found.shape)
      if value.tensor?.type == .float {
        let single = value.tensor!.array(of: Float.self)
        record.denormalCount = single.count { $0.isSubnormal }
      }
      if outputs.contains(name) { record.decide(name, numbers, reference, found.shape) }
      records[name] = record
    }
    try lockStep.run(&first, &second)
    return (order, records)
  }
}

extension OracleComparison.Record {
  mutating func look(at numbers: [Double], _ reference: [Double], _ shape: Shape) {
    let channelCount = shape.count > 1 ? shape[1] : 1
    let inner = shape.dropFirst(2).reduce(1, *)
    channels = [Double](repeating: 0, count: channelCount)
    histogram = [Int](repeating: 0, count: 18)
    let scale = metrics.magnitude > 0 ? metrics.magnitude : 1
    for index in numbers.indices {
      guard numbers[index].isFinite else {
        if reference[index].isFinite { brokenCount += 1 }
        continue
      }
      let difference = abs(numbers[index] - reference[index])
      guard difference.isFinite else { continue }
      let channel = index / inner % channelCount
      channels[channel] = max(channels[channel], difference)
      // The exponent of two times log10(2) is the decade.
      let decade =
        difference == 0 ? 0 : min(17, max(1, 17 + Int((difference / scale).decade.rounded(.up))))
      histogram[decade] += 1
    }
  }

  mutating func decide(
    _ name: String, _ numbers: [Double], _ reference: [Double], _ shape: Shape
  ) {
    guard shape.count == 2, shape[1] > 1, shape[0] > 0 else { return }
    var (agreeing, agreeingAmongFive, margin) = (0, 0, Double.infinity)
    for row in 0..<shape[0] {
      let range = row * shape[1]..<(row + 1) * shape[1]
      func best(_ numbers: ArraySlice<Double>) -> [Int] {
        numbers.indices.sorted { numbers[$0] > numbers[$1] }.map { $0 - range.lowerBound }
      }
      let (own, other) = (best(numbers[range]), best(reference[range]))
      if own[0] == other[0] { agreeing += 1 }
      if Set(own.prefix(5)) == Set(other.prefix(5)) { agreeingAmongFive += 1 }
      margin = min(
        margin,
        reference[range.lowerBound + other[0]] - reference[range.lowerBound + other[1]])
    }
    decision = OracleComparison.Decision(
      name: name, rowCount: shape[0], agreeing: agreeing, agreeingAmongFive: agreeingAmongFive,
      margin: margin, error: metrics.maxAbsolute)
  }
}

extension Double {
  /// The logarithm of base 10 of a positive number, near enough for a decade.
  fileprivate var decade: Double {
    Double(exponent) * 0.301029995663981195 + (significand - 1) * 0.301029995663981195
  }
}

/// Runs a folded model step by step, and each node with folded weights in double on the same inputs too.
private struct FoldBounds {
  private(set) var folds: [OracleComparison.Fold] = []

  init(
    _ model: Model, _ double: Model, _ inputs: [String: Value], _ options: Session.Options
  ) throws(ModelError) {
    func folded(_ model: Model) throws(ModelError) -> Graph {
      try FoldedModel(
        model, timeLimit: options.timeLimit, memoryLimit: options.memoryLimit
      ).graph
    }
    let (single, truth) = (try folded(model), try folded(double))
    let exact = Dictionary(
      truth.nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let binding = try InputBinding(inputs, single)
    let context = RunContext(crew: Crew(threads: 1))
    let plan = try Plan(single, inputs: try binding.checkedFacts().map(\.withoutValue))
    var executor = try Executor(plan, context)
    defer { executor.finish() }
    executor.begin(binding.values)
    while executor.position < plan.steps.count {
      let node = single.nodes[plan.steps[executor.position].node]
      var x: Tensor?
      if single.isFolded(node), let id = node.inputs.first ?? nil { x = executor.value(id)?.tensor }
      guard let made = try executor.advance() else { break }
      guard let x, let other = exact[node.name], other.operatorName == node.operatorName,
        let result = made.first?.value.tensor
      else { continue }
      try measure(node, single, other, truth, x, result, context)
    }
  }

  private mutating func measure(
    _ node: Node, _ single: Graph, _ other: Node, _ truth: Graph, _ x: Tensor, _ result: Tensor,
    _ context: RunContext
  ) throws(ModelError) {
    let operands = other.inputs.dropFirst().map { id in
      id.flatMap { truth.values[$0].constant }.map { Value.tensor($0.inDouble) }
    }
    guard zip(other.inputs.dropFirst(), operands).allSatisfy({ ($0 == nil) == ($1 == nil) }),
      let expected = try other.evaluate([.tensor(x.inDouble)] + operands, context: context)
        .first??.tensor
    else { return }
    // The same sums of magnitudes, without a bias: what roundings may come to.
    let magnitudes = (x.inDouble.magnitudes, operands.first.flatMap { $0?.tensor?.magnitudes })
    guard let weights = magnitudes.1, let folded = single.constant(node, 1) else { return }
    var plain = other
    plain.inputs = Array(other.inputs.prefix(2))
    try plain.remake()
    guard
      let sums = try plain.evaluate(
        [.tensor(magnitudes.0), .tensor(weights)], context: context
      ).first??.tensor
    else { return }
    let unit = folded.type.roundingUnit
    let count = Double(node.termCount(folded.shape) + 3)
    let gamma = count * unit / (1 - count * unit)
    let (found, exact) = (result.converted(to: Double.self), expected.converted(to: Double.self))
    let bias = operands.dropFirst().first.flatMap { $0?.tensor?.converted(to: Double.self) } ?? []
    let largestBias = bias.reduce(0) { max($0, abs($1)) }
    guard found.count == exact.count else { return }
    let metrics = Metrics(found, reference: exact)
    let largest = sums.converted(to: Double.self).reduce(0) { max($0, abs($1)) }
    folds.append(
      OracleComparison.Fold(
        node: node.name, value: node.outputs[0].map { single.values[$0].name } ?? "",
        bound: gamma * largest + 2 * unit * largestBias + unit * metrics.magnitude,
        error: metrics.maxAbsolute, magnitude: metrics.magnitude))
  }
}

extension Graph {
  /// Whether a node multiplies by weights that were folded.
  fileprivate func isFolded(_ node: Node) -> Bool {
    guard node.domain.isEmpty, node.hasWeights, node.inputs.count > 1 else { return false }
    return node.inputs.dropFirst().contains { id in
      id.map { origins[values[$0].name] != nil } ?? false
    }
  }
}

extension Node {
  /// How many products a sum of a convolution or product with weights of this shape has at most.
  fileprivate func termCount(_ shape: Shape) -> Int {
    switch operatorName {
    case "Conv": shape.dropFirst().reduce(1, *)
    case "ConvTranspose": shape[0] * shape.dropFirst(2).reduce(1, *)
    case "Gemm": attributes.int("transB") ?? 0 == 0 ? shape[0] : shape[1]
    default: shape.count >= 2 ? max(shape[shape.count - 2], shape[shape.count - 1]) : shape[0]
    }
  }
}

extension ElementType {
  /// Half the distance from 1 to the next number.
  fileprivate var roundingUnit: Double {
    switch self {
    case .float16: 0x1p-11
    case .bfloat16: 0x1p-8
    case .double: 0x1p-53
    default: 0x1p-24
    }
  }
}

extension Tensor {
  /// The magnitudes of numbers of double precision.
  fileprivate var magnitudes: Tensor { Tensor(array(of: Double.self).map(abs), shape) }
}
