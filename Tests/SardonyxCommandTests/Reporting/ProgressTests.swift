import Foundation
import SardonyxData
import Testing

@testable import Sardonyx

/// What people see while they wait.
@Suite struct ProgressTests {
  /// Writes a model whose second node goes on for days.
  private func endless(in folder: TemporaryFolder) throws -> String {
    func value(_ name: String, _ type: ElementType) -> ValueDefinition {
      ValueDefinition(name: name, type: .tensor(type), shape: [])
    }
    var body = GraphDefinition()
    body.name = "body"
    body.inputs = [value("i", .int64), value("go", .bool), value("s", .float)]
    body.nodes = [
      NodeDefinition(name: "add", operatorName: "Add", inputs: ["s", "s"], outputs: ["t"]),
      NodeDefinition(name: "same", operatorName: "Identity", inputs: ["go"], outputs: ["goes"]),
    ]
    body.outputs = [value("goes", .bool), value("t", .float)]
    var model = ModelDefinition()
    model.irVersion = 8
    model.operatorSets = ["": 17]
    model.graph.name = "endless"
    model.graph.inputs = [value("n", .int64), value("x", .float)]
    model.graph.nodes = [
      NodeDefinition(name: "first", operatorName: "Neg", inputs: ["x"], outputs: ["y"]),
      NodeDefinition(
        name: "turns", operatorName: "Loop", inputs: ["n", "", "y"], outputs: ["z"],
        attributes: ["body": .graph(body)]),
    ]
    model.graph.outputs = [value("z", .float)]
    let path = folder.path("endless.onnx")
    try Data(model.bytes()).write(to: URL(filePath: path))
    let inputs = folder.path("in.npz")
    try Data(
      NPZ.write([("n", Tensor(scalar: Int64.max)), ("x", Tensor(scalar: Float(1)))])
    ).write(to: URL(filePath: inputs))
    return path
  }

  /// What a command writes to a terminal.
  private func watched(_ arguments: [String], term: String) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", "-c", "import pty, sys; pty.spawn(sys.argv[1:])"]
    process.arguments! += [Command.executable.path] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["TERM": term, "NO_COLOR": "1"]) { $1 }
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }

  @Test("After two seconds the node that is running is told, where somebody watches")
  func tellsNode() throws {
    let folder = try TemporaryFolder()
    let arguments = [
      "run", try endless(in: folder), "--inputs", folder.path("in.npz"), "--timeout", "3",
    ]
    let error = "error: \(folder.path("endless.onnx")): node \"turns\" (Loop"
    let text = try watched(arguments, term: "xterm")
    #expect(text.contains(/running, [23] s: node 2 of 2, turns \(Loop\)/), "\(text)")
    // The line is taken away before the error.
    #expect(text.contains("\r\u{1B}[K\(error)"), "\(text)")
    let dumb = try watched(arguments, term: "dumb")
    #expect(dumb.hasPrefix(error) && !dumb.contains("\u{1B}"), "\(dumb)")
    let piped = try Command(arguments: arguments)
    #expect(piped.error.hasPrefix(error) && piped.status == 1, "\(piped.error)")
  }

  @Test("What is quick tells nothing, wherever it goes")
  func quickRunsAreQuiet() throws {
    let text = try watched(
      [
        "run", "\(Command.digits.path)/digits_resnet_torchscript.onnx", "--random", "1", "--dim",
        "N=1",
      ], term: "xterm")
    #expect(!text.contains("running") && !text.contains("loading"), "\(text)")
  }
}
