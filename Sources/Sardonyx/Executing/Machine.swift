#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif

/// What the machine offers.
enum Machine {
  /// Bytes of physical memory.
  static let memoryByteCount: Int = {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let pageSize = sysconf(Int32(_SC_PAGESIZE))
    return pages > 0 && pageSize > 0 ? pages * pageSize : 1 << 34
  }()
}
