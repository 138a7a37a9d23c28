import Foundation
import SardonyxData
import Testing

@testable import Sardonyx
@testable import SardonyxCommand

@Suite struct RunCommandTests {
  private static let digits = "Models/digits/digits_resnet_torchscript.onnx"

  @Test("The example of the README names the digit, and says nothing on standard error")
  func namesDigit() throws {
    let command = try Command(
      "run", Self.digits, "--input", "image=Models/digits/7a.png", "--mean", "0.3057", "--std",
      "0.3762", "--top", "3", "--labels", "Models/digits/labels.txt")
    #expect(command.status == 0)
    #expect(command.error == "")
    let lines = command.output.split(separator: "\n")
    #expect(lines.count == 4)
    #expect(lines.first == "probabilities: float[1,10]")
    #expect(lines.dropFirst().first?.hasPrefix("  seven  0.98") == true)
    #expect(!command.output.contains("\u{1B}"))
  }

  @Test("A model with one input needs no name")
  func takesFileAlone() throws {
    let command = try Command(
      "run", Self.digits, "--input", "Models/digits/0a.png", "--json", "--top", "1")
    let outputs = try command.object()["outputs"] as? [String: [String: Any]]
    let probabilities = try #require(outputs?["probabilities"])
    #expect(probabilities["shape"] as? [Int] == [1, 10])
    #expect((probabilities["values"] as? [Double])?.count == 10)
    #expect((probabilities["top"] as? [[[String: Any]]])?.first?.count == 1)
  }

  @Test("Outputs written to an archive are those that compare reads")
  func writesArchive() throws {
    let folder = try TemporaryFolder()
    let archive = folder.path("out.npz")
    let run = try Command("run", Self.digits, "--random", "3", "--dim", "N=2", "--output", archive)
    #expect(run.status == 0)
    #expect(run.output == "")
    #expect(folder.contents == ["out.npz"])
    let compare = try Command(
      "compare", Self.digits, "--random", "3", "--dim", "N=2", "--reference", archive, "--rtol",
      "0")
    #expect(compare.status == 0, "\(compare.output)")
  }

  @Test("A verified run gives what a run gives, and refuses to verify many")
  func verifies() throws {
    let inputs = ["run", Self.digits, "--random", "3", "--dim", "N=2"]
    let verified = try Command(arguments: inputs + ["--verify"])
    #expect(verified.status == 0, "\(verified.error)")
    #expect(verified.error == "")
    #expect(verified.output == (try Command(arguments: inputs)).output)
    #expect(try Command(arguments: inputs + ["--verify", "--batch", "1"]).status == 64)
  }

  @Test("An output never overwrites what it is made from, by whatever name")
  func refusesToOverwrite() throws {
    let folder = try TemporaryFolder()
    let model = folder.path("model.onnx")
    try FileManager.default.copyItem(
      atPath: Command.root.appending(path: Self.digits).path, toPath: model)
    let link = folder.path("link.npz")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: model)
    let before = try Data(contentsOf: URL(filePath: model))
    for output in [model, link] {
      let run = try Command("run", model, "--random", "3", "--dim", "N=2", "--output", output)
      #expect(run.status == 1)
      #expect(run.error.contains("the output would overwrite \(model)"))
    }
    #expect(try Data(contentsOf: URL(filePath: model)) == before)
  }

  @Test("A symbolic link is followed")
  func followsLinks() throws {
    let folder = try TemporaryFolder()
    let (target, link) = (folder.path("target.npz"), folder.path("link.npz"))
    try Data("old".utf8).write(to: URL(filePath: target))
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
    let run = try Command("run", Self.digits, "--random", "3", "--dim", "N=2", "--output", link)
    #expect(run.status == 0, "\(run.error)")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == target)
    #expect(try NPZ.read([UInt8](Data(contentsOf: URL(filePath: target)))).count == 1)
  }

  @Test("A device without end is not read for ever")
  func limitsDevices() throws {
    let run = try Command(
      "run", Self.digits, "--random", "3", "--dim", "N=2", "--top", "1", "--labels", "/dev/zero")
    #expect(run.status == 1)
    #expect(run.error.contains("the content: expected at most"))
  }

  @Test("Outputs written to a folder are protobuf values; taps follow the outputs")
  func writesFolder() throws {
    let folder = try TemporaryFolder()
    let tap = "/pool/GlobalAveragePool_output_0"
    let run = try Command(
      "run", Self.digits, "--random", "3", "--dim", "N=2", "--output-dir", folder.path("new/out"),
      "--tap", tap)
    #expect(run.status == 0, "\(run.error)")
    let bytes = try Data(contentsOf: folder.url.appending(path: "new/out/output_1.pb"))
    let value = try Value(protobuf: [UInt8](bytes), as: .tensor(.float))
    #expect(value.tensor?.shape == [2, 64, 1, 1])
  }

  @Test("A folder of inputs belongs to the inputs in their order")
  func readsFolder() throws {
    let folder = try TemporaryFolder()
    let image = try Tensor([Float](repeating: 0.5, count: 64), shape: [1, 1, 8, 8])
    try Data(Value.tensor(image).protobuf()).write(to: folder.url.appending(path: "input_0.pb"))
    let command = try Command("run", Self.digits, "--inputs", folder.url.path)
    #expect(command.status == 0, "\(command.error)")
  }

  @Test("A reader that goes away ends the command quietly")
  func endsWithPipe() throws {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = [
      "-c",
      "'\(Command.executable.path)' run \(Self.digits) --random 1 --dim N=9 --json --tap /features/features.2/Relu_output_0 | head -c 1",
    ]
    process.currentDirectoryURL = Command.root
    let error = Pipe()
    process.standardOutput = FileHandle.nullDevice
    process.standardError = error
    try process.run()
    let text = try error.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(text.isEmpty)
  }

  @Test("Results that standard output has no room for are a failure")
  func tellsFullDisk() throws {
    guard let full = FileHandle(forWritingAtPath: "/dev/full") else { return }
    let process = Process()
    process.executableURL = Command.executable
    process.arguments = ["run", Self.digits, "--random", "1", "--dim", "N=1"]
    process.currentDirectoryURL = Command.root
    let error = Pipe()
    process.standardOutput = full
    process.standardError = error
    try process.run()
    let text = try error.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
    #expect(
      String(decoding: text, as: UTF8.self)
        == "error: standard output: No space left on device\n")
  }
}

// MARK: - Faults

extension RunCommandTests {
  @Test(
    "A fault of the inputs is told in a sentence, with exit status 1",
    arguments: [
      (
        [],
        """
        error: \(digits): input "image" is missing
          hint: the model wants "image" as float[N,1,8,8]

        """
      ),
      (
        ["--input", "img=Models/digits/0a.png"],
        "error: the model has no input \"img\"\n  hint: its inputs are \"image\"\n"
      ),
      (
        ["--input", "nowhere.png"], "error: nowhere.png: No such file or directory\n"
      ),
      (
        ["--input", "Models/digits/labels.txt"],
        """
        error: Models/digits/labels.txt: expected a NumPy array or archive, an image or a \
        TensorProto, got something else

        """
      ),
      (
        ["--input", "Models/digits/0a.png", "--resize", "9x8"],
        """
        error: Models/digits/0a.png: size of the image for input "image": expected 8x8, got 9x8
          hint: --resize 8x8

        """
      ),
      (
        ["--random", "1"],
        """
        error: random values: the extent of N is not known
          hint: --dim N=1

        """
      ),
      (
        ["--random", "1", "--dim", "batch=1"],
        "error: --dim batch: the inputs have no such dimension\n  hint: there are N\n"
      ),
    ] as [([String], String)])
  func tellsFaults(arguments: [String], message: String) throws {
    let command = try Command(arguments: ["run", Self.digits] + arguments)
    #expect(command.status == 1)
    #expect(command.output == "")
    #expect(command.error == message)
  }

  @Test("A wrong shape or type is told with what the model wants")
  func tellsShape() throws {
    let folder = try TemporaryFolder()
    let flat = try NPY.write(Tensor([1, 2] as [Float], shape: [2]))
    let integers = try NPY.write(Tensor([1] as [Int64], shape: [1, 1, 1, 1]))
    try Data(flat).write(to: folder.url.appending(path: "flat.npy"))
    try Data(integers).write(to: folder.url.appending(path: "integers.npy"))
    let shape = try Command("run", Self.digits, "--input", folder.path("flat.npy"))
    #expect(shape.status == 1)
    #expect(shape.error.contains("shape: expected [N,1,8,8], got [2]"))
    let type = try Command("run", Self.digits, "--input", folder.path("integers.npy"))
    #expect(type.error.contains("type: expected float, got int64"))
  }

  @Test("A model that does not exist, or is none, is told by its path")
  func tellsModel() throws {
    let missing = try Command("run", "nowhere.onnx")
    #expect(missing.status == 1)
    #expect(missing.error.hasPrefix("error: nowhere.onnx: "))
    let text = try Command("run", "Models/digits/labels.txt")
    #expect(text.status == 1)
    #expect(text.error.hasPrefix("error: Models/digits/labels.txt: "))
  }

  @Test("Operators that this build lacks are all named, with exit status 69")
  func tellsUnsupported() throws {
    let folder = try TemporaryFolder()
    var model = ModelDefinition()
    model.irVersion = 8
    model.operatorSets = ["": 13, "here": 1]
    model.graph.name = "test"
    model.graph.inputs = [ValueDefinition(name: "x", type: .tensor(.float), shape: [.known(1)])]
    model.graph.outputs = [ValueDefinition(name: "z", type: .tensor(.float), shape: [.known(1)])]
    model.graph.nodes = [
      NodeDefinition(
        name: "a", operatorName: "Nothing", domain: "here", inputs: ["x"], outputs: ["y"]),
      NodeDefinition(
        name: "b", operatorName: "Never", domain: "here", inputs: ["y"], outputs: ["z"]),
    ]
    try Data(model.bytes()).write(to: folder.url.appending(path: "model.onnx"))
    for subcommand in ["run", "compare", "bench"] {
      let command = try Command(subcommand, folder.path("model.onnx"))
      #expect(command.status == 69)
      #expect(command.error.contains("Nothing") && command.error.contains("Never"))
      #expect(command.output == "")
    }
    let inspected = try Command("inspect", folder.path("model.onnx"))
    #expect(inspected.status == 0)
    #expect(
      inspected.output.contains("missing in this build: Never (here) 1, Nothing (here) 1\n"))
    let listed = try Command(
      "inspect", folder.path("model.onnx"), "--nodes", "--json"
    ).object()
    let missing = try #require(listed["missing"] as? [[String: Any]])
    #expect(missing.map { $0["name"] as? String } == ["Never", "Nothing"])
    #expect((listed["nodes"] as? [Any])?.count == 2)
  }

  @Test("A run over its time limit ends with a sentence")
  func keepsTimeLimit() throws {
    let command = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=50", "--timeout", "0.000001")
    #expect(command.status == 1)
    #expect(command.error.hasSuffix(": the run took longer than its time limit\n"))
  }

  @Test("A file that cannot be written leaves nothing behind")
  func leavesNothing() throws {
    let folder = try TemporaryFolder()
    let command = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--output", folder.path("no/out.npz"))
    #expect(command.status == 1)
    #expect(command.error == "error: \(folder.path("no/out.npz")): No such file or directory\n")
    #expect(folder.contents == [])
  }

  @Test(
    "Wrong usage ends with status 64 and the option's name",
    arguments: [
      (["run"], "<model>"), (["run", "m", "--nope"], "--nope"),
      (["run", "m", "--resize", "8"], "--resize"), (["run", "m", "--threads", "0"], "--threads"),
      (["run", "m", "--labels", "l"], "--top"), (["bench", "m", "--threads", "1,x"], "--threads"),
      (["compare", "m", "--reference", "a", "--against", "b"], "--against"), (["nope"], "nope"),
    ] as [([String], String)])
  func tellsUsage(arguments: [String], word: String) throws {
    let command = try Command(arguments: arguments)
    #expect(command.status == 64)
    #expect(command.error.contains(word))
    #expect(command.output == "")
  }
}
