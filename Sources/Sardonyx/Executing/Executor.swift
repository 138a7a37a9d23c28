/// Runs the steps of a plan in order.
struct Executor {
  let plan: Plan
  private let context: RunContext
  private let workspace: Workspace
  /// Is told of each step.
  var activity: Activity?
  /// The model's, which errors of ``advance()`` name.
  var file: String?
  private(set) var position = 0

  /// Runs a plan.
  /// - Parameters:
  ///   - inputs: one value per input of the plan's graph, nil where it is not needed.
  ///   - targets: memory for outputs, each of as many bytes as the plan tells; one that is made otherwise
  ///     than by a step that writes it leaves its own as it is.
  ///   - activity: is told of each step.
  /// - Returns: one value per output of the graph.
  /// - Throws: ``ModelError`` of the node that failed, or limit or cancelled.
  static func run(
    _ plan: Plan, _ inputs: [Value?], _ context: RunContext,
    into targets: [Graph.ValueID: Storage] = [:], telling activity: Activity? = nil
  ) throws(ModelError) -> [Value] {
    var executor = try Executor(plan, context)
    defer { executor.finish() }
    executor.activity = activity
    if !targets.isEmpty { executor.workspace.aim(at: targets, plan) }
    return try executor.run(inputs)
  }

  /// Makes ready to run a plan.
  /// - Throws: ``ModelError`` (limit) where the plan needs more memory than a run may have.
  init(_ plan: Plan, _ context: RunContext) throws(ModelError) {
    guard context.account.reserve(plan.arenaByteCount) else {
      throw context.account.fault("the memory of the run, \(plan.arenaByteCount) bytes")
    }
    self.plan = plan
    self.context = context
    workspace = plan.workspaces.take(plan)
    workspace.account = context.account
  }

  /// Runs all steps; may be called again and again.
  mutating func run(_ inputs: [Value?]) throws(ModelError) -> [Value] {
    begin(inputs)
    defer { workspace.clear(plan) }
    try runSteps()
    return try results()
  }

  /// Runs the steps that are left.
  mutating func runSteps() throws(ModelError) {
    while try step() {}
  }

  /// Sets the inputs and goes back to the first step.
  mutating func begin(_ inputs: [Value?]) {
    position = 0
    for (id, value) in zip(plan.graph.inputs, inputs) { workspace.set(id, value, plan) }
  }

  /// Runs the next step.
  /// - Returns: what it made, valid until the next call; nil after the last step.
  mutating func advance() throws(ModelError) -> [(id: Graph.ValueID, value: Value)]? {
    do throws(ModelError) { guard try step() else { return nil } } catch {
      throw error.in(file: file)
    }
    return plan.outputs(of: plan.steps[position - 1]).compactMap { id in
      id.flatMap { id in workspace.table[id].map { (id, $0) } }
    }
  }

  /// Runs the next step; false after the last one.
  private mutating func step() throws(ModelError) -> Bool {
    guard position < plan.steps.count else { return false }
    if position > 0 {
      for id in plan.releases[position - 1] { workspace.release(id) }
    }
    activity?.take(
      "run", position, of: plan.steps.count, plan.graph.nodes[plan.steps[position].node])
    position += 1
    try run(position - 1)
    return true
  }

  /// A value that a step has made and none has released.
  func value(_ id: Graph.ValueID) -> Value? { workspace.table[id] }

  /// Gives the memory back; the executor is not to be used any more.
  func finish() {
    workspace.clear(plan)
    workspace.account = nil
    plan.workspaces.give(workspace)
    context.account.release(plan.arenaByteCount)
  }

  /// Steps between two looks at the clock and at the caller's task.
  private static let stepsPerLook = 16

  private func run(_ position: Int) throws(ModelError) {
    let step = plan.steps[position]
    do throws(ModelError) {
      if let profile = context.crew.profile {
        let started = profile.now()
        try compute(step, position)
        profile.record(step, of: plan, since: started)
      } else {
        try compute(step, position)
      }
      if context.crew.wasCancelled || position % Self.stepsPerLook == 0 {
        try context.checkCancellation()
      }
    } catch {
      // An operator that was interrupted may find fault with what it left undone.
      let fault = context.crew.interruption ?? error
      throw fault.at(
        node: plan.graph.nodes[step.node].label(
          plan.inputs(of: step).map { id in id.flatMap { workspace.table[$0] }.map { Fact($0) } }))
    }
  }

  private func compute(_ step: Plan.Step, _ position: Int) throws(ModelError) {
    if case .described = step.action { return try describe(step, position) }
    if !step.isFixed { try workspace.place(step, position, plan, context) }
    switch step.action {
    case .nothing, .described: return
    case .call(let computation): try computation(workspace.addresses(step), context.crew)
    case .planned:
      try plan.implementation(of: step).run(
        Inputs(workspace.table, plan.inputs(of: step), step.checked!),
        workspace.outputs(position, context))
      try workspace.collect(step, position, plan)
    }
  }

  /// Runs a step whose outputs the plan does not know, or which have texts.
  private func describe(_ step: Plan.Step, _ position: Int) throws(ModelError) {
    let node = plan.graph.nodes[step.node]
    let checked =
      if let known = step.checked { known } else {
        try plan.check(
          step, given: node.inputs.map { id in id.flatMap { workspace.table[$0]?.type } })
      }
    let inputs = Inputs(workspace.table, node.inputs, checked)
    let facts =
      if step.isTold {
        node.outputs.indices.map { plan.fact(of: $0, step) ?? .unknown }
      } else if step.runsGraphs {
        [Fact]()
      } else {
        try node.implementation.describe(inputs.facts)
      }
    var destinations: [Destination?] = []
    for (index, placement) in plan.placements[position].enumerated() {
      destinations.append(
        index < facts.count
          ? try workspace.destination(placement, facts[index], step, plan, context) : nil)
    }
    let wanted = plan.placements[position].map { $0 != .unwanted }
    let outputs = Outputs(destinations, wanted: wanted, context: context)
    if !node.implementation.isDone(facts, wanted: wanted) {
      try node.implementation.run(inputs, outputs)
    }
    let texts = inputs.texts
    for (index, id) in node.outputs.enumerated() {
      guard let id, let result = outputs.finished(index, texts: texts) else { continue }
      try workspace.take(id, result, plan)
    }
  }

  /// The graph's outputs, after the last step.
  func results() throws(ModelError) -> [Value] {
    var results: [Value] = []
    results.reserveCapacity(plan.graph.outputs.count)
    for id in plan.graph.outputs {
      guard let value = workspace.table[id] else {
        throw ModelError(
          .invalid, "output \"\(plan.graph.values[id].name)\" is not computed by any node")
      }
      results.append(value)
    }
    return results
  }
}
