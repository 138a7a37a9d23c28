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

/// The scores of one row, and which of them any leaf has voted for.
struct Ballot: Sendable {
  private(set) var scores: [Double]
  private(set) var hasVote: [Bool]

  /// Counts the votes of all trees.
  init(_ forest: DecisionForest, _ row: Span<Double>, targets: Int, _ aggregate: Aggregate) {
    var scores = [Double](repeating: 0, count: targets)
    var hasVote = [Bool](repeating: false, count: targets)
    forest.forEachVote(row) { vote in
      let target = Int(vote.target)
      let score = scores[target]
      switch aggregate {
      case .sum, .average: scores[target] = score + vote.weight
      case .min: scores[target] = hasVote[target] ? Swift.min(score, vote.weight) : vote.weight
      case .max: scores[target] = hasVote[target] ? Swift.max(score, vote.weight) : vote.weight
      }
      hasVote[target] = true
    }
    if aggregate == .average {
      for target in scores.indices { scores[target] /= Double(forest.roots.count) }
    }
    self.scores = scores
    self.hasVote = hasVote
  }

  /// Adds the base values, which count as votes.
  mutating func add(_ baseValues: [Double]) {
    for (target, value) in baseValues.enumerated() {
      scores[target] += value
      hasVote[target] = true
    }
  }

  /// The target of the highest score among those voted for, the first of equals.
  var winner: Int {
    zip(scores, hasVote).map { $1 ? $0 : -.infinity }.indexOfLargest
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
    let results = try outputs.context.map(rows.count, cost: forest.cost) { row in
      var ballot = Ballot(
        forest, rows.numbers.span.extracting(rows.range(row)), targets: targets, aggregate)
      ballot.add(baseValues)
      var scores = ballot.scores
      transform.apply(&scores, scores.indices)
      return scores
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

  /// About how many nanoseconds a row takes.
  fileprivate var cost: Int { roots.count * 40 }
}

struct TreeEnsembleRegressor: Operator {
  private let regression: ForestRegression

  init(_ node: inout NodeReader) throws(ModelError) {
    let targets = try node.int("n_targets", default: 1)
    guard (1...0xffff).contains(targets) else {
      throw node.invalid("n_targets", expected: "1 to 65535", got: targets)
    }
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
    let targets = try node.int("n_targets", default: 1)
    guard (1...0xffff).contains(targets) else {
      throw node.invalid("n_targets", expected: "1 to 65535", got: targets)
    }
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

/// The class that gets most votes, and the scores of all.
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
    let results = try outputs.context.map(rows.count, cost: forest.cost) { row in
      decide(Ballot(forest, rows.numbers.span.extracting(rows.range(row)), targets: count, .sum))
    }
    labels.put(results.map(\.winner), outputs)
    if outputs.wants(1) { outputs[1].store(Array(results.map(\.scores).joined())) }
  }

  private func decide(_ votes: Ballot) -> (winner: Int, scores: [Double]) {
    var ballot = votes
    ballot.add(baseValues)
    var scores = ballot.scores
    var winner = ballot.winner
    if let onlyVoted {
      winner = scores[onlyVoted] > (hasPositiveWeights && count == 2 ? 0.5 : 0) ? 1 : 0
      if onlyVoted == 0 && count == 2 {
        return (winner, transform.pair(scores[0], isProbability: hasPositiveWeights))
      }
    }
    transform.apply(&scores, scores.indices)
    return (winner, scores)
  }
}
