import ArgumentParser
import Sardonyx

/// `sardonyx verify-fold`: whether a folded model is what folding the original gives.
struct VerifyFoldCommand: JudgingCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-fold",
    abstract: "Check a model that any tool folded against the original.",
    discussion: """
      Derives the folded weights anew and compares them with the constants of the folded model, node \
      by node, matched by the names of outputs or else by operator and what they read. Then runs both on the \
      same inputs (--random 0 where none are given) and compares the outputs.

      Exit status: 0 the same, 1 they differ, 2 it could not be run.
      """)

  @Argument(
    help: ArgumentHelp("The model as it was.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @Argument(
    help: ArgumentHelp("The folded model.", valueName: "folded"),
    completion: .file(extensions: ["onnx"]))
  var folded: String

  @OptionGroup(title: "Input options") var input: InputOptions

  @Option(
    help: ArgumentHelp(
      "Largest difference of outputs allowed, relative to the largest magnitude.",
      valueName: "number"))
  var rtol = 1e-5

  @OptionGroup(title: "Running options") var options: SessionOptions

  func validate() throws {
    guard rtol >= 0 else { throw ValidationError("--rtol: expected 0 or more") }
  }

  func run() throws {
    let (model, other) = (try options.model(path), try options.model(folded))
    let verification = try Watch.over("verifying") { () throws(ModelError) in
      try FoldVerification(model, against: other, timeLimit: options.timeout)
    }
    for fault in verification.faults {
      print("\(fault.node): \"\(fault.constant)\": \(fault.text)".visibleLines)
    }
    for label in verification.unmatched { print("no counterpart of \(label.visibleLines)") }
    print("\(verification.faults.count) of \(verification.checkedCount) constants are wrong")
    let comparison = try Watch.over("comparing") { () throws(ModelError) in
      try compare(model, other)
    }
    for entry in comparison.outputs {
      let found = entry.remark ?? entry.metrics.map { "relative difference \($0.relative)" } ?? ""
      print("output \"\(entry.name)\": \(entry.passed ? "same" : "differs"); \(found)".visibleLines)
    }
    if !comparison.passed, verification.passed, let layer = comparison.firstFailure {
      print("first to differ: \"\(layer.name)\" (\(layer.operatorName))".visibleLines)
    }
    if !(verification.passed && comparison.passed) { throw ExitCode.failure }
  }

  /// Both as written: the folded model, value by value of the same name, against the original.
  private func compare(_ model: Model, _ other: Model) throws(ModelError) -> Comparison {
    var session = options.session
    session.batchNormalization = .unfolded
    session.winograd = false
    var tolerance = Comparison.Tolerance()
    tolerance.relative = rtol
    return try Comparison(
      other, against: model,
      inputs: try input.values(for: model, standardSeed: 0, standardExtent: 1),
      options: session, layers: true, tolerance: tolerance)
  }
}
