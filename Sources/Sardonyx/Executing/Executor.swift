/// Runs the steps of a plan in order.
struct Executor {
  let plan: Plan
  private let context: RunContext
  private let arena: Storage
  private var values: [Value?]
  private(set) var position = 0

  /// Runs a plan.
  /// - Parameter inputs: one value per input of the plan's graph, nil where it is not needed.
  /// - Returns: one value per output of the graph.
  /// - Throws: ``ModelError`` of the node that failed, or limit or cancelled.
  static func run(_ plan: Plan, _ inputs: [Value?], _ context: RunContext) throws(ModelError)
    -> [Value]
  {
    guard context.account.reserve(plan.arenaByteCount) else {
      throw context.account.fault("the memory of the run, \(plan.arenaByteCount) bytes")
    }
    defer { context.account.release(plan.arenaByteCount) }
    var executor = Executor(plan, inputs, context)
    defer { executor.finish() }
    while try executor.advance() != nil {}
    return try executor.results()
  }

  /// Makes ready to run a plan step by step.
  init(_ plan: Plan, _ inputs: [Value?], _ context: RunContext) {
    self.plan = plan
    self.context = context
    arena = plan.arenas.take(plan.arenaByteCount)
    values = plan.facts.map { $0?.value }
    for (id, value) in zip(plan.graph.inputs, inputs) { values[id] = value }
  }

  /// Runs the next step.
  /// - Returns: what it made, valid until the next call; nil after the last step.
  mutating func advance() throws(ModelError) -> [(id: Graph.ValueID, value: Value)]? {
    guard position < plan.steps.count else { return nil }
    if position > 0 {
      for id in plan.steps[position - 1].releases { values[id] = nil }
    }
    let step = plan.steps[position]
    position += 1
    try run(step)
    return plan.graph.nodes[step.node].outputs.compactMap { id in
      id.flatMap { id in values[id].map { (id, $0) } }
    }
  }

  /// A value that a step has made and none has released.
  func value(_ id: Graph.ValueID) -> Value? { values[id] }

  /// Gives the arena back; the executor is not to be used any more.
  func finish() { plan.arenas.give(arena) }

  private mutating func run(_ step: Plan.Step) throws(ModelError) {
    let node = plan.graph.nodes[step.node]
    let inputs = node.inputs.map { id in id.flatMap { values[$0] } }
    do throws(ModelError) {
      let started = context.profile?.now()
      let checked =
        if let known = step.checked { known } else {
          try node.check(types: inputs.map { $0?.type })
        }
      let results = try compute(step, node, Inputs(inputs, checked))
      if let started { context.profile?.record(node, since: started) }
      for (id, result) in zip(node.outputs, results) {
        if let id, let result { values[id] = result }
      }
      try context.checkCancellation()
    } catch {
      // An operator that was interrupted may find fault with what it left undone.
      let fault = context.crew.interruption ?? error
      throw fault.at(node: node.label(inputs.map { $0.map { Fact($0) } }))
    }
  }

  private func compute(_ step: Plan.Step, _ node: Node, _ inputs: Inputs) throws(ModelError)
    -> [Value?]
  {
    let facts: [Fact]
    if let known = step.facts {
      facts = known
    } else {
      facts = try node.implementation.describe(inputs.facts)
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

  /// The graph's outputs, after the last step.
  func results() throws(ModelError) -> [Value] {
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
