import ArgumentParser
import Sardonyx

/// Where the inputs of a run come from.
struct InputOptions: ParsableArguments {
  @Option(
    name: .customLong("input"),
    help: ArgumentHelp(
      """
      A value for one input: a NumPy array or archive, a TensorProto or another protobuf value, or \
      a PNG, JPEG, TIFF, WebP, JPEG 2000, BMP or PNM image. The name may be left out where the \
      model has one input. May be repeated.
      """, valueName: "name=file"))
  var singles: [String] = []

  @Option(
    name: .customLong("inputs"),
    help: ArgumentHelp(
      """
      Values for all inputs: a NumPy archive with arrays named NAME or in:NAME, or a folder of \
      input_0.pb, input_1.pb … in the order of the graph's inputs.
      """, valueName: "file|folder"))
  var all: String?

  @Option(
    name: .customLong("random"),
    help: ArgumentHelp(
      """
      Fill inputs not given otherwise from this seed: floating-point numbers in [-1, 1), 8-bit \
      integers over their range, other integers 0 or 1.
      """, valueName: "seed"))
  var seed: UInt64?

  @Option(
    name: .customLong("dim"),
    help: ArgumentHelp(
      """
      The extent of a symbolic dimension for --random; one without a name is called INPUT[AXIS]. \
      May be repeated.
      """, valueName: "name=extent"))
  var dimensions: [DimensionExtent] = []

  @OptionGroup(title: "Image options") var image: ImageOptions

  /// The extents given for symbolic dimensions.
  var extents: [String: Int] {
    Dictionary(dimensions.map { ($0.name, $0.extent) }, uniquingKeysWith: { $1 })
  }

  /// The values for a model's inputs.
  /// - Parameters:
  ///   - standardSeed: stands in for `--random` where nothing is given at all.
  ///   - standardArchive: stands in for `--inputs` where neither it nor `--random` is given.
  /// - Throws: ``ModelError`` for files that cannot be read and inputs that do not exist.
  func values(
    for model: Model, standardSeed: UInt64? = nil, standardArchive: String? = nil
  ) throws(ModelError) -> [String: Value] {
    try model.checkDimensions(extents)
    let all = self.all ?? (self.seed == nil ? standardArchive : nil)
    let seed = self.seed ?? (all == nil && singles.isEmpty ? standardSeed : nil)
    var values: [String: Value] = [:]
    if let all {
      values =
        try isFolder(all) ? self.values(inFolder: all, model) : self.values(inArchive: all, model)
    }
    for single in singles {
      let (definition, path) = try model.input(named: single)
      values[definition.name] = try InputFile(path).value(for: definition, image)
    }
    if let seed {
      var random = RandomValues(seed: seed)
      for definition in model.requiredInputs where values[definition.name] == nil {
        values[definition.name] = try random.value(for: definition, extents: extents)
      }
    }
    return values
  }

  /// The files that values are read from.
  func files(for model: Model) throws(ModelError) -> [String] {
    var files: [String] = []
    for single in singles { files.append(try model.input(named: single).path) }
    guard let all else { return files }
    guard isFolder(all) else { return files + [all] }
    return files + model.requiredInputs.indices.map { "\(all)/input_\($0).pb" }
  }

  /// The j-th `input_<j>.pb` belongs to the j-th input that has no default.
  private func values(
    inFolder folder: String, _ model: Model
  ) throws(ModelError) -> [String: Value] {
    var values: [String: Value] = [:]
    for (index, definition) in model.requiredInputs.enumerated() {
      let path = "\(folder)/input_\(index).pb"
      // A missing file is told by name when the model runs, unless --input or --random fill in.
      guard fileExists(path) else { continue }
      values[definition.name] = try InputFile(path).value(for: definition, image)
    }
    return values
  }

  private func values(
    inArchive path: String, _ model: Model
  ) throws(ModelError) -> [String: Value] {
    let file = try InputFile(path)
    let names = Set(model.inputs.map(\.name))
    let arrays = try file.arrays { names.contains($0) || $0.hasPrefix("in:") }
    var values: [String: Value] = [:]
    for (name, tensor) in arrays {
      let plain = names.contains(name) ? name : String(name.dropFirst(3))
      let definition = model.inputs.first { $0.name == plain }
      values[plain] = .tensor(try tensor.adapted(to: definition))
    }
    return values
  }
}

/// `NAME=EXTENT` of `--dim`.
struct DimensionExtent: ExpressibleByArgument, Sendable {
  let name: String
  let extent: Int

  init?(argument: String) {
    guard let equals = argument.lastIndex(of: "="),
      let extent = Int(argument[argument.index(after: equals)...]), extent >= 0
    else { return nil }
    name = String(argument[..<equals])
    self.extent = extent
  }
}

extension Model {
  /// - Throws: ``ModelError`` (mismatch) for an extent of a dimension that no input has.
  func checkDimensions(_ extents: [String: Int]) throws(ModelError) {
    let names = inputs.flatMap(\.openDimensions)
    guard let wrong = extents.keys.filter({ !names.contains($0) }).min() else { return }
    throw ModelError(
      .mismatch, "--dim \(wrong): the inputs have no such dimension",
      hint: names.isEmpty
        ? "all dimensions are fixed" : "there are \(names.sorted().joined(separator: ", "))")
  }

  /// The inputs without a default.
  var requiredInputs: [ValueDefinition] { inputs.filter { !optionalInputs.contains($0.name) } }

  /// Splits `NAME=FILE` by the names that the model has; a file alone belongs to the only input.
  fileprivate func input(
    named argument: String
  ) throws(ModelError) -> (definition: ValueDefinition, path: String) {
    let matches = inputs.filter { argument.hasPrefix("\($0.name)=") }
    // A name may itself contain "=": the longest is the one that was meant.
    if let match = matches.max(by: { $0.name.utf8.count < $1.name.utf8.count }) {
      return (match, String(argument.dropFirst(match.name.count + 1)))
    }
    if requiredInputs.count == 1, !argument.contains("=") || fileExists(argument) {
      return (requiredInputs[0], argument)
    }
    let names = inputs.map(\.name).quotedList
    guard let equals = argument.firstIndex(of: "=") else {
      throw ModelError(
        .mismatch, "--input \(argument): expected NAME=FILE, because the model has several inputs",
        hint: "its inputs are \(names)")
    }
    throw ModelError(
      .mismatch, "the model has no input \"\(argument[..<equals])\"",
      hint: "its inputs are \(names)")
  }
}
