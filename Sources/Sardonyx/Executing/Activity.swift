private import Synchronization

/// How far the loading, preparing or running of models has come, for those who wait for it.
///
/// What is called inside ``watch(_:)`` tells of each node that it takes up.
public final class Activity: Sendable {
  /// What is being done.
  public struct State: Sendable {
    /// Such as "fold constants" or "run".
    public var stage: String
    /// How many nodes have been done in this stage.
    public var doneCount: Int
    /// How many nodes there are; 0 where the stage does not go by nodes.
    public var count: Int
    /// The node's name and operator.
    public var node: String
  }

  private let current = Mutex(State(stage: "", doneCount: 0, count: 0, node: ""))

  /// Nothing has been done yet.
  public init() {}

  /// What is being done right now.
  public var state: State { current.withLock { $0 } }

  /// Calls `body` and keeps ``state`` up to date meanwhile.
  public func watch<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let result = Self.$watched.withValue(self) {
      Swift.Result { () throws(Failure) in try body() }
    }
    return try result.get()
  }

  /// The one that watches over the current thread.
  @TaskLocal static var watched: Activity?

  /// Tells of a stage that does not go by nodes, or has not come to the first.
  static func begin(_ stage: String) {
    watched?.current.withLock { $0 = State(stage: stage, doneCount: 0, count: 0, node: "") }
  }

  /// Tells of the node that a stage takes up.
  func take(_ stage: String, _ doneCount: Int, of count: Int, _ node: Node) {
    take(stage, doneCount, of: count, node.name, node.operatorName)
  }

  /// Tells of the node that a stage takes up.
  func take(
    _ stage: String, _ doneCount: Int, of count: Int, _ node: String, _ operatorName: String
  ) {
    let label = node == operatorName ? node : "\(node) (\(operatorName))"
    current.withLock {
      $0 = State(stage: stage, doneCount: doneCount, count: count, node: label)
    }
  }
}
