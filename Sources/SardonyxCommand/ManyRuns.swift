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

  /// Runs the model on each file, and on the files in folders, `count` at a time.
  func run(files: [String], by count: Int?, _ image: ImagePreparation) throws {
    let batches = DataBatches(model: session.model, shared: shared)
    var results: [Result] = []
    try batches.forEach(ofFiles: files, by: count, image) { batch throws(ModelError) in
      try run(batch, &results)
    }
    try finish(results)
  }

  /// Runs the model on the rows of the inputs' first axis, `count` at a time.
  func run(rowsBy count: Int) throws {
    let batches = DataBatches(model: session.model, shared: shared)
    var results: [Result] = []
    try batches.forEach(ofRowsBy: count) { batch throws(ModelError) in try run(batch, &results) }
    try finish(results)
  }

  // MARK: - Results

  private func run(_ batch: DataBatches.Batch, _ results: inout [Result]) throws(ModelError) {
    let values = try batch.naming { () throws(ModelError) in try session.run(batch.inputs) }
    for (index, label) in batch.labels.enumerated() {
      var outputs: NamedValues = []
      for name in order {
        guard let value = values[name] else { continue }
        outputs.append((name, try value.row(index, of: batch.size, name)))
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
