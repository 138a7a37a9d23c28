#if Server
  import HTTPTypes
  import Sardonyx

  /// The queue of a model, and the runs: each of one request, or of several that may go together.
  actor Batching {
    struct Policy {
      /// Rows of a run; 0 where the first axis is no batch.
      var largestBatch = 0
      /// Whether requests of several clients share a run.
      var joinsRequests = false
      /// How long a request waits for others to join it.
      var largestDelay = Duration.zero
      var queueLength = 128
      /// Runs at the same time.
      var instanceCount = 1
    }

    /// What a request gets.
    struct Answer {
      let outputs: [String: Value]
      let times: Times
      /// Rows of the run that the request was part of; 1 where its first axis is no batch.
      let rowCount: Int
    }

    /// Where the time of a request went.
    struct Times {
      var queue = Duration.zero
      /// Putting inputs together.
      var input = Duration.zero
      var compute = Duration.zero
      /// Taking outputs apart.
      var output = Duration.zero
    }

    /// What runs the model.
    typealias Runner = @Sendable ([String: Value], [String]?) async throws -> [String: Value]

    /// Requests with the same one may go together.
    private struct Kind: Hashable {
      struct Input: Hashable {
        let name: String
        let type: ElementType
        let inner: Shape
      }

      let inputs: Set<Input>
      let outputs: [String]?

      init(_ inputs: [String: Tensor], _ outputs: [String]?) {
        self.inputs = Set(
          inputs.map {
            Input(name: $0.key, type: $0.value.type, inner: Shape($0.value.shape.dropFirst()))
          })
        self.outputs = outputs
      }
    }

    private struct Waiting {
      let number: Int
      let inputs: [String: Tensor]
      let outputs: [String]?
      let kind: Kind?
      let rowCount: Int
      let since: ContinuousClock.Instant
    }

    private struct Running {
      let task: Task<Void, Never>
      /// Requests of the run that somebody still waits for.
      var wanted: Int
    }

    private let policy: Policy
    private let runner: Runner
    private let didRun: @Sendable (_ rowCount: Int, Times) -> Void
    private var waiting: [Waiting] = []
    private var running: [Int: Running] = [:]
    /// Who waits for the answer to a request, and the run that it is part of.
    private var answers: [Int: CheckedContinuation<Answer, any Error>] = [:]
    private var runOfRequest: [Int: Int] = [:]
    private var nextNumber = 0
    private var wakeUp: Task<Void, Never>?

    /// - Parameter didRun: is told of each run that succeeded.
    init(
      _ policy: Policy, didRun: @escaping @Sendable (_ rowCount: Int, Times) -> Void,
      runner: @escaping Runner
    ) {
      self.policy = policy
      self.runner = runner
      self.didRun = didRun
    }

    /// Waits for a run and answers with its outputs.
    /// - Throws: ``Refusal`` where the queue is full or the request does not fit a batch, what the run throws, or
    ///   `CancellationError` soon after the task is cancelled.
    func run(_ inputs: [String: Tensor], outputs: [String]?) async throws -> Answer {
      let rowCount = policy.largestBatch > 0 ? try Self.rowCount(inputs, policy.largestBatch) : 1
      guard waiting.count < policy.queueLength else {
        throw Refusal(
          .tooManyRequests, "the queue of the model is full: \(waiting.count) requests wait",
          retryAfter: 1)
      }
      let number = nextNumber
      nextNumber += 1
      let kind = policy.largestBatch > 0 && policy.joinsRequests ? Kind(inputs, outputs) : nil
      let request = Waiting(
        number: number, inputs: inputs, outputs: outputs, kind: kind, rowCount: rowCount,
        since: .now)
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          answers[number] = continuation
          waiting.append(request)
          startRuns()
        }
      } onCancel: {
        Task { await self.cancel(number) }
      }
    }

    private static func rowCount(_ inputs: [String: Tensor], _ largest: Int) throws -> Int {
      let counts = Set(inputs.values.map { $0.shape.first })
      guard counts.count == 1, let count = counts.first.flatMap({ $0 }) else {
        throw Refusal(
          .badRequest,
          "inputs: expected one number of rows, as the model's max_batch_size is \(largest), got "
            + inputs.sorted { $0.key < $1.key }.map { "\"\($0.key)\" \($0.value.shape)" }.joined(
              separator: ", "))
      }
      guard (1...largest).contains(count) else {
        throw Refusal(
          .badRequest,
          "rows of a request: expected 1 to \(largest), the model's max_batch_size, got \(count)")
      }
      return count
    }

    private func cancel(_ number: Int) {
      guard let answer = answers.removeValue(forKey: number) else { return }
      answer.resume(throwing: CancellationError())
      if let index = waiting.firstIndex(where: { $0.number == number }) {
        waiting.remove(at: index)
      } else if let run = runOfRequest[number] {
        running[run]?.wanted -= 1
        if running[run]?.wanted == 0 { running[run]?.task.cancel() }
      }
    }

    private func startRuns() {
      while running.count < policy.instanceCount, let batch = nextBatch() {
        let run = nextNumber
        nextNumber += 1
        for request in batch { runOfRequest[request.number] = run }
        let task = Task {
          let results = await self.results(of: batch)
          self.end(run, batch, results)
        }
        running[run] = Running(task: task, wanted: batch.count)
      }
    }

    /// Takes from the queue what is to run next; nil where nothing is, or not yet.
    private func nextBatch() -> [Waiting]? {
      guard let first = waiting.first else { return nil }
      guard let kind = first.kind else { return [waiting.removeFirst()] }
      var rowCount = 0
      var chosen: [Int] = []
      for (index, request) in waiting.enumerated()
      where request.kind == kind && rowCount + request.rowCount <= policy.largestBatch {
        rowCount += request.rowCount
        chosen.append(index)
      }
      let due = first.since + policy.largestDelay
      if due > .now, rowCount < policy.largestBatch {
        wakeUp(at: due)
        return nil
      }
      let batch = chosen.map { waiting[$0] }
      for index in chosen.reversed() { waiting.remove(at: index) }
      return batch
    }

    private func wakeUp(at due: ContinuousClock.Instant) {
      guard wakeUp == nil else { return }
      wakeUp = Task {
        try? await Task.sleep(until: due, clock: .continuous)
        self.wakeUp = nil
        self.startRuns()
      }
    }

    private func end(_ run: Int, _ batch: [Waiting], _ results: [Result<Answer, any Error>]) {
      running[run] = nil
      for (request, result) in zip(batch, results) {
        runOfRequest[request.number] = nil
        answers.removeValue(forKey: request.number)?.resume(with: result)
      }
      startRuns()
    }

    /// Runs requests together; where that fails, one by one, so that only those that are to blame fail.
    private nonisolated func results(of batch: [Waiting]) async -> [Result<Answer, any Error>] {
      do {
        return try await answers(to: batch).map { .success($0) }
      } catch {
        guard batch.count > 1, !Task.isCancelled else { return batch.map { _ in .failure(error) } }
        var results: [Result<Answer, any Error>] = []
        for request in batch {
          do { results.append(.success(try await answers(to: [request])[0])) } catch {
            results.append(.failure(error))
          }
        }
        return results
      }
    }

    private nonisolated func answers(to batch: [Waiting]) async throws -> [Answer] {
      let start = ContinuousClock.now
      var times = Times()
      var inputs: [String: Value] = [:]
      for (name, tensor) in batch[0].inputs {
        inputs[name] = .tensor(
          batch.count == 1 ? tensor : try Tensor(joining: batch.map { $0.inputs[name]! }))
      }
      let joined = ContinuousClock.now
      let outputs = try await runner(inputs, batch[0].outputs)
      let ran = ContinuousClock.now
      let rowCount = batch.reduce(0) { $0 + $1.rowCount }
      let parts = batch.count == 1 ? [outputs] : try Self.parts(of: outputs, batch.map(\.rowCount))
      times.input = joined - start
      times.compute = ran - joined
      times.output = .now - ran
      didRun(rowCount, times)
      return zip(batch, parts).map { request, part in
        var own = times
        own.queue = start - request.since
        return Answer(outputs: part, times: own, rowCount: rowCount)
      }
    }

    /// Cuts outputs into those of the requests that were put together.
    private static func parts(
      of outputs: [String: Value], _ rowCounts: [Int]
    ) throws(ModelError) -> [[String: Value]] {
      var parts = [[String: Value]](repeating: [:], count: rowCounts.count)
      let sum = rowCounts.reduce(0, +)
      for (name, value) in outputs {
        guard let tensor = value.tensor, tensor.shape.first == sum else {
          throw ModelError(
            .invalid,
            "output \"\(name)\" has not a row for each of the \(sum) rows that went in together",
            hint: "set max_batch_size to 0 in config.pbtxt")
        }
        var first = 0
        for (index, count) in rowCounts.enumerated() {
          parts[index][name] = .tensor(try tensor.rows(first..<first + count))
          first += count
        }
      }
      return parts
    }
  }
#endif
