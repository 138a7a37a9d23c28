/// Where packing reads single-precision numbers from: piece by piece, so that of constants that lie at
/// odd addresses, or are made of others, no whole copy comes about.
@safe struct PackingSource: Sendable {
  private let lend: @Sendable (Range<Int>, (UnsafePointer<Float>) -> Void) -> Void
  private let release: @Sendable (Range<Int>) -> Void

  /// Numbers in memory.
  init(_ start: UnsafePointer<Float>) {
    nonisolated(unsafe) let start = unsafe start
    unsafe lend = { range, body in unsafe body(start + range.lowerBound) }
    release = { _ in }
  }

  /// The numbers of a single-precision tensor.
  init(_ tensor: Tensor) {
    precondition(tensor.type == .float)
    let scratch = Interruption.crew?.scratch ?? ScratchPool()
    @Sendable func bytes(_ range: Range<Int>) -> Range<Int> {
      let first = tensor.byteOffset + range.lowerBound * MemoryLayout<Float>.stride
      return first..<first + range.count * MemoryLayout<Float>.stride
    }
    unsafe lend = { range, body in
      precondition(range.lowerBound >= 0 && range.upperBound <= tensor.elementCount)
      unsafe tensor.storage.withBytes(bytes(range), scratch) { start in
        unsafe body(start.assumingMemoryBound(to: Float.self))
      }
    }
    // What a run packs, such as weights that the caller may override, the next run reads again.
    let isForGood = WeightArena.current != nil
    release = { if isForGood { tensor.storage.letGo(bytes($0)) } }
  }

  /// Lends the numbers of a range, aligned as floats are.
  func withNumbers(_ range: Range<Int>, _ body: (UnsafePointer<Float>) -> Void) {
    unsafe lend(range, body)
  }

  /// Tells that a range has been packed, for good as it seems.
  func letGo(_ range: Range<Int>) { release(range) }

  /// Numbers in a piece that stays in the second-level cache while it is packed.
  static let pieceCount = 1 << 16

  /// Numbers that are let go at a time: system calls are dear beside small ones.
  static let releaseCount = 1 << 20

  /// Calls `body` with each of 0 ..< count on the threads that prepare the session.
  static func perform(_ count: Int, _ body: @Sendable (Int) -> Void) {
    guard let crew = Interruption.crew else { return (0..<count).forEach(body) }
    crew.perform(count, body)
  }
}
