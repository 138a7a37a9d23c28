/// A graph that a node runs: a branch of If, the body of Loop or Scan.
///
/// Its inputs are those the graph declares, followed by the values it captures, which the node
/// carries as inputs of its own.
struct Body: Sendable {
  /// The attribute that holds the graph.
  let attribute: String
  var graph: Graph {
    didSet { plans = PlanCache() }
  }
  /// How many inputs of the graph, its last ones, are captured.
  let captureCount: Int
  private var plans = PlanCache()

  init(attribute: String, graph: Graph, captureCount: Int = 0) {
    self.attribute = attribute
    self.graph = graph
    self.captureCount = captureCount
  }

  /// What the outputs will be for inputs of which this is known; unknown facts where the graph
  /// does not fit them.
  func outputs(_ inputs: [Fact]) -> [Fact] {
    (try? fittingOutputs(inputs)) ?? graph.outputs.map { _ in .unknown }
  }

  /// What the outputs will be for inputs of which this is known.
  /// - Throws: ``ModelError`` where the graph does not fit them, as in a branch that such inputs never
  ///   reach.
  func fittingOutputs(_ inputs: [Fact]) throws(ModelError) -> [Fact] {
    let plan = try plans.plan(graph, inputs: inputs)
    return graph.outputs.map { plan.facts[$0] ?? .unknown }
  }

  /// The graph for inputs of these types and shapes, on addresses alone; nil where it is not made for it.
  func directCalls(_ inputs: [Fact]) throws(ModelError) -> DirectCalls? {
    DirectCalls(try plans.plan(graph, inputs: inputs))
  }

  /// Runs the graph.
  /// - Parameter inputs: one value per input; nil where the caller left an optional input out.
  func run(_ inputs: [Value?], _ context: RunContext) throws(ModelError) -> [Value] {
    try Executor.run(try plan(for: inputs), inputs, context)
  }

  /// Runs like that of the values given, on addresses alone; nil where the graph is not made for it.
  func directRuns(like inputs: [Value?], _ context: RunContext) throws(ModelError) -> DirectRuns? {
    let tensors = inputs.compactMap { $0?.tensor }
    guard tensors.count == inputs.count else { return nil }
    return try DirectRuns(plan(for: inputs), context, inputs: tensors)
  }

  fileprivate func plan(for inputs: [Value?]) throws(ModelError) -> Plan {
    if let plan = plans.plan(for: inputs) { return plan }
    return try plans.plan(graph, inputs: inputs.map { $0.map { Fact($0) } ?? .unknown })
  }
}

/// Runs a body again and again, with its plan and its memory at hand while the shapes stay.
struct BodyRuns {
  private let body: Body
  private let context: RunContext
  private var executor: Executor?

  init(of body: Body, _ context: RunContext) {
    self.body = body
    self.context = context
  }

  /// Runs the graph, as ``Body/run(_:_:)`` does.
  mutating func run(_ inputs: [Value?]) throws(ModelError) -> [Value] {
    if executor?.plan.fits(inputs) != true {
      finish()
      executor = try Executor(try body.plan(for: inputs), context)
    }
    return try executor!.run(inputs)
  }

  /// Gives the memory back; to be called after the last run.
  mutating func finish() {
    executor?.finish()
    executor = nil
  }
}
