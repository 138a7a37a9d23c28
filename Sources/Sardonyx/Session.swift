/// A model prepared for running with given options; runs may overlap on any number of threads.
public final class Session: Sendable {
  /// What becomes of BatchNormalization when a session is prepared.
  public enum BatchNormalizationMode: String, Sendable, CaseIterable {
    /// Folded into the weights before it wherever that is exact.
    case folded
    /// Computed as written.
    case unfolded
  }

  /// How to prepare and run a model.
  public struct Options: Sendable {
    /// Threads of a run; nil means as many as affinity, cgroup quota and cores allow.
    public var threads: Int?
    public var batchNormalization = BatchNormalizationMode.folded
    /// Seconds after which a run ends with a `limit` error.
    public var timeLimit: Double?
    /// Values inside the graph to keep and to allow as outputs.
    public var taps: [String] = []
    /// Bytes a single value may take.
    public var memoryLimit = Int.max
    /// Seed of random operators that state none.
    public var seed: UInt64 = 0

    public init() {}
  }

  public let model: Model
  public let options: Options

  /// Prepares a model: runs the passes and packs the weights.
  public init(_ model: Model, options: Options = Options()) throws(ModelError) {
    self.model = model
    self.options = options
  }

  /// Runs the model.
  /// - Parameters:
  ///   - inputs: values by input name.
  ///   - outputs: names of outputs or taps; nil means the model's outputs.
  /// - Returns: the values by name.
  /// - Throws: ``ModelError``: mismatch (names, types, shapes), limit, cancelled, or what a node
  ///   met.
  public func run(_ inputs: [String: Value], outputs: [String]? = nil) throws(ModelError)
    -> [String: Value]
  {
    throw ModelError(.unsupported, "running")
  }
}
