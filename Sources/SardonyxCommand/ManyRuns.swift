import Sardonyx
import SardonyxData

/// Runs of one session on many inputs: files, or rows of arrays.
struct ManyRuns {
  let session: Session
  /// Values that are the same in each run.
  let shared: [String: Value]
  /// The names of the outputs, as they are shown.
  let order: [String]
  let output: OutputOptions
  let labels: [String]?

  /// What one input is called, and its outputs.
  private struct Result {
    let label: String
    let outputs: NamedValues
  }

  // MARK: - Files

  /// Runs the model on each file, and on the files in folders, `count` at a time.
  func run(files: [String], by count: Int?, _ image: ImagePreparation) throws {
    let fed = try fedInput()
    var paths: [String] = []
    for path in files { paths += isFolder(path) ? try inputs(inFolder: path) : [path] }
    guard !paths.isEmpty else {
      throw ModelError(
        .mismatch, "--files: expected images, arrays or TensorProtos, got folders without any")
    }
    let declared = fed.declaredBatch
    let size = count ?? declared ?? 1
    if let declared, size != declared {
      throw ModelError(
        .mismatch, "--batch: expected \(declared), as input \"\(fed.name)\" declares, got \(size)")
    }
    var results: [Result] = []
    for first in stride(from: 0, to: paths.count, by: size) {
      let part = Array(paths[first..<min(first + size, paths.count)])
      var tensors = try part.map { path throws(ModelError) in try row(path, fed, image) }
      // A model of a fixed batch gets the last file again where files run out.
      while tensors.count < size, declared != nil { tensors.append(tensors[tensors.count - 1]) }
      let joined: Tensor
      do throws(ModelError) { joined = try Tensor(joining: tensors) } catch {
        throw ModelError(
          .mismatch, "\(part[0]) and what follows: \(error.message)",
          hint: "files of one --batch must have one shape: --resize makes images so")
      }
      try run([fed.name: .tensor(joined)], batch: tensors.count, labels: part, &results)
      Terminal.progress(done: first + part.count, of: paths.count)
    }
    Terminal.endProgress()
    try finish(results)
  }

  /// The images, arrays and protobuf values in a folder; what else is there is told.
  private func inputs(inFolder folder: String) throws(ModelError) -> [String] {
    var (known, others): ([String], [String]) = ([], [])
    for path in try filesIn(folder: folder) {
      if try InputFile.isKnown(path) { known.append(path) } else { others.append(path) }
    }
    if !others.isEmpty {
      Terminal.warn(
        "\(folder): left out \(others.count) of \(known.count + others.count) files that are no "
          + "images, arrays or TensorProtos, such as \(others[0])")
    }
    return known
  }

  /// The only input that has no value yet.
  private func fedInput() throws(ModelError) -> ValueDefinition {
    let open = session.model.requiredInputs.filter { shared[$0.name] == nil }
    guard open.count == 1 else {
      throw ModelError(
        .mismatch,
        "--files: expected one input without a value, got \(open.count): "
          + open.map(\.name).quotedList,
        hint: "give the others with --input NAME=FILE, the same for all files")
    }
    return open[0]
  }

  /// A file's value with a batch axis.
  private func row(
    _ path: String, _ fed: ValueDefinition, _ image: ImagePreparation
  ) throws(ModelError) -> Tensor {
    guard let tensor = try InputFile(path).value(for: fed, image).tensor else {
      throw ModelError(.mismatch, "expected a tensor", file: path)
    }
    let rank = fed.shape?.count ?? tensor.shape.count
    let isBare = tensor.shape.count == rank - 1
    let shaped = isBare ? try tensor.withBatchAxis() : tensor
    guard shaped.shape.first == 1 else {
      throw ModelError(
        .mismatch,
        "expected one row for input \"\(fed.name)\", got shape "
          + "[\(tensor.shape.map(String.init).joined(separator: ","))]",
        hint: "give an array of many rows with --inputs and --batch", file: path)
    }
    return shaped
  }

  // MARK: - Rows

  /// Runs the model on the rows of the inputs' first axis, `count` at a time.
  func run(rowsBy count: Int) throws {
    var extents: [String: Int] = [:]
    for (name, value) in shared {
      guard let extent = value.tensor?.shape.first else {
        throw ModelError(
          .mismatch, "--batch: input \"\(name)\" has no first axis to take rows of")
      }
      extents[name] = extent
    }
    guard let rows = extents.values.max(), rows > 0 else {
      throw ModelError(.mismatch, "--batch: expected inputs with rows, got none")
    }
    // An input of one row serves all.
    if let odd = extents.first(where: { $0.value != rows && $0.value != 1 }) {
      throw ModelError(
        .mismatch,
        "--batch: expected \(rows) rows in each input, got \(odd.value) in \"\(odd.key)\"")
    }
    var results: [Result] = []
    for first in stride(from: 0, to: rows, by: count) {
      let range = first..<min(first + count, rows)
      let part = try shared.mapValues { value throws(ModelError) -> Value in
        guard let tensor = value.tensor, tensor.shape[0] == rows, rows > 1 else { return value }
        return .tensor(try tensor.rows(range))
      }
      try run(part, batch: range.count, labels: range.map { "row \($0)" }, &results)
      Terminal.progress(done: range.upperBound, of: rows)
    }
    Terminal.endProgress()
    try finish(results)
  }

  // MARK: - Results

  private func run(
    _ inputs: [String: Value], batch: Int, labels names: [String], _ results: inout [Result]
  ) throws(ModelError) {
    let values: [String: Value]
    do throws(ModelError) {
      values = try session.run(shared.merging(inputs) { $1 })
    } catch {
      var named = error
      let last = names.count > 1 ? " to \(names[names.count - 1])" : ""
      named.message = "\(names[0])\(last): \(error.message)"
      throw named
    }
    for (index, label) in names.enumerated() {
      var outputs: NamedValues = []
      for name in order {
        guard let value = values[name] else { continue }
        outputs.append((name, try value.row(index, of: batch, name)))
      }
      let result = Result(label: label, outputs: outputs)
      try show(result)
      if output.output != nil { results.append(result) }
    }
  }

  private func show(_ result: Result) throws(ModelError) {
    if output.json {
      guard case .object(let members) = try output.description(result.outputs, labels) else {
        return
      }
      Terminal.clearProgress()
      print(JSON.object([("input", .string(result.label))] + members).line)
    } else if output.showsText {
      Terminal.clearProgress()
      print("\(result.label.visible)\n\(try output.text(result.outputs, labels))")
    }
  }

  /// Writes what was gathered: each output of all runs along one axis, and what they belong to.
  private func finish(_ results: [Result]) throws(ModelError) {
    guard output.output != nil else { return }
    var gathered: NamedValues = []
    for (position, first) in (results.first?.outputs ?? []).enumerated() {
      gathered.append(
        (first.name, try Value(joining: results.map { $0.outputs[position].value }, first.name)))
    }
    if !gathered.contains(where: { $0.name == "inputs" }) {
      gathered.append(
        ("inputs", .tensor(try Tensor(strings: results.map(\.label), shape: [results.count]))))
    }
    try output.save(gathered)
  }
}

extension ValueDefinition {
  /// The extent that the first axis must have; nil where any will do.
  fileprivate var declaredBatch: Int? {
    if case .known(let extent)? = shape?.first, (shape?.count ?? 0) > 1 { extent } else { nil }
  }
}

extension Tensor {
  /// The same elements with an axis of extent 1 in front.
  fileprivate func withBatchAxis() throws(ModelError) -> Tensor {
    if type == .string { return try Tensor(strings: try strings(), shape: [1] + shape) }
    return try Tensor(type, [1] + shape, bytes: rawBytes)
  }
}

extension Value {
  /// What one of the inputs of a run has of an output.
  fileprivate func row(_ index: Int, of count: Int, _ name: String) throws(ModelError) -> Value {
    if count == 1 { return self }
    switch self {
    case .tensor(let tensor) where tensor.shape.first == count:
      return .tensor(try tensor.rows(index..<index + 1))
    case .sequence(let elements, let type) where elements.count == count:
      return .sequence([elements[index]], of: type)
    default:
      throw ModelError(
        .mismatch,
        "output \"\(name)\" is \(caption): expected \(count) rows, as many as inputs ran together",
        hint: "--batch 1")
    }
  }

  /// Tensors along their first axis, or sequences one after the other.
  fileprivate init(joining values: [Value], _ name: String) throws(ModelError) {
    if case .sequence(_, let type)? = values.first {
      var elements: [Value] = []
      for case .sequence(let part, _) in values { elements += part }
      self = .sequence(elements, of: type)
      return
    }
    do throws(ModelError) {
      self = .tensor(try Tensor(joining: values.compactMap(\.tensor)))
    } catch {
      throw ModelError(
        .mismatch, "output \"\(name)\" of all inputs as one array: \(error.message)",
        hint: "--json prints each by itself")
    }
  }
}
