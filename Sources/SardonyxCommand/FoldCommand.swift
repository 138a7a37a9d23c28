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

  @Option(
    help: ArgumentHelp(
      """
      Take the normalisation of the input in too: this is subtracted from the numbers, in the scale of 1, \
      one number or one per channel. The written model then wants numbers that are not normalised.
      """, valueName: "m,m,m"))
  var mean: NumberList?

  @Option(
    help: ArgumentHelp("Then divided by: one number, or one per channel.", valueName: "s,s,s"))
  var std: NumberList?

  @Option(
    help: ArgumentHelp(
      "What white is in the input of the written model, which is divided by it first.",
      valueName: "number"))
  var range = 1.0

  @Option(
    help: ArgumentHelp(
      "End folding that takes longer, with exit status 1.", valueName: "seconds"))
  var timeout: Double?

  func validate() throws {
    try checkTimeout(timeout)
    if let std, std.numbers.contains(0) {
      throw ValidationError("--std: expected numbers other than 0")
    }
    guard range > 0, range.isFinite else {
      throw ValidationError("--range: expected a positive number, got \(range)")
    }
  }

  func run() throws {
    try refuse(overwriting: output, madeOf: [path])
    let model = try Model(file: path)
    var normalization = InputNormalization()
    normalization.divisor = range
    normalization.mean = mean?.numbers.map(Double.init) ?? []
    normalization.deviation = std?.numbers.map(Double.init) ?? []
    let folded = try Watch.over("folding") { [normalization, timeout] () throws(ModelError) in
      try FoldedModel(try model.normalizing(normalization), timeLimit: timeout)
    }
    try folded.definition.write(to: output)
    let declined = folded.notes.filter { $0.kind == .declined }
    for note in declined { print("kept \"\(note.node.visibleLines)\": \(note.text.visibleLines)") }
    print("folded \(folded.notes.count - declined.count), kept \(declined.count)")
  }
}
