private import Synchronization

#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif

/// A block of memory that tensors share; the one class that owns element bytes.
///
/// Written only while a single step computes the tensor it belongs to, read-only ever after: that
/// contract, kept by the executor, is what makes it `Sendable`.
@safe final class Storage: @unchecked Sendable {
  let byteCount: Int
  /// Where the bytes first lay.
  private let source: UnsafeRawPointer
  /// Where the bytes are; nil while they lie at an odd address and nobody has asked for them.
  private let place: Atomic<UnsafeMutableRawPointer?>
  /// What keeps borrowed memory alive; nil for memory of our own.
  private let owner: (any AnyObject & Sendable)?
  /// Where the bytes count as long as they are held.
  private let account: MemoryAccount?

  /// Aligned for every SIMD width and for cache lines.
  static let alignment = 64

  /// Uninitialised memory of `byteCount` bytes.
  init(byteCount: Int) {
    let memory = unsafe Self.allocate(byteCount)
    self.byteCount = byteCount
    unsafe source = UnsafeRawPointer(memory)
    unsafe place = Atomic(memory)
    owner = nil
    account = nil
  }

  /// Uninitialised memory of a size that comes from a file.
  /// - Returns: nil where the account does not allow it, or the system has no more.
  init?(byteCount: Int, _ account: MemoryAccount) {
    guard account.reserve(byteCount) else { return nil }
    var memory: UnsafeMutableRawPointer?
    guard unsafe posix_memalign(&memory, Self.alignment, max(byteCount, 1)) == 0,
      let memory = unsafe memory
    else {
      account.release(byteCount)
      return nil
    }
    self.byteCount = byteCount
    unsafe source = UnsafeRawPointer(memory)
    unsafe place = Atomic(memory)
    owner = nil
    self.account = account
  }

  /// Memory that `owner` keeps alive, such as a mapped file.
  ///
  /// - Parameter alignment: what the address must be a multiple of. A block that lies elsewhere is
  ///   copied when it is first read, so that loading a model costs nothing for its weights.
  init(
    borrowing base: UnsafeRawPointer, byteCount: Int, alignment: Int = 1,
    owner: some AnyObject & Sendable
  ) {
    self.byteCount = byteCount
    unsafe source = base
    let isAligned = Int(bitPattern: base) % alignment == 0
    unsafe place = Atomic(isAligned ? UnsafeMutableRawPointer(mutating: base) : nil)
    self.owner = owner
    account = nil
  }

  /// The first byte.
  var base: UnsafeMutableRawPointer {
    if let place = unsafe place.load(ordering: .acquiring) { return unsafe place }
    return unsafe align()
  }

  /// The first byte for those who read nothing but bytes, and need no alignment.
  var unalignedBase: UnsafeRawPointer {
    guard let place = unsafe place.load(ordering: .acquiring) else { return unsafe source }
    return UnsafeRawPointer(place)
  }

  /// Where the block began, as a number that tells blocks apart.
  var address: Int { unsafe Int(bitPattern: source) }

  /// Copies the bytes; of threads that do so at once, the first one's copy stays.
  private func align() -> UnsafeMutableRawPointer {
    let copy = unsafe Self.allocate(byteCount)
    unsafe copy.copyMemory(from: source, byteCount: byteCount)
    let (isFirst, other) = unsafe place.compareExchange(
      expected: nil, desired: copy, ordering: .acquiringAndReleasing)
    guard !isFirst, let other = unsafe other else { return unsafe copy }
    unsafe copy.deallocate()
    return unsafe other
  }

  private static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: alignment)
  }

  deinit {
    account?.release(byteCount)
    guard let place = unsafe place.load(ordering: .acquiring) else { return }
    if unsafe owner == nil || UnsafeRawPointer(place) != source { unsafe place.deallocate() }
  }
}
