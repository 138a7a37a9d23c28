import ArgumentParser
import Sardonyx
import SardonyxData

/// The values that inputs are given.
struct ValueOptions: ParsableArguments {
  @Option(
    name: .customLong("input"),
    help: ArgumentHelp(
      """
      A value for one input: a NumPy array or archive, a TensorProto or another protobuf value, or \
      a PNG, JPEG, TIFF, WebP, JPEG 2000, BMP or PNM image. The name may be left out where the \
      model has one input. `-` is standard input. May be repeated.
      """, valueName: "name=file"), completion: .file())
  var singles: [String] = []

  @Option(
    name: .customLong("inputs"),
    help: ArgumentHelp(
      """
      Values for all inputs: a NumPy archive with arrays named NAME or in:NAME, or a folder of \
      input_0.pb, input_1.pb … in the order of the graph's inputs.
      """, valueName: "file|folder"), completion: .file())
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
      May be repeated; `bench` takes several extents, such as N=1,4,8.
      """, valueName: "name=extent"))
  var dimensions: [DimensionExtent] = []
}

/// Where the inputs of a run come from.
struct InputOptions: ParsableArguments {
  @OptionGroup var given: ValueOptions
  @OptionGroup(title: "Image options") var image: ImageOptions

  /// The extents given for symbolic dimensions.
  /// - Throws: ``ModelError`` (mismatch) where several are given for one.
  func extents() throws(ModelError) -> [String: Int] {
    if let several = given.dimensions.first(where: { $0.extents.count > 1 }) {
      throw ModelError(
        .mismatch, "--dim \(several.name): expected one extent, got \(several.extents.count)",
        hint: "`sardonyx bench` takes several")
    }
    return sweep[0]
  }

  /// Every combination of the extents given for symbolic dimensions.
  var sweep: [[String: Int]] {
    given.dimensions.reduce([[:]]) { combinations, dimension in
      combinations.flatMap { combination in
        dimension.extents.map { extent in
          combination.merging([dimension.name: extent]) { $1 }
        }
      }
    }
  }

  /// The values for a model's inputs.
  /// - Parameters:
  ///   - standardSeed: stands in for `--random` where nothing is given at all.
  ///   - standardArchive: stands in for `--inputs` where neither it nor `--random` is given.
  ///   - standardExtent: of dimensions that `--dim` does not tell, with a warning; nil for none.
  ///   - sweeping: the extents of symbolic dimensions; nil for those of `--dim`.
  ///   - isFed: whether the first input without a value gets it elsewhere.
  /// - Throws: ``ModelError`` for files that cannot be read and inputs that do not exist.
  func values(
    for model: Model, standardSeed: UInt64? = nil, standardArchive: String? = nil,
    suppliesFed isFed: Bool = false, standardExtent: Int? = nil,
    sweeping: [String: Int]? = nil
  ) throws(ModelError) -> [String: Value] {
    let known = if let sweeping { sweeping } else { try extents() }
    try model.checkDimensions(known)
    let all = given.all ?? (given.seed == nil ? standardArchive : nil)
    let seed = given.seed ?? (all == nil && given.singles.isEmpty ? standardSeed : nil)
    var values: [String: Value] = [:]
    if let all {
      values =
        try isFolder(all) ? self.values(inFolder: all, model) : self.values(inArchive: all, model)
    }
    var seen: Set<String> = []
    for single in given.singles {
      let (definition, path) = try model.input(named: single)
      guard seen.insert(definition.name).inserted else {
        throw ModelError(
          .mismatch, "--input: input \"\(definition.name)\" is given twice",
          hint: "keep one of them")
      }
      if values[definition.name] != nil, let all {
        Terminal.warn(
          "input \"\(definition.name)\" is in \(all) and in --input too; --input counts")
      }
      values[definition.name] = try InputFile(path).value(for: definition, image.preparation)
    }
    if let seed {
      var random = RandomValues(seed: seed)
      let open = model.requiredInputs.filter { values[$0.name] == nil }
      let made = isFed ? Array(open.dropFirst()) : open
      var extents = known
      let missing = made.undetermined(extents)
      if let standardExtent {
        for name in missing { extents[name] = standardExtent }
        if !missing.isEmpty {
          Terminal.warn(
            missing.map { "\($0) is \(standardExtent)" }.joined(separator: ", ")
              + ", as --dim says nothing")
        }
      } else if !missing.isEmpty {
        let isOne = missing.count == 1
        throw ModelError(
          .mismatch,
          "random values: the \(isOne ? "extent" : "extents") of \(missing.joined(separator: ", ")) "
            + "\(isOne ? "is" : "are") not known",
          hint: missing.map { "--dim \(quotedForShell("\($0)=1"))" }.joined(separator: " "))
      }
      for definition in made {
        values[definition.name] = try random.value(for: definition, extents: extents)
      }
    }
    return values
  }

  /// The files that values are read from.
  func files(for model: Model) throws(ModelError) -> [String] {
    var files: [String] = []
    for single in given.singles { files.append(try model.input(named: single).path) }
    guard let all = given.all else { return files }
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
      values[definition.name] = try InputFile(path).value(for: definition, image.preparation)
    }
    return values
  }

  private func values(
    inArchive path: String, _ model: Model
  ) throws(ModelError) -> [String: Value] {
    let file = try InputFile(path)
    let known = model.inputs.map(\.name)
    let names = Set(known)
    var unknown: [String] = []
    let arrays = try file.arrays {
      if names.contains($0) || $0.hasPrefix("in:") && names.contains(String($0.dropFirst(3))) {
        return true
      }
      if !$0.hasPrefix("out:") { unknown.append($0) }
      return false
    }
    if !unknown.isEmpty {
      let isAre =
        unknown.count == 1 ? "array \(unknown.quotedList) is" : "arrays \(unknown.quotedList) are"
      let message = "\(isAre) no input of the model; its inputs are \(known.quotedList)"
      guard !arrays.isEmpty, !unknown.contains(where: { $0.hasPrefix("in:") }) else {
        let hint =
          unknown == ["arr_0"]
          ? "an array without a name goes to the input that --input NAME=FILE names"
          : "name arrays as the inputs, or in:NAME"
        throw ModelError(.mismatch, message, hint: hint, file: path)
      }
      Terminal.warn("\(path): \(message)")
    }
    var values: [String: Value] = [:]
    for (name, tensor) in arrays {
      let plain = names.contains(name) ? name : String(name.dropFirst(3))
      let definition = model.inputs.first { $0.name == plain }
      values[plain] = .tensor(try tensor.adapted(to: definition))
    }
    return values
  }
}

/// `NAME=EXTENT` of `--dim`, or several extents with commas between them.
struct DimensionExtent: ExpressibleByArgument, Sendable {
  let name: String
  let extents: [Int]

  init?(argument: String) {
    guard let equals = argument.lastIndex(of: "=") else { return nil }
    let words = argument[argument.index(after: equals)...]
      .split(separator: ",", omittingEmptySubsequences: false)
    extents = words.compactMap { Int($0) }
    guard extents.count == words.count, extents.allSatisfy({ $0 >= 0 }) else { return nil }
    name = String(argument[..<equals])
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
