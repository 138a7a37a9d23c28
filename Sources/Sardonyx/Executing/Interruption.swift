/// Lets a long loop end with the run that it works for.
///
/// A loop asks after each piece of its work. Once the run is to end it leaves off, or gives
/// whatever is at hand: nobody sees the result, since the executor throws as soon as the operator
/// returns. Chunks of a crew need none of this: the crew asks between them.
struct Interruption {
  /// The crew of the run that the current thread works for.
  @TaskLocal static var crew: Crew?

  /// Whether the run of the current thread is to end, by its time limit or by its caller.
  static var isDue: Bool { crew?.isCancelled ?? false }

  /// - Throws: ``ModelError`` (limit or cancelled) where the run of the current thread is to end.
  static func check() throws(ModelError) {
    if let interruption = crew?.interruption { throw interruption }
  }

  /// Work between two looks at the clock: less than a millisecond, far more than a look.
  private static let interval = 1 << 18
  private var work = 0

  /// Whether to leave off.
  /// - Parameter work: how many nanoseconds, about, the work since the last call took.
  @inline(__always) mutating func isDue(after work: Int) -> Bool {
    self.work &+= work
    return self.work >= Self.interval && look()
  }

  @inline(never) private mutating func look() -> Bool {
    let isDue = Self.isDue
    // Once due, always due.
    if !isDue { work = 0 }
    return isDue
  }

  /// The results of `body` for 0 ..< count; fewer where the run is to end.
  /// - Parameter cost: about how many nanoseconds one call takes.
  static func map<T>(_ count: Int, cost: Int, _ body: (Int) -> T) -> [T] {
    var interruption = Interruption()
    var results: [T] = []
    results.reserveCapacity(count)
    for index in 0..<count {
      if interruption.isDue(after: cost) { break }
      results.append(body(index))
    }
    return results
  }
}

extension Array {
  /// The results of `body` for each element; fewer where the run is to end.
  /// - Parameter cost: about how many nanoseconds one call takes.
  func interruptibleMap<T>(cost: Int, _ body: (Element) -> T) -> [T] {
    Interruption.map(count, cost: cost) { body(self[$0]) }
  }

  /// The elements in order; in any order where the run is to end.
  func sortedUntilDue(by precedes: (Element, Element) -> Bool) -> [Element] {
    var interruption = Interruption()
    let sorted = try? sorted { left, right throws(SortInterrupted) in
      if interruption.isDue(after: 16) { throw SortInterrupted() }
      return precedes(left, right)
    }
    return sorted ?? self
  }
}

private struct SortInterrupted: Error {}
