import ArgumentParser
import Sardonyx
import SardonyxData

/// Data on which a rewritten model is to agree with the model as written.
struct ProofOptions: ParsableArguments {
  @OptionGroup var given: ValueOptions

  @Option(
    help: ArgumentHelp(
      """
      Many inputs: a folder of images, arrays or TensorProtos, one sample each; or a NumPy archive \
      with arrays named NAME or in:NAME, whose rows are the samples.
      """, valueName: "folder|file"), completion: .file())
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Samples of --data in a run. (default: what the model declares, else 1 of a folder, 16 of an archive)",
      valueName: "count"))
  var batch: Int?

  @Option(
    help: ArgumentHelp(
      """
      How far an output may be from that of the model as written on these inputs, in any engine, relative to \
      the largest magnitude: folds are taken back until a quarter of it is enough here. For float16 and smaller \
      types it is at least twice the distance from 1 to the next number. (default: 1e-05)
      """, valueName: "number"))
  var tolerance: Double?

  @OptionGroup(title: "Image options") var form: ImageFormOptions

  func validate() throws {
    if let batch, batch < 1 { throw ValidationError("--batch: expected 1 or more, got \(batch)") }
    if data == nil, batch != nil { throw ValidationError("--batch: expected with --data") }
    guard let tolerance else { return }
    guard tolerance >= 0, tolerance.isFinite else {
      throw ValidationError("--tolerance: expected 0 or more, got \(tolerance)")
    }
    guard isGiven else {
      throw ValidationError(
        "--tolerance: expected with inputs to compare on: --data, --inputs, --input or --random")
    }
  }

  /// Whether there are any.
  var isGiven: Bool {
    data != nil || given.all != nil || given.seed != nil || !given.singles.isEmpty
  }

  /// Many inputs, if they are given.
  var many: DataOptions? {
    guard let data else { return nil }
    var many = DataOptions()
    (many.data, many.batch) = (data, batch)
    return many
  }

  /// What counts as the same.
  var sameness: Comparison.Tolerance {
    var sameness = Comparison.Tolerance()
    if let tolerance { sameness.relative = tolerance }
    return sameness
  }

  /// Where the inputs come from.
  /// - Parameter range: what white is in the numbers of an image; black is 0.
  func input(whiteIs range: Double) throws -> InputOptions {
    var input = try InputOptions.parse([])
    (input.given, input.image.form) = (given, form)
    input.image.std = NumberList(argument: "\(1 / range)")
    return input
  }
}
