import Sardonyx
import SardonyxData

/// Inputs for many runs of a model: files, or rows of arrays, some at a time.
struct DataBatches {
  let model: Model
  /// Values that are the same in each run, or whose rows are taken.
  let shared: [String: Value]
  /// What names the files, for messages.
  var option = "--files"

  /// The inputs of one run.
  struct Batch {
    let inputs: [String: Value]
    /// Rows in it, more than labels where the last file is repeated to fill a fixed batch.
    let size: Int
    /// What each of its files or rows is called.
    let labels: [String]

    /// Runs `body` and says which rows it was about where it throws.
    func naming<Result>(_ body: () throws(ModelError) -> Result) throws(ModelError) -> Result {
      do throws(ModelError) { return try body() } catch {
        var named = error
        let last = labels.count > 1 ? " to \(labels[labels.count - 1])" : ""
        named.message = "\(labels[0])\(last): \(error.message)"
        throw named
      }
    }
  }

  // MARK: - Files

  /// Each file, and the files in folders, `count` at a time.
  func forEach(
    ofFiles files: [String], by count: Int?, _ image: ImagePreparation,
    _ body: (Batch) throws(ModelError) -> Void
  ) throws(ModelError) {
    let fed = try fedInput()
    var paths: [String] = []
    for path in files { paths += isFolder(path) ? try inputs(inFolder: path) : [path] }
    guard !paths.isEmpty else {
      throw ModelError(
        .mismatch, "\(option): expected images, arrays or TensorProtos, got folders without any")
    }
    let declared = fed.declaredBatch
    let size = count ?? declared ?? 1
    if let declared, size != declared {
      throw ModelError(
        .mismatch, "--batch: expected \(declared), as input \"\(fed.name)\" declares, got \(size)")
    }
    Terminal.progress(done: 0, of: paths.count)
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
      let inputs = shared.merging([fed.name: .tensor(joined)]) { $1 }
      try body(Batch(inputs: inputs, size: tensors.count, labels: part))
      Terminal.progress(done: first + part.count, of: paths.count)
    }
    Terminal.endProgress()
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
    let open = model.requiredInputs.filter { shared[$0.name] == nil }
    guard open.count == 1 else {
      throw ModelError(
        .mismatch,
        "\(option): expected one input without a value, got \(open.count): "
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

  /// The rows of the inputs' first axis, `count` at a time.
  func forEach(ofRowsBy count: Int, _ body: (Batch) throws(ModelError) -> Void) throws(ModelError) {
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
    Terminal.progress(done: 0, of: rows)
    for first in stride(from: 0, to: rows, by: count) {
      let range = first..<min(first + count, rows)
      var part = shared
      for (name, value) in shared {
        guard let tensor = value.tensor, tensor.shape[0] == rows, rows > 1 else { continue }
        part[name] = .tensor(try tensor.rows(range))
      }
      try body(
        Batch(
          inputs: part, size: range.count, labels: range.map { "row \($0)" }))
      Terminal.progress(done: range.upperBound, of: rows)
    }
    Terminal.endProgress()
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
