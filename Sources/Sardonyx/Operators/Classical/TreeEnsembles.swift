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
@safe struct Ballots {
  /// How many rows are counted at a time.
  fileprivate static let blockSize = 64
  private let targets: Int
  /// Row-major, as `hasVote`.
  private let scores: UnsafeMutablePointer<Double>
  private let hasVote: UnsafeMutablePointer<Bool>

  /// Counts the votes of all trees, and the base values for one vote each.
  fileprivate init(
    _ forest: DecisionForest, _ numbers: UnsafePointer<Double>, rows: Int, width: Int,
    _ aggregate: Aggregate, targets: Int, baseValues: [Double],
    scores: UnsafeMutablePointer<Double>, hasVote: UnsafeMutablePointer<Bool>
  ) {
    self.targets = targets
    unsafe (self.scores, self.hasVote) = (scores, hasVote)
    unsafe scores.initialize(repeating: 0, count: rows * targets)
    unsafe hasVote.initialize(repeating: false, count: rows * targets)
    unsafe forest.forEachVote(numbers, rows: rows, width: width) { row, vote in
      let place = row * targets + Int(vote.target)
      let score = unsafe scores[place]
      switch aggregate {
      case .sum, .average: unsafe scores[place] = score + vote.weight
      case .min:
        unsafe scores[place] = hasVote[place] ? Swift.min(score, vote.weight) : vote.weight
      case .max:
        unsafe scores[place] = hasVote[place] ? Swift.max(score, vote.weight) : vote.weight
      }
      unsafe hasVote[place] = true
    }
    for place in 0..<rows * targets {
      if aggregate == .average { unsafe scores[place] /= Double(forest.roots.count) }
      guard place % targets < baseValues.count else { continue }
      unsafe scores[place] += baseValues[place % targets]
      unsafe hasVote[place] = true
    }
  }

  /// The scores of a row.
  func row(_ row: Int) -> UnsafeMutableBufferPointer<Double> {
    unsafe UnsafeMutableBufferPointer(start: scores + row * targets, count: targets)
  }

  /// The target of a row's highest score among those voted for, the first of equals.
  func winner(_ row: Int) -> Int {
    var best = (position: 0, score: -Double.infinity)
    for target in 0..<targets {
      let place = row * targets + target
      if unsafe hasVote[place], unsafe scores[place] > best.score {
        best = unsafe (target, scores[place])
      }
    }
    return best.position
  }
}

extension DecisionForest {
  /// Calls `body` with the number of each row and the ballots that have it at another number.
  fileprivate func forEachRow<T: BinaryFloatingPoint & BitwiseCopyable & Sendable>(
    _ x: UnsafePointer<T>, rows: Int, width: Int, _ aggregate: Aggregate = .sum, targets: Int,
    baseValues: [Double], on crew: Crew, _ body: @Sendable (Int, Ballots, Int) -> Void
  ) {
    let size = Ballots.blockSize
    let blocks = (rows + size - 1) / size
    nonisolated(unsafe) let x = unsafe x
    // A tree takes a row some 5 ns.
    let work = max(1, size * roots.count * 5)
    // Features that no node reads are left where they are.
    let used = min(width, self.width)
    let room = size * (used + targets) * MemoryLayout<Double>.stride + size * targets
    crew.performRanges(of: blocks, by: max(1, 50_000 / work)) { range in
      unsafe crew.scratch.withBytes(room) { bytes in
        let numbers = unsafe bytes.assumingMemoryBound(to: Double.self)
        let scores = unsafe numbers + size * used
        let hasVote = unsafe UnsafeMutableRawPointer(scores + size * targets)
          .assumingMemoryBound(to: Bool.self)
        for block in range {
          let first = block * size
          let count = min(size, rows - first)
          for row in 0..<count {
            let source = unsafe x + (first + row) * width
            for index in 0..<used { unsafe numbers[row * used + index] = Double(source[index]) }
          }
          let ballots = unsafe Ballots(
            self, numbers, rows: count, width: used, aggregate, targets: targets,
            baseValues: baseValues, scores: scores, hasVote: hasVote)
          for row in 0..<count { body(first + row, ballots, row) }
        }
      }
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

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    switch (try inputs.type(0), outputs[0]?.elementType) {
    case (.float, .float):
      return try computation(inputs, from: Float.self, to: Float.self)
    case (.double, .float): return try computation(inputs, from: Double.self, to: Float.self)
    case (.double, .double): return try computation(inputs, from: Double.self, to: Double.self)
    default: return nil
    }
  }

  private func computation<
    T: BinaryFloatingPoint & BitwiseCopyable & Sendable,
    R: BinaryFloatingPoint & BitwiseCopyable & Sendable
  >(_ inputs: Facts, from _: T.Type, to _: R.Type) throws(ModelError) -> Computation {
    let (rows, width) = try FeatureRows.extents(inputs.shape(0))
    return { addresses, crew in
      nonisolated(unsafe) let y: UnsafeMutablePointer<R> = unsafe addresses.output()
      let x: UnsafePointer<T> = unsafe addresses.input(0)
      unsafe forest.forEachRow(
        x, rows: rows, width: width, aggregate, targets: targets, baseValues: baseValues, on: crew
      ) { row, ballots, place in
        let scores = unsafe ballots.row(place)
        unsafe transform.apply(scores)
        for target in 0..<targets { unsafe y[row * targets + target] = R(scores[target]) }
      }
    }
  }

  /// - Parameter runner: the operator itself.
  func run(_ runner: some Operator, _ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    if try runner.compute(inputs, outputs) { return }
    // Numbers of other types, in doubles.
    let x = inputs[0].mapped(to: .double) { _, _ in }
    let rows = try FeatureRows.extents(x.shape).count
    let result = Destination(
      .double, outputs[0].shape,
      storage: try outputs.context.allocate(.double, outputs[0].shape))
    let (width, crew) = (rows == 0 ? 0 : x.elementCount / rows, outputs.context.crew)
    nonisolated(unsafe) let y = unsafe result.pointer(as: Double.self)
    unsafe forest.forEachRow(
      x.pointer(as: Double.self), rows: rows, width: width, aggregate, targets: targets,
      baseValues: baseValues, on: crew
    ) { row, ballots, place in
      let scores = unsafe ballots.row(place)
      unsafe transform.apply(scores)
      for target in 0..<targets { unsafe y[row * targets + target] = scores[target] }
    }
    try Interruption.check()
    outputs[0].store(result.tensor(texts: .none).array(of: Double.self))
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

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    try regression.computation(inputs, outputs)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try regression.run(self, inputs, outputs)
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

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    try regression.computation(inputs, outputs)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try regression.run(self, inputs, outputs)
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

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard let numbers = labels.numbers else { return nil }
    switch try inputs.type(0) {
    case .float: return try computation(inputs, numbers, from: Float.self)
    case .double: return try computation(inputs, numbers, from: Double.self)
    default: return nil
    }
  }

  private func computation<T: BinaryFloatingPoint & BitwiseCopyable & Sendable>(
    _ inputs: Facts, _ numbers: [Int64], from _: T.Type
  ) throws(ModelError) -> Computation {
    let (rows, width) = try FeatureRows.extents(inputs.shape(0))
    return { addresses, crew in
      nonisolated(unsafe) let winners: UnsafeMutablePointer<Int64> = unsafe addresses.output(0)
      unsafe decide(
        addresses.input(0, as: T.self), rows: rows, width: width,
        scores: addresses.wanted(1)?.assumingMemoryBound(to: Float.self), on: crew
      ) { row, winner in unsafe winners[row] = numbers[winner] }
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (rows, width) = try FeatureRows.extents(inputs[0].shape)
    let scores = unsafe outputs.wants(1) ? outputs[1].pointer(as: Float.self) : nil
    let crew = outputs.context.crew
    let winners = unsafe [Int](unsafeUninitializedCapacity: rows) { buffer, count in
      count = rows
      guard let start = buffer.baseAddress else { return }
      Interruption.inStretches(of: rows) {
        unsafe (start + $0.lowerBound).initialize(repeating: 0, count: $0.count)
      }
      nonisolated(unsafe) let winners = unsafe start
      let put: @Sendable (Int, Int) -> Void = { row, winner in unsafe winners[row] = winner }
      if inputs[0].type == .float {
        unsafe decide(
          inputs[0].pointer(as: Float.self), rows: rows, width: width, scores: scores, on: crew,
          put)
      } else {
        let x = inputs[0].mapped(to: .double) { _, _ in }
        unsafe decide(
          x.pointer(as: Double.self), rows: rows, width: width, scores: scores, on: crew, put)
      }
    }
    try Interruption.check()
    try labels.put(winners, outputs)
  }

  /// Tells the class of each row, and writes the scores of all classes.
  private func decide<T: BinaryFloatingPoint & BitwiseCopyable & Sendable>(
    _ x: UnsafePointer<T>, rows: Int, width: Int, scores: UnsafeMutablePointer<Float>?,
    on crew: Crew, _ put: @Sendable (_ row: Int, _ winner: Int) -> Void
  ) {
    nonisolated(unsafe) let y = unsafe scores
    unsafe forest.forEachRow(
      x, rows: rows, width: width, targets: count, baseValues: baseValues, on: crew
    ) { row, ballots, place in
      let scores = unsafe ballots.row(place)
      put(row, unsafe decide(ballots, place, scores))
      guard let y = unsafe y else { return }
      for target in 0..<count { unsafe y[row * count + target] = Float(scores[target]) }
    }
  }

  /// The class of a row, whose scores become those to be told.
  private func decide(
    _ ballots: Ballots, _ row: Int, _ scores: UnsafeMutableBufferPointer<Double>
  ) -> Int {
    guard let onlyVoted else {
      let winner = ballots.winner(row)
      unsafe transform.apply(scores)
      return winner
    }
    let single = unsafe scores[onlyVoted]
    if onlyVoted == 0 && count == 2 {
      let both = transform.both(single, isProbability: hasPositiveWeights)
      unsafe (scores[0], scores[1]) = (both.negative, both.positive)
    } else {
      unsafe transform.apply(scores)
    }
    return single > (hasPositiveWeights && count == 2 ? 0.5 : 0) ? 1 : 0
  }
}
