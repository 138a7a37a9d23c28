/// What a model as written makes of data, and how far folds move that.
///
/// Both run as written and in the precision of the model, as folds do not only round weights, which double would
/// show, but change every later rounding too: in a network that magnifies roundings, single folds moved the
/// outputs by 1e-5 to 3e-5 whose weights made 1e-14 to 1e-6 of it in double.
struct FoldWitness {
  /// Calls its argument with the inputs of each run.
  typealias Batches = (_ run: ([String: Value]) throws(ModelError) -> Void) throws(ModelError) ->
    Void

  /// The part of a tolerance that folds may take here; the rest is for other engines.
  ///
  /// These sum in another order and so round elsewhere: in networks that magnify roundings, single folds of
  /// convolutions moved the outputs in ONNX Runtime by 0.5 to 1.9 times as much as here, and sets of folds by up
  /// to 3.2 times.
  private static let portion = 0.25

  private let options: Session.Options
  private let tolerance: Comparison.Tolerance
  /// Of the model as written, for each run.
  private let references: [[String: Value]]
  /// By the folds that were done, as a set of these makes the same model whatever was left out.
  private var known: [Set<String>: FoldDifference] = [:]

  /// How many sets of folds were run on the data.
  var trialCount: Int { known.count }

  /// Runs a model as written.
  /// - Throws: ``ModelError``: mismatch where there are no data, limit where the outputs take more memory than
  ///   runs may, and what runs and `batches` throw.
  init(
    _ model: Model, keeping tolerance: Comparison.Tolerance, _ options: Session.Options,
    _ batches: Batches
  ) throws(ModelError) {
    var plain = options.asWritten
    (plain.batchNormalization, plain.taps) = (.unfolded, [])
    let session = try Session(model, options: plain)
    let limit = plain.memoryLimit ?? Machine.memoryByteCount
    var (references, byteCount): ([[String: Value]], Int) = ([], 0)
    try batches { (inputs) throws(ModelError) in
      let outputs = try session.run(inputs)
      byteCount += outputs.values.reduce(0) { $0 + $1.byteCount }
      guard byteCount <= limit else {
        throw .unexpected(
          "outputs to compare with", expected: "at most \(limit) bytes", got: "more", code: .limit)
      }
      references.append(outputs)
    }
    guard !references.isEmpty else {
      throw ModelError(.mismatch, "there are no data to compare the folded model on")
    }
    if plain.memoryLimit != nil { plain.memoryLimit = limit - byteCount }
    self.options = plain
    self.references = references
    var allowed = tolerance
    allowed.relative *= Self.portion
    allowed.absolute *= Self.portion
    self.tolerance = allowed
  }

  /// Runs a folded model, unless one with the same folds has been.
  /// - Parameter batches: gives what it gave before.
  /// - Throws: ``ModelError`` of a run, and what `batches` throws.
  mutating func difference(
    of folded: FoldedModel, _ batches: Batches
  ) throws(ModelError) -> FoldDifference {
    let folds = Set(folded.foldedNodes)
    if let known = known[folds] { return known }
    let session = try Session(try Model(folded.definition), options: options)
    var (worst, position) = (FoldDifference.none, 0)
    try batches { (inputs) throws(ModelError) in
      // The first run that fails tells enough.
      guard worst.isWithin, position < references.count else { return }
      let entries = Comparison(
        try session.run(inputs), reference: references[position], tolerance: tolerance
      ).outputs
      for entry in entries where entry.share > worst.share { worst = FoldDifference(entry) }
      position += 1
    }
    known[folds] = worst
    return worst
  }
}

extension FoldDifference {
  fileprivate init(_ entry: Comparison.Entry) {
    let magnitude = entry.metrics?.magnitude ?? 0
    self.init(
      output: entry.name, relative: entry.metrics?.relative ?? .infinity,
      allowed: magnitude > 0 ? (entry.allowed ?? 0) / magnitude : 0, share: entry.share)
  }
}

extension Value {
  /// Bytes of its elements.
  fileprivate var byteCount: Int {
    switch self {
    case .tensor(let tensor): tensor.byteCount
    case .sequence(let elements, _): elements.reduce(0) { $0 + $1.byteCount }
    case .optional(let value, _): value?.byteCount ?? 0
    case .map(let keys, let values): keys.byteCount + values.byteCount
    }
  }
}
