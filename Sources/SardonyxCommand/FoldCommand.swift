import ArgumentParser
import Sardonyx

/// `sardonyx fold`: a model with its BatchNormalizations folded into weights.
struct FoldCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fold",
    abstract: "Write a model with BatchNormalization folded into weights.",
    discussion: """
      The written model has ONNX's operators alone and runs in any engine. Its metadata tell for each \
      folded constant (sardonyx.fold:NAME) by which formula it was made, and of what. A \
      BatchNormalization that cannot be folded stays as it is, and the reason is shown.
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("The file to write, whole or not at all.", valueName: "file.onnx"),
    completion: .file(extensions: ["onnx"]))
  var output: String

  func run() throws {
    try refuse(overwriting: output, madeOf: [path])
    let model = try Model(file: path)
    let folded = try Watch.over("folding") { () throws(ModelError) in try FoldedModel(model) }
    try folded.definition.write(to: output)
    let declined = folded.notes.filter { $0.kind == .declined }
    for note in declined { print("kept \"\(note.node.visibleLines)\": \(note.text.visibleLines)") }
    print("folded \(folded.notes.count - declined.count), kept \(declined.count)")
  }
}
