#if Server
  import HTTPTypes
  import Synchronization

  /// Bounds what the bodies of requests take of the memory at a time.
  final class Admission: Sendable {
    private let bodyLimit: Int
    private let totalLimit: Int
    private let total = Mutex(0)

    init(bodyLimit: Int, totalLimit: Int) {
      self.bodyLimit = bodyLimit
      self.totalLimit = totalLimit
    }

    /// Runs `body` while room for the bytes of a request is reserved.
    /// - Parameters:
    ///   - length: what the request says; nil where it does not, and the whole limit is reserved.
    ///   - body: is given how many bytes it may read.
    /// - Throws: ``Refusal``: too large, or unavailable while other requests take the room.
    func admit<Result>(
      _ length: Int?, _ body: (_ limit: Int) async throws -> Result
    ) async throws -> Result {
      let reserved = length ?? bodyLimit
      guard reserved <= bodyLimit else { throw tooLarge }
      let isAdmitted = total.withLock { total in
        guard total + reserved <= totalLimit else { return false }
        total += reserved
        return true
      }
      guard isAdmitted else {
        throw Refusal(
          .serviceUnavailable,
          "the requests being answered take all of the \(totalLimit >> 20) MiB for them",
          retryAfter: 1)
      }
      defer { total.withLock { $0 -= reserved } }
      return try await body(reserved)
    }

    var tooLarge: Refusal {
      Refusal(.contentTooLarge, "expected a body of at most \(bodyLimit) bytes")
    }
  }
#endif
