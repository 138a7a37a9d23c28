#if Server
  import Sardonyx

  /// What the protocol's extension for statistics tells of a model.
  struct ModelStatistics {
    private struct Sum {
      var count = 0
      var time = Duration.zero

      mutating func add(_ time: Duration) {
        count += 1
        self.time += time
      }

      var json: JSON {
        .object([("count", .number(count)), ("ns", .number(time.nanoseconds))])
      }
    }

    private var success = Sum()
    private var failure = Sum()
    private var queue = Sum()
    private var input = Sum()
    private var compute = Sum()
    private var output = Sum()
    private var rowCount = 0
    private var runCount = 0
    /// Milliseconds since 1970 of the last request.
    private var last = 0
    private var runs: [Int: (input: Sum, compute: Sum, output: Sum)] = [:]

    mutating func addRun(_ rowCount: Int, _ times: Batching.Times) {
      runCount += 1
      runs[rowCount, default: (Sum(), Sum(), Sum())].input.add(times.input)
      runs[rowCount]!.compute.add(times.compute)
      runs[rowCount]!.output.add(times.output)
    }

    mutating func addSuccess(rowCount: Int, _ times: Batching.Times) {
      self.rowCount += rowCount
      last = Int(Clock.now * 1000)
      success.add(times.queue + times.input + times.compute + times.output)
      queue.add(times.queue)
      input.add(times.input)
      compute.add(times.compute)
      output.add(times.output)
    }

    mutating func addFailure(_ time: Duration) {
      last = Int(Clock.now * 1000)
      failure.add(time)
    }

    /// As Triton tells it.
    func json(name: String, version: Int) -> JSON {
      .object([
        ("name", .string(name)), ("version", .string(String(version))),
        ("last_inference", .number(last)),
        ("inference_count", .number(rowCount)), ("execution_count", .number(runCount)),
        (
          "inference_stats",
          .object([
            ("success", success.json), ("fail", failure.json), ("queue", queue.json),
            ("compute_input", input.json), ("compute_infer", compute.json),
            ("compute_output", output.json),
          ])
        ),
        (
          "batch_stats",
          .array(
            runs.sorted { $0.key < $1.key }.map { size, sums in
              .object([
                ("batch_size", .number(size)), ("compute_input", sums.input.json),
                ("compute_infer", sums.compute.json), ("compute_output", sums.output.json),
              ])
            })
        ),
      ])
    }
  }

  extension Duration {
    var nanoseconds: Int {
      Int(components.seconds) * 1_000_000_000 + Int(components.attoseconds / 1_000_000_000)
    }

    /// In milliseconds, for logs.
    var milliseconds: Double { Double(nanoseconds / 1000) / 1000 }
  }
#endif
