import Synchronization

/// The bytes that a run, or the preparation of a session, holds at a time, against its limit.
final class MemoryAccount: Sendable {
  let limit: Int
  private let held = Atomic(0)

  init(limit: Int) { self.limit = limit }

  /// Bytes that are held now.
  var byteCount: Int { held.load(ordering: .relaxed) }

  /// Whether more is held than the limit allows: by memory that could not wait for an answer.
  var isExceeded: Bool { byteCount > limit }

  /// Counts so many bytes more, if the limit allows them.
  func reserve(_ count: Int) -> Bool {
    guard count <= limit, held.wrappingAdd(count, ordering: .relaxed).newValue <= limit else {
      if count <= limit { release(count) }
      return false
    }
    return true
  }

  /// Counts so many bytes more, whatever the limit.
  func charge(_ count: Int) { held.wrappingAdd(count, ordering: .relaxed) }

  func release(_ count: Int) { held.wrappingSubtract(count, ordering: .relaxed) }

  /// The fault of what does not fit.
  func fault(_ subject: String) -> ModelError {
    .unexpected(
      subject, expected: "at most \(limit) bytes together with what is held already",
      got: "more", code: .limit)
  }
}
