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
  /// Whether each node is told of too.
  var showsNodes = false
  /// Of the process so far.
  let peakMemory: Int
  /// What the machine does at most, if that was measured.
  var roofline: Roofline?

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

  /// A node over some runs.
  struct Node {
    let name: String
    let operatorName: String
    let algorithm: String?
    /// The most that had a part in a run of it.
    let threads: Int
    /// The least.
    let milliseconds: Double
    let multiplyAdds: Int
    let byteCount: Int?

    /// Floating-point operations a second, a multiply-add taken for two; nil where none are known.
    var floatingPointRate: Double? {
      multiplyAdds > 0 ? 2e3 * Double(multiplyAdds) / milliseconds : nil
    }

    /// Bytes of inputs and outputs a second.
    var byteRate: Double? { byteCount.map { 1e3 * Double($0) / milliseconds } }

    /// Of the multiply-adds that the machine does at most, those that the node does; Winograd's
    /// algorithm needs fewer than are counted.
    func share(of roofline: Roofline) -> Double? {
      floatingPointRate.map { $0 / 2 / roofline.multiplyAddsPerSecond }
    }

    func json(_ roofline: Roofline?) -> JSON {
      .object([
        ("name", .string(name)), ("operator", .string(operatorName)),
        ("algorithm", algorithm.map { .string($0) } ?? .null), ("threads", .number(threads)),
        ("ms", .number(milliseconds)), ("multiply_adds", .number(multiplyAdds)),
        ("bytes", byteCount.map { .number($0) } ?? .null),
        ("gflops", floatingPointRate.map { .number($0 / 1e9) } ?? .null),
        ("gigabytes_per_second", byteRate.map { .number($0 / 1e9) } ?? .null),
        ("share_of_peak", roofline.flatMap { share(of: $0) }.map { .number($0) } ?? .null),
      ])
    }
  }

  /// The nodes in the order of a run; those of runs that took another way are left out.
  var nodes: [Node] {
    guard let first = events.first else { return [] }
    let alike = events.filter { $0.map(\.node) == first.map(\.node) }
    return first.indices.map { index in
      let event = first[index]
      let nanoseconds = alike.map { $0[index].duration }.min()!
      return Node(
        name: event.node, operatorName: event.operatorName, algorithm: event.algorithm,
        threads: alike.map { $0[index].threads }.max() ?? 1,
        milliseconds: Double(max(1, nanoseconds)) / 1e6,
        multiplyAdds: event.multiplyAdds, byteCount: event.byteCount)
    }
  }

  var json: JSON {
    .object(report + details)
  }

  /// What `--nodes` and `--roofline` add.
  private var details: [(String, JSON)] {
    guard showsNodes else { return [] }
    var details: [(String, JSON)] = []
    if let roofline {
      details.append(
        (
          "roofline",
          .object([
            ("gflops", .number(roofline.multiplyAddsPerSecond * 2 / 1e9)),
            ("gigabytes_per_second", .number(roofline.bytesPerSecond / 1e9)),
          ])
        ))
    }
    return details + [("nodes", .array(nodes.map { $0.json(roofline) }))]
  }

  private var report: [(String, JSON)] {
    [
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
    ]
  }

  /// One run in the trace event format of Chrome, in microseconds: the nodes, and below them a row for
  /// each thread with its pieces of work.
  var trace: JSON {
    let run = events.first ?? []
    let threads = Set(run.flatMap { $0.chunks.map(\.thread) }).sorted()
    let names = [(0, "nodes")] + threads.map { ($0 + 1, "thread \($0)") }
    return .object([
      ("displayTimeUnit", .string("ms")),
      ("traceEvents", .array(names.map { Self.name(row: $0.0, $0.1) } + run.flatMap(spans))),
    ])
  }

  private static func name(row: Int, _ name: String) -> JSON {
    .object([
      ("name", .string("thread_name")), ("ph", .string("M")), ("pid", .number(1)),
      ("tid", .number(row)), ("args", .object([("name", .string(name))])),
    ])
  }

  private func spans(_ event: Profile.Event) -> [JSON] {
    func span(row: Int, _ start: UInt64, _ duration: UInt64) -> JSON {
      .object([
        ("name", .string(event.node.isEmpty ? event.operatorName : event.node)),
        ("cat", .string(event.operatorName)), ("ph", .string("X")),
        ("ts", .number(Double(start) / 1000)), ("dur", .number(Double(duration) / 1000)),
        ("pid", .number(1)), ("tid", .number(row)),
        (
          "args",
          .object([
            ("algorithm", event.algorithm.map { .string($0) } ?? .null),
            ("multiply_adds", .number(event.multiplyAdds)),
          ])
        ),
      ])
    }
    return [span(row: 0, event.start, event.duration)]
      + event.chunks.map { span(row: $0.thread + 1, $0.start, $0.duration) }
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
