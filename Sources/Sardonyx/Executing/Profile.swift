import Synchronization

/// When each node of a run started and how long it took.
public final class Profile: Sendable {
  /// One node's execution.
  public struct Event: Sendable {
    /// The node's name.
    public let node: String
    /// The node's operator.
    public let operatorName: String
    /// Nanoseconds since the profile began.
    public let start: UInt64
    /// How long it took, in nanoseconds.
    public let duration: UInt64
  }

  private let clock = ContinuousClock()
  private let origin: ContinuousClock.Instant
  private let recorded = Mutex<[Event]>([])

  /// An empty profile, whose times count from now.
  public init() { origin = clock.now }

  /// The events so far, in the order in which nodes finished.
  public var events: [Event] { recorded.withLock { $0 } }

  func now() -> UInt64 { (clock.now - origin).nanoseconds }

  func record(_ node: Node, since start: UInt64) {
    let event = Event(
      node: node.name, operatorName: node.operatorName, start: start, duration: now() - start)
    recorded.withLock { $0.append(event) }
  }
}

extension Duration {
  /// The whole in nanoseconds.
  var nanoseconds: UInt64 {
    UInt64(components.seconds) * 1_000_000_000 + UInt64(components.attoseconds / 1_000_000_000)
  }
}
