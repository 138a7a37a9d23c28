import Synchronization

/// A model prepared for running with given options; runs may overlap on any number of threads.
public final class Session: Sendable {
  /// What becomes of BatchNormalization when a session is prepared.
  public enum BatchNormalizationMode: String, Sendable, CaseIterable {
    /// Folded into the weights before or behind it, as for `folded`, unless others read these and a copy would take
    /// more memory than it is worth; what stays is computed as for `epilogue`.
    case auto
    /// Folded into the weights before or behind it wherever that is exact: its parameters are constants, and the
    /// folded numbers neither overflow nor become denormal nor lose what a mean far from 0 cancels.
    case folded
    /// Weights stay untouched: each is computed as one scale and shift of its input, with the activation behind it,
    /// and all else is prepared as for `folded`.
    case epilogue
    /// Computed as written.
    case unfolded
    /// Computed with the statistics of the run's batch instead of the stored ones, as in training: what a model does
    /// that was not put into evaluation mode. Nothing else changes.
    case batch
  }

  /// What becomes of Dropout when a session is prepared.
  public enum DropoutMode: String, Sendable, CaseIterable {
    /// Computed as written, which is to hand on its input outside training.
    case written
    /// Drops numbers as in training, drawn from ``Options/seed`` where the node states no seed of its own. Nothing
    /// else changes.
    case train
  }

  /// How to prepare and run a model.
  public struct Options: Sendable {
    /// Threads of a run; nil means as many as affinity, cgroup quota and cores allow.
    public var threads: Int?
    /// What becomes of BatchNormalization.
    public var batchNormalization = BatchNormalizationMode.auto
    /// What becomes of Dropout.
    public var dropout = DropoutMode.written
    /// Seconds after which a run, and the preparation of the session, end with a `limit` error.
    public var timeLimit: Double?
    /// Values inside the graph to keep and to allow as outputs.
    public var taps: [String] = []
    /// Bytes that a run may hold at a time: its values, the memory that inner values share, and the
    /// kernels' working memory, together with packed weights and folded constants; nil means what the
    /// machine has. Weights in the file's own bytes do not count.
    public var memoryLimit: Int?
    /// Seed of random operators that state none.
    public var seed: UInt64 = 0

    /// Whether convolutions with 3×3 taps may be computed by Winograd's algorithm, which is several
    /// times as fast as sums over the taps; its error is about twice theirs.
    public var winograd = true
    /// The names of passes, and ``Planner/foldName(_:)`` of nodes, that are left out.
    var leftOut: Set<String> = []
    /// Whether convolution networks are laid out in blocks of channels, and 16-bit ones kept in single
    /// precision; the layout and the types of the file are what that is compared with.
    var usesBlocks = true
    /// When every run ends, however late it began; nil for no such time.
    fileprivate var end: ContinuousClock.Instant?

    /// As many threads as the process may keep busy, BatchNormalization folded, no limits of time.
    public init() {}

    /// - Throws: ``ModelError`` (mismatch) for a number that no run can keep to.
    func check() throws(ModelError) {
      if let threads, !(1...1024).contains(threads) {
        throw .unexpected("threads", expected: "1 to 1024", got: "\(threads)")
      }
      if let timeLimit, timeLimit < 0 {
        throw .unexpected("time limit", expected: "seconds from 0 on", got: "\(timeLimit)")
      }
      if let memoryLimit, memoryLimit < 0 {
        throw .unexpected("memory limit", expected: "a number of bytes", got: "\(memoryLimit)")
      }
    }

    /// Whoever prepares something now, within these limits.
    func crew(threads: Int) -> Crew {
      Crew(
        threads: threads, deadline: deadline,
        account: MemoryAccount(limit: memoryLimit ?? Machine.memoryByteCount))
    }

    /// When a run that starts now must end; a clock reaches no point ten thousand years ahead.
    fileprivate var deadline: ContinuousClock.Instant? {
      guard let timeLimit, timeLimit < 3e11 else { return end }
      let own = ContinuousClock.now + .seconds(max(0, timeLimit))
      return end.map { min($0, own) } ?? own
    }

    /// The same, with the time limit for all that is prepared and run from now on together.
    var endingTogether: Session.Options {
      var options = self
      options.end = deadline
      return options
    }
  }

  /// What is run.
  public let model: Model
  /// How it was prepared.
  public let options: Options
  /// Threads of a run.
  public let threads: Int
  /// For runs that leave all inputs with a default to it: the defaults are constants there, so that
  /// weights which exporters list among the inputs fold and pack like others.
  private let usual: PreparedGraph
  /// For the other runs, made when the first of them comes.
  private let overridden = Mutex<PreparedGraph?>(nil)
  /// Working memory of kernels, kept from run to run.
  private let scratch = ScratchPool()
  /// What packed weights and folded constants leave for a run.
  private let memoryLimit: Atomic<Int>

  /// Prepares a model: runs the passes and packs the weights.
  /// - Throws: ``ModelError``: mismatch where a tap does not exist or an option is out of range,
  ///   invalid where a constant does not fit its operator.
  public init(_ model: Model, options: Options = Options()) throws(ModelError) {
    try options.check()
    self.model = model
    self.options = options
    let threads = options.threads ?? ThreadCount.standard.count
    self.threads = threads
    let crew = options.crew(threads: threads)
    usual = try model.naming {
      () throws(ModelError) in
      try crew.withWorkers { () throws(ModelError) in
        PreparedGraph(try Planner.prepare(model.graph.withConstantDefaults, options, on: crew))
      }
    }
    memoryLimit = Atomic(crew.account.map { max(0, $0.limit - $0.byteCount) } ?? .max)
  }

  /// The graph after all passes, where no default is overridden.
  var graph: Graph { usual.graph }

  /// Runs the model.
  /// - Parameters:
  ///   - inputs: values by input name; those with a default may be left out.
  ///   - outputs: names of outputs or taps; nil means the model's outputs and all taps.
  ///   - profile: where to note the time of each node.
  /// - Returns: the values by name.
  /// - Throws: ``ModelError``: mismatch (names, types, shapes), limit, cancelled, or what a node
  ///   met.
  public func run(
    _ inputs: [String: Value], outputs: [String]? = nil, profile: Profile? = nil
  ) throws(ModelError) -> [String: Value] {
    try compute(inputs, outputs, makeContext(profile))
  }

  /// Runs the model and writes an output into memory of the caller's.
  /// - Parameters:
  ///   - inputs: values by input name; those with a default may be left out.
  ///   - output: an output or tap; nil means the only output.
  ///   - elements: has room for the output; after a run that throws it holds anything.
  /// - Returns: the shape of the output, which lies at the front of `elements` in row-major order.
  /// - Throws: ``ModelError``: what the other ``run(_:outputs:profile:)`` throws, or mismatch where the
  ///   output has elements of another type or is longer than `elements`.
  public func run<T: Element>(
    _ inputs: [String: Value], output: String? = nil, into elements: inout MutableSpan<T>
  ) throws(ModelError) -> Shape {
    let names = graph.outputs.indices.map(graph.outputName)
    guard let name = output ?? (names.count == 1 ? names[0] : nil) else {
      throw .unexpected("output to write", expected: "one of \(names.quotedList)", got: "none")
    }
    return try unsafe elements.withUnsafeMutableBufferPointer { elements throws(ModelError) in
      let memory = unsafe OutputMemory(
        [name: UnsafeMutableRawBufferPointer(elements)], of: T.elementType)
      return try compute(inputs, [name], makeContext(nil), memory)[name]!.tensor!.shape
    }
  }

  /// Runs the model until it is done or `cancellation` is asked for.
  /// - Parameters:
  ///   - inputs: values by input name; those with a default may be left out.
  ///   - outputs: names of outputs or taps; nil means the model's outputs and all taps.
  ///   - cancellation: ends the run from another thread.
  /// - Returns: the values by name.
  /// - Throws: ``ModelError``: what ``run(_:outputs:profile:)`` throws.
  public func run(
    _ inputs: [String: Value], outputs: [String]? = nil, cancellation: Cancellation
  ) throws(ModelError) -> [String: Value] {
    try unsafe run(inputs, outputs: outputs, into: [:], cancellation: cancellation)
  }

  /// Runs the model and writes outputs to memory of the caller's, without a copy where the last step
  /// that makes one can write it there.
  ///
  /// The elements are written as ``Tensor/rawBytes`` has them, from the first byte on; what lies behind
  /// them stays as it is. After an error the memory may hold anything.
  /// - Parameters:
  ///   - inputs: values by input name; those with a default may be left out.
  ///   - outputs: names of outputs or taps; nil means the model's outputs and all taps.
  ///   - memory: by output name, for those that are to be written there: of as many bytes as the tensor has, or
  ///     more. Nobody else reads or writes it during the run.
  ///   - cancellation: ends the run from another thread.
  /// - Returns: the values by name. Tensors of outputs that `memory` names lie in it, and may be used as
  ///   long as it is there and unchanged.
  /// - Throws: ``ModelError``: what ``run(_:outputs:profile:)`` throws, and mismatch where memory is too
  ///   small, overlaps other memory or an input, or is for an output that is not computed or has no bytes.
  @unsafe public func run(
    _ inputs: [String: Value], outputs: [String]? = nil,
    into memory: [String: UnsafeMutableRawBufferPointer], cancellation: Cancellation? = nil
  ) throws(ModelError) -> [String: Value] {
    let context = makeContext(nil)
    let memory = unsafe OutputMemory(memory)
    guard let cancellation else { return try compute(inputs, outputs, context, memory) }
    return try cancellation.during(context) { () throws(ModelError) in
      try compute(inputs, outputs, context, memory)
    }
  }

  /// Runs the model on a thread of its own, while the caller's may do other things.
  /// - Parameters:
  ///   - inputs: values by input name; those with a default may be left out.
  ///   - outputs: names of outputs or taps; nil means the model's outputs and all taps.
  /// - Returns: the values by name.
  /// - Throws: ``ModelError``: what the other ``run(_:outputs:profile:)`` throws, or cancelled soon
  ///   after the task was.
  public func run(
    _ inputs: [String: Value], outputs: [String]? = nil
  ) async throws(ModelError) -> [String: Value] {
    let context = makeContext(nil)
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        Crew.performElsewhere {
          continuation.resume(
            returning: Result { () throws(ModelError) in
              try self.compute(inputs, outputs, context)
            })
        }
      }
    } onCancel: {
      context.cancel()
    }
    return try result.get()
  }

  /// The values of the outputs named; those that memory is given for lie in it.
  private func compute(
    _ inputs: [String: Value], _ outputs: [String]?, _ context: RunContext,
    _ memory: OutputMemory = .none
  ) throws(ModelError) -> [String: Value] {
    try model.naming {
      () throws(ModelError) in
      let positions = try outputPositions(outputs)
      try memory.check(inputs, wanted: positions.lazy.map(graph.outputName))
      let results: [Value]
      do throws(ModelError) {
        results = try context.crew.withWorkers { () throws(ModelError) in
          let (plan, values) = try self.plan(for: inputs, context)
          try plan.check(timeLimit: options.timeLimit, threads: threads)
          return try Executor.run(
            plan, values, context, into: memory.targets(plan), telling: context.activity)
        }
      } catch {
        throw (try? InputBinding(inputs, model.graph))?.explain(error) ?? error
      }
      var named = [String: Value](minimumCapacity: positions.count)
      for position in positions { named[graph.outputName(position)] = results[position] }
      return memory.names.isEmpty ? named : try memory.settle(named)
    }
  }

  /// The nodes of the prepared graph, bodies left out.
  public var nodeCount: Int { graph.nodes.count }

  /// What the passes did to the graph and to the bodies in it, and what they declined to do.
  public var notes: [Note] { graph.allNotes }

  /// How many threads a run uses, and why.
  public var threadReason: String {
    options.threads.map { "\($0) \($0 == 1 ? "thread" : "threads"): as asked for" }
      ?? ThreadCount.standard.reason
  }

  /// An executor to be walked step by step.
  func executor(_ inputs: [String: Value]) throws(ModelError) -> Executor {
    try model.naming { () throws(ModelError) in
      let context = makeContext(nil)
      let (plan, values) = try plan(for: inputs, context)
      var executor = try Executor(plan, context)
      executor.activity = context.activity
      executor.file = model.definition.file
      executor.begin(values)
      return executor
    }
  }

  /// The plan for the values given, and these in the order of its inputs.
  private func plan(
    for inputs: [String: Value], _ context: RunContext
  ) throws(ModelError) -> (Plan, [Value?]) {
    let prepared = try preparedGraph(for: inputs, context)
    let binding = try InputBinding(inputs, prepared.graph, of: model.graph)
    // What fits a plan has been checked when that was made.
    if let known = prepared.plans.plan(for: binding.values) { return (known, binding.values) }
    let facts = try binding.checkedFacts()
    let plan = try prepared.plans.plan(prepared.graph, inputs: facts, telling: context.activity)
    return (plan, binding.values)
  }

  private func preparedGraph(
    for inputs: [String: Value], _ context: RunContext
  ) throws(ModelError) -> PreparedGraph {
    // Whoever gives more than the inputs without a default overrides one, or names none.
    guard inputs.count > usual.graph.inputs.count, !model.graph.defaults.isEmpty else {
      return usual
    }
    return try overridden.withLock { prepared throws(ModelError) in
      if let prepared { return prepared }
      let before = context.account.byteCount
      let made = PreparedGraph(try Planner.prepare(model.graph, options, on: context.crew))
      memoryLimit.wrappingSubtract(context.account.byteCount - before, ordering: .relaxed)
      prepared = made
      return made
    }
  }

  /// The means and the limits of one run.
  func makeContext(_ profile: Profile?) -> RunContext {
    RunContext(
      crew: Crew(
        threads: threads, deadline: options.deadline, scratch: scratch,
        account: MemoryAccount(limit: max(0, memoryLimit.load(ordering: .relaxed))),
        profile: profile),
      seed: options.seed)
  }

  private func outputPositions(_ names: [String]?) throws(ModelError) -> [Int] {
    guard let names else { return Array(graph.outputs.indices) }
    let known = graph.outputs.indices.map(graph.outputName)
    var positions: [Int] = []
    for name in names {
      guard let position = known.firstIndex(of: name) else {
        throw ModelError(
          .mismatch, "the model has no output \"\(name)\"; it has \(known.quotedList)",
          hint: "a value inside the graph must be named as a tap when the session is made")
      }
      positions.append(position)
    }
    return positions
  }
}

/// A graph after all passes, with its plans.
private struct PreparedGraph: Sendable {
  let graph: Graph
  let plans = PlanCache()

  init(_ graph: Graph) { self.graph = graph }
}

extension Graph {
  /// The name of the output at this position.
  fileprivate func outputName(_ position: Int) -> String { values[outputs[position]].name }

  /// This graph with every input that has a default as the constant that it holds.
  var withConstantDefaults: Graph {
    var graph = self
    graph.inputs.removeAll { defaults[$0] != nil }
    for (id, tensor) in defaults { graph.values[id].constant = tensor }
    graph.defaults = [:]
    return graph
  }
}
