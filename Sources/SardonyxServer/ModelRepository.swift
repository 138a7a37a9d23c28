#if Server
  import Dispatch
  import FoundationEssentials
  import HTTPTypes
  import Logging
  import Sardonyx
  import Synchronization

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  /// A folder of models, laid out as Triton has it: `NAME/VERSION/model.onnx` and perhaps `NAME/config.pbtxt`.
  final class ModelRepository: Sendable {
    /// What is known of a model.
    enum State {
      case loading
      case ready([Int: ServedModel])
      case unloaded
      case failed(String)
    }

    /// Where the folder is, all links followed.
    let folder: String
    private let options: ServedModel.Options
    private let logger: Logger
    private let states = Mutex<[String: State]>([:])

    /// - Throws: ``ModelError`` (unreadable) where there is no such folder.
    init(folder: String, _ options: ServedModel.Options, _ logger: Logger) throws(ModelError) {
      guard let real = Self.realPath(folder) else {
        throw ModelError(.unreadable, "no such folder", file: folder)
      }
      self.folder = real
      self.options = options
      self.logger = logger
    }

    // MARK: What is there

    /// A model to answer with: of the version, or of the highest one that is loaded.
    /// - Throws: ``Refusal``: not found, or unavailable while it is not loaded.
    func model(_ name: String, version: Int?) throws(Refusal) -> ServedModel {
      let versions = try readyVersions(name)
      guard let version else { return versions[versions.keys.max()!]! }
      guard let model = versions[version] else {
        let known = versions.keys.sorted().map(String.init).joined(separator: ", ")
        throw Refusal(
          .notFound, "model \"\(name)\" has no version \(version) that is loaded; it has \(known)")
      }
      return model
    }

    /// The versions of a model that are loaded: at least one.
    func readyVersions(_ name: String) throws(Refusal) -> [Int: ServedModel] {
      switch states.withLock({ $0[name] }) {
      case .ready(let versions): return versions
      case .loading:
        throw Refusal(.serviceUnavailable, "model \"\(name)\" is being loaded", retryAfter: 1)
      case .unloaded: throw Refusal(.notFound, "model \"\(name)\" is not loaded")
      case .failed(let reason):
        throw Refusal(
          .serviceUnavailable, "model \"\(name)\" could not be loaded: \(reason)", retryAfter: 60)
      case nil: throw Refusal(.notFound, "there is no model \"\(name)\"")
      }
    }

    /// All models that are loaded.
    var readyModels: [ServedModel] {
      states.withLock { states in
        states.values.flatMap { state -> [ServedModel] in
          if case .ready(let versions) = state { Array(versions.values) } else { [] }
        }
      }.sorted { ($0.name, $0.version) < ($1.name, $1.version) }
    }

    /// Whether no model is being loaded or failed to.
    var isReady: Bool {
      states.withLock { states in
        states.values.allSatisfy { state in
          switch state {
          case .ready, .unloaded: true
          case .loading, .failed: false
          }
        }
      }
    }

    /// What the folder holds and what is loaded of it, as the protocol's extension tells it.
    func index(readyOnly: Bool) -> JSON {
      let states = states.withLock { $0 }
      var entries: [JSON] = []
      func add(_ name: String, _ version: Int?, _ state: String, _ reason: String = "") {
        var members: [(key: String, value: JSON)] = [("name", .string(name))]
        if let version { members.append(("version", .string(String(version)))) }
        entries.append(.object(members + [("state", .string(state)), ("reason", .string(reason))]))
      }
      for name in Set(states.keys).union(modelNames()).sorted() {
        switch states[name] {
        case .ready(let versions):
          for version in versions.keys.sorted() { add(name, version, "READY") }
        case _ where readyOnly: break
        case .loading: add(name, nil, "LOADING")
        case .failed(let reason): add(name, nil, "UNAVAILABLE", reason)
        case .unloaded: add(name, nil, "UNAVAILABLE", "unloaded")
        case nil: add(name, nil, "UNAVAILABLE", "not loaded")
        }
      }
      return .array(entries)
    }

    // MARK: Loading

    /// Loads models one after the other, all that the folder holds where none are named; what cannot be loaded is
    /// told in the log.
    func loadAll(_ names: [String]) async {
      for name in names.isEmpty ? modelNames() : names {
        do { try await load(name) } catch {
          logger.error(
            "a model could not be loaded",
            metadata: ["model": "\(name)", "reason": "\(error.message)"])
        }
      }
    }

    /// Loads a model anew; until it is loaded, requests are answered by what was loaded before.
    func load(_ name: String) async throws(Refusal) {
      guard Self.isName(name) else {
        throw Refusal(.badRequest, "\"\(name.visible)\" is no name of a model")
      }
      let before = states.withLock { states -> State? in
        let before = states[name]
        switch before {
        case .ready, .loading: break
        default: states[name] = .loading
        }
        return before
      }
      if case .loading? = before {
        throw Refusal(.conflict, "model \"\(name)\" is being loaded already", retryAfter: 1)
      }
      let start = ContinuousClock.now
      let result = await withCheckedContinuation { continuation in
        DispatchQueue.global().async {
          continuation.resume(
            returning: Result { () throws(Refusal) in try self.versions(of: name) })
        }
      }
      switch result {
      case .success(let versions):
        states.withLock { $0[name] = .ready(versions) }
        logger.info(
          "loaded",
          metadata: [
            "model": "\(name)",
            "versions": "\(versions.keys.sorted().map(String.init).joined(separator: ","))",
            "milliseconds": "\((ContinuousClock.now - start).milliseconds)",
          ])
      case .failure(let refusal):
        states.withLock { states in
          if case .ready? = before { return }
          states[name] = refusal.status == .notFound ? nil : .failed(refusal.message)
        }
        throw refusal
      }
    }

    /// Takes a model out of service; what waits in its queue is answered still.
    func unload(_ name: String) throws(Refusal) {
      _ = try readyVersions(name)
      states.withLock { $0[name] = .unloaded }
      logger.info("unloaded", metadata: ["model": "\(name)"])
    }

    /// Whether this may be the name of a file of ours: one component of a path, not hidden.
    static func isName(_ name: String) -> Bool {
      !name.isEmpty && name.utf8.count <= 255 && !name.hasPrefix(".")
        && !name.utf8.contains(UInt8(ascii: "/"))
        && !name.utf8.contains(0)
    }

    private func modelNames() -> [String] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return names.filter { Self.isName($0) && !numbers(in: "\(folder)/\($0)").isEmpty }.sorted()
    }

    private func numbers(in folder: String) -> [Int] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return names.compactMap { name in
        Int(name).flatMap { $0 > 0 && String($0) == name ? $0 : nil }
      }.sorted()
    }

    private func versions(of name: String) throws(Refusal) -> [Int: ServedModel] {
      let home = "\(folder)/\(name)"
      let numbers = numbers(in: home)
      guard !numbers.isEmpty else {
        throw Refusal(
          .notFound,
          "there is no model \"\(name)\": expected \(name)/1/model.onnx in the repository")
      }
      do throws(ModelError) {
        let configuration = try configuration(of: name, home)
        if !configuration.ignored.isEmpty {
          logger.notice(
            "fields of config.pbtxt that change nothing here",
            metadata: [
              "model": "\(name)", "fields": "\(configuration.ignored.joined(separator: ", "))",
            ])
        }
        let wanted =
          switch configuration.versions {
          case .all: numbers
          case .latest(let count): Array(numbers.suffix(count))
          case .specific(let versions): versions
          }
        guard !wanted.isEmpty else {
          throw .unexpected(
            "version_policy", expected: "at least one version", got: "none", code: .malformed)
        }
        var versions: [Int: ServedModel] = [:]
        for version in wanted {
          let path = try inside("\(home)/\(version)/\(configuration.fileName)")
          versions[version] = try ServedModel(
            name: name, version: version, path: path, configuration, options, logger)
        }
        return versions
      } catch {
        throw Refusal(.badRequest, error.description)
      }
    }

    private func configuration(of name: String, _ home: String) throws(ModelError)
      -> ModelConfiguration
    {
      let path = "\(home)/config.pbtxt"
      guard FileManager.default.fileExists(atPath: path) else { return ModelConfiguration() }
      let real = try inside(path)
      guard let bytes = FileManager.default.contents(atPath: real),
        bytes.count <= Self.largestConfiguration
      else {
        throw ModelError(
          .unreadable, "expected a file of at most \(Self.largestConfiguration) bytes", file: path)
      }
      do throws(ModelError) { return try ModelConfiguration(Array(bytes), model: name) } catch {
        throw error.in(file: path)
      }
    }

    private static let largestConfiguration = 1 << 20

    /// The path with all links followed.
    /// - Throws: ``ModelError`` (unreadable) where there is none, or where it leaves the repository.
    private func inside(_ path: String) throws(ModelError) -> String {
      guard let real = Self.realPath(path) else {
        throw ModelError(.unreadable, "no such file", file: path)
      }
      guard real.hasPrefix(folder == "/" ? "/" : folder + "/") else {
        throw ModelError(
          .unreadable, "expected a file in the repository, got a link that leads out of it",
          file: path)
      }
      return real
    }

    private static func realPath(_ path: String) -> String? {
      guard let real = unsafe realpath(path, nil) else { return nil }
      defer { unsafe free(real) }
      return unsafe String(cString: real)
    }
  }
#endif
