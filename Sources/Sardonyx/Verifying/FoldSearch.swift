/// Finds folds to take back, so that what is left of them moves no output too far.
///
/// Differences of folds add up and cancel, so that sets of them are measured. One that is within tolerance stays,
/// and one that is not is halved. Where two halves are within it and both together are not, the fold goes that is
/// found by always looking into the half that moves the outputs more. With k folds to take back of n these are
/// about 2·k·log₂(n) sets, and all that is left at the end is one of them.
struct FoldSearch {
  /// A fold that is taken back.
  struct Rejection {
    /// The node's name.
    let node: String
    /// With it, and with what was measured beside it.
    let difference: FoldDifference
  }

  /// How far outputs are moved by the folds of these nodes alone.
  typealias Measure = ([String]) throws(ModelError) -> FoldDifference

  private let nodes: [String]
  /// For each node, why its fold is taken back; nil where it is kept.
  private var reasons: [FoldDifference?]
  private var known: [[Int]: FoldDifference] = [:]

  /// What is taken back, in the order of the nodes.
  var rejections: [Rejection] {
    zip(nodes, reasons).compactMap { node, reason in
      reason.map { Rejection(node: node, difference: $0) }
    }
  }

  /// - Parameters:
  ///   - nodes: those that can be folded, each once; those that are near each other belong together.
  ///   - measure: asked once for a set, and never for none.
  /// - Throws: what `measure` throws.
  init(_ nodes: [String], measure: Measure) throws(ModelError) {
    self.nodes = nodes
    reasons = nodes.map { _ in nil }
    try settle(nodes.indices, measure)
  }

  /// Takes folds back until the others of the range are within tolerance by themselves.
  private mutating func settle(_ range: Range<Int>, _ measure: Measure) throws(ModelError) {
    guard try !difference(of: range, measure).isWithin else { return }
    if range.count > 1 { for half in range.halves { try settle(half, measure) } }
    while true {
      let difference = try difference(of: range, measure)
      if difference.isWithin { return }
      reasons[try worst(of: range, measure)] = difference
    }
  }

  /// The fold that moves the outputs most, as far as sets tell; some fold of the range must be kept.
  private mutating func worst(of range: Range<Int>, _ measure: Measure) throws(ModelError) -> Int {
    let kept = kept(range)
    guard kept.count > 1 else { return kept[0] }
    let halves = range.halves.filter { !self.kept($0).isEmpty }
    guard halves.count > 1 else { return try worst(of: halves[0], measure) }
    let first = try difference(of: halves[0], measure)
    let second = try difference(of: halves[1], measure)
    return try worst(of: first.share >= second.share ? halves[0] : halves[1], measure)
  }

  private func kept(_ range: Range<Int>) -> [Int] { range.filter { reasons[$0] == nil } }

  private mutating func difference(
    of range: Range<Int>, _ measure: Measure
  ) throws(ModelError) -> FoldDifference {
    let kept = kept(range)
    if kept.isEmpty { return .none }
    if let known = known[kept] { return known }
    let measured = try measure(kept.map { nodes[$0] })
    known[kept] = measured
    return measured
  }
}

/// How far folds move the output that they move most.
struct FoldDifference {
  /// The output's name.
  let output: String
  /// Relative to the largest magnitude of the output as written.
  let relative: Double
  /// What is allowed, relative to the same.
  let allowed: Double
  /// The difference, of what is allowed.
  let share: Double

  /// None at all.
  static let none = FoldDifference(output: "", relative: 0, allowed: 0, share: 0)

  /// Whether it is no more than is allowed.
  var isWithin: Bool { share <= 1 }
}

extension Range<Int> {
  fileprivate var halves: [Range<Int>] {
    let middle = lowerBound + count / 2
    return [lowerBound..<middle, middle..<upperBound]
  }
}
