import ArgumentParser
import Sardonyx
import SardonyxData

/// `sardonyx compare`: how far two ways to compute a model are apart.
struct CompareCommand: JudgingCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare a model with BatchNormalization folded against the model as written.",
    discussion: """
      Runs both on the same inputs (--random 0 where none are given) and shows how far they are \
      apart: the largest difference, the same relative to the largest magnitude of the reference, \
      the root mean square, the cosine, and units in the last place. The reference is the model as \
      written, another model (--against), or values of another engine (--reference).

      Exit status: 0 all is within tolerance, 1 something is not, 2 it could not be run. \
      `sardonyx help tolerances` tells what counts as equal.
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @OptionGroup(title: "Input options") var input: InputOptions

  @Flag(help: "Also compare every value inside the graph that both compute.")
  var layers = false

  @Option(
    help: ArgumentHelp(
      """
      Largest difference allowed, relative to the largest magnitude of the reference; behind an \
      operator that squeezes its input into bounds, such as Sigmoid, relative to its steepest \
      slope times the input's magnitude where that is more. For float16 and smaller types it is \
      at least twice the distance from 1 to the next number.
      """, valueName: "number"))
  var rtol = 1e-5

  @Option(help: ArgumentHelp("Added to what --rtol allows.", valueName: "number"))
  var atol = 0.0

  @Option(
    help: ArgumentHelp(
      """
      Compare with another engine's values: a NumPy archive with arrays named NAME or out:NAME, \
      values inside the graph among them, or arr_0, arr_1 … in the order of the outputs; an array \
      file for the only output; or a folder of output_0.pb, output_1.pb … Arrays named in:NAME, and \
      input_0.pb …, are the inputs, unless --inputs or --random say otherwise.
      """, valueName: "file|folder"), completion: .file())
  var reference: String?

  @Option(
    help: ArgumentHelp(
      "Compare with another model as written, value by value of the same name.",
      valueName: "model"), completion: .file(extensions: ["onnx"]))
  var against: String?

  @Option(
    help: ArgumentHelp(
      """
      Compare on each of many inputs, and show the worst: a folder of images, arrays or TensorProtos, or a \
      NumPy archive whose rows are samples.
      """, valueName: "folder|file"), completion: .file())
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Samples of --data in a run. (default: what the model declares, else 1 of a folder, 16 of an archive)",
      valueName: "count"))
  var batch: Int?

  @Flag(
    help: """
      Compute the same in double too and tell which is nearer the truth, folded or as written; how far each \
      fold may be off by the theory of rounding, and how far it is; whether classes could change.
      """)
  var oracle = false

  @Flag(
    help: """
      Where outputs differ beyond tolerance, find a smallest set of folds and other rewritings that makes \
      them.
      """)
  var bisect = false

  @Option(
    help: ArgumentHelp(
      "Also write the comparison with double as one page, to be opened in a browser.",
      valueName: "file.html"), completion: .file(extensions: ["html"]))
  var html: String?

  @Flag(help: "Print the comparison as JSON.")
  var json = false

  @OptionGroup(title: "Running options") var options: SessionOptions

  func validate() throws {
    guard rtol >= 0, atol >= 0 else {
      throw ValidationError("--rtol and --atol: expected 0 or more")
    }
    if let batch, batch < 1 { throw ValidationError("--batch: expected 1 or more, got \(batch)") }
    if data != nil, reference != nil || oracle || bisect || html != nil {
      throw ValidationError(
        "--data: expected without --reference, --oracle, --bisect and --html, which take one input")
    }
    if data == nil, batch != nil { throw ValidationError("--batch: expected with --data") }
    if reference != nil, against != nil {
      throw ValidationError("--reference and --against: expected one of them")
    }
    if oracle || bisect || html != nil, reference != nil || against != nil {
      throw ValidationError(
        "--oracle, --bisect and --html: expected the model alone, without --reference and --against"
      )
    }
    if reference != nil, layers {
      throw ValidationError("--layers: name the values inside the graph in the --reference file")
    }
  }

  func run() throws {
    let model = try options.model(path)
    if let html { try refuse(overwriting: html, madeOf: input.files(for: model) + [path]) }
    let comparison = try Watch.over("comparing") { () throws(ModelError) in try compare(model) }
    let truth = try oracle || html != nil ? judge(model) : nil
    if json {
      print(description(comparison, model, truth))
    } else {
      print(report(comparison, model))
      if let truth { print("\n\(OracleReport(truth).text)") }
    }
    if let html, let truth {
      let notes = try PlanInspection(options.session(model), dimensions: input.extents()).notes
      let page = OracleReport(truth).page(title: subject(model), notes)
      try write(Array(page.utf8), toFile: html)
    }
    if bisect { try reportBisection(model) }
    let isGood = comparison.passed && (reference == nil || comparison.firstFailure == nil)
    if !isGood { throw ExitCode.failure }
  }

  private var tolerance: Comparison.Tolerance {
    var tolerance = Comparison.Tolerance()
    (tolerance.relative, tolerance.absolute) = (rtol, atol)
    return tolerance
  }

  private func givenInputs(_ model: Model) throws(ModelError) -> [String: Value] {
    try input.values(for: model, standardSeed: 0, standardExtent: 1)
  }

  private func judge(_ model: Model) throws(ModelError) -> OracleComparison {
    let inputs = try givenInputs(model)
    return try Watch.over("comparing with double") { () throws(ModelError) in
      try OracleComparison(model, inputs: inputs, options: options.session)
    }
  }

  private func reportBisection(_ model: Model) throws(ModelError) {
    let inputs = try givenInputs(model)
    let found = try Watch.over("bisecting") { () throws(ModelError) in
      try Bisection(model, inputs: inputs, options: options.session, tolerance: tolerance)
    }
    let text =
      found.rewrites.isEmpty
      ? "all outputs are within tolerance with all \(found.count) rewritings: nothing to bisect"
      : "a smallest set of the \(found.count) rewritings that makes outputs differ, after \(found.runs) runs:\n  "
        + found.rewrites.joined(separator: "\n  ")
    if json { Terminal.note(text) } else { print("\n\(text)") }
  }

  private func compare(_ model: Model) throws(ModelError) -> Comparison {
    if let reference { return try compare(model, withOutputsIn: reference, tolerance) }
    let other = try against.map { path throws(ModelError) in try options.model(path) }
    if let data { return try compare(model, other, on: data) }
    return try Comparison(
      model, against: other,
      inputs: try givenInputs(model), options: options.session, layers: layers,
      tolerance: tolerance)
  }

  private func compare(_ model: Model, _ other: Model?, on path: String) throws(ModelError)
    -> Comparison
  {
    var data = DataOptions()
    (data.data, data.batch) = (path, batch)
    var worst: Comparison?
    try data.forEach(for: model, input) { inputs throws(ModelError) in
      let comparison = try Comparison(
        model, against: other, inputs: inputs, options: options.session, layers: layers,
        tolerance: tolerance)
      if worst == nil { worst = comparison } else { worst!.merge(comparison) }
    }
    guard let worst else { throw ModelError(.mismatch, "--data: there is nothing to compare on") }
    return worst
  }

  private func compare(
    _ model: Model, withOutputsIn path: String, _ tolerance: Comparison.Tolerance
  ) throws(ModelError) -> Comparison {
    let expected = try isFolder(path) ? values(inFolder: path, model) : arrays(in: path, model)
    guard !expected.isEmpty else {
      throw ModelError(
        .mismatch, "nothing there is named as an output of the model",
        hint: "its outputs are \(model.outputs.map(\.name).quotedList)", file: path)
    }
    let inputs = try input.values(for: model, standardArchive: path)
    return try Comparison(
      model, recorded: expected, inputs: inputs, options: options.session, tolerance: tolerance)
  }

  /// The j-th `output_<j>.pb` belongs to the j-th output.
  private func values(
    inFolder folder: String, _ model: Model
  ) throws(ModelError) -> [String: Value] {
    var values: [String: Value] = [:]
    for (index, definition) in model.outputs.enumerated() {
      let path = "\(folder)/output_\(index).pb"
      guard fileExists(path) else { continue }
      values[definition.name] = try InputFile(path).value(
        for: definition, input.image.preparation)
    }
    return values
  }

  /// The arrays `out:NAME`; where there are none, all that are no inputs. Arrays without names
  /// belong to the outputs in their order.
  private func arrays(in path: String, _ model: Model) throws(ModelError) -> [String: Value] {
    let inputs = Set(model.inputs.map(\.name))
    let arrays = try InputFile(path).arrays { !$0.hasPrefix("in:") && !inputs.contains($0) }
    let marked = arrays.filter { $0.name.hasPrefix("out:") }
      .map { (name: String($0.name.dropFirst(4)), tensor: $0.tensor) }
    var values: [String: Value] = [:]
    for (name, tensor) in marked.isEmpty ? arrays : marked {
      let position = name.hasPrefix("arr_") ? Int(name.dropFirst(4)) : nil
      let unnamed = position.flatMap {
        model.outputs.indices.contains($0) ? model.outputs[$0] : nil
      }
      let definition = model.outputs.first { $0.name == name } ?? unnamed
      values[definition?.name ?? name] = .tensor(try tensor.adapted(to: definition))
    }
    return values
  }
}

// MARK: - Reporting

extension CompareCommand {
  /// What the left and the right side of the comparison are.
  private func subject(_ model: Model) -> String {
    let left =
      model.hasBatchNormalization
      ? "\(path), BatchNormalization \(options.batchnorm.rawValue)"
      : "\(path), which has no BatchNormalization, as prepared"
    return "\(left), against \(reference ?? against.map { "\($0) as written" } ?? "as written")"
  }

  private func report(_ comparison: Comparison, _ model: Model) -> String {
    var parts = [subject(model).visible]
    if !comparison.layers.isEmpty { parts.append(table("value", comparison.layers)) }
    parts.append(table("output", comparison.outputs))
    if let failure = comparison.firstFailure {
      let maker = failure.operatorName.isEmpty ? "" : " (\(failure.operatorName))"
      parts.append("first value over tolerance: \(failure.name)\(maker)".visible)
    }
    if against != nil, let unmatched = comparison.unmatched {
      parts.append(
        "values without one of the same name: \(unmatched.first) here, "
          + "\(unmatched.reference) in the other")
    }
    let allowed = "relative tolerance \(rtol.text())" + (atol > 0 ? " plus \(atol.text())" : "")
    let good = comparison.outputs.count { $0.passed }
    parts.append("\(good) of \(comparison.outputs.count) outputs within \(allowed)")
    return parts.joined(separator: "\n\n")
  }

  private func table(_ title: String, _ entries: [Comparison.Entry]) -> String {
    var table = Table([
      (title, .left), ("operator", .left), ("shape", .left), ("max abs", .right),
      ("allowed", .right), ("relative", .right), ("RMS", .right), ("1 - cosine", .right),
      ("ULP", .right), ("", .left),
    ])
    for entry in entries {
      let verdict = entry.remark ?? (entry.passed ? "ok" : "differs")
      let shape = "[\(entry.shape.map(String.init).joined(separator: ","))]"
      guard let metrics = entry.metrics else {
        table.append(
          entry.name, entry.operatorName, shape, "", "", "", "", "", "", verdict,
          isAlarming: !entry.passed)
        continue
      }
      let indefinite =
        metrics.indefiniteCount > 0 ? ", \(metrics.indefiniteCount) NaN or infinite" : ""
      table.append(
        entry.name, entry.operatorName, shape, metrics.maxAbsolute.text(digits: 3),
        entry.allowed?.text(digits: 3) ?? "", metrics.relative.text(digits: 3),
        metrics.rms.text(digits: 3),
        max(0, 1 - metrics.cosine).text(digits: 3), metrics.ulp.map { "\($0)" } ?? "",
        verdict + indefinite, isAlarming: !entry.passed)
    }
    return table.text
  }

  private func description(
    _ comparison: Comparison, _ model: Model, _ truth: OracleComparison?
  ) -> JSON {
    .object([
      ("passed", .bool(comparison.passed)),
      (
        "batch_normalization",
        .string(model.hasBatchNormalization ? options.batchnorm.rawValue : "none")
      ),
      ("rtol", .number(rtol)), ("atol", .number(atol)),
      (
        "unmatched",
        comparison.unmatched.map { .array([.number($0.first), .number($0.reference)]) } ?? .null
      ),
      ("outputs", .array(comparison.outputs.map(description))),
      ("layers", .array(comparison.layers.map(description))),
      ("first_failure", comparison.firstFailure.map { .string($0.name) } ?? .null),
      ("oracle", truth.map { OracleReport($0).json } ?? .null),
    ])
  }

  private func description(_ entry: Comparison.Entry) -> JSON {
    let metrics = entry.metrics
    return .object([
      ("name", .string(entry.name)), ("operator", .string(entry.operatorName)),
      ("shape", .array(entry.shape.map { .number($0) })), ("passed", .bool(entry.passed)),
      ("max_absolute", metrics.map { .number($0.maxAbsolute) } ?? .null),
      ("allowed", entry.allowed.map { .number($0) } ?? .null),
      ("relative", metrics.map { .number($0.relative) } ?? .null),
      ("rms", metrics.map { .number($0.rms) } ?? .null),
      ("cosine", metrics.map { .number($0.cosine) } ?? .null),
      ("ulp", metrics?.ulp.map { .number("\($0)") } ?? .null),
      ("indefinite", metrics.map { .number($0.indefiniteCount) } ?? .null),
      ("remark", entry.remark.map(JSON.string) ?? .null),
    ])
  }
}

extension Model {
  /// Whether a node of the file is one.
  fileprivate var hasBatchNormalization: Bool {
    ModelListing(definition).operators.contains {
      $0.name == "BatchNormalization" && $0.domain.isEmpty
    }
  }
}
