#if Server
  import FoundationEssentials
  import Logging
  import Sardonyx

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  /// Writes a line of JSON for each message to standard error.
  struct JSONLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      var members: [(key: String, value: JSON)] = [
        ("time", .string(Clock.text)), ("level", .string("\(event.level)")),
        ("message", .string("\(event.message)")),
      ]
      let all = metadata.merging(event.metadata ?? [:]) { $1 }
      for (key, value) in all.sorted(by: { $0.key < $1.key }) {
        members.append((key, Self.json(value)))
      }
      Self.write(.object(members))
    }

    static func write(_ line: JSON) {
      let bytes = Array((line.line + "\n").utf8)
      // One call a line, so that lines of several threads do not mix.
      _ = unsafe bytes.withUnsafeBytes { unsafe Self.write($0) }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer) -> Int {
      #if canImport(Glibc)
        unsafe Glibc.write(2, bytes.baseAddress, bytes.count)
      #elseif canImport(Musl)
        unsafe Musl.write(2, bytes.baseAddress, bytes.count)
      #else
        unsafe Darwin.write(2, bytes.baseAddress, bytes.count)
      #endif
    }

    private static func json(_ value: Logger.Metadata.Value) -> JSON {
      switch value {
      case .string(let text): .string(text)
      case .stringConvertible(let value): .string("\(value)")
      case .array(let values): .array(values.map(json))
      case .dictionary(let members):
        .object(members.sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) })
      }
    }
  }

  /// The time of day.
  enum Clock {
    /// Seconds since 1970.
    static var now: Double { Date.now.timeIntervalSince1970 }

    /// As in `2026-01-31T12:00:00.123Z`.
    static var text: String {
      Date.now.formatted(
        .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(
          separator: .omitted))
    }
  }

  /// What the log tells of a request, in one line.
  struct RequestLog {
    private let start = ContinuousClock.now
    let method: String
    let path: String
    let client: String
    var model: String?
    var version: Int?
    var id: String?
    private var times: Batching.Times?
    private var rowCount: Int?

    init(method: String, path: String, client: String) {
      self.method = method
      self.path = path
      self.client = client
    }

    var duration: Duration { .now - start }

    mutating func note(_ answer: Batching.Answer) {
      times = answer.times
      rowCount = answer.rowCount
    }

    /// - Parameter error: the sentence that the client was given.
    func write(status: Int, bytes: Int, error: String?) {
      var members: [(key: String, value: JSON)] = [
        ("time", .string(Clock.text)), ("level", .string("info")), ("message", .string("request")),
        ("client", .string(client)), ("method", .string(method)), ("path", .string(path)),
        ("status", .number(status)), ("bytes", .number(bytes)),
        ("milliseconds", .number(duration.milliseconds)),
      ]
      if let model { members.append(("model", .string(model))) }
      if let version { members.append(("version", .number(version))) }
      if let id { members.append(("id", .string(id))) }
      if let times {
        members.append(("queue_milliseconds", .number(times.queue.milliseconds)))
        members.append(("compute_milliseconds", .number(times.compute.milliseconds)))
      }
      if let rowCount { members.append(("batch_rows", .number(rowCount))) }
      if let error { members.append(("error", .string(error))) }
      JSONLog.write(.object(members))
    }
  }
#endif
