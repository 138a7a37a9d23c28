import Synchronization

/// A graph that a node computes its outputs with, on addresses alone: several calls may overlap, and
/// nothing is allocated but memory for as many as do.
final class DirectCalls: Sendable {
  private let plan: Plan
  private let direct: DirectPlan
  /// Per slot, the output that is made there; nil for memory of the calls' own.
  private let targets: [Int?]
  private let byteCount: Int
  private let idle = Mutex<[Frame]>([])

  /// The memory of one call at a time.
  private final class Frame: @unchecked Sendable {
    let workspace: Workspace
    /// Per slot, as far as it was needed.
    var slots: [Storage?]

    init(_ plan: Plan, slotCount: Int) {
      workspace = Workspace(plan)
      slots = Array(repeating: nil, count: slotCount)
    }
  }

  /// - Returns: nil where the plan needs more than addresses.
  init?(_ plan: Plan) {
    guard let direct = plan.direct else { return nil }
    var targets = [Int?](repeating: nil, count: direct.slots.count)
    for (index, output) in direct.outputs.enumerated().reversed() {
      if case .slot(let slot) = output.source { targets[slot] = index }
    }
    (self.plan, self.direct, self.targets) = (plan, direct, targets)
    byteCount = direct.slots.reduce(plan.arenaByteCount) {
      $0 + $1.shape.elementCount * $1.type.byteCount
    }
  }

  /// Runs the graph on the inputs of a node from `first` on, into the node's outputs.
  func run(_ addresses: Addresses, from first: Int, on crew: Crew) throws(ModelError) {
    if let account = crew.account, !account.reserve(byteCount) {
      throw account.fault("the memory of a graph that a node runs, \(byteCount) bytes")
    }
    let frame = idle.withLock { $0.popLast() } ?? Frame(plan, slotCount: targets.count)
    defer {
      idle.withLock { $0.append(frame) }
      crew.account?.release(byteCount)
    }
    for (index, uses) in direct.inputUses.enumerated() where !uses.isEmpty {
      unsafe frame.workspace.point(
        uses, to: UnsafeRawPointer(addresses.input(first + index, as: UInt8.self)))
    }
    for (index, slot) in direct.slots.enumerated() {
      unsafe frame.workspace.point(slot.uses, to: place(of: index, frame, addresses))
    }
    try direct.run(plan, in: frame.workspace, on: crew)
    for (index, output) in direct.outputs.enumerated() {
      guard let target = unsafe addresses.wanted(index) else { continue }
      let source: UnsafeRawPointer
      switch output.source {
      case .slot(let slot): unsafe source = place(of: slot, frame, addresses)
      case .input(let input):
        unsafe source = UnsafeRawPointer(addresses.input(first + input, as: UInt8.self))
      case .constant(let tensor): unsafe source = tensor.bytes
      }
      guard unsafe source != UnsafeRawPointer(target) else { continue }
      unsafe target.copyMemory(
        from: source, byteCount: output.shape.elementCount * output.type.byteCount)
    }
  }

  private func place(of slot: Int, _ frame: Frame, _ addresses: Addresses) -> UnsafeRawPointer {
    if let index = targets[slot], let target = unsafe addresses.wanted(index) {
      return UnsafeRawPointer(target)
    }
    if let storage = frame.slots[slot] { return unsafe UnsafeRawPointer(storage.base) }
    let storage = Storage(
      byteCount: direct.slots[slot].shape.elementCount * direct.slots[slot].type.byteCount)
    frame.slots[slot] = storage
    return unsafe UnsafeRawPointer(storage.base)
  }
}
