import Synchronization

/// What all nodes of one run share: the crew, the limits, the randomness.
final class RunContext: Sendable {
  let crew: Crew
  /// What the run holds of the memory it may take.
  let account: MemoryAccount
  /// The seed that random operators without a seed of their own start from.
  let seed: UInt64
  /// How many nodes have drawn a seed.
  private let drawn = Atomic<UInt64>(0)
  /// What is told of each step, if anybody waits: a run may compute on another thread than its caller's.
  let activity = Activity.watched

  /// - Parameter memoryLimit: bytes that may be held, where the crew has no account of its own.
  init(
    crew: Crew = Crew(threads: 1), memoryLimit: Int = .max, seed: UInt64 = 0
  ) {
    self.crew = crew
    account = crew.account ?? MemoryAccount(limit: memoryLimit)
    self.seed = seed
  }

  /// A seed for a random operator that states none: another at each call, the same in each run, as
  /// nodes run in one order.
  func drawSeed() -> UInt32 {
    // SplitMix64, which spreads numbers that lie close together.
    let count = drawn.wrappingAdd(1, ordering: .relaxed).newValue
    var bits = seed &+ count &* 0x9E37_79B9_7F4A_7C15
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return UInt32(truncatingIfNeeded: bits ^ (bits >> 31))
  }

  /// Memory for a value of the given type and shape.
  /// - Throws: ``ModelError`` (limit) where the shape is negative, overflows or is over the limit,
  ///   or the system has no memory left.
  func allocate(_ type: ElementType, _ shape: Shape) throws(ModelError) -> Storage {
    guard let count = shape.checkedElementCount,
      let storage = Storage(byteCount: count * type.byteCount, account)
    else {
      throw account.fault("a value of type \(type)[\(shape.joined)]")
    }
    // References to texts must never be garbage, whatever the operator leaves unwritten.
    if type == .string {
      unsafe storage.base.initializeMemory(as: UInt8.self, repeating: 0, count: storage.byteCount)
    }
    return storage
  }

  /// Ends the run soon; may be called from any thread.
  func cancel() { crew.cancelForCaller() }

  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end early; results computed
  ///   since then are incomplete.
  func checkCancellation() throws(ModelError) {
    if let interruption = crew.interruption { throw interruption }
  }
}
