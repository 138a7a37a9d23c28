#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// What the machine offers.
package enum Machine {
  /// Bytes of physical memory, or fewer where the process may not have as many (`ulimit -v`).
  package static let memoryByteCount: Int = {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let pageSize = sysconf(Int32(_SC_PAGESIZE))
    return min(pages > 0 && pageSize > 0 ? pages * pageSize : 1 << 34, addressSpaceLimit)
  }()

  private static var addressSpaceLimit: Int {
    var limit = rlimit()
    #if canImport(Glibc)
      let resource = __rlimit_resource_t(RLIMIT_AS.rawValue)
    #else
      let resource = RLIMIT_AS
    #endif
    guard unsafe getrlimit(resource, &limit) == 0 else { return .max }
    return Int(clamping: limit.rlim_cur)
  }
}
