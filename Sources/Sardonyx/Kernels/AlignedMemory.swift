import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Pages of 2 MiB for packed weights: a five-hundredth of the entries that the processor has to look up.
///
/// The system is asked to bring pages together once they are filled, in its own time. Asked before, it
/// would clear 2 MiB at the first touch, which a virtual machine that gives free memory back has to
/// fetch from its host: ResNet-50's first result then came after 305 ms instead of 115 (Zen 5, one
/// thread), and its later runs took as long.
enum LargePages {
  static let byteCount = 2 << 20

  /// What the address of a block should be a multiple of.
  static func alignment(of byteCount: Int) -> Int {
    byteCount >= self.byteCount ? self.byteCount : 64
  }

  /// Has the system bring in the pages of memory that is about to be written whole: one call costs a
  /// quarter less than a fault for each page (104 MB: 57 ms instead of 76, Cascade Lake).
  static func bringIn(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
    #if os(Linux)
      let page = 4096
      guard byteCount >= 4 * page else { return }
      let offset = Int(bitPattern: start) % page
      // MADV_POPULATE_WRITE, which Linux has since 5.14; an earlier one declines, as does one of larger pages.
      unsafe _ = madvise(start - offset, offset + byteCount, 23)
    #endif
  }

  /// Lets the system make large pages of what has been filled.
  static func gather(_ start: UnsafeMutableRawPointer, _ byteCount: Int) {
    #if os(Linux)
      if byteCount >= self.byteCount { unsafe _ = madvise(start, byteCount, MADV_HUGEPAGE) }
    #endif
  }
}

/// Memory of its own, aligned to cache lines, and to large pages when it is large.
///
/// It is shared as raw memory: who writes it, and when, is for its users to agree on.
@safe final class AlignedMemory: Sendable {
  let byteCount: Int
  nonisolated(unsafe) let start: UnsafeMutableRawPointer
  /// That of the run or the preparation the memory was taken for.
  private let account: MemoryAccount?
  /// The memory that this is a part of, if it is.
  private let whole: AlignedMemory?
  /// Whether it is addresses alone, whose pages come as they are written, counted by nobody.
  fileprivate let isPromised: Bool

  /// The memory is not initialised; a count of 0 gives a valid place of some bytes.
  ///
  /// Where the machine has not so much, the run that it is for is over by its limit of memory, and gets
  /// addresses to write to until it notices.
  init(byteCount: Int) {
    self.byteCount = byteCount
    account = Interruption.crew?.account
    account?.charge(byteCount)
    whole = nil
    let (room, alignment) = (max(byteCount, 64), LargePages.alignment(of: byteCount))
    var memory: UnsafeMutableRawPointer?
    isPromised = unsafe posix_memalign(&memory, alignment, room) != 0
    if isPromised {
      let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
      unsafe memory = mmap(nil, room, PROT_READ | PROT_WRITE, flags, -1, 0)
    }
    guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
      fatalError("no room for \(byteCount) bytes")
    }
    unsafe start = memory
  }

  /// A part of other memory, which lives as long.
  fileprivate init(_ whole: AlignedMemory, _ range: Range<Int>) {
    precondition(range.upperBound <= max(whole.byteCount, 64))
    byteCount = range.count
    account = nil
    self.whole = whole
    isPromised = false
    unsafe start = whole.start + range.lowerBound
  }

  deinit {
    account?.release(byteCount)
    guard whole == nil else { return }
    if isPromised { unsafe munmap(start, byteCount) } else { unsafe free(start) }
  }

  var floats: UnsafeMutablePointer<Float> { unsafe start.assumingMemoryBound(to: Float.self) }
}

/// Room for the packed weights of a session, one after the other: what is smaller than a large page
/// lies in one with others, and nothing is filled up to whole pages.
final class WeightArena: Sendable {
  /// That of the session which the current thread prepares.
  @TaskLocal static var current: WeightArena?

  private let blockByteCount: Int
  private let last = Mutex<(block: AlignedMemory, taken: Int)?>(nil)
  private let blocks = Mutex<[AlignedMemory]>([])

  /// - Parameter expected: bytes that are about to be packed.
  init(expecting expected: Int) {
    blockByteCount = min(max(expected, 1 << 12), 16 * LargePages.byteCount)
  }

  /// Lets ``take(_:)`` on the current thread take from here.
  func asCurrent<Result, Failure>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    let result = Self.$current.withValue(self) {
      Swift.Result { () throws(Failure) in try body() }
    }
    return try result.get()
  }

  /// Tells that all weights have been packed.
  func finish() {
    blocks.withLock { blocks in
      for block in blocks { unsafe LargePages.gather(block.start, block.byteCount) }
    }
  }

  /// Memory for packed weights, of the arena of the current thread or of its own.
  static func take(_ byteCount: Int) -> AlignedMemory {
    current?.take(byteCount) ?? AlignedMemory(byteCount: byteCount)
  }

  private func block(_ byteCount: Int) -> AlignedMemory {
    let block = AlignedMemory(byteCount: byteCount)
    blocks.withLock { $0.append(block) }
    return block
  }

  private func take(_ byteCount: Int) -> AlignedMemory {
    let memory = byteCount <= blockByteCount / 2 ? part(byteCount) : block(byteCount)
    // What is larger is filled bit by bit, while what it is made of goes.
    if byteCount <= 8 * LargePages.byteCount { unsafe LargePages.bringIn(memory.start, byteCount) }
    return memory
  }

  private func part(_ byteCount: Int) -> AlignedMemory {
    let room = (byteCount + 63) / 64 * 64
    return last.withLock { last in
      if let (block, taken) = last, taken + room <= block.byteCount {
        last = (block, taken + room)
        return AlignedMemory(block, taken..<taken + byteCount)
      }
      let block = block(blockByteCount)
      last = (block, room)
      return AlignedMemory(block, 0..<byteCount)
    }
  }
}

/// Blocks of scratch memory that are kept for the next user.
final class ScratchPool: Sendable {
  private let idle = Mutex<[AlignedMemory]>([])

  /// Lends room for so many floats, uninitialised.
  func withFloats<Result>(
    _ count: Int, _ body: (UnsafeMutablePointer<Float>) throws -> Result
  ) rethrows -> Result {
    unsafe try withBytes(count * MemoryLayout<Float>.stride) { bytes in
      try unsafe body(bytes.assumingMemoryBound(to: Float.self))
    }
  }

  /// Lends room for so many bytes, uninitialised.
  func withBytes<Result>(
    _ count: Int, _ body: (UnsafeMutableRawPointer) throws -> Result
  ) rethrows -> Result {
    let memory = take(count)
    // The next user of memory that could not be had must meet its limit too.
    defer { if !memory.isPromised { idle.withLock { $0.append(memory) } } }
    return try unsafe body(memory.start)
  }

  /// The smallest idle block that is large enough, or else a new one in place of the smallest.
  private func take(_ byteCount: Int) -> AlignedMemory {
    let found = idle.withLock { idle -> AlignedMemory? in
      var (best, least): (Int?, Int?) = (nil, nil)
      for index in idle.indices {
        let size = idle[index].byteCount
        if least.map({ size < idle[$0].byteCount }) ?? true { least = index }
        if size >= byteCount, best.map({ size < idle[$0].byteCount }) ?? true { best = index }
      }
      if let best { return idle.remove(at: best) }
      if let least { idle.remove(at: least) }
      return nil
    }
    return found ?? AlignedMemory(byteCount: byteCount)
  }
}
