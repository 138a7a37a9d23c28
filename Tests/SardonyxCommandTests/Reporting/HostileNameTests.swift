import Foundation
import Testing

@testable import Sardonyx

/// Names out of a file never steer the terminal, whichever subcommand shows them.
@Suite struct HostileNameTests {
  private static let escape = "\u{1B}[2J\u{9B}31m\u{202E}\r\n\u{7F}\u{7}"

  /// A model whose every text would steer, with operators that there are or are not.
  private func model(
    in folder: TemporaryFolder, operators: [String], scale: Float = 1
  ) throws -> String {
    let escape = Self.escape
    var model = ModelDefinition()
    model.irVersion = 8
    model.operatorSets = ["": 17, "domain\(escape)": 1]
    model.producerName = "producer\(escape)"
    model.graph.name = "graph\(escape)"
    let shape: [Sardonyx.Dimension] = [.symbol("N\(escape)"), .known(2)]
    model.graph.inputs = [
      ValueDefinition(name: "x\(escape)", type: .tensor(.float), shape: shape)
    ]
    model.graph.initializers = ["a", "b", "c", "d"].map {
      ("\($0)\(escape)", Tensor([1, scale] as [Float]))
    }
    for (index, name) in operators.enumerated() {
      let isNormalization = name == "BatchNormalization"
      let constants = ["a", "b", "c", "d"].map { "\($0)\(escape)" }
      model.graph.nodes.append(
        NodeDefinition(
          name: "node\(index)\(escape)", operatorName: name,
          inputs: ["\(index == 0 ? "x" : "v\(index - 1)")\(escape)"]
            + (isNormalization ? constants : []),
          outputs: ["v\(index)\(escape)"]))
    }
    model.graph.outputs = [
      ValueDefinition(name: "v\(operators.count - 1)\(escape)", type: .tensor(.float))
    ]
    let path = folder.path("\(UUID().uuidString).onnx")
    try Data(model.bytes()).write(to: URL(filePath: path))
    return path
  }

  private func check(_ arguments: [String], shows: Bool = true) throws {
    let command = try Command(arguments: arguments)
    #expect(command.status != 64, "\(command.error)")
    let text = command.output + command.error
    let steers = text.unicodeScalars.filter { $0.steers && $0 != "\n" }
    #expect(steers.isEmpty, "\(arguments): \(text)")
    #expect(!shows || text.contains("\\u{1b}[2J") || text.contains("\\u001b[2J"), "\(text)")
    // A name's own line end would let it pass for a line of ours.
    #expect(!text.contains("\n\u{7F}") && !text.contains("\u{7}"))
  }

  @Test("Models that run", arguments: [[], ["--json"]])
  func modelsThatRun(_ json: [String]) throws {
    let folder = try TemporaryFolder()
    let path = try model(in: folder, operators: ["Sigmoid", "BatchNormalization", "Relu"])
    let other = try model(
      in: folder, operators: ["Sigmoid", "BatchNormalization", "Relu"], scale: 2)
    for options in [
      [], ["--plan"], ["--nodes"], ["--values"], ["--weights"], ["--operators"], ["--weight", "*"],
    ] {
      try check(["inspect", path] + options + json, shows: options != ["--operators"])
    }
    let given = ["--random", "1"]
    try check(["run", path] + given + json)
    try check(["run", path, "--dim", "N=1"] + given + json)
    try check(["run", path, "--input", "y=\(path)"] + json)
    try check(["run", path, "--tap", "v1\(Self.escape)"] + given + json)
    try check(["compare", path, "--layers"] + json)
    try check(["compare", path, "--against", other, "--layers"] + json)
    try check(["bench", path, "--iterations", "1"] + json)
    try check(["doctor", path] + json, shows: false)
    if json.isEmpty {
      try check(["fold", path, "-o", folder.path("folded.onnx")])
      try check(["verify-fold", path, other])
    }
  }

  @Test("Models with operators that there are none of", arguments: [[], ["--json"]])
  func modelsThatDoNotRun(_ json: [String]) throws {
    let folder = try TemporaryFolder()
    let path = try model(in: folder, operators: ["Sigmoid", "Unknown\(Self.escape)"])
    for options in [[], ["--nodes"], ["--values"], ["--weights"], ["--operators"], ["--plan"]] {
      try check(["inspect", path] + options + json)
    }
    try check(["run", path, "--random", "1"] + json)
  }
}
