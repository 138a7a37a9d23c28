extension RunContext {
  /// The results of `body` for each of 0 ..< count, in order.
  /// - Parameter cost: about how many nanoseconds one call takes.
  func map<T: Sendable>(_ count: Int, cost: Int, _ body: @Sendable (Int) -> T) -> [T] {
    (0..<count).map(body)
  }
}
