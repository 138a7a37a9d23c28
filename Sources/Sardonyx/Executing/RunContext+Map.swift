internal import Synchronization

extension RunContext {
  /// The results of `body` for each of 0 ..< count, in order, computed by the crew.
  /// - Parameter cost: about how many nanoseconds one call takes.
  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end early.
  func map<T: Sendable>(
    _ count: Int, cost: Int, _ body: @escaping @Sendable (Int) -> T
  ) throws(ModelError) -> [T] {
    let size = max(1, 50_000 / max(1, cost))
    let chunks = (count + size - 1) / size
    guard chunks > 1 else { return (0..<count).map(body) }
    let results = Mutex([[T]](repeating: [], count: chunks))
    crew.perform(chunks) { chunk in
      let done = (chunk * size..<min(count, (chunk + 1) * size)).map(body)
      results.withLock { $0[chunk] = done }
    }
    try checkCancellation()
    return results.withLock { Array($0.joined()) }
  }
}
