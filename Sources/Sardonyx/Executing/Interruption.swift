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

  /// Has the run end where an array of so many elements passes its memory limit.
  static func expect<T>(_ count: Int, _: T.Type) {
    // What fits a page of memory or some is not worth the question.
    if count > 1 << 12 { crew?.account?.expect(count &* MemoryLayout<T>.stride) }
  }

  /// Counts bytes of the current run as long as it lives; nil where nobody counts.
  static func claim() -> MemoryClaim? { (crew?.account).map { MemoryClaim(on: $0) } }

  /// Work between two looks at the clock: less than a millisecond, far more than a look.
  private static let interval = 1 << 18
  private var work = 0
  private let crew: Crew?

  /// - Parameter crew: whom to ask on threads of its own; nil for the crew of the current thread.
  init(of crew: Crew? = nil) { self.crew = crew }

  /// Whether to leave off.
  /// - Parameter work: how many nanoseconds, about, the work since the last call took.
  @inline(__always) mutating func isDue(after work: Int) -> Bool {
    self.work &+= work
    return self.work >= Self.interval && look()
  }

  @inline(never) private mutating func look() -> Bool {
    let isDue = crew?.isCancelled ?? Self.isDue
    // Once due, always due.
    if !isDue { work = 0 }
    return isDue
  }

  /// Elements that are copied or cleared between two looks at the clock.
  private static let stretch = 1 << 17

  /// Calls `body` with neighbouring ranges of 0 ..< count; with fewer where the run is to end.
  /// - Parameter crew: whom to ask on threads of its own; nil for the crew of the current thread.
  static func inStretches(of count: Int, for crew: Crew? = nil, _ body: (Range<Int>) -> Void) {
    for first in stride(from: 0, to: count, by: stretch) {
      if first > 0, crew?.isCancelled ?? isDue { return }
      body(first..<min(first + stretch, count))
    }
  }

  /// Whether to leave off before an array of so many elements takes memory.
  private static func isDue(forAtLeast count: Int) -> Bool { count > stretch && isDue }

  /// The results of `body` for 0 ..< count; fewer where the run is to end.
  /// - Parameter cost: about how many nanoseconds one call takes.
  static func map<T>(_ count: Int, cost: Int, _ body: (Int) -> T) -> [T] {
    var interruption = Interruption()
    var results: [T] = []
    expect(count, T.self)
    if isDue(forAtLeast: count) { return results }
    results.reserveCapacity(count)
    for index in 0..<count {
      if interruption.isDue(after: cost) { break }
      results.append(body(index))
    }
    return results
  }
}

extension Array where Element: BitwiseCopyable {
  /// So many times the same number; where the run is to end, whatever the memory holds from somewhere
  /// on, so that pages nobody will read are not taken either.
  init(repeating number: Element, untilDue count: Int) {
    Interruption.expect(count, Element.self)
    unsafe self.init(unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = count
      guard let start = buffer.baseAddress else { return }
      Interruption.inStretches(of: count) {
        unsafe (start + $0.lowerBound).initialize(repeating: number, count: $0.count)
      }
    }
  }
}

extension Array where Element: Number {
  /// So many zeros; where the run is to end as ``init(repeating:untilDue:)``.
  init(zerosUntilDue count: Int) { self.init(repeating: 0, untilDue: count) }

  /// A copy of so many numbers; where the run is to end, floating-point numbers as
  /// ``init(repeating:untilDue:)``. Integers may be places, and whoever has checked them relies on them.
  /// - Parameter asPlaces: false for integers that are numbers alone.
  init(copyingUntilDue source: UnsafePointer<Element>, _ count: Int, asPlaces: Bool = true) {
    Interruption.expect(count, Element.self)
    unsafe self.init(unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = count
      guard let start = buffer.baseAddress else { return }
      if asPlaces, Element.elementType.isInteger {
        return unsafe start.initialize(from: source, count: count)
      }
      Interruption.inStretches(of: count) {
        unsafe (start + $0.lowerBound).initialize(from: source + $0.lowerBound, count: $0.count)
      }
    }
  }
}

extension RandomAccessCollection where Index == Int {
  /// The results of `body` for each element; fewer where the run is to end.
  /// - Parameter cost: about how many nanoseconds one call takes.
  func interruptibleMap<T>(cost: Int, _ body: (Element) -> T) -> [T] {
    Interruption.map(count, cost: cost) { body(self[startIndex + $0]) }
  }
}

extension Array {
  /// The elements in order; in any order where the run is to end.
  consuming func sortedUntilDue(by precedes: (Element, Element) -> Bool) -> [Element] {
    var interruption = Interruption()
    try? sort { left, right throws(SortInterrupted) in
      if interruption.isDue(after: 16) { throw SortInterrupted() }
      return precedes(left, right)
    }
    return self
  }
}

private struct SortInterrupted: Error {}
