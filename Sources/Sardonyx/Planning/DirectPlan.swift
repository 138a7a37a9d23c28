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

  /// - Returns: nil for a plan of another kind.
  init?(_ plan: Plan) {
    var sources: [Graph.ValueID: Source] = [:]
    inputUses = plan.graph.inputs.map { Array(plan.uses[$0]) }
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

  private mutating func use(_ source: Source, at places: [Int]) {
    switch source {
    case .input(let position): inputUses[position] += places
    case .slot(let slot): slots[slot].uses += places
    case .constant: break
    }
  }
}
