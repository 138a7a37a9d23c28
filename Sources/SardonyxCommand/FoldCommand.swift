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

      What folding changes are roundings, which some networks magnify. Where inputs are given, the model as \
      written and the folded one run on them, and folds are taken back until every output is within \
      --tolerance; they are shown with the reason. The inputs are those of the written model: in images \
      white is --range.
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

  @OptionGroup(title: "Data options") var proof: ProofOptions

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
    try refuse(overwriting: output, madeOf: [path] + (proof.data.map { [$0] } ?? []))
    let model = try Model(file: path).normalizing(normalization)
    let folded = try proof.isGiven ? proved(model) : plain(model)
    try folded.definition.write(to: output)
    let declined = folded.notes.filter { $0.kind == .declined }
    for note in declined { print("kept \"\(note.node.visibleLines)\": \(note.text.visibleLines)") }
    if let found = folded.proof { print(description(found).visibleLines) }
    print("folded \(folded.notes.count - declined.count), kept \(declined.count)")
  }

  private var normalization: InputNormalization {
    var normalization = InputNormalization()
    normalization.divisor = range
    normalization.mean = mean?.numbers.map(Double.init) ?? []
    normalization.deviation = std?.numbers.map(Double.init) ?? []
    return normalization
  }

  private func plain(_ model: Model) throws(ModelError) -> FoldedModel {
    try Watch.over("folding") { () throws(ModelError) in
      try FoldedModel(model, timeLimit: timeout)
    }
  }

  private func proved(_ model: Model) throws -> FoldedModel {
    let input = try proof.input(whiteIs: range)
    try refuse(overwriting: output, madeOf: input.files(for: model))
    let many = proof.many
    let values = try many == nil ? input.values(for: model, standardExtent: 1) : [:]
    var options = Session.Options()
    options.timeLimit = timeout
    return try Watch.over("folding") { [options, proof] () throws(ModelError) in
      try FoldedModel(model, keeping: proof.sameness, options: options) { run throws(ModelError) in
        if let many { try many.forEach(for: model, input, run) } else { try run(values) }
      }
    }
  }

  private func description(_ found: FoldedModel.Proof) -> String {
    let tried = "ran \(found.trialCount) \(found.trialCount == 1 ? "set" : "sets") of folds: "
    guard let output = found.output else { return tried + "no output differs" }
    return tried
      + "output \"\(output)\" differs most, by \(found.difference.text(digits: 2)) of its "
      + "largest magnitude; the tolerance is \(proof.sameness.relative.text())"
  }
}
