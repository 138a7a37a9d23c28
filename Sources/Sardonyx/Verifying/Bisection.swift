/// Finds the rewritings of a model that are needed for its outputs to differ from the model as written.
public struct Bisection: Sendable {
  /// A smallest set: without any one of them the outputs are within tolerance. Empty where they are with all.
  public let rewrites: [String]
  /// How many rewritings there were.
  public let count: Int
  /// How often the model was prepared and run.
  public private(set) var runs = 0

  /// Prepares and runs a model with ever fewer of its rewritings.
  /// - Throws: ``ModelError`` of a run.
  public init(
    _ model: Model, inputs: [String: Value], options: Session.Options = Session.Options(),
    tolerance: Comparison.Tolerance = Comparison.Tolerance()
  ) throws(ModelError) {
    let all = try Self.rewrites(model, options)
    // With nothing rewritten at all, so that no rewriting is always within tolerance.
    var plain = options.asWritten
    (plain.leftOut, plain.usesBlocks) = (Set(all), false)
    let reference = try Session(model, options: plain)
    count = all.count
    var runs = 0
    func differs(_ kept: ArraySlice<String>) throws(ModelError) -> Bool {
      runs += 1
      var options = options
      options.leftOut = Set(all).subtracting(kept)
      options.winograd = options.winograd && kept.contains(Self.winograd)
      options.usesBlocks = options.usesBlocks && kept.contains(Self.blocks)
      let session = try Session(model, options: options)
      return try !Comparison(
        session, against: reference, inputs: inputs, layers: false, tolerance: tolerance
      ).passed
    }
    guard try differs(all[...]) else {
      (rewrites, self.runs) = ([], runs)
      return
    }
    var (set, parts) = (all[...], 2)
    search: while set.count > 1 {
      let size = (set.count + parts - 1) / parts
      let starts = stride(from: set.startIndex, to: set.endIndex, by: size)
      for start in starts {
        let part = set[start..<min(start + size, set.endIndex)]
        if try differs(part) {
          (set, parts) = (Array(part)[...], 2)
          continue search
        }
      }
      for start in starts where parts > 2 {
        let rest = set[..<start] + set[min(start + size, set.endIndex)...]
        if try differs(rest) {
          (set, parts) = (Array(rest)[...], max(2, parts - 1))
          continue search
        }
      }
      guard size > 1 else { break }
      parts = min(set.count, 2 * parts)
    }
    (rewrites, self.runs) = (Array(set), runs)
  }

  private static let blocks = "block channels"
  private static let winograd = "winograd"

  private static func rewrites(_ model: Model, _ options: Session.Options) throws(ModelError)
    -> [String]
  {
    let budget = FoldingBudget(constantByteCount: model.graph.constantByteCount)
    let passes = Planner.passes(options, budget).map(\.name)
    var rewrites: [String] = []
    for name in passes where !rewrites.contains(name) {
      if name == Planner.foldingName {
        let graph = try Session(model, options: options).graph
        let folds = graph.notes.filter { $0.pass == name && $0.kind == .done }
        rewrites += folds.map { Planner.foldName($0.node) }
      } else {
        rewrites.append(name)
      }
    }
    if options.usesBlocks { rewrites += [blocks, Planner.chainConvolutions.name] }
    if options.winograd { rewrites.append(winograd) }
    return rewrites
  }
}
