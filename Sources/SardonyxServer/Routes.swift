#if Server
  import HTTPTypes
  import Hummingbird
  import Logging
  import Metrics
  import NIOCore
  import Sardonyx
  import Synchronization

  /// Answers requests: the Open Inference Protocol, version 2, and Triton's extensions for binary tensors, statistics,
  /// configurations and the repository.
  struct Routes: HTTPResponder {
    let repository: ModelRepository
    let metrics: MetricsPage
    let connections: Connections
    let admission: Admission
    /// What each request has to bring; nil for nothing.
    let token: String?
    /// What a request for inference may take, waiting included.
    let timeLimit: Duration
    /// Whether clients may load and unload models.
    let allowsLoading: Bool

    struct Context: RequestContext {
      var coreContext: CoreRequestContextStorage
      let channel: any Channel

      init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
      }
    }

    func respond(to request: Request, context: Context) async throws -> Response {
      var log = RequestLog(
        method: request.method.rawValue, path: request.uri.path,
        client: context.channel.remoteAddress.map { "\($0.ipAddress ?? "unix")" } ?? "unknown")
      var response: Response
      var sentence: String?
      do {
        response = try await answer(request, context, &log)
      } catch {
        let refusal = Refusal(any: error)
        sentence = refusal.message
        response = Self.json(.object([("error", .string(refusal.message))]), refusal.status)
        if let seconds = refusal.retryAfter { response.headers[.retryAfter] = String(seconds) }
        if let allowed = refusal.allowed { response.headers[.allow] = allowed }
        if refusal.status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
      }
      let status = response.status.code
      Counter(label: "sardonyx_http_responses_total", dimensions: [("status", "\(status)")])
        .increment()
      log.write(status: status, bytes: response.body.contentLength ?? 0, error: sentence)
      return response
    }

    private func answer(
      _ request: Request, _ context: Context, _ log: inout RequestLog
    ) async throws -> Response {
      var path = try Self.components(request.uri.path)[...]
      guard let first = path.popFirst() else { throw Self.notFound(request) }
      if first == "v2", path.first == "health" {
        return try health(request, path.dropFirst())
      }
      try checkToken(request)
      switch (first, path.popFirst()) {
      case ("metrics", nil):
        try Self.check(request, .get)
        return Response(
          status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
          body: .init(byteBuffer: ByteBuffer(string: metrics.text)))
      case ("v2", nil):
        try Self.check(request, .get)
        return Self.json(Self.metadata)
      case ("v2", "models"): return try await models(request, path, context, &log)
      case ("v2", "repository"): return try await repository(request, path, &log)
      default: throw Self.notFound(request)
      }
    }

    private static let metadata = JSON.object([
      ("name", .string("sardonyx")), ("version", .string(Build.version)),
      (
        "extensions",
        .array(
          ["binary_tensor_data", "model_configuration", "model_repository", "statistics"].map {
            .string($0)
          })
      ),
    ])

    private func health(_ request: Request, _ path: ArraySlice<String>) throws(Refusal) -> Response
    {
      try Self.check(request, .get)
      switch Array(path) {
      case ["live"]: return Self.json(.object([("live", .bool(true))]))
      case ["ready"]:
        let isReady = repository.isReady
        return Self.json(.object([("ready", .bool(isReady))]), isReady ? .ok : .serviceUnavailable)
      default: throw Self.notFound(request)
      }
    }

    // MARK: Models

    private func models(
      _ request: Request, _ path: ArraySlice<String>, _ context: Context, _ log: inout RequestLog
    ) async throws -> Response {
      var path = path
      if path == ["stats"] {
        try Self.check(request, .get)
        return Self.statistics(repository.readyModels)
      }
      guard let name = path.popFirst() else { throw Self.notFound(request) }
      log.model = name
      var version: Int?
      if path.first == "versions", path.count > 1 {
        path.removeFirst()
        let text = path.removeFirst()
        guard let number = Int(text), number > 0 else {
          throw Refusal(
            .badRequest, "version: expected a number from 1 on, got \"\(text.visible)\"")
        }
        version = number
      }
      let model = try repository.model(name, version: version)
      log.version = model.version
      switch Array(path) {
      case []:
        try Self.check(request, .get)
        return Self.json(model.metadata(versions: try repository.readyVersions(name).keys.sorted()))
      case ["ready"]:
        try Self.check(request, .get)
        return Self.json(.object([("name", .string(name)), ("ready", .bool(true))]))
      case ["config"]:
        try Self.check(request, .get)
        return Self.json(model.configurationDescription)
      case ["stats"]:
        try Self.check(request, .get)
        let versions =
          try version == nil ? repository.readyVersions(name).values.map { $0 } : [model]
        return Self.statistics(versions.sorted { $0.version < $1.version })
      case ["infer"]:
        try Self.check(request, .post)
        return try await infer(request, model, context, &log)
      default: throw Self.notFound(request)
      }
    }

    private static func statistics(_ models: [ServedModel]) -> Response {
      json(.object([("model_stats", .array(models.map(\.statistics)))]))
    }

    private func infer(
      _ request: Request, _ model: ServedModel, _ context: Context, _ log: inout RequestLog
    ) async throws -> Response {
      let (answer, noted) = try await withBody(of: request) { body in
        let headerLength = try Self.headerLength(request)
        let question: InferenceRequest
        do { question = try InferenceRequest(body, headerLength: headerLength) } catch {
          model.addRefused(error)
          throw error
        }
        var log = log
        log.id = question.id
        let limit = min(timeLimit, question.timeout ?? timeLimit)
        return try await whileConnected(context.channel, limit) { [log] in
          var log = log
          return (try await model.answer(question, &log), log)
        }
      }
      log = noted
      var headers: HTTPFields = [:]
      if let length = answer.headerLength {
        headers[.inferenceHeaderContentLength] = String(length)
        headers[.contentType] = "application/octet-stream"
      } else {
        headers[.contentType] = "application/json"
      }
      return Response(
        status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: answer.body)))
    }

    private static func headerLength(_ request: Request) throws(Refusal) -> Int? {
      guard let text = request.headers[.inferenceHeaderContentLength] else { return nil }
      guard let length = Int(text) else {
        throw Refusal(
          .badRequest, "Inference-Header-Content-Length: expected a number, got \"\(text.visible)\""
        )
      }
      return length
    }

    /// Runs `body` as long as the client is there and time is left.
    private func whileConnected<Result: Sendable>(
      _ channel: any Channel, _ limit: Duration,
      _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
      let task = Task { try await body() }
      connections.watch(channel) { task.cancel() }
      defer { connections.forget(channel) }
      let isLate = Mutex(false)
      let clock = Task {
        try await Task.sleep(for: limit)
        isLate.withLock { $0 = true }
        task.cancel()
      }
      defer { clock.cancel() }
      do {
        return try await withTaskCancellationHandler {
          try await task.value
        } onCancel: {
          task.cancel()
        }
      } catch  where isLate.withLock({ $0 }) {
        throw Refusal(
          .gatewayTimeout, "the request took longer than its \(limit.milliseconds / 1000) seconds")
      }
    }

    // MARK: The repository

    private func repository(
      _ request: Request, _ path: ArraySlice<String>, _ log: inout RequestLog
    ) async throws -> Response {
      try Self.check(request, .post)
      let path = Array(path)
      let members = try await withBody(of: request) { body in
        body.isEmpty ? [:] : try JSONText(body, in: body.indices).members()
      }
      switch (path.first, path.count, path.last) {
      case ("index", 1, _):
        return Self.json(repository.index(readyOnly: try members["ready"]?.bool() ?? false))
      case ("models", 3, "load"), ("models", 3, "unload"):
        log.model = path[1]
        guard allowsLoading else {
          throw Refusal(
            .forbidden, "this server was started so that clients cannot load and unload models")
        }
        if path[2] == "unload" {
          try repository.unload(path[1])
        } else {
          let parameters = try members["parameters"]?.members() ?? [:]
          if let given = parameters.keys.first(where: { $0 == "config" || $0.hasPrefix("file:") }) {
            throw Refusal(
              .badRequest,
              "parameter \"\(given.visible)\": this server loads what its repository holds alone")
          }
          try await repository.load(path[1])
        }
        return Self.json(.object([]))
      default: throw Self.notFound(request)
      }
    }

    // MARK: What all share

    private func withBody<Result>(
      of request: Request, _ use: ([UInt8]) async throws -> Result
    ) async throws -> Result {
      if let encoding = request.headers[.contentEncoding], encoding != "identity" {
        throw Refusal(
          .unsupportedMediaType, "Content-Encoding: expected none, got \"\(encoding.visible)\"")
      }
      let length = request.headers[.contentLength].flatMap { Int($0) }
      return try await admission.admit(length) { limit in
        let buffer: ByteBuffer
        do { buffer = try await request.body.collect(upTo: limit) } catch is NIOTooManyBytesError {
          throw admission.tooLarge
        } catch let error where !(error is CancellationError) {
          throw Refusal(.badRequest, "the body cannot be read: \(error)")
        }
        return try await use(Array(buffer.readableBytesView))
      }
    }

    private func checkToken(_ request: Request) throws(Refusal) {
      guard let token else { return }
      let given = Array((request.headers[.authorization] ?? "").utf8)
      let wanted = Array("Bearer \(token)".utf8)
      // As long for a wrong token as for a right one.
      var difference: UInt8 = given.count == wanted.count ? 0 : 1
      for index in wanted.indices {
        difference |= wanted[index] ^ (index < given.count ? given[index] : 0)
      }
      guard difference == 0 else {
        throw Refusal(
          .unauthorized, "expected the header \"Authorization: Bearer\" with the server's token")
      }
    }

    private static func check(_ request: Request, _ method: HTTPRequest.Method) throws(Refusal) {
      guard request.method == method else {
        var refusal = Refusal(
          .methodNotAllowed,
          "\(request.uri.path.visible): expected \(method), got \(request.method)")
        refusal.allowed = method.rawValue
        throw refusal
      }
    }

    private static func notFound(_ request: Request) -> Refusal {
      Refusal(.notFound, "\(request.uri.path.visible): there is no such path")
    }

    /// The parts of a path, percent signs resolved.
    private static func components(_ path: String) throws(Refusal) -> [String] {
      var components: [String] = []
      for part in path.split(separator: "/") {
        var bytes: [UInt8] = []
        var rest = part.utf8[...]
        while let byte = rest.popFirst() {
          guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
          }
          guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
            rest.count >= 2
          else {
            throw Refusal(
              .badRequest, "\(path.visible): expected two hexadecimal digits behind \"%\"")
          }
          bytes.append(value)
          rest = rest.dropFirst(2)
        }
        components.append(String(decoding: bytes, as: UTF8.self))
      }
      return components
    }

    private static func json(_ value: JSON, _ status: HTTPResponse.Status = .ok) -> Response {
      Response(
        status: status, headers: [.contentType: "application/json"],
        body: .init(byteBuffer: ByteBuffer(string: value.line)))
    }
  }

  extension HTTPField.Name {
    /// How many bytes of a body are its header in JSON.
    static let inferenceHeaderContentLength = HTTPField.Name("Inference-Header-Content-Length")!
  }
#endif
