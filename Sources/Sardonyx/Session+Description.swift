extension Session {
  /// How many threads a run uses, and why.
  public var threadReason: String {
    options.threads.map { "\($0) \($0 == 1 ? "thread" : "threads"): as asked for" }
      ?? ThreadCount.standard.reason
  }
}
