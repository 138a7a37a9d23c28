/// Runs the steps of a plan in order.
struct Executor {
  private let plan: Plan
  private let context: RunContext
  private let arena: Storage
  private var values: [Value?]

  /// Runs a plan.
  /// - Parameter inputs: one value per input of the plan's graph, nil where it is not needed.
  /// - Returns: one value per output of the graph.
  /// - Throws: ``ModelError`` of the node that failed, or limit or cancelled.
  static func run(_ plan: Plan, _ inputs: [Value?], _ context: RunContext) throws(ModelError)
    -> [Value]
  {
    guard plan.arenaByteCount <= context.memoryLimit else {
      throw .unexpected(
        "memory of the run", expected: "at most \(context.memoryLimit) bytes",
        got: "\(plan.arenaByteCount)", code: .limit)
    }
    let arena = plan.arenas.take(plan.arenaByteCount)
    defer { plan.arenas.give(arena) }
    var executor = Executor(plan, inputs, context, arena)
    for step in plan.steps { try executor.run(step) }
    return try executor.results()
  }

  private init(_ plan: Plan, _ inputs: [Value?], _ context: RunContext, _ arena: Storage) {
    self.plan = plan
    self.context = context
    self.arena = arena
    values = plan.facts.map { $0?.value }
    for (id, value) in zip(plan.graph.inputs, inputs) { values[id] = value }
  }

  private mutating func run(_ step: Plan.Step) throws(ModelError) {
    let node = plan.graph.nodes[step.node]
    let inputs = node.inputs.map { id in id.flatMap { values[$0] } }
    do throws(ModelError) {
      let started = context.profile?.now()
      let results = try compute(step, node, Inputs(inputs))
      if let started { context.profile?.record(node, since: started) }
      for (id, result) in zip(node.outputs, results) {
        if let id, let result { values[id] = result }
      }
      try context.checkCancellation()
    } catch {
      throw error.at(node: node.label(inputs.map { $0.map { Fact($0) } }))
    }
    for id in step.releases { values[id] = nil }
  }

  private func compute(_ step: Plan.Step, _ node: Node, _ inputs: Inputs) throws(ModelError)
    -> [Value?]
  {
    let facts: [Fact]
    if let known = step.facts { facts = known } else {
      facts = try node.implementation.outputs(inputs.facts)
    }
    var destinations: [Destination?] = []
    destinations.reserveCapacity(step.placements.count)
    for (index, placement) in step.placements.enumerated() {
      guard index < facts.count else {
        destinations.append(nil)
        continue
      }
      destinations.append(try destination(placement, facts[index], inputs))
    }
    let outputs = Outputs(
      destinations, wanted: step.placements.map { $0 != .unwanted }, context: context)
    try node.implementation.run(inputs, outputs)
    return outputs.finished(texts: inputs.texts)
  }

  /// The memory of one output; nil where the operator places it itself or nobody wants it.
  private func destination(_ placement: Plan.Placement, _ fact: Fact, _ inputs: Inputs)
    throws(ModelError) -> Destination?
  {
    guard let type = fact.elementType, let shape = fact.shape else { return nil }
    switch placement {
    case .unwanted: return nil
    case .own: return Destination(type, shape, storage: try context.allocate(type, shape))
    case .arena(let offset):
      return Destination(type, shape, storage: arena, byteOffset: offset)
    case .input(let index):
      let source = inputs[index]
      return Destination(type, shape, storage: source.storage, byteOffset: source.byteOffset)
    }
  }

  private func results() throws(ModelError) -> [Value] {
    var results: [Value] = []
    for id in plan.graph.outputs {
      guard let value = values[id] else {
        throw ModelError(
          .invalid, "output \"\(plan.graph.values[id].name)\" is not computed by any node")
      }
      results.append(value)
    }
    return results
  }
}
