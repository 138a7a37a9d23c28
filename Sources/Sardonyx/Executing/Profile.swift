import Synchronization

/// When each node of a run started, how long it took, what it did, and on which threads.
public final class Profile: Sendable {
  /// One node's execution.
  public struct Event: Sendable {
    /// The node's name.
    public let node: String
    /// The node's operator.
    public let operatorName: String
    /// How the operator computes, and in which layout, where there is more than one way.
    public let algorithm: String?
    /// Multiply-adds, for the operators where they dominate; 0 for others, and where shapes are not
    /// known before the run.
    public let multiplyAdds: Int
    /// Bytes of the inputs and outputs, constants included; nil where shapes are not known before the
    /// run.
    public let byteCount: Int?
    /// Nanoseconds since the profile began.
    public let start: UInt64
    /// How long it took, in nanoseconds.
    public let duration: UInt64
    /// The pieces of work that were shared out among threads, in the order in which they ended; none
    /// where the caller did it all.
    public let chunks: [Chunk]

    /// How many threads had a part in it.
    public var threads: Int { max(1, Set(chunks.map(\.thread)).count) }
  }

  /// A piece of a node's work.
  public struct Chunk: Sendable {
    /// Which of the run's threads did it; 0 is the caller.
    public let thread: Int
    /// Nanoseconds since the profile began.
    public let start: UInt64
    /// How long it took, in nanoseconds.
    public let duration: UInt64
  }

  private struct State {
    var events: [Event] = []
    /// Those of the node that runs.
    var chunks: [Chunk] = []
  }

  private let clock = ContinuousClock()
  private let origin: ContinuousClock.Instant
  private let state = Mutex(State())

  /// An empty profile, whose times count from now.
  public init() { origin = clock.now }

  /// The events so far, in the order in which nodes finished.
  public var events: [Event] { state.withLock { $0.events } }

  func now() -> UInt64 { (clock.now - origin).nanoseconds }

  func recordChunk(thread: Int, since start: UInt64) {
    let chunk = Chunk(thread: thread, start: start, duration: now() - start)
    state.withLock { $0.chunks.append(chunk) }
  }

  func record(_ step: Plan.Step, of plan: Plan, since start: UInt64) {
    let duration = now() - start
    let node = plan.graph.nodes[step.node]
    let work = plan.work(of: step)
    state.withLock { state in
      state.events.append(
        Event(
          node: node.name, operatorName: node.operatorName,
          algorithm: node.implementation.method, multiplyAdds: work?.multiplyAdds ?? 0,
          byteCount: work?.byteCount, start: start, duration: duration, chunks: state.chunks))
      state.chunks = []
    }
  }
}

extension Duration {
  /// The whole in nanoseconds.
  var nanoseconds: UInt64 {
    UInt64(components.seconds) * 1_000_000_000 + UInt64(components.attoseconds / 1_000_000_000)
  }
}
