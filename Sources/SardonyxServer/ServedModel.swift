#if Server
  import HTTPTypes
  import Logging
  import Metrics
  import Sardonyx
  import Synchronization

  /// A version of a model that is loaded, with its queue and what is counted of it.
  final class ServedModel: Sendable {
    /// How models are prepared and run, whichever they are.
    struct Options {
      var session = Session.Options()
      var queueLength = 128
      /// One run in so many is compared with the model as written; nil for none.
      var verificationPeriod: Int?
    }

    let name: String
    let version: Int
    let configuration: ModelConfiguration
    /// What a client has to give.
    let inputs: [ValueDefinition]
    /// What the protocol has a form for.
    let outputs: [ValueDefinition]
    private let batching: Batching
    private let counts: Counts

    /// Loads and prepares a model; takes as long as that takes.
    /// - Throws: ``ModelError``, also where the model has no batch although its configuration says so.
    init(
      name: String, version: Int, path: String, _ configuration: ModelConfiguration,
      _ options: Options,
      _ logger: Logger
    ) throws(ModelError) {
      self.name = name
      self.version = version
      self.configuration = configuration
      let model = try Model(path: path)
      let optional = model.optionalInputs
      inputs = model.inputs.filter { !optional.contains($0.name) }
      outputs = model.outputs.filter { $0.type.map { $0.elementType?.datatype != nil } ?? true }
      if configuration.largestBatch > 0 { try Self.checkBatch(inputs + model.outputs) }
      let counts = Counts([("model", name), ("version", String(version))])
      self.counts = counts
      batching = Batching(
        Batching.Policy(
          largestBatch: configuration.largestBatch, joinsRequests: configuration.batchesDynamically,
          largestDelay: configuration.largestDelay,
          queueLength: configuration.queueLength ?? options.queueLength,
          instanceCount: configuration.instanceCount),
        didRun: { counts.addRun($0, $1) },
        runner: try Self.runner(model, options, counts, logger))
    }

    private static func checkBatch(_ values: [ValueDefinition]) throws(ModelError) {
      for value in values {
        if let shape = value.shape, case .known(let extent)? = shape.first {
          throw .unexpected(
            "max_batch_size", expected: "0, as \"\(value.name)\" has always \(extent) rows",
            got: "a number of rows")
        }
      }
    }

    private static func runner(
      _ model: Model, _ options: Options, _ counts: Counts, _ logger: Logger
    ) throws(ModelError) -> Batching.Runner {
      guard let period = options.verificationPeriod else {
        let session = try Session(model, options: options.session)
        return { inputs, outputs in try await session.run(inputs, outputs: outputs) }
      }
      let session = try VerifiedSession(model, options: options.session, every: period)
      return { inputs, outputs in
        let (values, verdict) = try await session.run(inputs)
        counts.add(verdict)
        if case .differed(let output, let layer) = verdict {
          logger.warning(
            "folded and as written differ",
            metadata: ["output": "\(output)", "layer": "\(layer ?? "none")"])
        }
        guard let outputs else { return values }
        return try outputs.reduce(into: [:]) { wanted, name in
          guard let value = values[name] else {
            throw ModelError(
              .mismatch,
              "the model has no output \"\(name)\"; it has \(values.keys.sorted().quotedList)")
          }
          wanted[name] = value
        }
      }
    }

    /// Answers a request.
    /// - Parameter times: what the log tells of it.
    /// - Throws: ``Refusal``, ``ModelError`` or `CancellationError`.
    func answer(_ request: InferenceRequest, _ log: inout RequestLog) async throws
      -> InferenceAnswer
    {
      let start = ContinuousClock.now
      do {
        let names = request.outputs.map { $0.map(\.name) } ?? outputs.map(\.name)
        guard !names.isEmpty else {
          throw ModelError(.unsupported, "the model has no output that the protocol has a form for")
        }
        let answer = try await batching.run(request.inputs, outputs: names)
        log.note(answer)
        let wanted = names.enumerated().map { index, name in
          (name, answer.outputs[name]!, request.outputs?[index].isBinary ?? request.isBinary)
        }
        let body = try InferenceAnswer(model: name, version: version, id: request.id, wanted)
        counts.addAnswer(answer, rowCount: configuration.largestBatch > 0 ? request.rowCount : 1)
        return body
      } catch {
        counts.addFailure(error, .now - start)
        throw error
      }
    }

    /// Counts a request that could not even be read.
    func addRefused(_ error: any Error) { counts.addFailure(error, .zero) }

    // MARK: What the protocol tells of a model

    /// Name, versions, inputs and outputs.
    func metadata(versions: [Int]) -> JSON {
      .object([
        ("name", .string(name)), ("versions", .array(versions.map { .string(String($0)) })),
        ("platform", .string("sardonyx_onnx")),
        ("inputs", .array(inputs.map { Self.description($0, "shape", "") })),
        ("outputs", .array(outputs.map { Self.description($0, "shape", "") })),
      ])
    }

    /// What Triton's extension calls the configuration: the same, without the axis of the batch.
    var configurationDescription: JSON {
      let drop = configuration.largestBatch > 0 ? 1 : 0
      var members: [(key: String, value: JSON)] = [
        ("name", .string(name)), ("platform", .string("sardonyx_onnx")),
        ("max_batch_size", .number(configuration.largestBatch)),
        ("input", .array(inputs.map { Self.description($0, "dims", "TYPE_", drop) })),
        ("output", .array(outputs.map { Self.description($0, "dims", "TYPE_", drop) })),
        ("instance_group", .array([.object([("count", .number(configuration.instanceCount))])])),
      ]
      if configuration.batchesDynamically {
        let delay = configuration.largestDelay.nanoseconds / 1000
        members.append(
          ("dynamic_batching", .object([("max_queue_delay_microseconds", .number(delay))])))
      }
      return .object(members)
    }

    private static func description(
      _ value: ValueDefinition, _ shapeKey: String, _ prefix: String, _ drop: Int = 0
    ) -> JSON {
      let name = value.type?.elementType?.datatype ?? value.type.map { "\($0)" } ?? "unknown"
      // In a configuration texts are called strings.
      let datatype = prefix + (name == "BYTES" && !prefix.isEmpty ? "STRING" : name)
      let extents = (value.shape ?? []).dropFirst(drop).map { dimension in
        if case .known(let extent) = dimension { JSON.number(extent) } else { JSON.number(-1) }
      }
      return .object([
        ("name", .string(value.name)),
        (prefix.isEmpty ? "datatype" : "data_type", .string(datatype)),
        (shapeKey, .array(Array(extents))),
      ])
    }

    var statistics: JSON { counts.statistics.withLock { $0.json(name: name, version: version) } }

    /// What is counted of a model, for the protocol and for the page of metrics.
    private final class Counts: Sendable {
      let statistics = Mutex(ModelStatistics())
      private let requests: [String: Counter]
      private let verifications: [String: Counter]
      private let queue: Timer
      private let compute: Timer
      private let rows: Recorder

      init(_ dimensions: [(String, String)]) {
        func counters(_ label: String, _ key: String, _ values: [String]) -> [String: Counter] {
          var counters: [String: Counter] = [:]
          for value in values {
            counters[value] = Counter(label: label, dimensions: dimensions + [(key, value)])
          }
          return counters
        }
        requests = counters(
          "sardonyx_requests_total", "outcome", ["answered", "failed", "refused", "cancelled"])
        verifications = counters("sardonyx_verified_runs_total", "verdict", ["agreed", "differed"])
        queue = Timer(label: "sardonyx_queue_seconds", dimensions: dimensions)
        compute = Timer(label: "sardonyx_compute_seconds", dimensions: dimensions)
        rows = Recorder(label: "sardonyx_batch_rows", dimensions: dimensions)
      }

      func addRun(_ rowCount: Int, _ times: Batching.Times) {
        rows.record(rowCount)
        compute.recordNanoseconds(times.compute.nanoseconds)
        statistics.withLock { $0.addRun(rowCount, times) }
      }

      func addAnswer(_ answer: Batching.Answer, rowCount: Int) {
        requests["answered"]?.increment()
        queue.recordNanoseconds(answer.times.queue.nanoseconds)
        statistics.withLock { $0.addSuccess(rowCount: rowCount, answer.times) }
      }

      func addFailure(_ error: any Error, _ time: Duration) {
        let refusal = Refusal(any: error)
        let outcome =
          switch refusal.status.code {
          case 499: "cancelled"
          case 429, 503, 400..<500: "refused"
          default: "failed"
          }
        requests[outcome]?.increment()
        statistics.withLock { $0.addFailure(time) }
      }

      func add(_ verdict: VerifiedSession.Verdict) {
        switch verdict {
        case .unchecked: break
        case .agreed: verifications["agreed"]?.increment()
        case .differed: verifications["differed"]?.increment()
        }
      }
    }
  }

  extension InferenceRequest {
    /// The extent of the first axis of the inputs.
    fileprivate var rowCount: Int { inputs.values.first?.shape.first ?? 1 }
  }
#endif
