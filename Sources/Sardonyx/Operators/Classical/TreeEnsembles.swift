/// Tree ensembles of ai.onnx.ml: forests, boosted trees, single trees.
let treeEnsembles: OperatorFamily = [
  "TreeEnsemble": TreeEnsemble.init,
  "TreeEnsembleClassifier": TreeEnsembleClassifier.init,
  "TreeEnsembleRegressor": TreeEnsembleRegressor.init,
]

/// How the votes of several trees for one target become its score.
enum Aggregate: String, Sendable, CaseIterable {
  case average = "AVERAGE"
  case sum = "SUM"
  case min = "MIN"
  case max = "MAX"
}

/// The scores of some rows, and which of them any leaf has voted for.
struct Ballots: Sendable {
  /// How many rows are counted at a time.
  static let blockSize = 64
  let rowCount: Int
  let targets: Int
  /// Row-major, as `hasVote`.
  private(set) var scores: [Double]
  private(set) var hasVote: [Bool]

  /// Counts the votes of all trees, and the base values for one vote each.
  init(
    _ forest: DecisionForest, _ rows: FeatureRows, _ range: Range<Int>, _ aggregate: Aggregate,
    targets: Int, baseValues: [Double]
  ) {
    var scores = [Double](repeating: 0, count: range.count * targets)
    var hasVote = [Bool](repeating: false, count: range.count * targets)
    forest.forEachVote(rows, range) { row, vote in
      let place = (row - range.lowerBound) * targets + Int(vote.target)
      let score = scores[place]
      switch aggregate {
      case .sum, .average: scores[place] = score + vote.weight
      case .min: scores[place] = hasVote[place] ? Swift.min(score, vote.weight) : vote.weight
      case .max: scores[place] = hasVote[place] ? Swift.max(score, vote.weight) : vote.weight
      }
      hasVote[place] = true
    }
    for place in scores.indices {
      if aggregate == .average { scores[place] /= Double(forest.roots.count) }
      guard place % targets < baseValues.count else { continue }
      scores[place] += baseValues[place % targets]
      hasVote[place] = true
    }
    rowCount = range.count
    self.targets = targets
    self.scores = scores
    self.hasVote = hasVote
  }

  func range(_ row: Int) -> Range<Int> { row * targets..<(row + 1) * targets }

  /// The target of a row's highest score among those voted for, the first of equals.
  func winner(_ row: Int) -> Int {
    range(row).lazy.map { hasVote[$0] ? scores[$0] : -.infinity }.indexOfLargest
  }

  /// Transforms the scores of all rows.
  mutating func apply(_ transform: PostTransform) {
    for row in 0..<rowCount { transform.apply(&scores, range(row)) }
  }
}

extension RunContext {
  /// The results of `body` for each block of rows, in order.
  fileprivate func mapBlocks<T: Sendable>(
    _ rows: Int, of forest: DecisionForest, _ body: @escaping @Sendable (Range<Int>) -> T
  ) throws(ModelError) -> [T] {
    let size = Ballots.blockSize
    // A tree takes a row some 40 ns.
    return try map((rows + size - 1) / size, cost: size * forest.roots.count * 40) { block in
      body(block * size..<min(rows, (block + 1) * size))
    }
  }
}

/// Regressed values: TreeEnsemble-5 and all versions of TreeEnsembleRegressor.
struct ForestRegression: Sendable {
  let forest: DecisionForest
  let targets: Int
  let aggregate: Aggregate
  let transform: PostTransform
  var baseValues: [Double] = []

  func outputs(_ facts: Facts, _ type: ElementType) throws(ModelError) -> [Fact] {
    [Fact(type, [try forest.rows(facts), targets])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let rows = try FeatureRows(inputs[0])
    let results = try outputs.context.mapBlocks(rows.count, of: forest) { range in
      var ballots = Ballots(
        forest, rows, range, aggregate, targets: targets, baseValues: baseValues)
      ballots.apply(transform)
      return ballots.scores
    }
    outputs[0].store(Array(results.joined()))
  }
}

extension DecisionForest {
  /// The number of rows of X, which must have all the features that nodes read.
  fileprivate func rows(_ facts: Facts) throws(ModelError) -> Int {
    let (count, features) = try FeatureRows.extents(facts.shape(0))
    guard features >= width || count == 0 else {
      throw .unexpected("features of X", expected: "\(width) or more", got: "\(features)")
    }
    return count
  }
}

extension NodeReader {
  fileprivate mutating func targetCount() throws(ModelError) -> Int {
    let count = try int("n_targets", default: 1)
    guard (1...0xffff).contains(count) else {
      throw invalid("n_targets", expected: "1 to 65535", got: count)
    }
    return count
  }
}

struct TreeEnsembleRegressor: Operator {
  private let regression: ForestRegression

  init(_ node: inout NodeReader) throws(ModelError) {
    let targets = try node.targetCount()
    regression = ForestRegression(
      forest: try node.namedForest(votes: "target", count: targets), targets: targets,
      aggregate: try node.choice("aggregate_function", default: .sum),
      transform: try node.postTransform(),
      baseValues: try node.baseValues { $0 == targets || $0 == 0 })
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    try regression.outputs(facts, .float)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try regression.run(inputs, outputs)
  }
}

struct TreeEnsemble: Operator {
  private let regression: ForestRegression

  init(_ node: inout NodeReader) throws(ModelError) {
    let targets = try node.targetCount()
    regression = ForestRegression(
      forest: try node.numberedForest(targets: targets), targets: targets,
      aggregate: try node.numbered("aggregate_function", default: .sum),
      transform: try node.numbered("post_transform", default: .none))
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    try regression.outputs(facts, facts.type(0))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try regression.run(inputs, outputs)
  }
}

/// The class that gets most votes, and the scores of all classes.
///
/// Rules that the specification leaves open are onnxruntime's: where two classes share one score
/// (all leaves vote for the same class), that score decides by its threshold, 0.5 where all weights
/// are positive and it is a probability, else 0; and only classes that some leaf voted for can win.
struct TreeEnsembleClassifier: Operator {
  private let forest: DecisionForest
  private let labels: ClassLabels
  private let transform: PostTransform
  private let baseValues: [Double]
  private let hasPositiveWeights: Bool
  /// Where there are one or two classes, the only one that leaves vote for.
  private let onlyVoted: Int?

  init(_ node: inout NodeReader) throws(ModelError) {
    labels = try ClassLabels(&node, integers: "classlabels_int64s", texts: "classlabels_strings")
    let count = max(labels.count, 1)
    forest = try node.namedForest(votes: "class", count: count)
    transform = try node.postTransform()
    hasPositiveWeights = forest.votes.allSatisfy { $0.weight >= 0 }
    let voted = Set(forest.votes.map(\.target))
    let onlyVoted = count <= 2 && voted.count == 1 ? Int(voted.first!) : nil
    baseValues = try node.baseValues { $0 == count || $0 == 0 || ($0 == 1 && count == 2) }
    self.onlyVoted = onlyVoted
  }

  private var count: Int { max(labels.count, 1) }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let rows = try forest.rows(facts)
    return [Fact(labels.elementType, [rows]), Fact(.float, [rows, count])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let rows = try FeatureRows(inputs[0])
    let results = try outputs.context.mapBlocks(rows.count, of: forest) { range in
      decide(
        Ballots(forest, rows, range, .sum, targets: count, baseValues: baseValues))
    }
    labels.put(results.flatMap(\.winners), outputs)
    if outputs.wants(1) { outputs[1].store(Array(results.map(\.scores).joined())) }
  }

  private func decide(_ votes: Ballots) -> (winners: [Int], scores: [Double]) {
    var ballots = votes
    guard let onlyVoted else {
      let winners = (0..<ballots.rowCount).map(ballots.winner)
      ballots.apply(transform)
      return (winners, ballots.scores)
    }
    let threshold = hasPositiveWeights && count == 2 ? 0.5 : 0
    let singles = (0..<ballots.rowCount).map { ballots.scores[$0 * count + onlyVoted] }
    let winners = singles.map { $0 > threshold ? 1 : 0 }
    if onlyVoted == 0 && count == 2 {
      let pairs = singles.map { transform.pair($0, isProbability: hasPositiveWeights) }
      return (winners, Array(pairs.joined()))
    }
    ballots.apply(transform)
    return (winners, ballots.scores)
  }
}
