import Synchronization

/// The bytes that a run, or the preparation of a session, holds at a time, against its limit.
final class MemoryAccount: Sendable {
  let limit: Int
  private let held = Atomic(0)
  /// What may be held together with memory of a short life.
  private let limitOfAll: Int
  private let wasExceeded = Atomic(false)

  /// - Parameter outer: whose limit memory of a short life keeps to; nil where nobody counts.
  init(limit: Int, within outer: MemoryAccount?) {
    (self.limit, limitOfAll) = (limit, outer?.limitOfAll ?? .max)
  }

  init(limit: Int) { (self.limit, limitOfAll) = (limit, limit) }

  /// Bytes that are held now.
  var byteCount: Int { held.load(ordering: .relaxed) }

  /// Whether more is held than the limit allows, by memory that could not wait for an answer; or was
  /// expected, as whoever met that has left work undone.
  var isExceeded: Bool { byteCount > limit || wasExceeded.load(ordering: .relaxed) }

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

  /// Has the run end where so many bytes more, of a short life, pass the limit.
  func expect(_ count: Int) {
    let (sum, overflow) = byteCount.addingReportingOverflow(count)
    if overflow || sum > limitOfAll { wasExceeded.store(true, ordering: .relaxed) }
  }

  func release(_ count: Int) { held.wrappingSubtract(count, ordering: .relaxed) }

  /// The fault of what does not fit.
  func fault(_ subject: String) -> ModelError {
    .unexpected(
      subject, expected: "at most \(limit) bytes together with what is held already",
      got: "more", code: .limit)
  }
}

/// Bytes that count against an account as long as the claim lives; it grows on one thread.
final class MemoryClaim: @unchecked Sendable {
  private let account: MemoryAccount
  private var held = 0
  private var used = 0

  init(on account: MemoryAccount) { self.account = account }

  /// Claims less often than byte by byte.
  private static let step = 1 << 14

  /// Counts so many bytes more, if the limit allows them.
  func grow(by count: Int) -> Bool {
    let (sum, overflow) = used.addingReportingOverflow(count)
    guard !overflow else { return false }
    used = sum
    guard used > held else { return true }
    let more = max(used - held, Self.step)
    guard account.reserve(more) else { return false }
    held += more
    return true
  }

  /// - Parameter subject: what is to be counted, for whoever reads that it does not fit.
  /// - Throws: ``ModelError`` (limit) where the account's limit does not allow it.
  func grow(by count: Int, for subject: String) throws(ModelError) {
    guard grow(by: count) else { throw account.fault(subject) }
  }

  /// Counts so many bytes more, of a short life: where they pass the limit the run is to end.
  func expect(_ count: Int) {
    if grow(by: count) { return }
    account.expect(count)
  }

  deinit { account.release(held) }
}
