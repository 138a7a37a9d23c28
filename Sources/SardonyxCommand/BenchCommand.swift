import ArgumentParser
import Sardonyx

/// `sardonyx bench`: how long a model takes.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure a model's load time, latency and memory.",
    discussion: """
      Inputs are --random 0 where none are given. Times are milliseconds. JSON is an object, or an \
      array of objects where --threads names several counts; peak memory is that of the process up \
      to then.
      """)

  @Argument(help: ArgumentHelp("The ONNX model.", valueName: "model"))
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
      "Write when each node of one run ran, for chrome://tracing or ui.perfetto.dev.",
      valueName: "trace.json"))
  var profile: String?

  @Option(help: "What becomes of BatchNormalization: folded into weights, or unfolded.")
  var batchnorm: Session.BatchNormalizationMode = .folded

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
    var measurements: [Measurement] = []
    for count in threads?.counts.map(Optional.some) ?? [nil] {
      let measurement = try measure(threads: count)
      measurements.append(measurement)
      if !json { print((measurements.count > 1 ? "\n" : "") + report(measurement)) }
    }
    if json {
      let objects = measurements.map(\.json)
      print(objects.count == 1 ? objects[0] : .array(objects))
    }
    if let profile, let last = measurements.last {
      try write(Array(last.trace.description.utf8), toFile: profile)
    }
  }

  private func measure(threads: Int?) throws(ModelError) -> Measurement {
    let start = seconds()
    let model = try Model(path: path)
    let loaded = seconds()
    var options = Session.Options()
    options.threads = threads
    options.batchNormalization = batchnorm
    options.winograd = winograd
    let session = try Session(model, options: options)
    let prepared = seconds()
    let inputs = try input.values(for: model, standardSeed: 0)
    let first = try time { () throws(ModelError) in _ = try session.run(inputs) }
    for _ in 0..<max(0, warmup - 1) { _ = try session.run(inputs) }
    let latencies = try latencies(session, inputs)
    let profile = Profile()
    _ = try session.run(inputs, profile: profile)
    return Measurement(
      model: path, threads: session.threads, load: (loaded - start) * 1000,
      prepare: (prepared - loaded) * 1000, first: first, latencies: latencies.sorted(),
      events: profile.events, peakMemory: peakMemoryByteCount())
  }

  private func latencies(
    _ session: Session, _ inputs: [String: Value]
  ) throws(ModelError) -> [Double] {
    var latencies: [Double] = []
    let start = seconds()
    while latencies.count < iterations ?? (seconds() - start < duration ? .max : 5) {
      latencies.append(try time { () throws(ModelError) in _ = try session.run(inputs) })
      Terminal.progress("run \(latencies.count)")
    }
    Terminal.endProgress()
    return latencies
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
    return """
      \(path), \(threads) \(threads == 1 ? "thread" : "threads")
      load \(measurement.load.text(decimals: 3)) ms, prepare \
      \(measurement.prepare.text(decimals: 3)) ms, first run \
      \(measurement.first.text(decimals: 3)) ms, peak memory \(measurement.peakMemory.byteText)
      \(measurement.latencies.count) runs: min \(measurement.percentile(0).text(decimals: 3)) ms, \
      median \(measurement.percentile(50).text(decimals: 3)) ms, \
      p90 \(measurement.percentile(90).text(decimals: 3)) ms, \
      p99 \(measurement.percentile(99).text(decimals: 3)) ms

      \(table.text)
      """
  }
}

/// Numbers of threads with commas between them.
struct CountList: ExpressibleByArgument, Sendable {
  let counts: [Int]

  init?(argument: String) {
    let counts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard counts.allSatisfy({ $0.map { (1...1024).contains($0) } ?? false }) else { return nil }
    self.counts = counts.compactMap(\.self)
  }
}
