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

    public init() {}
  }

  /// One value compared with its reference.
  public struct Entry: Sendable {
    /// The value's name in the model.
    public let name: String
    /// The operator that makes it on the reference's side.
    public let operatorName: String
    public let shape: Shape
    /// nil where the two cannot be measured: types or shapes differ, or they are not numbers.
    public let metrics: Metrics?
    public let passed: Bool
    /// What differs, where that is not a number.
    public let remark: String?
  }

  /// The compared values in the order in which the reference computes them.
  public private(set) var layers: [Entry] = []
  /// The outputs of the model.
  public private(set) var outputs: [Entry] = []

  /// Whether all outputs are within tolerance.
  public var passed: Bool { outputs.allSatisfy(\.passed) }

  /// The first layer beyond tolerance.
  public var firstFailure: Entry? { layers.first { !$0.passed } }
}

extension Comparison {
  /// Runs a model as prepared by `options` beside a reference that computes BatchNormalization as
  /// written and convolutions by sums over their taps, in lock step.
  /// - Parameters:
  ///   - reference: another model with values of the same names; nil means the model itself.
  ///   - inputs: by name; both sides get the same.
  ///   - layers: whether to compare inner values too.
  /// - Throws: ``ModelError`` of either run.
  public init(
    _ model: Model, against reference: Model? = nil, inputs: [String: Value],
    options: Session.Options = Session.Options(), layers: Bool = false,
    tolerance: Tolerance = Tolerance()
  ) throws(ModelError) {
    var plain = options
    plain.batchNormalization = .unfolded
    plain.winograd = false
    let left = try Session(model, options: options)
    let right = try Session(reference ?? model, options: plain)
    var first = try left.executor(inputs)
    defer { first.finish() }
    var second = try right.executor(inputs)
    defer { second.finish() }
    var lockStep = LockStep(first.plan, second.plan, tolerance, recording: layers)
    try lockStep.run(&first, &second)
    self.layers = lockStep.entries
    outputs = zip(right.graph.outputs, zip(try first.results(), try second.results())).map {
      id, results in
      Entry(
        right.graph.values[id].name, "", results.0, reference: results.1, tolerance,
        resolution: lockStep.resolutions[right.graph.values[id].name] ?? 0)
    }
  }

  /// Compares results at hand, such as those of another engine.
  /// - Parameter results: what the model gave, by name.
  /// - Parameter reference: what it should have given; names missing here are not compared.
  public init(
    _ results: [String: Value], reference: [String: Value], tolerance: Tolerance = Tolerance()
  ) {
    outputs = reference.keys.sorted().map { name in
      guard let result = results[name] else {
        return Entry(
          name: name, operatorName: "", shape: [], metrics: nil, passed: false,
          remark: "no such output")
      }
      return Entry(name, "", result, reference: reference[name]!, tolerance)
    }
  }
}

extension Comparison.Entry {
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
      remark = metrics == nil ? Self.difference(tensor, expected) : nil
      passed =
        metrics.map { tolerance.accepts($0, expected.type, resolution: resolution) }
        ?? (remark == nil)
    default:
      let parts = Self.parts(value, reference, name, operatorName, tolerance)
      shape = [parts?.count ?? 0]
      metrics = parts?.compactMap(\.metrics).max { $0.relative < $1.relative }
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
  /// Integers and truth values must be equal, other numbers near.
  fileprivate func accepts(_ metrics: Metrics, _ type: ElementType, resolution: Double) -> Bool {
    guard type.isFloatingPoint else { return metrics.maxAbsolute == 0 }
    let relative = max(relative, 2 * (type.smallFloat?.epsilon ?? 0))
    return metrics.maxAbsolute <= absolute + relative * max(metrics.magnitude, resolution)
  }
}
