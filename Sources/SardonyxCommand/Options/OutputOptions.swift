import ArgumentParser
import Sardonyx

/// What becomes of the outputs of a run.
struct OutputOptions: ParsableArguments {
  @Option(
    name: .customLong("top"),
    help: ArgumentHelp(
      """
      Show the classes with the highest scores along an output's last axis, axes of extent 1 put \
      aside.
      """, valueName: "count"))
  var top: Int?

  @Option(
    help: ArgumentHelp("Names of the classes for --top, one a line.", valueName: "file"),
    completion: .file())
  var labels: String?

  @Flag(help: "Turn scores into shares by softmax, for --top.")
  var softmax = false

  @Option(
    help: ArgumentHelp(
      """
      Write all outputs to a NumPy archive, an array per output, or the only one to an array file. \
      Sequences become NAME[0], NAME[1] …, maps NAME.keys and NAME.values; types that NumPy lacks \
      become float32 or 8-bit integers. `-` is an archive on standard output.
      """, valueName: "file.npz|file.npy"), completion: .file(extensions: ["npz", "npy"]))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Write output_0.pb, output_1.pb … as ONNX's test suite has them.", valueName: "folder"),
    completion: .directory)
  var outputDir: String?

  @Flag(help: "Print all output values as JSON; numbers that are not finite are texts.")
  var json = false

  func validate() throws {
    if let top, top < 1 { throw ValidationError("--top: expected 1 or more, got \(top)") }
    if labels != nil, top == nil { throw ValidationError("--labels needs --top") }
    if softmax, top == nil { throw ValidationError("--softmax needs --top") }
    if output == "-", json || top != nil {
      throw ValidationError("--output -: expected nothing else that goes to standard output")
    }
  }

  /// Whether outputs are shown to people.
  var showsText: Bool { top != nil || (output == nil && outputDir == nil) }

  /// The lines of `--labels`.
  func readLabels() throws(ModelError) -> [String]? {
    guard let labels else { return nil }
    let text = String(decoding: try bytes(ofFile: labels, atMost: 1 << 26), as: UTF8.self)
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    if lines.last == "" { lines.removeLast() }
    return lines.map(String.init)
  }

  /// Refuses to write over files that the outputs are made from.
  func refuseOverwriting(_ files: [String], outputCount: Int) throws(ModelError) {
    if let output, output != "-" { try refuse(overwriting: output, madeOf: files) }
    guard let outputDir else { return }
    for index in 0..<outputCount {
      try refuse(overwriting: "\(outputDir)/output_\(index).pb", madeOf: files)
    }
  }

  /// Writes the files asked for.
  func save(_ outputs: NamedValues) throws(ModelError) {
    if let output { try write(outputs, toArrays: output) }
    if let outputDir {
      try makeFolder(outputDir)
      for (index, output) in outputs.enumerated() {
        try write(output.value.protobuf(), toFile: "\(outputDir)/output_\(index).pb")
      }
    }
  }

  /// Lines for people: a summary of each output, or its best classes.
  /// - Throws: ``ModelError`` (mismatch) where no output has classes, with the reason.
  func text(_ outputs: NamedValues, _ labels: [String]?) throws(ModelError) -> String {
    let rankings = try rankings(outputs, labels)
    return outputs.enumerated().map { index, output in
      if let ranking = rankings[index] {
        return "\(output.name.visible): \(output.value.caption)\n\(ranking.text)"
      }
      return "\(output.name.visible): \(output.value.summary())"
    }.joined(separator: "\n")
  }

  /// The same for programs.
  func description(_ outputs: NamedValues, _ labels: [String]?) throws(ModelError) -> JSON {
    let rankings = try rankings(outputs, labels)
    return .object([
      (
        "outputs",
        .object(
          outputs.enumerated().map { index, output in
            guard let ranking = rankings[index], case .object(let members) = output.value.json
            else {
              return (output.name, output.value.json)
            }
            return (output.name, .object(members + [("top", ranking.json)]))
          })
      )
    ])
  }

  /// The best classes of each output that has classes; nil for others and without `--top`.
  private func rankings(
    _ outputs: NamedValues, _ labels: [String]?
  ) throws(ModelError) -> [Ranking?] {
    guard let top else { return outputs.map { _ in nil } }
    var rankings: [Ranking?] = []
    var fault: ModelError?
    for (name, value) in outputs {
      do throws(ModelError) {
        rankings.append(
          try Ranking(name, value, count: top, labels: labels, isSoftmax: softmax))
      } catch {
        fault = fault ?? error
        rankings.append(nil)
      }
    }
    // Another output beside the scores is only summarised.
    if let fault, rankings.allSatisfy({ $0 == nil }) { throw fault }
    return rankings
  }
}
