#if Server
  import CoreMetrics
  import Histogram
  import Sardonyx
  import Synchronization

  /// Keeps what instruments record, and writes it as Prometheus reads it.
  final class MetricsPage: MetricsFactory {
    private struct Key: Hashable {
      let label: String
      let dimensions: String
    }

    private let counters = Mutex<[Key: Count]>([:])
    private let distributions = Mutex<[Key: Distribution]>([:])

    /// What the labels mean.
    private static let help = [
      "sardonyx_requests_total": "Requests for inference, by what became of them.",
      "sardonyx_verified_runs_total": "Runs compared with the model as written.",
      "sardonyx_queue_seconds": "Time from a request's arrival to its run.",
      "sardonyx_compute_seconds": "Time of a run.",
      "sardonyx_batch_rows": "Rows of a run.",
      "sardonyx_http_responses_total": "Responses by status.",
      "sardonyx_http_seconds": "Time from a request's head to its response.",
    ]

    /// All of it, in Prometheus's text format.
    var text: String {
      var lines: [String] = []
      func head(_ label: String, _ type: String) {
        if let help = Self.help[label] { lines.append("# HELP \(label) \(help)") }
        lines.append("# TYPE \(label) \(type)")
      }
      let counts = counters.withLock { $0 }
      for (label, keys) in Dictionary(grouping: counts.keys, by: \.label).sorted(by: {
        $0.key < $1.key
      }) {
        head(label, "counter")
        for key in keys.sorted(by: { $0.dimensions < $1.dimensions }) {
          lines.append("\(label){\(key.dimensions)} \(counts[key]!.value)")
        }
      }
      let histograms = distributions.withLock { $0 }
      for (label, keys) in Dictionary(grouping: histograms.keys, by: \.label).sorted(by: {
        $0.key < $1.key
      }) {
        head(label, "histogram")
        for key in keys.sorted(by: { $0.dimensions < $1.dimensions }) {
          lines += histograms[key]!.lines(label, key.dimensions)
        }
      }
      return lines.joined(separator: "\n") + "\n"
    }

    private static func key(_ label: String, _ dimensions: [(String, String)]) -> Key {
      let pairs = dimensions.map { name, value in
        let escaped = value.flatMap { character -> String in
          switch character {
          case "\\": "\\\\"
          case "\"": "\\\""
          case "\n": "\\n"
          default: String(character)
          }
        }
        return "\(name)=\"\(String(escaped))\""
      }
      return Key(label: label, dimensions: pairs.joined(separator: ","))
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
      counters.withLock { counters in
        let key = Self.key(label, dimensions)
        if let known = counters[key] { return known }
        let made = Count()
        counters[key] = made
        return made
      }
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate _: Bool)
      -> any RecorderHandler
    {
      distribution(label, dimensions, unit: 1, bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
      distribution(label, dimensions, unit: 1_000_000_000, bounds: Self.timeBounds)
    }

    private func distribution(
      _ label: String, _ dimensions: [(String, String)], unit: Double, bounds: [UInt64]
    ) -> Distribution {
      distributions.withLock { distributions in
        let key = Self.key(label, dimensions)
        if let known = distributions[key] { return known }
        let made = Distribution(unit: unit, bounds: bounds)
        distributions[key] = made
        return made
      }
    }

    /// From 100 µs to a minute, in nanoseconds.
    private static let timeBounds: [UInt64] = [
      100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000,
      50_000_000,
      100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000,
      10_000_000_000, 60_000_000_000,
    ]

    // What is counted of a model stays when it is unloaded, as counters never go back.
    func destroyCounter(_: any CounterHandler) {}
    func destroyRecorder(_: any RecorderHandler) {}
    func destroyTimer(_: any TimerHandler) {}

    private final class Count: CounterHandler {
      private let count = Atomic<Int64>(0)

      var value: Int64 { count.load(ordering: .relaxed) }

      func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }
      func reset() { count.store(0, ordering: .relaxed) }
    }

    /// Values of nanoseconds or rows, told in seconds or rows.
    private final class Distribution: RecorderHandler, TimerHandler {
      private struct Values {
        var histogram = Histogram<UInt64>(numberOfSignificantValueDigits: .two)
        var sum = 0.0
      }

      private let unit: Double
      private let bounds: [UInt64]
      private let values = Mutex(Values())

      init(unit: Double, bounds: [UInt64]) {
        self.unit = unit
        self.bounds = bounds
      }

      func record(_ value: Int64) {
        values.withLock { values in
          values.histogram.record(UInt64(max(0, value)))
          values.sum += Double(value) / unit
        }
      }

      func record(_ value: Double) { record(Int64(value)) }
      func recordNanoseconds(_ duration: Int64) { record(duration) }

      func lines(_ label: String, _ dimensions: String) -> [String] {
        values.withLock { values in
          var lines = bounds.map { bound in
            let number = unit == 1 ? "\(bound)" : "\(Double(bound) / unit)"
            return
              "\(label)_bucket{\(dimensions),le=\"\(number)\"} \(values.histogram.count(within: 0...bound))"
          }
          lines.append("\(label)_bucket{\(dimensions),le=\"+Inf\"} \(values.histogram.totalCount)")
          lines.append("\(label)_sum{\(dimensions)} \(values.sum)")
          lines.append("\(label)_count{\(dimensions)} \(values.histogram.totalCount)")
          return lines
        }
      }
    }
  }
#endif
