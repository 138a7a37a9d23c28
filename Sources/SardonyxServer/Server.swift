#if Server
  import ArgumentParser
  import FoundationEssentials
  import Hummingbird
  import HummingbirdCore
  import HummingbirdTLS
  import Logging
  import Metrics
  import NIOCore
  import NIOSSL
  import Sardonyx
  import ServiceLifecycle
  import UnixSignals

  /// The command `sardonyx-server`.
  @main
  struct Server: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "sardonyx-server",
      abstract: "Serve a folder of ONNX models by the Open Inference Protocol over HTTP.",
      discussion: """
        The folder is laid out as Triton's: NAME/VERSION/model.onnx, and perhaps NAME/config.pbtxt. What goes on is \
        told in lines of JSON on standard error, one for each request among them. An interrupt (SIGINT, SIGTERM) \
        ends the server once the requests being answered are.
        """,
      version: Build.version)

    @Argument(help: "The folder of models.")
    var repository: String

    @Option(help: "Load this model alone; may be repeated. Without it, all are loaded.")
    var load: [String] = []

    @Flag(help: "Refuse requests to load and unload models.")
    var fixedModels = false

    @Option(help: "The address to listen on; 0.0.0.0 stands for all.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen on; 0 takes one that is free.")
    var port = 8000

    @Option(
      help: "A file whose text each request but those of health has to bring as its bearer token.")
    var tokenFile: String?

    @Option(help: "A certificate (PEM), with those that vouch for it behind it; needs --tls-key.")
    var tlsCertificate: String?

    @Option(help: "The key of the certificate (PEM).")
    var tlsKey: String?

    @Option(help: "Threads of a run; as many as there are cores without it.")
    var threads: Int?

    @Option(help: "Compare one run in so many with the model as written.")
    var verifyEvery: Int?

    @Option(help: "Requests that wait for a model at most, unless its config.pbtxt says so.")
    var queue = 128

    @Option(help: "Seconds that a request may take, waiting included.")
    var requestSeconds = 60.0

    @Option(help: "Seconds that a run may take.")
    var runSeconds: Double?

    @Option(help: "MiB that a run may hold.")
    var runMemory: Int?

    @Option(help: "MiB that the body of a request has at most.")
    var bodyMemory = 64

    @Option(help: "MiB that the bodies of all requests being answered have at most.")
    var bodiesMemory = 512

    @Option(help: "Connections at a time; others wait to be accepted.")
    var connections = 1024

    @Option(help: "Seconds after which a connection is closed that brings no request.")
    var idleSeconds = 120

    @Option(help: "Seconds that requests have to be answered when the server is to end.")
    var drainSeconds = 30

    func validate() throws {
      func check(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws {
        guard let value, !range.contains(value) else { return }
        throw ValidationError(
          "--\(name): expected \(range.lowerBound) to \(range.upperBound), got \(value)")
      }
      try check("port", port, 0...65535)
      try check("verify-every", verifyEvery, 1...Int.max)
      try check("queue", queue, 1...1 << 20)
      try check("run-memory", runMemory, 1...1 << 30)
      try check("body-memory", bodyMemory, 1...1 << 20)
      try check("bodies-memory", bodiesMemory, bodyMemory...1 << 30)
      try check("connections", connections, 1...1 << 20)
      try check("idle-seconds", idleSeconds, 1...86400)
      try check("drain-seconds", drainSeconds, 0...86400)
      guard requestSeconds > 0, requestSeconds < 1e6 else {
        throw ValidationError("--request-seconds: expected a number above 0, got \(requestSeconds)")
      }
      guard (tlsCertificate == nil) == (tlsKey == nil) else {
        throw ValidationError("expected both of --tls-certificate and --tls-key, or none")
      }
    }

    func run() async throws {
      LoggingSystem.bootstrap { _ in JSONLog() }
      let metrics = MetricsPage()
      MetricsSystem.bootstrap(metrics)
      let logger = Logger(label: "sardonyx-server")
      do {
        try await serve(metrics, logger)
      } catch let error as ModelError {
        logger.critical("\(error)")
        throw ExitCode(1)
      } catch {
        logger.critical("\(error)")
        throw ExitCode(1)
      }
    }

    private func serve(_ metrics: MetricsPage, _ logger: Logger) async throws {
      let repository = try ModelRepository(folder: repository, try modelOptions(), logger)
      let connections = Connections()
      let token = try readToken()
      if token == nil, !["127.0.0.1", "::1", "localhost"].contains(host) {
        logger.warning(
          "listening beyond this machine without --token-file: whoever reaches the port may ask")
      }
      let routes = Routes(
        repository: repository, metrics: metrics, connections: connections,
        admission: Admission(bodyLimit: bodyMemory << 20, totalLimit: bodiesMemory << 20),
        token: token,
        timeLimit: .seconds(requestSeconds), allowsLoading: !fixedModels)
      await repository.loadAll(load)
      var quiet = logger
      quiet.logLevel = .warning
      let application = Application(
        responder: routes, server: try channels(connections),
        configuration: ApplicationConfiguration(
          address: .hostname(host, port: port),
          availableConnectionsDelegate: MaximumAvailableConnections(self.connections)),
        onServerRunning: { channel in
          logger.info(
            "listening",
            metadata: ["host": "\(host)", "port": "\(channel.localAddress?.port ?? port)"])
        }, logger: quiet)
      var group = ServiceGroupConfiguration(
        services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
      group.maximumGracefulShutdownDuration = .seconds(drainSeconds)
      try await ServiceGroup(configuration: group).run()
      logger.info("ended")
    }

    private func modelOptions() throws -> ServedModel.Options {
      var options = ServedModel.Options()
      options.session.threads = threads
      options.session.timeLimit = runSeconds
      options.session.memoryLimit = runMemory.map { $0 << 20 }
      options.queueLength = queue
      options.verificationPeriod = verifyEvery
      return options
    }

    private func readToken() throws -> String? {
      guard let tokenFile else { return nil }
      guard let bytes = FileManager.default.contents(atPath: tokenFile) else {
        throw ModelError(.unreadable, "cannot be read", file: tokenFile)
      }
      let text = String(decoding: bytes, as: UTF8.self)
      let token = text.split(whereSeparator: \.isWhitespace)
      guard token.count == 1 else {
        throw ModelError(
          .malformed, "expected a token, one word, got \(token.count)", file: tokenFile)
      }
      return String(token[0])
    }

    private func channels(_ connections: Connections) throws -> HTTPServerBuilder {
      let plain = HTTPServerBuilder.http1(
        configuration: .init(
          additionalChannelHandlers: [connections.handler()],
          idleTimeout: .seconds(Int64(idleSeconds))))
      guard let tlsCertificate, let tlsKey else { return plain }
      return try .tls(
        plain,
        tlsConfiguration: .makeServerConfiguration(
          certificateChain: NIOSSLCertificate.fromPEMFile(tlsCertificate).map { .certificate($0) },
          privateKey: .privateKey(NIOSSLPrivateKey(file: tlsKey, format: .pem))))
    }
  }
#else
  import ArgumentParser

  /// What the command is without the trait `Server`.
  @main
  struct Server: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "sardonyx-server",
      abstract: "Serve a folder of ONNX models, in a build with the trait Server: see tools/server."
    )

    @Argument(parsing: .allUnrecognized) var arguments: [String] = []

    func run() throws {
      throw ValidationError(
        "sardonyx-server was built without the trait Server: build it by tools/server")
    }
  }
#endif
