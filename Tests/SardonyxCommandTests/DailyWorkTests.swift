import Foundation
import SardonyxData
import Testing

@testable import Sardonyx
@testable import SardonyxCommand

/// What people do with models day by day, each job as one command.
@Suite struct DailyWorkTests {
  private static let digits = "Models/digits/digits_resnet_torchscript.onnx"
  private static let normalized = ["--mean", "0.3057", "--std", "0.3762"]

  private static var pictures: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(
        atPath: Command.root.appending(path: "Models/digits").path
      ).filter { $0.hasSuffix(".png") }.sorted().map { "Models/digits/\($0)" }
    }
  }

  /// The words of a command, run by a shell in the repository's folder.
  private func shell(_ text: String) throws -> (status: Int32, output: Data, error: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = [
      "-c", text.replacingOccurrences(of: "sardonyx ", with: "'\(Command.executable.path)' "),
    ]
    process.currentDirectoryURL = Command.root
    let (output, error) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = error
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    let text = try error.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, data, String(decoding: text, as: UTF8.self))
  }

  // MARK: - Many inputs

  @Test("Twenty pictures are told apart in one command, a line of JSON each")
  func manyPictures() throws {
    let pictures = try Self.pictures
    let command = try Command(
      arguments: ["run", Self.digits, "--files"] + pictures + Self.normalized + [
        "--top", "1", "--labels", "Models/digits/labels.txt", "--json", "--batch", "7",
      ])
    #expect(command.status == 0, "\(command.error)")
    let lines = command.output.split(separator: "\n")
    #expect(lines.count == 20)
    let names = [
      "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ]
    for (line, picture) in zip(lines, pictures) {
      let object = try #require(
        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(object["input"] as? String == picture)
      let outputs = object["outputs"] as? [String: [String: Any]]
      let top = outputs?["probabilities"]?["top"] as? [[[String: Any]]]
      let digit = try #require(picture.split(separator: "/").last?.first?.wholeNumberValue)
      #expect(top?.first?.first?["label"] as? String == names[digit])
    }
  }

  @Test("A folder's pictures become one archive, whatever else lies there")
  func folderOfPictures() throws {
    let folder = try TemporaryFolder()
    let archive = folder.path("all.npz")
    let command = try Command(
      arguments: ["run", Self.digits, "--files", "Models/digits", "--output", archive]
        + Self.normalized)
    #expect(command.status == 0, "\(command.error)")
    #expect(command.error.hasPrefix("warning: Models/digits: left out "))
    let arrays = try NPZ.read([UInt8](Data(contentsOf: URL(filePath: archive))))
    #expect(arrays.map(\.name) == ["probabilities", "inputs"])
    #expect(arrays[0].tensor.shape == [20, 10])
    #expect(try arrays[1].tensor.strings() == Self.pictures)
  }

  @Test("Rows of an array run in batches, and come out as they do together")
  func rowsInBatches() throws {
    let folder = try TemporaryFolder()
    let (whole, parts) = (folder.path("whole.npz"), folder.path("parts.npz"))
    let given = ["--random", "3", "--dim", "N=5"]
    #expect(try Command(arguments: ["run", Self.digits, "--output", whole] + given).status == 0)
    let command = try Command(
      arguments: ["run", Self.digits, "--output", parts, "--batch", "2"] + given)
    #expect(command.status == 0, "\(command.error)")
    let (left, right) = (
      try NPZ.read([UInt8](Data(contentsOf: URL(filePath: whole)))),
      try NPZ.read([UInt8](Data(contentsOf: URL(filePath: parts))))
    )
    #expect(left[0].tensor.shape == right[0].tensor.shape)
    for (x, y) in zip(try left[0].tensor.numbers(), try right[0].tensor.numbers()) {
      #expect(abs(x - y) < 1e-6)
    }
    #expect(try right[1].tensor.strings() == ["row 0", "row 1", "row 2", "row 3", "row 4"])
  }

  // MARK: - Pipes

  @Test("A model, an input and the outputs go through pipes")
  func pipes() throws {
    let piped = try shell(
      "cat \(Self.digits) | sardonyx run - --random 1 --dim N=2 --output -")
    #expect(piped.status == 0, "\(piped.error)")
    #expect(try NPZ.read([UInt8](piped.output))[0].tensor.shape == [2, 10])
    let substituted = try shell(
      "sardonyx run <(cat \(Self.digits)) --input image=<(cat Models/digits/7a.png) --json")
    #expect(substituted.status == 0, "\(substituted.error)")
    let standard = try shell(
      "sardonyx run \(Self.digits) --input image=- --json < Models/digits/7a.png")
    #expect(standard.status == 0, "\(standard.error)")
    #expect(standard.output == substituted.output)
    let device = try shell("cat \(Self.digits) | sardonyx inspect /dev/stdin")
    #expect(device.status == 0, "\(device.error)")
  }

  @Test("One output is written to an array file")
  func arrayFile() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("y.npy")
    let command = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--output", path)
    #expect(command.status == 0, "\(command.error)")
    let array = try NPY.read([UInt8](Data(contentsOf: URL(filePath: path))))
    #expect(array.shape == [1, 10])
    let two = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--output", path, "--tap",
      "/features/features.2/Relu_output_0")
    #expect(two.status == 1)
    #expect(
      two.error.contains(
        "an array file holds one array, and there are 2: \"probabilities\", \"/features/features.2/Relu_output_0\""
      ))
  }

  // MARK: - Taps

  @Test("Taps take patterns and suggest names")
  func taps() throws {
    let some = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--json", "--tap", "*Relu_output_0")
    #expect(some.status == 0, "\(some.error)")
    let names = try #require(try some.object()["outputs"] as? [String: Any]).keys
    #expect(names.count > 3 && names.contains("/features/features.2/Relu_output_0"))
    #expect(some.error.isEmpty)
    let inside = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--tap",
      "/features/features.0/Conv_output_0")
    #expect(
      inside.error
        == "warning: --tap keeps BatchNormalization \"/features/features.1/BatchNormalization\" from "
        + "folding: the values behind may differ in their last bits from those without --tap\n")
    let all = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--json", "--tap", "all")
    #expect(all.status == 0, "\(all.error)")
    let wrong = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--tap", "features.2/Relu_output_1")
    #expect(wrong.status == 1)
    #expect(
      wrong.error.contains("--tap: the model has no value \"features.2/Relu_output_1\" inside"))
    #expect(wrong.error.contains("hint: did you mean \""))
  }

  @Test(arguments: [
    ("abc", "abc", true), ("abc", "a*", true), ("abc", "*c", true), ("abc", "*b*", true),
    ("abc", "a*c", true), ("abc", "*a", false), ("aba", "aba*aba", false), ("abc", "*", true),
    ("abcabc", "a*b*c", true), ("abc", "b*", false),
  ])
  func patterns(text: String, pattern: String, matches: Bool) {
    #expect(text.matches(pattern) == matches)
  }

  // MARK: - Inspect

  @Test("Nodes, values, weights and operators are listed as text and as JSON")
  func lists() throws {
    let text = try Command(
      "inspect", Self.digits, "--nodes", "--values", "--operators", "--weights")
    #expect(text.status == 0, "\(text.error)")
    #expect(text.output.contains("BatchNormalization  ai.onnx"))
    #expect(text.output.contains("epsilon="))
    #expect(text.output.contains("float[N,10]"))
    let json = try Command(
      "inspect", Self.digits, "--nodes", "--values", "--operators", "--weights", "--json"
    ).object()
    let node = try #require((json["nodes"] as? [[String: Any]])?.first)
    #expect(node["inputs"] is [String] && node["attributes"] is [String: Any])
    let weights = try #require(json["weights"] as? [[String: Any]])
    #expect(weights.allSatisfy { $0["min"] is Double && $0["zeros"] is Int })
    #expect((json["missing"] as? [Any])?.isEmpty == true)
    let name = try #require(weights.first?["name"] as? String)
    let one = try Command("inspect", Self.digits, "--weight", name, "--json").object()
    #expect((one["weights"] as? [Any])?.count == 1)
    let wrong = try Command("inspect", Self.digits, "--weight", name + "x")
    #expect(wrong.status == 1)
    #expect(wrong.error.contains("hint: did you mean \"\(name)\""))
  }

  // MARK: - Bench

  @Test("Callers, extents and rates are measured")
  func measures() throws {
    let command = try Command(
      "bench", Self.digits, "--dim", "N=1,2", "--callers", "1,3", "--iterations", "4", "--json")
    #expect(command.status == 0, "\(command.error)")
    let reports = try #require(
      try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [[String: Any]])
    #expect(reports.map { $0["callers"] as? Int } == [1, 3, 1, 3])
    #expect(
      reports.map { ($0["dimensions"] as? [String: Int])?["N"] } == [1, 1, 2, 2])
    for report in reports {
      #expect(report["runs_per_second"] as? Double ?? 0 > 0)
      #expect((report["processor"] as? String)?.isEmpty == false)
      #expect(report["instruction_set"] is String && report["version"] is String)
      #expect(report["iterations"] as? Int ?? 0 >= 4)
    }
  }

  @Test("A free dimension becomes 1, and that is said")
  func assumesOne() throws {
    let command = try Command("bench", Self.digits, "--iterations", "1")
    #expect(command.status == 0)
    #expect(command.error == "warning: N is 1, as --dim says nothing\n")
    let several = try Command("run", Self.digits, "--random", "1", "--dim", "N=1,2")
    #expect(several.status == 1)
    #expect(several.error.contains("--dim N: expected one extent, got 2"))
  }

  @Test("Ctrl-C shows what was measured so far")
  func isInterrupted() throws {
    let ended = try shell(
      "sardonyx bench \(Self.digits) --seconds 20 --json & sleep 3; kill -INT $!; wait $!")
    #expect(ended.status == 0, "\(ended.error)")
    let report = try JSONSerialization.jsonObject(with: ended.output) as? [String: Any]
    #expect(report?["iterations"] as? Int ?? 0 > 0)
  }

  @Test func wordsAreQuotedForTheShell() {
    #expect(quotedForShell("N=1") == "N=1")
    #expect(quotedForShell("x[0]=1") == "'x[0]=1'")
    #expect(quotedForShell("it's") == "'it'\\''s'")
  }

  // MARK: - Inputs that are not meant

  @Test("What would go unnoticed is told")
  func tellsUnmeant() throws {
    let folder = try TemporaryFolder()
    let image = try Tensor([Float](repeating: 0.5, count: 64), shape: [1, 1, 8, 8])
    try Data(NPZ.write([("image", image), ("imgae", image)])).write(
      to: folder.url.appending(path: "in.npz"))
    try Data(NPZ.write([("in:imgae", image)])).write(to: folder.url.appending(path: "bad.npz"))
    let unknown = try Command("run", Self.digits, "--inputs", folder.path("in.npz"))
    #expect(unknown.status == 0)
    #expect(
      unknown.error
        == "warning: \(folder.path("in.npz")): array \"imgae\" is no input of the model; its inputs are \"image\"\n"
    )
    let bad = try Command("run", Self.digits, "--inputs", folder.path("bad.npz"))
    #expect(bad.status == 1)
    #expect(bad.error.contains("array \"in:imgae\" is no input of the model"))
    try Data(NPY.write(image)).write(to: folder.url.appending(path: "image.npy"))
    let unnamed = try Command("run", Self.digits, "--inputs", folder.path("image.npy"))
    #expect(unnamed.status == 1)
    #expect(unnamed.error.contains("array \"arr_0\" is no input of the model"))
    #expect(unnamed.error.contains("--input NAME=FILE"))
    let nothing = try Tensor([Float](repeating: .nan, count: 64), shape: [1, 1, 8, 8])
    try Data(NPZ.write([("image", nothing)])).write(to: folder.url.appending(path: "nan.npz"))
    let same = try Command("compare", Self.digits, "--inputs", folder.path("nan.npz"))
    #expect(same.status == 0)
    #expect(same.output.contains("ok, 10 NaN or infinite"))
    let twice = try Command(
      "run", Self.digits, "--input", "image=Models/digits/0a.png", "--input",
      "image=Models/digits/1a.png")
    #expect(twice.status == 1)
    #expect(twice.error.contains("--input: input \"image\" is given twice"))
    let both = try Command(
      "run", Self.digits, "--inputs", folder.path("in.npz"), "--input", "Models/digits/0a.png")
    #expect(
      both.error.contains("is in \(folder.path("in.npz")) and in --input too; --input counts"))
    let labels = folder.path("labels.txt")
    try Data((0...10).map { "\($0)\n" }.joined().utf8).write(to: URL(filePath: labels))
    let many = try Command(
      "run", Self.digits, "--input", "Models/digits/0a.png", "--top", "1", "--labels", labels)
    #expect(many.status == 1)
    #expect(
      many.error.contains(
        "--top: output \"probabilities\" has 10 classes, and there are 11 labels"))
    let bytes = try Command(
      "run", Self.digits, "--input", "Models/digits/0a.png", "--mean", "78", "--std", "96")
    #expect(bytes.status == 1)
    #expect(
      bytes.error.contains("--mean and --std: expected numbers for pixels in [0, 1], got 78.0"))
    #expect(bytes.error.contains("add --range 255"))
    let zero = try Command(
      "run", Self.digits, "--input", "Models/digits/0a.png", "--std", "0")
    #expect(zero.status == 64)
    #expect(zero.error.contains("--std: expected numbers other than 0"))
  }

  @Test("Outputs that are empty sequences make an empty archive")
  func emptyArchive() throws {
    let folder = try TemporaryFolder()
    var model = ModelDefinition()
    model.irVersion = 8
    model.operatorSets = ["": 17]
    model.graph.name = "empty"
    model.graph.outputs = [ValueDefinition(name: "s", type: .sequence(.tensor(.float)))]
    model.graph.nodes = [
      NodeDefinition(name: "a", operatorName: "SequenceEmpty", inputs: [], outputs: ["s"])
    ]
    try Data(model.bytes()).write(to: folder.url.appending(path: "model.onnx"))
    let path = folder.path("out.npz")
    let command = try Command("run", folder.path("model.onnx"), "--output", path)
    #expect(command.status == 0, "\(command.error)")
    #expect(try NPZ.read([UInt8](Data(contentsOf: URL(filePath: path)))).isEmpty)
  }

  // MARK: - Compare

  @Test("A comparison tells what was allowed, and in the order of the graph")
  func comparesInnerValues() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("all.npz")
    let given = ["--random", "3", "--dim", "N=2"]
    #expect(
      try Command(
        arguments: [
          "run", Self.digits, "--tap", "all", "--batchnorm", "unfolded", "--output", path,
        ]
          + given
      ).status == 0)
    let command = try Command(
      arguments: ["compare", Self.digits, "--reference", path, "--json"] + given)
    #expect(command.status == 0, "\(command.output)")
    let report = try command.object()
    let layers = try #require(report["layers"] as? [[String: Any]])
    let order = try Model(path: Command.root.appending(path: Self.digits).path).valueNames
    #expect(layers.compactMap { $0["name"] as? String } == order.filter { $0 != "probabilities" })
    #expect(layers.allSatisfy { $0["allowed"] is Double })
    #expect(report["batch_normalization"] as? String == "folded")
    // The outputs are those of the folded model, which differ from those written in the last bits.
    let outputs = try #require(report["outputs"] as? [[String: Any]])
    #expect(outputs.first?["passed"] as? Bool == true)
  }

  @Test("References may be array files, arrays without names, or ONNX's folders")
  func comparesOtherFiles() throws {
    let folder = try TemporaryFolder()
    let given = ["--random", "3", "--dim", "N=2"]
    let (array, data) = (folder.path("y.npy"), folder.path("data"))
    #expect(try Command(arguments: ["run", Self.digits, "--output", array] + given).status == 0)
    #expect(try Command(arguments: ["run", Self.digits, "--output-dir", data] + given).status == 0)
    let y = try NPY.read([UInt8](Data(contentsOf: URL(filePath: array))))
    let unnamed = folder.path("unnamed.npz")
    try Data(NPZ.write([("arr_0", y)])).write(to: URL(filePath: unnamed))
    for reference in [array, data, unnamed] {
      let command = try Command(
        arguments: ["compare", Self.digits, "--reference", reference] + given)
      #expect(command.status == 0, "\(command.error)\(command.output)")
      #expect(command.output.contains("1 of 1 outputs"))
    }
  }

  @Test("That a comparison could not be run has a status of its own")
  func tellsFailureFromDifference() throws {
    let command = try Command("compare", Self.digits, "--reference", "nowhere.npz")
    #expect(command.status == 2)
    let against = try Command(
      "compare", Self.digits, "--dim", "N=2", "--against",
      "Models/digits/digits_preactivation_torchscript.onnx")
    #expect(against.status == 1)
    #expect(against.output.contains("values without one of the same name: "))
  }

  @Test("A comparison says which model an input does not fit")
  func namesTheModelThatLacksAnInput() throws {
    let other = "Models/edge/bnedge_gemm_transb.onnx"
    let command = try Command("compare", Self.digits, "--dim", "N=2", "--against", other)
    #expect(command.status == 2)
    #expect(command.error.hasPrefix("error: \(other): the model has no input \"image\"\n"))
  }

  @Test("Only a model with BatchNormalization is said to be folded")
  func claimsNoFold() throws {
    let folder = try TemporaryFolder()
    var model = ModelDefinition()
    model.irVersion = 8
    model.operatorSets = ["": 17]
    model.graph.name = "sum"
    let shape: [Sardonyx.Dimension] = [.symbol("N")]
    model.graph.inputs = ["a", "b"].map {
      ValueDefinition(name: $0, type: .tensor(.float), shape: shape)
    }
    model.graph.outputs = [ValueDefinition(name: "y", type: .tensor(.float))]
    model.graph.nodes = [
      NodeDefinition(name: "add", operatorName: "Add", inputs: ["a", "b"], outputs: ["y"])
    ]
    let path = folder.path("sum.onnx")
    try Data(model.bytes()).write(to: URL(filePath: path))
    let text = try Command("compare", path)
    #expect(text.output.hasPrefix("\(path), which has no BatchNormalization, as prepared, against"))
    let json = try Command("compare", path, "--json").object()
    #expect(json["batch_normalization"] as? String == "none")
    // Inspection tells which axes share a name.
    let inspected = try Command("inspect", path)
    #expect(
      inspected.output.contains(
        "declared as equal: N: axis 0 of \"a\", axis 0 of \"b\" (runs do not insist)\n"))
  }

  @Test("Completions offer files, and leave the shell's own alone", arguments: ["bash", "zsh"])
  func completesFiles(shell: String) throws {
    let script = try Command("--generate-completion-script", shell)
    #expect(script.status == 0)
    #expect(script.output.contains("onnx"))
  }

  @Test("Topics of help are told", arguments: ["images", "tolerances"])
  func helps(topic: String) throws {
    let command = try Command("help", topic)
    #expect(command.status == 0)
    #expect(command.output.contains(topic == "images" ? "--letterbox" : "--rtol"))
  }
}
