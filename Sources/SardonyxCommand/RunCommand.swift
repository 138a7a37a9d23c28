import ArgumentParser
import Sardonyx

/// `sardonyx run`: computes a model's outputs.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a model on given inputs.",
    discussion: """
      Prints a summary of each output, or all values with --json; --output and --output-dir write \
      them to files, whole or not at all; a symbolic link in such a place is followed.

      Images become floating-point numbers in [0, 1], channel by channel (NCHW); --mean and --std \
      are in that scale. Inputs of uint8 get 0 to 255.
      """)

  @Argument(help: ArgumentHelp("The ONNX model.", valueName: "model"))
  var path: String

  @OptionGroup(title: "Input options") var input: InputOptions

  @Option(
    name: .customLong("top"),
    help: ArgumentHelp(
      "Show the classes with the highest scores along an output's last axis.", valueName: "count"))
  var top: Int?

  @Option(
    help: ArgumentHelp("Names of the classes for --top, one a line.", valueName: "file"))
  var labels: String?

  @Option(
    help: ArgumentHelp(
      """
      Write all outputs to a NumPy archive, an array per output. Sequences become NAME[0], \
      NAME[1] …, maps NAME.keys and NAME.values; separators of paths in names become _, and the \
      array sardonyx.names tells which; types that NumPy lacks become float32 or 8-bit \
      integers.
      """, valueName: "file.npz"))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Write output_0.pb, output_1.pb … as ONNX's test suite has them.", valueName: "folder"))
  var outputDir: String?

  @Flag(help: "Print all output values as JSON; numbers that are not finite are texts.")
  var json = false

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Give this value inside the graph as a further output. May be repeated.", valueName: "name"))
  var tap: [String] = []

  @OptionGroup(title: "Running options") var options: SessionOptions

  func validate() throws {
    if let top, top < 1 { throw ValidationError("--top: expected 1 or more, got \(top)") }
    if labels != nil, top == nil { throw ValidationError("--labels needs --top") }
  }

  func run() throws {
    let model = try options.model(path)
    let names = labels == nil ? nil : try readLabels()
    let files = try input.files(for: model) + [path]
    if let output { try refuseOverwriting(output, files) }
    let inputs = try input.values(for: model)
    let session = try options.session(model, taps: tap)
    let start = seconds()
    let values = try session.run(inputs)
    options.note("ran", since: start)
    let outputs = (model.outputs.map(\.name) + tap).uniqued.compactMap { name in
      values[name].map { (name: name, value: $0) }
    }
    if let output { try write(try NPZ.write(outputs.flatMap(Self.arrays)), toFile: output) }
    if let outputDir { try writeProtobufs(outputs.map(\.value), outputDir, beside: files) }
    if json {
      print(try description(outputs, names))
    } else if top != nil || (output == nil && outputDir == nil) {
      for (name, value) in outputs { print("\(name.visible): \(try summary(value, names))") }
    }
  }

  private func readLabels() throws(ModelError) -> [String]? {
    guard let labels else { return nil }
    let text = String(decoding: try bytes(ofFile: labels, atMost: 1 << 26), as: UTF8.self)
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    if lines.last == "" { lines.removeLast() }
    return lines.map(String.init)
  }

  private func summary(_ value: Value, _ labels: [String]?) throws(ModelError) -> String {
    guard let top, let ranking = Ranking(value, count: top, labels: labels) else {
      return value.summary()
    }
    return "\(value.caption)\n\(ranking.text)"
  }

  private func description(
    _ outputs: [(name: String, value: Value)], _ labels: [String]?
  ) throws(ModelError) -> JSON {
    .object([
      (
        "outputs",
        .object(
          outputs.map { name, value in
            guard let top, let ranking = Ranking(value, count: top, labels: labels),
              case .object(let members) = value.json
            else { return (name, value.json) }
            return (name, .object(members + [("top", ranking.json)]))
          })
      )
    ])
  }

  private func writeProtobufs(_ values: [Value], _ folder: String, beside files: [String])
    throws(ModelError)
  {
    try makeFolder(folder)
    for (index, value) in values.enumerated() {
      let file = "\(folder)/output_\(index).pb"
      try refuseOverwriting(file, files)
      try write(value.protobuf(), toFile: file)
    }
  }

  /// The arrays that stand for a value in an archive.
  private static func arrays(
    _ name: String, _ value: Value
  ) -> [(name: String, tensor: Tensor)] {
    switch value {
    case .tensor(let tensor): [(name, tensor)]
    case .optional(let value, _): value.map { arrays(name, $0) } ?? []
    case .map(let keys, let values): [("\(name).keys", keys), ("\(name).values", values)]
    case .sequence(let elements, _):
      table(name, elements) ?? elements.enumerated().flatMap { arrays("\(name)[\($0)]", $1) }
    }
  }
}

extension RunCommand {
  /// Maps of the same keys, as ZipMap makes one for each row: their values as a matrix.
  private static func table(
    _ name: String, _ rows: [Value]
  ) -> [(name: String, tensor: Tensor)]? {
    var columns: [UInt8]?
    var keys: Tensor?
    var numbers: [Double] = []
    for row in rows {
      guard case .map(let rowKeys, let values) = row, let text = try? rowKeys.keyBytes(),
        columns == nil || columns == text, let rowNumbers = try? values.numbers()
      else { return nil }
      (columns, keys) = (text, rowKeys)
      numbers += rowNumbers
    }
    guard let keys, case .map(_, let first)? = rows.first,
      let matrix = try? Tensor(numbers, shape: [rows.count, keys.elementCount])
        .converted(to: first.type)
    else { return nil }
    return [(name, matrix), ("\(name).keys", keys)]
  }
}

extension Tensor {
  /// Bytes that tell the keys of one map from those of another.
  fileprivate func keyBytes() throws(ModelError) -> [UInt8] {
    type == .string ? Array(try strings().joined(separator: "\0").utf8) : rawBytes
  }
}

extension [String] {
  /// The elements, each at its first place only.
  fileprivate var uniqued: [String] {
    var seen: Set<String> = []
    return filter { seen.insert($0).inserted }
  }
}
