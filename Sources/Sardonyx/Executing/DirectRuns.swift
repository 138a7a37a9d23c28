/// Runs of a body, one after the other, on addresses alone: no value is made, and nothing is allocated
/// after the first.
///
/// What a run gives stays until the run after the next one begins.
@safe final class DirectRuns {
  let direct: DirectPlan
  private let plan: Plan
  private let context: RunContext
  private let workspace: Workspace
  private let inputs: UnsafeMutablePointer<UnsafeRawPointer>
  /// Two for each slot, written in turn.
  private var slots: [(even: Storage, odd: Storage)] = []
  private var isOdd = true

  /// - Parameter inputs: those of the first run, to be kept by the caller.
  /// - Returns: nil where the plan needs more than addresses.
  /// - Throws: ``ModelError`` (limit) where there is not memory enough.
  init?(_ plan: Plan, _ context: RunContext, inputs: [Tensor]) throws(ModelError) {
    guard let direct = plan.direct else { return nil }
    precondition(inputs.count == plan.inputs.count)
    guard context.account.reserve(plan.arenaByteCount) else {
      throw context.account.fault("the memory of the run, \(plan.arenaByteCount) bytes")
    }
    self.direct = direct
    self.plan = plan
    self.context = context
    workspace = plan.workspaces.take(plan)
    unsafe self.inputs = UnsafeMutablePointer.allocate(capacity: max(inputs.count, 1))
    for (index, tensor) in inputs.enumerated() {
      unsafe (self.inputs + index).initialize(to: tensor.bytes)
      unsafe bind(index, to: tensor.bytes)
    }
    for slot in direct.slots {
      slots.append(
        (
          try context.allocate(slot.type, slot.shape), try context.allocate(slot.type, slot.shape)
        ))
    }
  }

  deinit {
    unsafe inputs.deallocate()
    workspace.clear(plan)
    plan.workspaces.give(workspace)
    context.account.release(plan.arenaByteCount)
  }

  /// Lets an input lie at an address from the next run on.
  func bind(_ index: Int, to address: UnsafeRawPointer) {
    unsafe inputs[index] = address
    unsafe workspace.point(direct.inputUses[index], to: address)
  }

  /// Runs all steps.
  func run() throws(ModelError) {
    isOdd.toggle()
    for index in slots.indices {
      let storage = isOdd ? slots[index].odd : slots[index].even
      unsafe workspace.point(direct.slots[index].uses, to: UnsafeRawPointer(storage.base))
    }
    try direct.run(plan, in: workspace, on: context.crew)
  }

  /// Where an output of the last run lies.
  func output(_ index: Int) -> UnsafeRawPointer {
    switch direct.outputs[index].source {
    case .input(let input): return unsafe inputs[input]
    case .slot(let slot):
      return unsafe UnsafeRawPointer((isOdd ? slots[slot].odd : slots[slot].even).base)
    case .constant(let tensor): return unsafe tensor.bytes
    }
  }

  /// An output of the last run, where it lies in memory of the runs.
  func tensor(_ index: Int) -> Tensor? {
    let output = direct.outputs[index]
    switch output.source {
    case .input: return nil
    case .slot(let slot):
      return Tensor(
        output.type, output.shape, storage: isOdd ? slots[slot].odd : slots[slot].even)
    case .constant(let tensor): return tensor
    }
  }

  /// Whether an output may be the input of a position in the next run: as the plan has it there, and
  /// not memory of another input, which may hold something else by then.
  func canFollow(_ output: Int, as input: Int) -> Bool {
    let (made, wanted) = (direct.outputs[output], plan.inputs[input])
    guard made.type == wanted.elementType, made.shape == wanted.shape else { return false }
    if case .input(let other) = made.source { return other == input }
    return true
  }
}

/// A tensor that grows along a new axis, a slice at a time.
@safe struct GrowingStack {
  private let type: ElementType
  private let shape: Shape
  private let axis: Int
  private let isReversed: Bool
  private var storage: Storage
  private var capacity: Int
  private(set) var count = 0
  private let context: RunContext

  /// - Parameters:
  ///   - capacity: slices to make room for; more can come only where `axis` is 0.
  init(
    _ type: ElementType, _ shape: Shape, axis: Int, isReversed: Bool = false, capacity: Int,
    _ context: RunContext
  ) throws(ModelError) {
    (self.type, self.shape, self.axis, self.isReversed) = (type, shape, axis, isReversed)
    self.capacity = capacity
    self.context = context
    storage = try context.allocate(type, [capacity] + shape)
  }

  private var sliceByteCount: Int { shape.elementCount * type.byteCount }

  mutating func append(_ slice: UnsafeRawPointer) throws(ModelError) {
    if count == capacity { try grow() }
    let place = isReversed ? capacity - 1 - count : count
    let rows = Shape(shape[..<axis]).elementCount
    let size = sliceByteCount / max(rows, 1)
    for row in 0..<rows {
      unsafe (storage.base + (row * capacity + place) * size).copyMemory(
        from: slice + row * size, byteCount: size)
    }
    count += 1
  }

  private mutating func grow() throws(ModelError) {
    precondition(axis == 0 && !isReversed)
    let larger = try context.allocate(type, [2 * max(capacity, 8)] + shape)
    unsafe larger.base.copyMemory(from: storage.base, byteCount: count * sliceByteCount)
    storage = larger
    capacity = 2 * max(capacity, 8)
  }

  /// Each of the slices so far, in the memory of all; only where they are stacked along the first axis.
  var slices: [Value] {
    precondition(axis == 0 && !isReversed)
    return (0..<count).map {
      .tensor(Tensor(type, shape, storage: storage, byteOffset: $0 * sliceByteCount))
    }
  }

  /// The slices so far; all there is room for, where they are not stacked along the first axis.
  var tensor: Tensor {
    var whole = shape
    whole.insert(count, at: axis)
    return Tensor(type, whole, storage: storage)
  }
}
