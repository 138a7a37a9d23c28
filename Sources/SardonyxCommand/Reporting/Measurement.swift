import Sardonyx

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What `bench` measured with one number of threads; times are milliseconds.
struct Measurement {
  let model: String
  let threads: Int
  /// How many ran the session at the same time.
  var callers = 1
  /// What `--dim` told.
  var extents: [String: Int] = [:]
  let load: Double
  let prepare: Double
  /// The first run, which also plans.
  let first: Double
  /// Ascending.
  let latencies: [Double]
  /// Seconds that all measured runs took together.
  var elapsed = 0.0
  /// The nodes of some runs.
  let events: [[Profile.Event]]
  /// Of the process so far.
  let peakMemory: Int

  /// The nearest-rank percentile of the latencies.
  func percentile(_ percent: Double) -> Double {
    let rank = Int((percent / 100 * Double(latencies.count)).rounded(.up))
    return latencies[min(max(rank - 1, 0), latencies.count - 1)]
  }

  var mean: Double { latencies.reduce(0, +) / Double(max(1, latencies.count)) }

  /// The standard deviation.
  var deviation: Double {
    let mean = mean
    let squares = latencies.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(max(1, latencies.count))).squareRoot()
  }

  /// Runs a second, of all callers together.
  var throughput: Double { elapsed > 0 ? Double(latencies.count) / elapsed : 0 }

  /// The mean time of each operator in a run, the longest first.
  var operators: [(name: String, calls: Int, milliseconds: Double, share: Double)] {
    var sums: [String: (calls: Int, nanoseconds: UInt64)] = [:]
    for event in events.joined() {
      sums[event.operatorName, default: (0, 0)].calls += 1
      sums[event.operatorName]?.nanoseconds += event.duration
    }
    let total = max(1, sums.values.reduce(0) { $0 + $1.nanoseconds })
    return sums.sorted { ($1.value.nanoseconds, $0.key) < ($0.value.nanoseconds, $1.key) }
      .map { name, sum in
        let runs = max(1, events.count)
        return (
          name, sum.calls / runs, Double(sum.nanoseconds) / 1e6 / Double(runs),
          Double(sum.nanoseconds) / Double(total)
        )
      }
  }

  var json: JSON {
    .object([
      ("model", .string(model)),
      ("version", .string(Build.version)), ("processor", .string(Processor.name)),
      ("instruction_set", .string(Processor.instructionSet)),
      ("threads", .number(threads)), ("callers", .number(callers)),
      (
        "dimensions",
        .object(extents.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })
      ),
      ("load_ms", .number(load)),
      ("prepare_ms", .number(prepare)),
      ("first_run_ms", .number(first)),
      ("iterations", .number(latencies.count)),
      (
        "latency_ms",
        .object([
          ("min", .number(percentile(0))), ("mean", .number(mean)),
          ("deviation", .number(deviation)), ("median", .number(percentile(50))),
          ("p90", .number(percentile(90))), ("p99", .number(percentile(99))),
        ])
      ),
      ("runs_per_second", .number(throughput)),
      ("peak_memory_bytes", .number(peakMemory)),
      (
        "operators",
        .array(
          operators.map { row in
            .object([
              ("name", .string(row.name)), ("calls", .number(row.calls)),
              ("ms", .number(row.milliseconds)), ("share", .number(row.share)),
            ])
          })
      ),
    ])
  }

  /// One run in the trace event format of Chrome, in microseconds.
  var trace: JSON {
    .object([
      ("displayTimeUnit", .string("ms")),
      (
        "traceEvents",
        .array(
          (events.first ?? []).map { event in
            .object([
              ("name", .string(event.node.isEmpty ? event.operatorName : event.node)),
              ("cat", .string(event.operatorName)), ("ph", .string("X")),
              ("ts", .number(Double(event.start) / 1000)),
              ("dur", .number(Double(event.duration) / 1000)), ("pid", .number(1)),
              ("tid", .number(1)),
            ])
          })
      ),
    ])
  }
}

/// The most memory that this process had in use.
func peakMemoryByteCount() -> Int {
  var usage = rusage()
  #if canImport(Glibc)
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Int(usage.ru_maxrss) * 1024
  #elseif os(Linux)
    unsafe getrusage(RUSAGE_SELF, &usage)
    return Int(usage.ru_maxrss) * 1024
  #else
    unsafe getrusage(RUSAGE_SELF, &usage)
    return Int(usage.ru_maxrss)
  #endif
}
