import Synchronization

/// The memory of one run of a plan at a time: the arena, the table of values and the addresses of
/// operands. All that is the same in every run is made once.
@safe final class Workspace: @unchecked Sendable {
  /// What the values of the graph are; nil while a varying one is not made yet.
  let table: ValueTable
  private let arena: Storage
  /// The addresses of each step's inputs and outputs, step by step.
  private let operands: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  /// Per step that its operator runs into known memory, the outputs.
  private var slots: [OutputSlots?] = []
  /// Per step, the memory of ``slots`` that is the same in every run.
  private var destinations: [[Destination?]] = []
  /// Fixed values that an operator replaced by one of its own, with what they are else.
  private var replaced: [(id: Graph.ValueID, value: Value?)] = []
  /// Per value, memory that was handed out and may have come free.
  private var handedOut: [[Storage]]
  /// Per value, the memory of the caller's that one run is to write it into.
  private(set) var targets: [Graph.ValueID: Storage] = [:]
  /// Where the run that has this memory counts what it holds.
  var account: MemoryAccount?
  /// What sequences count there, besides the tensors in them.
  private var claims: [Graph.ValueID: MemoryClaim] = [:]

  init(_ plan: Plan) {
    table = ValueTable(plan.facts.lazy.map { $0?.value })
    arena = Storage(byteCount: plan.arenaByteCount)
    unsafe operands = UnsafeMutablePointer.allocate(capacity: max(plan.operandCount, 1))
    unsafe operands.initialize(repeating: nil, count: plan.operandCount)
    handedOut = Array(repeating: [], count: table.count)
    for id in 0..<table.count {
      if let value = table[id] { set(id, value, plan) }
    }
    slots.reserveCapacity(plan.steps.count)
    destinations.reserveCapacity(plan.steps.count)
    for (position, step) in plan.steps.enumerated() { settle(step, position, plan) }
  }

  deinit { unsafe operands.deallocate() }

  /// Makes what is fixed of a step's outputs.
  private func settle(_ step: Plan.Step, _ position: Int, _ plan: Plan) {
    let outputs = plan.outputs(of: step)
    for (index, id) in outputs.enumerated() {
      guard let id, plan.fixed[id], table[id] == nil, let fact = plan.fact(of: index, step) else {
        continue
      }
      if let tensor = tensor(plan.placements[position, index], fact, step, plan) {
        set(id, .tensor(tensor), plan)
      }
    }
    guard case .planned = step.action else {
      slots.append(nil)
      destinations.append([])
      return
    }
    let places = outputs.map { id in
      id.flatMap { plan.fixed[$0] ? table[$0]?.tensor.map { Destination($0) } : nil }
    }
    destinations.append(places)
    slots.append(OutputSlots(places, wanted: plan.placements[position].map { $0 != .unwanted }))
  }

  /// The tensor of an output that lies in the arena or in an input's memory.
  private func tensor(
    _ placement: Plan.Placement, _ fact: Fact, _ step: Plan.Step, _ plan: Plan
  ) -> Tensor? {
    guard let type = fact.elementType, let shape = fact.shape else { return nil }
    switch placement {
    case .unwanted, .own: return nil
    case .arena(let offset): return Tensor(type, shape, storage: arena, byteOffset: offset)
    case .input(let index):
      guard let source = plan.inputs(of: step)[index].flatMap({ table[$0] })?.tensor else {
        return nil
      }
      return Tensor(
        type, shape, storage: source.storage, byteOffset: source.byteOffset,
        texts: type == .string ? source.texts : .none)
    }
  }

  /// The memory of one output that is described during the run; nil where the operator places it
  /// itself or nobody wants it.
  func destination(
    _ placement: Plan.Placement, _ fact: Fact, _ step: Plan.Step, _ plan: Plan,
    _ context: RunContext
  ) throws(ModelError) -> Destination? {
    guard placement == .own else {
      return tensor(placement, fact, step, plan).map { Destination($0) }
    }
    guard let type = fact.elementType, let shape = fact.shape else { return nil }
    return Destination(type, shape, storage: try context.allocate(type, shape))
  }

  /// Gives a value its place in the table and its address to the steps that compute with it.
  func set(_ id: Graph.ValueID, _ value: Value?, _ plan: Plan) {
    table[id] = value
    let uses = plan.uses[id]
    guard !uses.isEmpty, let tensor = value?.tensor else { return }
    let address = unsafe UnsafeMutableRawPointer(mutating: tensor.bytes)
    for use in uses { unsafe operands[use] = address }
  }

  /// Lets operands lie at an address.
  func point(_ places: [Int], to address: UnsafeRawPointer) {
    let address = unsafe UnsafeMutableRawPointer(mutating: address)
    for place in places { unsafe operands[place] = address }
  }

  /// Sets a value that an operator has made, which must be what the plan said of it.
  func take(_ id: Graph.ValueID, _ value: Value, _ plan: Plan) throws(ModelError) {
    if let fact = plan.facts[id], let shape = fact.shape,
      value.tensor?.shape != shape || value.type != fact.type
    {
      throw .unexpected("output", expected: "\(fact)", got: "\(Fact(value))", code: .invalid)
    }
    // Views of what has its place, and the addresses of it, are settled: it is to lie there.
    if plan.fixed[id], let place = table[id]?.tensor, let made = value.tensor,
      made.type != .string, place.byteCount == made.byteCount
    {
      return Destination(place).copy(made)
    }
    if plan.fixed[id] { replaced.append((id, table[id])) }
    let placesByteCount = value.placesByteCount
    if placesByteCount > 0, let account {
      let claim = MemoryClaim(on: account)
      try claim.grow(by: placesByteCount, for: "a value of type \(value.type)")
      claims[id] = claim
    }
    set(id, value, plan)
  }

  /// Lets go of a value that nothing reads any more.
  func release(_ id: Graph.ValueID) {
    table[id] = nil
    if !claims.isEmpty { claims[id] = nil }
  }

  /// Makes those outputs of a step that are not fixed, in memory of their own or of an input.
  func place(_ step: Plan.Step, _ position: Int, _ plan: Plan, _ context: RunContext)
    throws(ModelError)
  {
    for (index, id) in plan.outputs(of: step).enumerated() {
      guard let id, !plan.fixed[id], let fact = plan.fact(of: index, step),
        let type = fact.elementType,
        let shape = fact.shape
      else { continue }
      let made: Tensor
      let placement = plan.placements[position, index]
      switch placement {
      case .unwanted: continue
      case .own:
        made = Tensor(type, shape, storage: try storage(for: id, type, shape, context))
      default:
        guard let tensor = tensor(placement, fact, step, plan) else { continue }
        made = tensor
      }
      set(id, .tensor(made), plan)
      slots[position]?.destinations[index] = Destination(made)
    }
  }

  /// Lets outputs of the next run lie in buffers, with the values that they are mere views of.
  func aim(at targets: [Graph.ValueID: Storage], _ plan: Plan) {
    self.targets = targets
    for (position, step) in plan.steps.enumerated().reversed() {
      for (index, id) in plan.outputs(of: step).enumerated() {
        guard case .input(let input) = plan.placements[position, index], let id,
          let target = self.targets[id], let source = plan.inputs(of: step)[input],
          self.targets[source] == nil,
          plan.facts[source]?.byteCount == plan.facts[id]?.byteCount
        else { continue }
        self.targets[source] = target
      }
    }
  }

  /// Memory that leaves the run: what an earlier run handed out and nobody holds any more, or new.
  private func storage(
    for id: Graph.ValueID, _ type: ElementType, _ shape: Shape, _ context: RunContext
  ) throws(ModelError) -> Storage {
    if !targets.isEmpty, let target = targets[id] { return target }
    for index in handedOut[id].indices where isKnownUniquelyReferenced(&handedOut[id][index]) {
      return handedOut[id][index]
    }
    let storage = try context.allocate(type, shape)
    // Two are enough for a caller, or a loop, that holds one result while it computes the next.
    if handedOut[id].count == 2 { handedOut[id].removeFirst() }
    handedOut[id].append(storage)
    return storage
  }

  /// The outputs of a step whose operator runs into known memory.
  func outputs(_ position: Int, _ context: RunContext) -> Outputs {
    guard let slots = slots[position] else { preconditionFailure("step has no slots") }
    return Outputs(slots, context)
  }

  /// Takes over what the operator of a step placed or handed over itself.
  func collect(_ step: Plan.Step, _ position: Int, _ plan: Plan) throws(ModelError) {
    guard let slots = slots[position] else { return }
    guard slots.isChanged || !step.isFixed else { return }
    defer { slots.restore(destinations[position]) }
    guard slots.isChanged else { return }
    for (index, id) in plan.outputs(of: step).enumerated() {
      if let id, let value = slots.changed(index) { try take(id, value, plan) }
    }
  }

  /// Where the operands of a step are.
  func addresses(_ step: Plan.Step) -> Addresses {
    let first = unsafe operands + step.firstOperand
    return unsafe Addresses(
      inputs: first, outputs: first + step.inputCount, count: step.outputCount)
  }

  /// Lets go of all that the last run made and was given.
  func clear(_ plan: Plan) {
    if !targets.isEmpty { targets = [:] }
    for id in plan.graph.inputs { table[id] = nil }
    for id in plan.varying { table[id] = nil }
    if !claims.isEmpty { claims = [:] }
    guard !replaced.isEmpty else { return }
    for (id, value) in replaced.reversed() { set(id, value, plan) }
    replaced.removeAll(keepingCapacity: true)
  }
}

/// Workspaces that are not in use, kept for the next run.
final class WorkspacePool: Sendable {
  private let idle = Mutex<[Workspace]>([])

  /// A workspace of the plan that owns this pool.
  func take(_ plan: Plan) -> Workspace { idle.withLock { $0.popLast() } ?? Workspace(plan) }

  func give(_ workspace: Workspace) { idle.withLock { $0.append(workspace) } }
}
