import ArgumentParser
import Sardonyx
import SardonyxData

/// `sardonyx run`: computes a model's outputs.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a model on given inputs.",
    discussion: """
      Prints a summary of each output, or all values with --json; --output and --output-dir write \
      them to files, whole or not at all; a symbolic link in such a place is followed. With --files \
      or --batch the model runs many times, and --json prints a line for each input.

      `sardonyx help images` tells how pictures become numbers.
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @OptionGroup(title: "Input options") var input: InputOptions

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Run the model once for each of these files, or files in these folders: images, arrays or \
      TensorProtos for the input that is not given otherwise.
      """, valueName: "file|folder"), completion: .file())
  var files: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      Run the model on so many of --files at a time, or on so many rows of the first axis of the \
      inputs. (default: what the model declares, else 1)
      """, valueName: "count"))
  var batch: Int?

  @OptionGroup(title: "Output options") var output: OutputOptions

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      """
      Give this value inside the graph as a further output; `*` stands for any characters, `all` \
      for all values. May be repeated.
      """, valueName: "name"), completion: .custom(completeTaps))
  var tap: [String] = []

  @Flag(
    help: """
      Let the model do what --mean, --std and --range say, folded into its weights, and give it images as \
      bytes, from 0 to 255.
      """)
  var foldPreparation = false

  @Flag(
    help: """
      Also compute the model as written, and give its outputs, with a warning that names the first layer \
      that differs, where those of the prepared model are not within the tolerance of `compare`.
      """)
  var verify = false

  @OptionGroup(title: "Running options") var options: SessionOptions

  func validate() throws {
    if let batch, batch < 1 { throw ValidationError("--batch: expected 1 or more, got \(batch)") }
    if verify, !files.isEmpty || batch != nil {
      throw ValidationError("--verify: expected a single run, without --files and --batch")
    }
    if !files.isEmpty || batch != nil, output.outputDir != nil {
      throw ValidationError("--output-dir: expected --output FILE.npz with --files or --batch")
    }
  }

  func run() throws {
    var model = try options.model(path)
    var input = input
    if foldPreparation {
      model = try model.normalizing(input.image.normalization)
      input.image.range = .bytes
      (input.image.mean, input.image.std) = (nil, nil)
    }
    let names = try output.readLabels()
    let taps = try model.taps(tap)
    let read = try input.files(for: model) + files + [path]
    try output.refuseOverwriting(read, outputCount: model.outputs.count + taps.count)
    let inputs = try input.values(for: model, suppliesFed: !files.isEmpty)
    if verify {
      let values = try verifiedValues(model, inputs, taps)
      return try show(values, (model.outputs.map(\.name) + taps).uniqued, names)
    }
    let session = try options.session(model, taps: taps)
    tellUnfolded(session)
    let order = (model.outputs.map(\.name) + taps).uniqued
    if !files.isEmpty || batch != nil {
      let many = ManyRuns(
        session: session, shared: inputs, order: order, output: output, labels: names)
      return files.isEmpty
        ? try many.run(rowsBy: batch ?? 1)
        : try many.run(files: files, by: batch, input.image.preparation)
    }
    let start = seconds()
    let values = try Watch.over("running") { () throws(ModelError) in try session.run(inputs) }
    options.note("ran", since: start)
    try show(values, order, names)
  }

  /// Warns of what the taps change in the model that is run.
  private func tellUnfolded(_ session: Session) {
    let reasons = session.options.taps.map { "\"\($0)\" is an output of the graph" }
    guard !reasons.isEmpty else { return }
    let kept = session.notes.filter { note in
      note.kind == .declined && reasons.contains { note.text.contains($0) }
    }
    guard let first = kept.first else { return }
    let others = kept.count == 1 ? "" : " and \(kept.count - 1) more"
    Terminal.warn(
      "--tap keeps BatchNormalization \"\(first.node)\"\(others) from folding: the values behind may "
        + "differ in their last bits from those without --tap")
  }

  private func show(_ values: [String: Value], _ order: [String], _ names: [String]?) throws {
    let outputs = order.compactMap { name in values[name].map { (name: name, value: $0) } }
    try output.save(outputs)
    if output.json {
      print(try output.description(outputs, names))
    } else if output.showsText {
      print(try output.text(outputs, names))
    }
  }

  private func verifiedValues(_ model: Model, _ inputs: [String: Value], _ taps: [String])
    throws(ModelError) -> [String: Value]
  {
    var session = options.session
    session.taps = taps
    let verified = try VerifiedSession(model, options: session)
    let (values, verdict) = try Watch.over("running both ways") { () throws(ModelError) in
      try verified.run(inputs)
    }
    if case .differed(let output, let layer) = verdict {
      let place = layer.map { ", first at \"\($0)\" inside" } ?? ""
      Terminal.warn(
        "output \"\(output)\" differs from the model as written\(place); its outputs are given")
    }
    return values
  }
}

/// The names that `--tap` may be completed to, from the model that stands before it.
@Sendable private func completeTaps(
  _ arguments: [String], _ index: Int, _ prefix: String
) -> [String] {
  guard let path = arguments.first(where: { $0.hasSuffix(".onnx") }),
    let model = try? Model(path: path)
  else { return [] }
  return model.valueNames.filter { $0.hasPrefix(prefix) }
}

extension Model {
  /// The values that patterns of `--tap` name, in the order of the graph.
  /// - Throws: ``ModelError`` (mismatch) for a pattern that names none, with names near it.
  func taps(_ patterns: [String]) throws(ModelError) -> [String] {
    let names = valueNames
    var taps: [String] = []
    for pattern in patterns {
      if names.contains(pattern) {
        taps.append(pattern)
        continue
      }
      let matches = pattern == "all" ? names : names.filter { $0.matches(pattern) }
      guard !matches.isEmpty else {
        let near = names.near(pattern).quotedList
        throw ModelError(
          .mismatch, "--tap: the model has no value \"\(pattern)\" inside",
          hint: near.isEmpty
            ? "`sardonyx inspect MODEL --values` lists them" : "did you mean \(near)?")
      }
      taps += matches
    }
    return taps.uniqued
  }
}

extension String {
  /// Whether this is the pattern, whose `*` stand for any characters.
  func matches(_ pattern: String) -> Bool {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard parts.count > 1 else { return self == pattern }
    guard hasPrefix(parts[0]), hasSuffix(parts[parts.count - 1]),
      count >= parts[0].count + parts[parts.count - 1].count
    else { return false }
    var rest = dropFirst(parts[0].count).dropLast(parts[parts.count - 1].count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
      guard let match = rest.firstRange(of: part) else { return false }
      rest = rest[match.upperBound...]
    }
    return true
  }
}

extension [String] {
  /// The elements, each at its first place only.
  var uniqued: [String] {
    var seen: Set<String> = []
    return filter { seen.insert($0).inserted }
  }
}
