// Swift's own Mutex calls the kernel's futex, which ThreadSanitizer does not see: it then takes every
// value behind a lock for a race. tools/sanitize builds with this one in its place.
#if SARDONYX_THREAD_SANITIZER
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  struct Mutex<Value>: ~Copyable, @unchecked Sendable {
    @safe private final class Box: @unchecked Sendable {
      var value: Value
      nonisolated(unsafe) let lock: UnsafeMutablePointer<pthread_mutex_t>

      init(_ value: Value) {
        self.value = value
        unsafe lock = .allocate(capacity: 1)
        unsafe pthread_mutex_init(lock, nil)
      }

      deinit {
        unsafe pthread_mutex_destroy(lock)
        unsafe lock.deallocate()
      }
    }

    private let box: Box

    init(_ value: Value) { box = Box(value) }

    func withLock<Result, Failure>(
      _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
      unsafe pthread_mutex_lock(box.lock)
      defer { unsafe pthread_mutex_unlock(box.lock) }
      return try body(&box.value)
    }
  }
#endif
