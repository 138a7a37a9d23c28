import ArgumentParser
import Sardonyx

/// Data that a model is run on to see what its layers meet.
struct DataOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The data: a folder of images, arrays or TensorProtos, one sample each; or a NumPy archive \
      with arrays named NAME or in:NAME, whose rows are the samples.
      """, valueName: "folder|file"), completion: .file())
  var data: String

  @Option(
    help: ArgumentHelp(
      "Samples in a run. (default: what the model declares, else 1 of a folder, 16 of an archive)",
      valueName: "count"))
  var batch: Int?

  func validate() throws {
    if let batch, batch < 1 { throw ValidationError("--batch: expected 1 or more, got \(batch)") }
  }

  /// Calls `body` with the inputs of each run.
  /// - Parameter input: what else is known of inputs, and how images become numbers.
  func forEach(
    for model: Model, _ input: InputOptions, _ body: ([String: Value]) throws(ModelError) -> Void
  ) throws(ModelError) {
    func run(_ batch: DataBatches.Batch) throws(ModelError) {
      try batch.naming { () throws(ModelError) in try body(batch.inputs) }
    }
    guard !isFolder(data), !data.hasSuffix(".npz") else {
      if isFolder(data) {
        let shared = try input.values(for: model, suppliesFed: true)
        let batches = DataBatches(model: model, shared: shared, option: "--data")
        return try batches.forEach(ofFiles: [data], by: batch, input.image.preparation, run)
      }
      var input = input
      input.given.all = data
      let batches = DataBatches(model: model, shared: try input.values(for: model))
      return try batches.forEach(ofRowsBy: batch ?? 16, run)
    }
    throw ModelError(
      .mismatch, "--data: expected a folder or a NumPy archive, got \"\(data)\"",
      hint: fileExists(data) ? "put the file into a folder" : "there is no such file")
  }
}
