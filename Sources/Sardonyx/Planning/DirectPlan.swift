/// What a plan says of its inputs' and outputs' memory where all its steps are computations in memory of
/// known shapes: such a plan runs on addresses alone.
struct DirectPlan: Sendable {
  /// Where the bytes of an output come from.
  enum Source: Sendable {
    /// The input of this position, under whatever shape.
    case input(Int)
    /// Memory that steps write and that is not the arena's.
    case slot(Int)
    case constant(Tensor)
  }

  /// Memory that leaves the run.
  struct Slot: Sendable {
    let type: ElementType
    let shape: Shape
    /// Its places among the operands of all steps.
    fileprivate(set) var uses: [Int]
  }

  /// Per output of the graph.
  private(set) var outputs: [(source: Source, type: ElementType, shape: Shape)] = []
  /// Per input of the graph, its places among the operands of all steps.
  private(set) var inputUses: [[Int]]
  private(set) var slots: [Slot] = []
  /// The steps that compute anything.
  private let calls: [(step: Plan.Step, computation: Computation)]

  /// - Returns: nil for a plan of another kind.
  init?(_ plan: Plan) {
    var sources: [Graph.ValueID: Source] = [:]
    inputUses = plan.graph.inputs.map { Array(plan.uses[$0]) }
    calls = plan.steps.compactMap { step in
      if case .call(let computation) = step.action { (step, computation) } else { nil }
    }
    for (position, id) in plan.graph.inputs.enumerated() {
      guard let type = plan.inputs[position].elementType, type != .string,
        plan.inputs[position].shape != nil
      else { return nil }
      sources[id] = .input(position)
    }
    for (position, step) in plan.steps.enumerated() {
      switch step.action {
      case .planned, .described: return nil
      case .call, .nothing: break
      }
      for (index, id) in plan.outputs(of: step).enumerated() {
        let placement = plan.placements[position, index]
        guard let id, !plan.fixed[id], placement != .unwanted else { continue }
        switch placement {
        case .own:
          guard let fact = plan.fact(of: index, step), let type = fact.elementType,
            let shape = fact.shape, type != .string
          else { return nil }
          sources[id] = .slot(slots.count)
          slots.append(Slot(type: type, shape: shape, uses: Array(plan.uses[id])))
        case .input(let input):
          guard let source = plan.inputs(of: step)[input].flatMap({ sources[$0] }) else {
            return nil
          }
          sources[id] = source
          use(source, at: Array(plan.uses[id]))
        case .arena, .unwanted: return nil
        }
      }
    }
    for id in plan.graph.outputs {
      let constant = plan.facts[id]?.value?.tensor
      guard let fact = plan.facts[id], let type = fact.elementType, let shape = fact.shape,
        type != .string, let source = constant.map(Source.constant) ?? sources[id]
      else { return nil }
      outputs.append((source, type, shape))
    }
  }

  /// Steps between two looks at the clock and at the caller's task.
  private static let stepsPerLook = 16

  /// Runs all steps on the addresses that a workspace of the plan holds.
  func run(_ plan: Plan, in workspace: Workspace, on crew: Crew) throws(ModelError) {
    for (index, call) in calls.enumerated() {
      do throws(ModelError) {
        if let profile = crew.profile {
          let started = profile.now()
          try call.computation(workspace.addresses(call.step), crew)
          profile.record(call.step, of: plan, since: started)
        } else {
          try call.computation(workspace.addresses(call.step), crew)
        }
        if crew.wasCancelled || index % Self.stepsPerLook == Self.stepsPerLook - 1,
          let interruption = crew.interruption
        {
          throw interruption
        }
      } catch {
        // An operator that was interrupted may find fault with what it left undone.
        throw (crew.interruption ?? error).at(node: plan.graph.nodes[call.step.node].label)
      }
    }
  }

  private mutating func use(_ source: Source, at places: [Int]) {
    switch source {
    case .input(let position): inputUses[position] += places
    case .slot(let slot): slots[slot].uses += places
    case .constant: break
    }
  }
}
