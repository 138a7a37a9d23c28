import Synchronization

/// Ends runs from another thread.
public final class Cancellation: Sendable {
  private struct State {
    var isCancelled = false
    var running: [ObjectIdentifier: RunContext] = [:]
  }

  private let state = Mutex(State())

  /// A cancellation that has not been asked for.
  public init() {}

  /// Whether ``cancel()`` was called.
  public var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Ends the runs that were given this soon, and those that come later at once: they throw a
  /// ``ModelError`` (cancelled). May be called from any thread, and more than once.
  public func cancel() {
    state.withLock { state in
      state.isCancelled = true
      for context in state.running.values { context.cancel() }
    }
  }

  /// Calls `body` while ``cancel()`` ends the run of `context`.
  func during<Result>(_ context: RunContext, _ body: () throws(ModelError) -> Result)
    throws(ModelError) -> Result
  {
    state.withLock { state in
      state.running[ObjectIdentifier(context)] = context
      if state.isCancelled { context.cancel() }
    }
    defer { state.withLock { _ = $0.running.removeValue(forKey: ObjectIdentifier(context)) } }
    try context.checkCancellation()
    return try body()
  }
}
