/// Compares the outputs, and where asked every layer, of two ways to compute a model.
public struct Comparison: Sendable {
  /// What counts as equal.
  public struct Tolerance: Sendable {
    /// Largest difference relative to the largest magnitude of the reference; behind an operator
    /// that squeezes its input into bounds (Sigmoid, HardSigmoid, Tanh, Softsign, Softmax), relative
    /// to its steepest slope times its input's magnitude where that is more. For types of 16 bits
    /// and less it is at least twice the distance from 1 to the next number.
    public var relative = 1e-5
    /// Added to what ``relative`` allows.
    public var absolute = 0.0

    /// 1e-5 of the largest magnitude.
    public init() {}
  }

  /// One value compared with its reference.
  public struct Entry: Sendable {
    /// The value's name in the model.
    public let name: String
    /// The operator that makes it on the reference's side.
    public let operatorName: String
    /// Of the reference; of a container, the number of its parts.
    public let shape: Shape
    /// nil where the two cannot be measured: types or shapes differ, or they are not numbers.
    public let metrics: Metrics?
    /// Whether the value is within tolerance, of an output of one model perhaps that of double.
    public fileprivate(set) var passed: Bool
    /// The largest difference that was allowed; 0 for integers, nil where nothing was measured.
    public let allowed: Double?
    /// What differs, where that is not a number, or why it passes although it differs.
    public fileprivate(set) var remark: String?
  }

  /// The compared values in the order in which the reference computes them.
  public private(set) var layers: [Entry] = []
  /// The outputs of the model.
  public private(set) var outputs: [Entry] = []
  /// How many values either side computes that the other has none of the same name for; nil where
  /// the reference is recorded.
  public private(set) var unmatched: (first: Int, reference: Int)?

  /// Whether all outputs are within tolerance.
  public var passed: Bool { outputs.allSatisfy(\.passed) }

  /// The first layer beyond tolerance.
  public var firstFailure: Entry? { layers.first { !$0.passed } }
}

extension Comparison {
  /// Runs a model as prepared by `options` beside a reference that computes BatchNormalization as
  /// written and convolutions by sums over their taps, in lock step.
  ///
  /// Two ways that round to opposite sides of the truth may be farther from each other than from it, and
  /// a rounding to bytes makes a difference of one unit in the last place one of a whole byte. So where
  /// outputs of one model differ too much, the model in double decides: what is within tolerance of it, or
  /// at most twice as far from it as the model as written, passes, with a remark.
  /// - Parameters:
  ///   - model: what is run.
  ///   - reference: another model with values of the same names; nil means the model itself.
  ///   - inputs: by name; both sides get the same.
  ///   - options: how the model is prepared.
  ///   - layers: whether to compare inner values too.
  ///   - tolerance: what values may differ by.
  /// - Throws: ``ModelError`` of either run.
  public init(
    _ model: Model, against reference: Model? = nil, inputs: [String: Value],
    options: Session.Options = Session.Options(), layers: Bool = false,
    tolerance: Tolerance = Tolerance()
  ) throws(ModelError) {
    let prepared = try Session(model, options: layers ? options.keepingLayers : options)
    let written = try Session(reference ?? model, options: options.asWritten)
    try self.init(prepared, against: written, inputs: inputs, layers: layers, tolerance: tolerance)
    if reference == nil, !passed { judgeInDouble(prepared, written, inputs, tolerance) }
  }

  /// Lets outputs pass that the model in double speaks for. A model with operators that have no numbers of
  /// double precision is left as it is.
  private mutating func judgeInDouble(
    _ prepared: Session, _ written: Session, _ inputs: [String: Value], _ tolerance: Tolerance
  ) {
    guard let double = try? written.model.inDouble(),
      let truth = try? Session(double, options: written.options).run(inputs.mapValues(\.inDouble)),
      let results = try? prepared.run(inputs), let others = try? written.run(inputs)
    else { return }
    func distance(_ value: Value?, _ reference: Tensor) -> Metrics? {
      value?.inDouble.tensor.flatMap { Metrics($0, reference: reference) }
    }
    for index in outputs.indices where !outputs[index].passed {
      let name = outputs[index].name
      guard let reference = truth[name]?.tensor, reference.type == .double,
        let own = distance(results[name], reference), let other = distance(others[name], reference)
      else { continue }
      if own.maxAbsolute <= tolerance.absolute + tolerance.relative * own.magnitude {
        outputs[index].remark = "ok, within tolerance of double"
      } else if own.maxAbsolute <= 2 * other.maxAbsolute {
        outputs[index].remark = "ok, as far from double as written"
      } else {
        continue
      }
      outputs[index].passed = true
    }
  }

  /// The same of sessions at hand; the second one is the reference.
  init(
    _ left: Session, against right: Session, inputs: [String: Value], layers: Bool,
    tolerance: Tolerance
  ) throws(ModelError) {
    var first = try left.executor(inputs)
    defer { first.finish() }
    var second = try right.executor(inputs)
    defer { second.finish() }
    var lockStep = LockStep(first.plan, second.plan, tolerance, recording: layers)
    try lockStep.run(&first, &second)
    self.layers = lockStep.entries
    unmatched = (lockStep.unmatched.first, lockStep.unmatched.second)
    outputs = zip(right.graph.outputs, zip(try first.results(), try second.results())).map {
      id, results in
      let name = right.graph.values[id].name
      return Entry(
        name, right.model.graph.maker(of: name), results.0, reference: results.1, tolerance,
        resolution: lockStep.resolutions[name] ?? 0)
    }
  }

  /// Compares results at hand, such as those of another engine.
  /// - Parameters:
  ///   - results: what the model gave, by name.
  ///   - reference: what it should have given; names missing here are not compared.
  ///   - tolerance: what values may differ by.
  public init(
    _ results: [String: Value], reference: [String: Value], tolerance: Tolerance = Tolerance()
  ) {
    outputs = reference.keys.sorted().map { name in
      guard let result = results[name] else {
        return Entry(missing: name, "no such output")
      }
      return Entry(name, "", result, reference: reference[name]!, tolerance)
    }
  }
}

extension Comparison {
  /// Compares a model with values that another engine recorded, outputs and inner ones alike.
  ///
  /// Inner values are taken as the prepared model computes them. Those that its passes left without a
  /// name, such as the input of a BatchNormalization that was folded, are taken from the model as
  /// written, so that looking at a value changes nothing in what is looked at.
  /// - Parameters:
  ///   - model: what is run.
  ///   - recorded: by name; inner values are listed in the order of the graph.
  ///   - inputs: by name.
  ///   - options: how the model is prepared.
  ///   - tolerance: what values may differ by.
  /// - Throws: ``ModelError`` of a run.
  public init(
    _ model: Model, recorded: [String: Value], inputs: [String: Value],
    options: Session.Options = Session.Options(), tolerance: Tolerance = Tolerance()
  ) throws(ModelError) {
    var entries: [String: Entry] = [:]
    let session = try Session(model, options: options.keepingLayers)
    try session.walk(inputs) { name, operatorName, value, resolution in
      guard let expected = recorded[name] else { return }
      entries[name] = Entry(
        name, operatorName, value.stacked, reference: expected, tolerance, resolution: resolution)
    }
    let order = model.valueNames
    let absent = order.filter { recorded[$0] != nil && entries[$0] == nil }
    if !absent.isEmpty {
      var plain = options.asWritten
      plain.taps = absent
      let written = try Session(model, options: plain)
      try written.walk(inputs) { name, operatorName, value, resolution in
        guard absent.contains(name), let expected = recorded[name] else { return }
        entries[name] = Entry(
          name, operatorName, value.stacked, reference: expected, tolerance,
          resolution: resolution)
      }
      // What no step makes is known beforehand.
      for (name, value) in try written.run(inputs) where entries[name] == nil {
        guard absent.contains(name), let expected = recorded[name] else { continue }
        entries[name] = Entry(name, "", value.stacked, reference: expected, tolerance)
      }
    }
    let results = try session.run(inputs)
    let names = model.outputs.map(\.name)
    outputs = names.filter { recorded[$0] != nil }.map { name in
      entries[name]
        ?? results[name].map {
          Entry(name, "", $0.stacked, reference: recorded[name]!, tolerance)
        } ?? Entry(missing: name, "no such output")
    }
    layers = order.filter { !names.contains($0) }.compactMap { entries[$0] }
    let unknown = recorded.keys.filter { entries[$0] == nil && !names.contains($0) }.sorted()
    layers += unknown.map { Entry(missing: $0, "no such value") }
  }
}

extension Graph {
  /// The operator of the node that makes a value; empty for what no node makes.
  fileprivate func maker(of name: String) -> String {
    let node = nodes.first { $0.outputs.contains { $0.map { values[$0].name } == name } }
    return node?.operatorName ?? ""
  }
}

extension Comparison {
  /// Takes in another comparison of the same model, on other inputs: of each value, the worse entry stays.
  public mutating func merge(_ other: Comparison) {
    func merge(_ entries: [Entry], _ others: [Entry]) -> [Entry] {
      let byName = Dictionary(others.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      return entries.map { entry in
        byName[entry.name].map { $0.share > entry.share ? $0 : entry } ?? entry
      }
    }
    layers = merge(layers, other.layers)
    outputs = merge(outputs, other.outputs)
  }
}

extension Comparison.Entry {
  /// How much of what is allowed the difference is; more than 1 for what is not within tolerance.
  var share: Double {
    guard let metrics, let allowed else { return passed ? 0 : .infinity }
    return metrics.maxAbsolute == 0 ? 0 : metrics.maxAbsolute / max(allowed, .leastNormalMagnitude)
  }
}

extension Session.Options {
  /// With BatchNormalization computed as written, or with the statistics of the batch where it is so here too,
  /// and convolutions by sums over their taps.
  var asWritten: Session.Options {
    var options = self
    if batchNormalization != .batch { options.batchNormalization = .unfolded }
    options.winograd = false
    return options
  }

  /// With convolutions one by one whose results are the same row by row, so that each is there to be looked at.
  var keepingLayers: Session.Options {
    var options = self
    options.leftOut.insert(Planner.chainConvolutions.name)
    return options
  }
}

extension Session {
  /// Runs the model and shows each value as it is made: its name, the operator that makes it, the
  /// value, and by how much it may change where its input changes by its own magnitude.
  fileprivate func walk(
    _ inputs: [String: Value], _ body: (String, String, Value, Double) -> Void
  ) throws(ModelError) {
    var executor = try executor(inputs)
    defer { executor.finish() }
    while true {
      // Asked before the step runs, which may overwrite its input.
      let resolution = executor.nextResolution
      guard let made = try executor.advance() else { return }
      for (id, value) in made {
        let record = executor.plan.graph.values[id]
        body(record.name, executor.lastOperatorName, value.asWritten(record), resolution)
      }
    }
  }
}

extension Value {
  /// A sequence of maps as the tensor of their values, one row each, as other engines' outputs are
  /// recorded; any other value as it is.
  fileprivate var stacked: Value {
    guard case .sequence(let elements, .map) = self else { return self }
    var rows: [Tensor] = []
    for case .map(_, let values) in elements { rows.append(values) }
    guard let first = rows.first, rows.allSatisfy({ $0.elementCount == first.elementCount }),
      let tensor = try? Tensor(
        first.type, [rows.count, first.elementCount], bytes: rows.flatMap(\.rawBytes))
    else { return self }
    return .tensor(tensor)
  }
}

extension Comparison.Entry {
  /// A value that is not there.
  fileprivate init(missing name: String, _ remark: String) {
    self.init(
      name: name, operatorName: "", shape: [], metrics: nil, passed: false, allowed: nil,
      remark: remark)
  }

  init(
    _ name: String, _ operatorName: String, _ value: Value, reference: Value,
    _ tolerance: Comparison.Tolerance, resolution: Double = 0
  ) {
    self.name = name
    self.operatorName = operatorName
    switch (value, reference) {
    case (.tensor(let tensor), .tensor(let expected)):
      shape = expected.shape
      metrics = Metrics(tensor, reference: expected)
      let remark = metrics == nil ? Self.difference(tensor, expected) : nil
      allowed = metrics.map {
        tolerance.allowance($0, expected.type, resolution: resolution)
      }
      passed =
        if let metrics, let allowed { metrics.maxAbsolute <= allowed } else { remark == nil }
      self.remark = remark
    default:
      let parts = Self.parts(value, reference, name, operatorName, tolerance)
      shape = [parts?.count ?? 0]
      let worst = parts?.filter { $0.metrics != nil }
        .max { $0.metrics!.relative < $1.metrics!.relative }
      (metrics, allowed) = (worst?.metrics, worst?.allowed)
      passed = parts?.allSatisfy(\.passed) ?? false
      remark =
        parts == nil
        ? "\(value.type) of another structure than the reference"
        : parts!.compactMap(\.remark).first
    }
  }

  /// Compares containers part by part; nil where their structures differ.
  private static func parts(
    _ value: Value, _ reference: Value, _ name: String, _ operatorName: String,
    _ tolerance: Comparison.Tolerance
  ) -> [Self]? {
    func entry(_ left: Value, _ right: Value) -> Self {
      Self(name, operatorName, left, reference: right, tolerance)
    }
    switch (value, reference) {
    case (.sequence(let left, _), .sequence(let right, _)):
      return left.count == right.count ? zip(left, right).map(entry) : nil
    case (.optional(let left?, _), .optional(let right?, _)): return [entry(left, right)]
    case (.optional(nil, _), .optional(nil, _)): return []
    case (.map(let keys, let values), .map(let otherKeys, let otherValues)):
      return [
        entry(.tensor(keys), .tensor(otherKeys)), entry(.tensor(values), .tensor(otherValues)),
      ]
    default: return nil
    }
  }

  /// What keeps two tensors from being measured; nil where they are equal texts.
  private static func difference(_ tensor: Tensor, _ expected: Tensor) -> String? {
    guard tensor.type == expected.type else { return "type \(tensor.type), not \(expected.type)" }
    guard tensor.shape == expected.shape else {
      return "shape [\(tensor.shape.joined)], not [\(expected.shape.joined)]"
    }
    if tensor.type == .string, let left = try? tensor.strings(),
      let right = try? expected.strings()
    {
      let different = zip(left, right).filter { $0 != $1 }.count
      return different == 0 ? nil : "\(different) texts differ"
    }
    return tensor.rawBytes == expected.rawBytes ? nil : "elements differ"
  }
}

extension Comparison.Tolerance {
  /// The largest difference allowed: integers and truth values must be equal, other numbers near.
  fileprivate func allowance(_ metrics: Metrics, _ type: ElementType, resolution: Double)
    -> Double
  {
    guard type.isFloatingPoint else { return 0 }
    let relative = max(relative, 2 * (type.smallFloat?.epsilon ?? 0))
    return absolute + relative * max(metrics.magnitude, resolution)
  }
}
