/// A block of memory that tensors share; the one class that owns element bytes.
///
/// Written only while a single step computes the tensor it belongs to, read-only ever after: that
/// contract, kept by the executor, is what makes it `Sendable`.
@safe final class Storage: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let byteCount: Int
  private let release: @Sendable () -> Void

  /// Aligned for every SIMD width and for cache lines.
  static let alignment = 64

  /// Uninitialised memory of `byteCount` bytes.
  init(byteCount: Int) {
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: max(byteCount, 1), alignment: Self.alignment)
    unsafe base = memory
    self.byteCount = byteCount
    nonisolated(unsafe) let owned = unsafe memory
    release = { unsafe owned.deallocate() }
  }

  /// Memory that somebody else owns, kept alive by `owner` (a mapped file, a decoded message).
  init(borrowing base: UnsafeRawPointer, byteCount: Int, owner: some AnyObject & Sendable) {
    unsafe self.base = UnsafeMutableRawPointer(mutating: base)
    self.byteCount = byteCount
    release = { _ = owner }
  }

  /// Where the block begins, as a number that tells blocks apart.
  var address: Int { unsafe Int(bitPattern: base) }

  deinit { release() }
}
