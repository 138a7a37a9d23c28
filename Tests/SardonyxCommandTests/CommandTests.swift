import Foundation
import Testing

@testable import SardonyxCommand

@Suite struct CommandTests {
  private static let digits = "Models/digits/digits_resnet_torchscript.onnx"

  @Test(
    "Help names every option and ends well",
    arguments: [
      ("run", ["--input", "--inputs", "--random", "--tap", "--output", "--output-dir", "--json"]),
      ("compare", ["--layers", "--rtol", "--atol", "--reference", "--against", "--json"]),
      ("inspect", ["--plan", "--dim", "--json"]),
      ("bench", ["--warmup", "--iterations", "--seconds", "--threads", "--profile", "--json"]),
    ])
  func helps(subcommand: String, options: [String]) throws {
    let command = try Command(subcommand, "--help")
    #expect(command.status == 0)
    #expect(command.error == "")
    for option in options {
      #expect(command.output.contains("\(option) ") || command.output.contains("\(option)\n"))
    }
  }

  @Test("What man pages are made of says of each subcommand and option what it is for")
  func describesItself() throws {
    let command = try Command("--experimental-dump-help")
    #expect(command.status == 0)
    let root = try #require(try command.object()["command"] as? [String: Any])
    let subcommands = try #require(root["subcommands"] as? [[String: Any]])
    #expect(subcommands.count > 10)
    // The parser's own subcommand `help` has an argument that it says nothing of.
    for one in [root] + subcommands where one["commandName"] as? String != "help" {
      let name = one["commandName"] as? String ?? ""
      #expect((one["abstract"] as? String)?.isEmpty == false, "\(name)")
      for argument in one["arguments"] as? [[String: Any]] ?? [] {
        let isHidden = argument["shouldDisplay"] as? Bool == false
        #expect(
          isHidden || (argument["abstract"] as? String)?.isEmpty == false, "\(name): \(argument)")
      }
    }
  }

  @Test("The version is one line")
  func tellsVersion() throws {
    let command = try Command("--version")
    #expect(command.status == 0)
    #expect(command.output.split(separator: "\n").count == 1)
  }

  // MARK: - compare

  @Test("Folding BatchNormalization changes no output beyond tolerance, and every layer is shown")
  func comparesLayers() throws {
    let command = try Command("compare", Self.digits, "--dim", "N=2", "--layers", "--json")
    #expect(command.status == 0, "\(command.output)")
    let report = try command.object()
    #expect(report["passed"] as? Bool == true)
    #expect((report["layers"] as? [Any]).map { $0.count > 5 } == true)
    let output = try #require((report["outputs"] as? [[String: Any]])?.first)
    #expect(output["name"] as? String == "probabilities")
    #expect(output["relative"] as? Double ?? 1 < 1e-5)
  }

  @Test("The recorded outputs of another engine are inputs and reference in one")
  func comparesReference() throws {
    let command = try Command(
      "compare", Self.digits, "--reference", "Models/digits/digits_resnet_torchscript.npz")
    #expect(command.status == 0, "\(command.output)")
    #expect(command.output.contains("1 of 1 outputs within relative tolerance 1e-05"))
  }

  @Test("Another model's outputs differ, with exit status 1")
  func comparesModels() throws {
    let command = try Command(
      "compare", Self.digits, "--dim", "N=2", "--against",
      "Models/digits/digits_preactivation_torchscript.onnx")
    #expect(command.status == 1)
    #expect(command.output.contains("differs"))
    #expect(command.output.contains("0 of 1 outputs"))
    #expect(command.error == "")
  }

  // MARK: - inspect

  @Test("A model's face and size are told")
  func inspects() throws {
    let command = try Command("inspect", Self.digits)
    #expect(command.status == 0)
    #expect(command.output.contains("input: image: float[N,1,8,8]\n"))
    #expect(command.output.contains("output: probabilities: float[N,10]\n"))
    #expect(command.output.contains("parameters: 78,346 (306 KiB)\n"))
    #expect(command.output.contains("multiply-adds: 763,520 (N = 1)\n"))
    #expect(command.output.contains("  BatchNormalization 9\n"))
  }

  @Test("The plan tells what was folded")
  func inspectsPlan() throws {
    let report = try Command("inspect", Self.digits, "--plan", "--json").object()
    let plan = try #require(report["plan"] as? [String: Any])
    #expect((plan["notes"] as? [Any])?.isEmpty == false)
    let operators = try #require(plan["nodes"] as? [[String: Any]]).map {
      $0["operator"] as? String
    }
    #expect(!operators.contains("BatchNormalization"))
  }

  // MARK: - bench

  @Test("A benchmark tells times and memory for each number of threads")
  func measures() throws {
    let folder = try TemporaryFolder()
    let command = try Command(
      "bench", Self.digits, "--dim", "N=1", "--iterations", "3", "--threads", "1,2", "--json",
      "--profile", folder.path("trace.json"))
    #expect(command.status == 0, "\(command.error)")
    #expect(command.error == "")
    let reports = try #require(
      try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [[String: Any]])
    #expect(reports.map { $0["threads"] as? Int } == [1, 2])
    let latency = try #require(reports[0]["latency_ms"] as? [String: Double])
    #expect(Set(latency.keys) == ["min", "mean", "deviation", "median", "p90", "p99"])
    #expect(latency["min"]! > 0 && latency["min"]! <= latency["p99"]!)
    #expect(reports[0]["load_ms"] as? Double ?? 0 > 0)
    #expect(reports[0]["peak_memory_bytes"] as? Int ?? 0 > 1 << 20)
    let trace =
      try JSONSerialization.jsonObject(
        with: Data(contentsOf: folder.url.appending(path: "trace.json"))) as? [String: Any]
    let events = try #require(trace?["traceEvents"] as? [[String: Any]])
    let rows = events.filter { $0["ph"] as? String == "M" }.map { $0["tid"] as? Int }
    let spans = events.filter { $0["ph"] as? String == "X" }
    #expect(rows.first == 0 && !spans.isEmpty)
    #expect(spans.allSatisfy { rows.contains($0["tid"] as? Int) })
  }

  @Test("Each node is told of, with its share of what the machine does at most")
  func measuresNodes() throws {
    let report = try Command(
      "bench", Self.digits, "--dim", "N=64", "--iterations", "2", "--threads", "1", "--roofline",
      "--json"
    ).object()
    let roofline = try #require(report["roofline"] as? [String: Double])
    #expect(roofline["gflops"]! > 0.1 && roofline["gigabytes_per_second"]! > 0.1)
    let nodes = try #require(report["nodes"] as? [[String: Any]])
    let convolutions = nodes.filter { $0["operator"] as? String == "Conv" }
    #expect(!convolutions.isEmpty)
    for node in convolutions {
      #expect(node["algorithm"] is String && node["threads"] as? Int == 1)
      let (work, time) = (node["multiply_adds"] as? Int ?? 0, node["ms"] as? Double ?? 0)
      let rate = try #require(node["gflops"] as? Double)
      #expect(abs(rate - 2e-6 * Double(work) / time) < 1e-6 * rate)
      let share = try #require(node["share_of_peak"] as? Double)
      #expect(abs(share - rate / roofline["gflops"]!) < 1e-9 * share)
    }
    let text = try Command("bench", Self.digits, "--dim", "N=1", "--iterations", "2", "--nodes")
    #expect(text.output.contains("GFLOP/s") && !text.output.contains("of the peak"))
  }

  @Test("One number of threads makes one object of JSON")
  func measuresOnce() throws {
    let report = try Command(
      "bench", Self.digits, "--dim", "N=1", "--iterations", "2", "--json"
    ).object()
    #expect(report["iterations"] as? Int == 2)
    #expect((report["operators"] as? [Any])?.isEmpty == false)
  }
}

@Suite struct MeasurementTests {
  @Test("Percentiles are of the nearest rank")
  func ranks() {
    let measurement = Measurement(
      model: "m", threads: 1, load: 0, prepare: 0, first: 0, latencies: (1...10).map(Double.init),
      events: [], peakMemory: 0)
    #expect([0, 50, 90, 99, 100].map(measurement.percentile) == [1, 5, 9, 10, 10])
  }
}
