import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Memory of its own, aligned to cache lines, and to large pages when it is large.
///
/// It is shared as raw memory: who writes it, and when, is for its users to agree on.
@safe final class AlignedMemory: Sendable {
  let byteCount: Int
  nonisolated(unsafe) let start: UnsafeMutableRawPointer
  /// That of the run or the preparation the memory was taken for.
  private let account: MemoryAccount?

  /// The memory is not initialised; a count of 0 gives a valid place of some bytes.
  init(byteCount: Int) {
    let largePage = 2 << 20
    let isLarge = byteCount >= largePage
    self.byteCount = byteCount
    account = Interruption.crew?.account
    account?.charge(byteCount)
    unsafe start = UnsafeMutableRawPointer.allocate(
      byteCount: max(byteCount, 64), alignment: isLarge ? largePage : 64)
    #if os(Linux)
      if isLarge { unsafe _ = madvise(start, byteCount, MADV_HUGEPAGE) }
    #endif
  }

  deinit {
    account?.release(byteCount)
    unsafe start.deallocate()
  }

  var floats: UnsafeMutablePointer<Float> { unsafe start.assumingMemoryBound(to: Float.self) }
}

/// Blocks of scratch memory that are kept for the next user.
final class ScratchPool: Sendable {
  private let idle = Mutex<[AlignedMemory]>([])

  /// Lends room for so many floats, uninitialised.
  func withFloats<Result>(
    _ count: Int, _ body: (UnsafeMutablePointer<Float>) throws -> Result
  ) rethrows -> Result {
    let memory = take(count * MemoryLayout<Float>.stride)
    defer { idle.withLock { $0.append(memory) } }
    return try unsafe body(memory.floats)
  }

  /// The smallest idle block that is large enough, or else a new one in place of the smallest.
  private func take(_ byteCount: Int) -> AlignedMemory {
    let found = idle.withLock { idle -> AlignedMemory? in
      let fitting = idle.indices.filter { idle[$0].byteCount >= byteCount }
      if let best = fitting.min(by: { idle[$0].byteCount < idle[$1].byteCount }) {
        return idle.remove(at: best)
      }
      if let least = idle.indices.min(by: { idle[$0].byteCount < idle[$1].byteCount }) {
        idle.remove(at: least)
      }
      return nil
    }
    return found ?? AlignedMemory(byteCount: byteCount)
  }
}
