import ArgumentParser
import Dispatch
import Sardonyx
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// `sardonyx bench`: how long a model takes.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure a model's load time, latency, throughput and memory.",
    discussion: """
      Inputs are --random 0 where none are given, and free dimensions 1. Times are milliseconds. \
      JSON is an object, or an array of objects where --threads, --callers or --dim name several \
      numbers; peak memory is that of the process up to then. Ctrl-C ends measuring and shows what \
      was measured so far.
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @OptionGroup(title: "Input options") var input: InputOptions

  @Option(help: ArgumentHelp("Runs before measuring.", valueName: "count"))
  var warmup = 3

  @Option(
    help: ArgumentHelp("Runs to measure. (default: as many as --seconds allow)", valueName: "count")
  )
  var iterations: Int?

  @Option(
    name: .customLong("seconds"),
    help: ArgumentHelp("Measure for about this long, at least 5 runs.", valueName: "number"))
  var duration = 3.0

  @Option(
    name: .customLong("threads"),
    help: ArgumentHelp(
      "Thread counts to measure, one after the other. (default: as many as this process may keep busy)",
      valueName: "count,count"))
  var threads: CountList?

  @Option(
    help: ArgumentHelp(
      "How many callers run the session at the same time; several counts one after the other.",
      valueName: "count,count"))
  var callers = CountList(counts: [1])

  @Option(
    help: ArgumentHelp(
      "Write when each node of one run ran, for chrome://tracing or ui.perfetto.dev.",
      valueName: "trace.json"), completion: .file(extensions: ["json"]))
  var profile: String?

  @Flag(
    help: """
      Show each node too: how it computes, on how many threads, its least time, and billions of \
      floating-point operations and of bytes a second.
      """)
  var nodes = false

  @Flag(
    help: """
      Measure what the machine multiplies and reads at most, and of each node the share of that; \
      implies --nodes.
      """)
  var roofline = false

  @Option(help: "What becomes of BatchNormalization: folded into weights, or unfolded.")
  var batchnorm: Session.BatchNormalizationMode = .auto

  @Flag(
    inversion: .prefixedNo,
    help: "Compute 3×3 convolutions by Winograd's algorithm: faster, and about half as exact.")
  var winograd = true

  @Flag(help: "Print as JSON.")
  var json = false

  func validate() throws {
    if let iterations, iterations < 1 {
      throw ValidationError("--iterations: expected 1 or more, got \(iterations)")
    }
    guard warmup >= 0 else { throw ValidationError("--warmup: expected 0 or more, got \(warmup)") }
    guard duration > 0 else { throw ValidationError("--seconds: expected a positive number") }
  }

  func run() throws {
    Interruption.catchSignal()
    let start = seconds()
    let model = try Model(file: path)
    let load = (seconds() - start) * 1000
    if !json { print("\(path.visible)\n\(Self.machine.visible)") }
    var measurements: [Measurement] = []
    for count in threads?.counts.map(Optional.some) ?? [nil] {
      for extents in input.sweep {
        for callers in callers.counts where !Interruption.isRequested {
          let measurement = try measure(
            model, load: load, threads: count, callers: callers, extents)
          measurements.append(measurement)
          if !json { print("\n" + report(measurement)) }
        }
      }
    }
    if json {
      let objects = measurements.map(\.json)
      print(objects.count == 1 ? objects[0] : .array(objects))
    }
    if let profile, let last = measurements.last {
      try write(Array(last.trace.description.utf8), toFile: profile)
    }
  }

  /// What computes: version, processor, instruction set.
  static var machine: String {
    "Sardonyx \(Build.version), \(Processor.name), \(Processor.instructionSet)"
  }

  private func measure(
    _ model: Model, load: Double, threads: Int?, callers: Int, _ extents: [String: Int]
  ) throws(ModelError) -> Measurement {
    var options = Session.Options()
    options.threads = threads
    options.batchNormalization = batchnorm
    options.winograd = winograd
    let start = seconds()
    let session = try model.session(options)
    let prepare = (seconds() - start) * 1000
    let inputs = try input.values(
      for: model, standardSeed: 0, standardExtent: 1, sweeping: extents)
    let first = try time { () throws(ModelError) in
      _ = try Watch.over("first run") { () throws(ModelError) in try session.run(inputs) }
    }
    for _ in 0..<max(0, warmup - 1) where !Interruption.isRequested { _ = try session.run(inputs) }
    let begun = seconds()
    let latencies = try latencies(session, inputs, callers)
    let elapsed = seconds() - begun
    return Measurement(
      model: path, threads: session.threads, callers: callers, extents: extents, load: load,
      prepare: prepare, first: first, latencies: latencies.sorted(), elapsed: elapsed,
      events: try profiles(session, inputs), showsNodes: nodes || roofline,
      peakMemory: peakMemoryByteCount(),
      roofline: roofline ? Roofline(threads: session.threads) : nil)
  }

  /// The nodes of some runs, for the table of operators.
  private func profiles(
    _ session: Session, _ inputs: [String: Value]
  ) throws(ModelError) -> [[Profile.Event]] {
    var runs: [[Profile.Event]] = []
    let start = seconds()
    while runs.count < 10, runs.isEmpty || seconds() - start < duration / 3,
      runs.isEmpty || !Interruption.isRequested
    {
      let profile = Profile()
      _ = try session.run(inputs, profile: profile)
      runs.append(profile.events)
    }
    return runs
  }

  private func latencies(
    _ session: Session, _ inputs: [String: Value], _ callers: Int
  ) throws(ModelError) -> [Double] {
    let tally = Tally(limit: iterations, deadline: seconds() + duration)
    let work: @Sendable () -> Void = {
      while tally.mayGoOn {
        let start = seconds()
        do throws(ModelError) { _ = try session.run(inputs) } catch { return tally.fail(error) }
        tally.add((seconds() - start) * 1000)
      }
    }
    if callers == 1 {
      while tally.mayGoOn {
        let start = seconds()
        _ = try session.run(inputs)
        tally.add((seconds() - start) * 1000)
        Terminal.progress("run \(tally.latencies.count)")
      }
      Terminal.endProgress()
    } else {
      let group = DispatchGroup()
      let queue = DispatchQueue(label: "callers", attributes: .concurrent)
      for _ in 0..<callers { queue.async(group: group, execute: work) }
      group.wait()
    }
    if let error = tally.error { throw error }
    return tally.latencies
  }

  /// Milliseconds that something takes.
  private func time(_ body: () throws(ModelError) -> Void) throws(ModelError) -> Double {
    let start = seconds()
    try body()
    return (seconds() - start) * 1000
  }

  private func report(_ measurement: Measurement) -> String {
    let threads = measurement.threads
    var table = Table([
      ("operator", .left), ("calls", .right), ("ms", .right), ("share", .right),
    ])
    for row in measurement.operators {
      table.append(
        row.name, "\(row.calls)", row.milliseconds.text(decimals: 3),
        "\((row.share * 100).text(decimals: 1)) %")
    }
    let sizes = measurement.extents.sorted { $0.key < $1.key }.map { ", \($0.key) = \($0.value)" }
    let callers = measurement.callers == 1 ? "" : ", \(measurement.callers) callers"
    let head = "\(threads) \(threads == 1 ? "thread" : "threads")\(callers)\(sizes.joined())"
    return """
      \(head)
      load \(measurement.load.text(decimals: 3)) ms, prepare \
      \(measurement.prepare.text(decimals: 3)) ms, first run \
      \(measurement.first.text(decimals: 3)) ms, peak memory \(measurement.peakMemory.byteText)
      \(measurement.latencies.count) runs: min \(measurement.percentile(0).text(decimals: 3)) ms, \
      mean \(measurement.mean.text(decimals: 3)) ms, \
      deviation \(measurement.deviation.text(decimals: 3)) ms, \
      median \(measurement.percentile(50).text(decimals: 3)) ms, \
      p90 \(measurement.percentile(90).text(decimals: 3)) ms, \
      p99 \(measurement.percentile(99).text(decimals: 3)) ms
      \(measurement.throughput.text(digits: 4)) runs a second

      \(table.text)\(measurement.showsNodes ? "\n\n" + report(measurement.nodes, measurement) : "")
      """
  }

  /// The table of nodes.
  private func report(_ nodes: [Measurement.Node], _ measurement: Measurement) -> String {
    let roofline = measurement.roofline
    var table = Table([
      ("node", .left), ("operator", .left), ("algorithm", .left), ("threads", .right),
      ("ms", .right), ("GFLOP/s", .right), ("GB/s", .right),
    ])
    if roofline != nil { table.add("of the peak", .right) }
    for node in nodes {
      let rate = node.floatingPointRate.map { ($0 / 1e9).text(decimals: 1) }
      let bytes = node.byteRate.map { ($0 / 1e9).text(decimals: 1) }
      var cells = [
        node.name, node.operatorName, node.algorithm ?? "", "\(node.threads)",
        node.milliseconds.text(decimals: 3), rate ?? "", bytes ?? "",
      ]
      if let roofline {
        cells.append(node.share(of: roofline).map { "\(($0 * 100).text(decimals: 1)) %" } ?? "")
      }
      table.append(cells)
    }
    guard let roofline else { return table.text }
    return """
      at most \((roofline.multiplyAddsPerSecond * 2 / 1e9).text(decimals: 1)) GFLOP/s and, from \
      memory, \((roofline.bytesPerSecond / 1e9).text(decimals: 1)) GB/s

      \(table.text)
      """
  }
}

/// Latencies that several callers gather, and when they are to stop.
private final class Tally: Sendable {
  private struct State {
    var latencies: [Double] = []
    var error: ModelError?
  }

  private let state = Mutex(State())
  private let limit: Int?
  private let deadline: Double

  init(limit: Int?, deadline: Double) { (self.limit, self.deadline) = (limit, deadline) }

  var latencies: [Double] { state.withLock { $0.latencies } }
  var error: ModelError? { state.withLock { $0.error } }

  var mayGoOn: Bool {
    state.withLock {
      guard $0.error == nil, $0.latencies.isEmpty || !Interruption.isRequested else { return false }
      return $0.latencies.count < limit ?? (seconds() < deadline ? .max : 5)
    }
  }

  func add(_ latency: Double) { state.withLock { $0.latencies.append(latency) } }
  func fail(_ error: ModelError) { state.withLock { $0.error = $0.error ?? error } }
}

/// Whether Ctrl-C was pressed, once: the second time it ends the process as ever.
enum Interruption {
  private static let count = Atomic(0)

  static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

  static func catchSignal() {
    signal(SIGINT) { number in
      Interruption.count.add(1, ordering: .relaxed)
      signal(number, SIG_DFL)
    }
  }
}

/// Numbers with commas between them.
struct CountList: ExpressibleByArgument, Sendable {
  let counts: [Int]

  init(counts: [Int]) { self.counts = counts }

  init?(argument: String) {
    let counts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard counts.allSatisfy({ $0.map { (1...1024).contains($0) } ?? false }) else { return nil }
    self.counts = counts.compactMap(\.self)
  }

  var defaultValueDescription: String { counts.map(String.init).joined(separator: ",") }
}
