#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The sizes of this machine's caches, which tell how loops over memory are cut.
enum Caches {
  /// Bytes of the second-level cache that a core has for itself.
  static let level2: Int = {
    #if canImport(Glibc)
      let bytes = sysconf(Int32(_SC_LEVEL2_CACHE_SIZE))
    #elseif canImport(Musl)
      let bytes = 0
    #else
      var bytes = 0
      var width = MemoryLayout<Int>.size
      _ = unsafe sysctlbyname("hw.l2cachesize", &bytes, &width, nil, 0)
    #endif
    return bytes > 0 ? bytes : 512 << 10
  }()
}

extension Int {
  /// The length of equal parts of at most about `most`, each but the last a multiple of `unit`.
  func evenPart(atMost most: Int, multipleOf unit: Int) -> Int {
    let parts = Swift.max(1, (self + most - 1) / most)
    let length = (self + parts - 1) / parts
    return Swift.min(self, (length + unit - 1) / unit * unit)
  }

  /// The largest divisor of a positive number that is no larger than `most`.
  func largestDivisor(atMost most: Int) -> Int {
    (1...Swift.min(self, most)).last { self % $0 == 0 }!
  }
}
