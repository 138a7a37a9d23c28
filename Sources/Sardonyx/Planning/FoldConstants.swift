extension Planner {
  /// Computes nodes whose inputs are all constants.
  /// - Parameter spared: operators that are left to the run.
  static func foldConstants(within budget: FoldingBudget, sparing spared: Set<String> = []) -> Pass
  {
    Pass(name: "fold constants") { graph throws(ModelError) in
      let activity = Activity.watched
      for position in graph.nodes.indices {
        guard graph.readsConstantsAlone(position) else { continue }
        let node = graph.nodes[position]
        guard !spared.contains(node.operatorName),
          let inputs = constantInputs(of: node, in: graph)
        else { continue }
        try Interruption.check()
        activity?.take("fold constants", position, of: graph.nodes.count, node)
        // A fault here is the model's own and is reported by the run, with its context.
        guard let facts = try? node.outputs(inputs.map { $0.map { Fact($0) } }),
          budget.allows(facts, from: inputs),
          let results = try? node.evaluate(
            inputs.map { $0.map(Value.tensor) }, context: budget.context)
        else { continue }
        let tensors = results.map { $0?.tensor }
        Interruption.crew?.account?.charge(tensors.reduce(0) { $0 + ($1?.byteCount ?? 0) })
        fold(position, into: tensors, &graph)
      }
    }
  }

  /// Makes the outputs of a node constants.
  ///
  /// Not inlined: the loop over all nodes would copy them before it finds the first to fold.
  @inline(never)
  private static func fold(_ position: Int, into tensors: [Tensor?], _ graph: inout Graph) {
    let node = graph.nodes[position]
    for (id, tensor) in zip(node.outputs, tensors) {
      if let id { graph.values[id].constant = tensor }
    }
    graph.nodes[position].outputs = node.outputs.map { _ in nil }
    graph.note("fold constants", .done, node, "computed once, for all runs")
  }

  /// The inputs of a node that can be computed beforehand; nil for any other.
  private static func constantInputs(of node: Node, in graph: Graph) -> [Tensor?]? {
    let operation = node.implementation
    guard node.inputs.allSatisfy({ id in id.map { graph.values[$0].constant != nil } ?? true }),
      operation.isDeterministic, operation.bodies.isEmpty
    else { return nil }
    return node.inputs.map { id in id.flatMap { graph.values[$0].constant } }
  }
}

/// What folding the constants of a model, in all its graphs together, may cost in memory and time;
/// beyond it nodes are left to the run.
final class FoldingBudget: Sendable {
  /// The means to compute with, which come to an end with the budget.
  let context: RunContext

  /// Bytes that constants may gain.
  let byteCount: Int

  /// A constant may grow by this much when folded: enough for tables and masks, too little for a
  /// tensor that is better made anew than kept.
  private static let allowedGrowth = 1 << 20

  /// Room for small models; larger ones may gain as much again as they bring.
  private static let leastByteCount = 1 << 25

  /// - Parameter constantByteCount: bytes of the constants that the model brings.
  init(constantByteCount: Int) {
    byteCount = max(Self.leastByteCount, constantByteCount)
    // A second for small models, and what reading larger ones some times over takes.
    let time = Duration.seconds(1) + .nanoseconds(10 * constantByteCount)
    let end = ContinuousClock.now + time
    let outer = Interruption.crew?.deadline
    // Values count as long as they live, so what has been folded counts for what is to come.
    let whole = Interruption.crew?.account
    let account = MemoryAccount(limit: min(byteCount, whole?.limit ?? .max), within: whole)
    context = RunContext(
      crew: Crew(threads: 1, deadline: outer.map { min($0, end) } ?? end, account: account))
  }

  /// Whether outputs so described may be computed and kept.
  fileprivate func allows(_ facts: [Fact], from inputs: [Tensor?]) -> Bool {
    let allowed = inputs.reduce(Self.allowedGrowth) { $0 + 4 * ($1?.byteCount ?? 0) }
    return facts.allSatisfy { $0.byteCount.map { $0 <= allowed } ?? false }
      && !context.crew.isCancelled
  }
}

extension Graph {
  /// Whether the node at a position reads nothing but constants; asked before a node is copied, which costs
  /// more than most of them need.
  fileprivate func readsConstantsAlone(_ position: Int) -> Bool {
    nodes[position].inputs.allSatisfy { id in id.map { values[$0].constant != nil } ?? true }
  }

  /// Bytes of the constants here and in the bodies of nodes; what bodies share counts each time.
  var constantByteCount: Int {
    var sum = values.reduce(0) { $0 &+ ($1.constant?.byteCount ?? 0) }
    let nodes = nodes.span
    for position in nodes.indices {
      for body in nodes[position].implementation.bodies { sum &+= body.graph.constantByteCount }
    }
    return sum
  }
}
