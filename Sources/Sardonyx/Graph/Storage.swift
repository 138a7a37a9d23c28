private import Synchronization

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// A block of memory that tensors share; the one class that owns element bytes.
///
/// Written only while a single step computes the tensor it belongs to, read-only ever after: that
/// contract, kept by the executor, is what makes it `Sendable`.
@safe final class Storage: @unchecked Sendable {
  let byteCount: Int
  private let origin: Origin
  /// Where the bytes are; nil while they are to be made and nobody has asked for them in place.
  private let place: Atomic<UnsafeMutableRawPointer?>
  /// Where the bytes count as long as they are held.
  private let account: MemoryAccount?

  private enum Origin {
    /// Memory of our own.
    case own
    /// Memory that the owner keeps alive, such as a mapped file.
    case borrowed(any AnyObject & Sendable)
    /// Bytes that are made in memory of our own when somebody asks for them.
    case source(any ByteSource)
  }

  /// Aligned for every SIMD width and for cache lines.
  static let alignment = 64

  /// What a tensor in memory of its own takes besides its elements: a sequence may hold millions that
  /// have none.
  private static let overhead = 256

  /// Uninitialised memory of `byteCount` bytes.
  /// - Parameter account: counts them, and has the run end where they pass its limit.
  init(byteCount: Int, chargedTo account: MemoryAccount? = nil) {
    self.byteCount = byteCount
    unsafe place = Atomic(Self.allocate(byteCount))
    origin = .own
    self.account = account
    // Whoever fills it may leave off where the limit is passed, whatever is given back afterwards.
    account?.expect(byteCount + Self.overhead)
    account?.charge(byteCount + Self.overhead)
  }

  /// Uninitialised memory of a size that comes from a file.
  /// - Returns: nil where the account does not allow it, or the system has no more.
  init?(byteCount: Int, _ account: MemoryAccount) {
    let (counted, overflow) = byteCount.addingReportingOverflow(Self.overhead)
    guard !overflow, account.reserve(counted) else { return nil }
    var memory: UnsafeMutableRawPointer?
    guard
      unsafe posix_memalign(&memory, Self.alignment, max(byteCount, 1)) == 0,
      let memory = unsafe memory
    else {
      account.release(counted)
      return nil
    }
    self.byteCount = byteCount
    unsafe place = Atomic(memory)
    origin = .own
    self.account = account
  }

  /// Memory that `owner` keeps alive, such as a mapped file.
  ///
  /// - Parameter alignment: what the address must be a multiple of. A block that lies elsewhere is
  ///   copied when it is first read in place, so that loading a model costs nothing for its weights.
  init(
    borrowing base: UnsafeRawPointer, byteCount: Int, alignment: Int = 1,
    owner: some AnyObject & Sendable
  ) {
    self.byteCount = byteCount
    let isAligned = Int(bitPattern: base) % alignment == 0
    unsafe place = Atomic(isAligned ? UnsafeMutableRawPointer(mutating: base) : nil)
    origin =
      isAligned ? .borrowed(owner) : .source(unsafe RaggedBytes(start: base, owner: owner))
    account = nil
  }

  /// Bytes that are made when somebody asks for them.
  init(byteCount: Int, from source: some ByteSource) {
    self.byteCount = byteCount
    unsafe place = Atomic(nil)
    origin = .source(source)
    account = nil
  }

  /// The first byte.
  var base: UnsafeMutableRawPointer {
    if let place = unsafe place.load(ordering: .acquiring) { return unsafe place }
    return unsafe make()
  }

  /// The first byte for those who read nothing but bytes, and need no alignment.
  var unalignedBase: UnsafeRawPointer {
    guard unsafe place.load(ordering: .acquiring) == nil,
      case .source(let ragged as RaggedBytes) = origin
    else { return unsafe UnsafeRawPointer(base) }
    return unsafe ragged.start
  }

  /// Where the block began, as a number that tells blocks apart.
  var address: Int {
    switch origin {
    case .source(let ragged as RaggedBytes): unsafe Int(bitPattern: ragged.start)
    case .source: Int(bitPattern: ObjectIdentifier(self))
    case .own, .borrowed: unsafe Int(bitPattern: base)
    }
  }

  /// Lends some of the bytes: where they are, or made for the occasion in memory of the pool.
  func withBytes<Result>(
    _ range: Range<Int>, _ scratch: ScratchPool, _ body: (UnsafeRawPointer) -> Result
  ) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    if let place = unsafe place.load(ordering: .acquiring) {
      return unsafe body(UnsafeRawPointer(place + range.lowerBound))
    }
    return unsafe scratch.withBytes(range.count) { target in
      unsafe write(range, to: target, scratch)
      return unsafe body(UnsafeRawPointer(target))
    }
  }

  /// The same for those who need no alignment.
  func withUnalignedBytes<Result>(
    _ range: Range<Int>, _ scratch: ScratchPool, _ body: (UnsafeRawPointer) -> Result
  ) -> Result {
    guard case .source(let ragged as RaggedBytes) = origin else {
      return unsafe withBytes(range, scratch, body)
    }
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    return unsafe body(ragged.start + range.lowerBound)
  }

  /// Tells that some of the bytes are not needed for a while: pages of a file go back to the system,
  /// which reads them again when they are.
  func letGo(_ range: Range<Int>) {
    switch origin {
    case .own: return
    case .borrowed(let owner):
      guard let owner = owner as? any PageOwner, let place = unsafe place.load(ordering: .relaxed)
      else { return }
      unsafe owner.letGo(
        UnsafeRawBufferPointer(start: place + range.lowerBound, count: range.count))
    case .source(let source): source.letGo(range)
    }
  }

  private func write(
    _ range: Range<Int>, to target: UnsafeMutableRawPointer, _ scratch: ScratchPool
  ) {
    guard case .source(let source) = origin else { preconditionFailure("bytes without a place") }
    unsafe source.write(range, to: target, scratch)
  }

  /// Makes the bytes in place; of threads that do so at once, the first one's stay.
  private func make() -> UnsafeMutableRawPointer {
    let made = unsafe Self.allocate(byteCount)
    unsafe write(0..<byteCount, to: made, ScratchPool())
    let (isFirst, other) = unsafe place.compareExchange(
      expected: nil, desired: made, ordering: .acquiringAndReleasing)
    guard !isFirst, let other = unsafe other else { return unsafe made }
    unsafe made.deallocate()
    return unsafe other
  }

  private static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: alignment)
  }

  deinit {
    account?.release(byteCount + Self.overhead)
    if case .borrowed = origin { return }
    if let place = unsafe place.load(ordering: .acquiring) { unsafe place.deallocate() }
  }
}

extension Storage: PageOwner {
  func letGo(_ bytes: UnsafeRawBufferPointer) {
    if case .borrowed(let owner as any PageOwner) = origin { unsafe owner.letGo(bytes) }
  }
}

/// Makes the bytes of a ``Storage``, all of them or some, as often as they are wanted.
protocol ByteSource: Sendable {
  func write(_ range: Range<Int>, to target: UnsafeMutableRawPointer, _ scratch: ScratchPool)

  /// Tells that what these bytes are made of is not needed for a while.
  func letGo(_ range: Range<Int>)
}

/// What owns memory that comes again when it is read after it was let go.
protocol PageOwner: AnyObject {
  func letGo(_ bytes: UnsafeRawBufferPointer)
}

/// Bytes of a file that do not lie as their elements have to.
@safe private struct RaggedBytes: ByteSource {
  nonisolated(unsafe) let start: UnsafeRawPointer
  let owner: any AnyObject & Sendable

  func write(_ range: Range<Int>, to target: UnsafeMutableRawPointer, _ scratch: ScratchPool) {
    unsafe target.copyMemory(from: start + range.lowerBound, byteCount: range.count)
  }

  func letGo(_ range: Range<Int>) {
    guard let owner = owner as? any PageOwner else { return }
    unsafe owner.letGo(UnsafeRawBufferPointer(start: start + range.lowerBound, count: range.count))
  }
}
