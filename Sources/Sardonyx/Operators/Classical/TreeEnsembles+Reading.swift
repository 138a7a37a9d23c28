/// Reading of forests from attributes, of which ai.onnx.ml has two designs.
extension NodeReader {
  /// The forest of TreeEnsembleClassifier and TreeEnsembleRegressor: nodes, leaves among them, named
  /// by tree and number, and votes by such names.
  /// - Parameters:
  ///   - votes: the prefix of the attributes for votes.
  ///   - count: how many targets or classes there are.
  mutating func namedForest(votes prefix: String, count: Int) throws(ModelError) -> DecisionForest {
    ignore("nodes_hitrates", "nodes_hitrates_as_tensor")
    let trees = try required(ints("nodes_treeids"), "nodes_treeids", count: nil)
    let size = trees.count
    let numbers = try required(ints("nodes_nodeids"), "nodes_nodeids", count: size)
    let modes = try modes(required(strings("nodes_modes"), "nodes_modes", count: size))
    let features = try required(ints("nodes_featureids"), "nodes_featureids", count: size)
    let thresholds = try required(reals("nodes_values"), "nodes_values", count: size)
    let whenTrue = try required(ints("nodes_truenodeids"), "nodes_truenodeids", count: size)
    let whenFalse = try required(ints("nodes_falsenodeids"), "nodes_falsenodeids", count: size)
    let missing = try missingTracksTrue(count: size)

    var forest = ForestDescription()
    let places = NodePlaces(trees, numbers, isLeaf: modes.map { $0 == nil })
    guard places.isUnique else {
      throw invalid("nodes_nodeids", expected: "each number once in a tree", got: "some twice")
    }
    try forest.setVotes(namedVotes(prefix, count: count, places), leafCount: places.leafCount)
    forest.roots = places.roots
    forest.nodes.reserveCapacity(size)
    for index in 0..<size {
      let (tree, mode) = (trees[index], modes[index])
      forest.nodes.append(
        ForestDescription.Node(
          mode: mode ?? .equal, feature: features[index],
          threshold: thresholds[index], missingIsTrue: missing[index],
          whenTrue: mode == nil ? 0 : try places.child(tree, whenTrue[index], near: index),
          whenFalse: mode == nil ? 0 : try places.child(tree, whenFalse[index], near: index)))
    }
    return try forest.compiled()
  }

  /// The comparisons that texts name, nil for a leaf.
  private func modes(_ texts: [String]) throws(ModelError) -> [DecisionForest.Mode?] {
    var modes: [DecisionForest.Mode?] = []
    modes.reserveCapacity(texts.count)
    // Nearly all nodes have the same one.
    var last: (text: String, mode: DecisionForest.Mode)?
    for text in texts {
      if text == "LEAF" {
        modes.append(nil)
        continue
      }
      if last?.text != text {
        guard let mode = Self.branches[text] else {
          throw invalid("nodes_modes", expected: "BRANCH_LEQ or its like, or LEAF", got: text)
        }
        last = (text, mode)
      }
      modes.append(last!.mode)
    }
    return modes
  }

  private static let branches: [String: DecisionForest.Mode] = [
    "BRANCH_LEQ": .lessOrEqual, "BRANCH_LT": .less, "BRANCH_GTE": .greaterOrEqual,
    "BRANCH_GT": .greater, "BRANCH_EQ": .equal, "BRANCH_NEQ": .notEqual,
  ]

  /// The votes with the numbers of their leaves, in the order of the attributes.
  private mutating func namedVotes(_ prefix: String, count: Int, _ places: NodePlaces)
    throws(ModelError) -> [(leaf: Int, vote: DecisionForest.Vote)]
  {
    let trees = try required(ints(prefix + "_treeids"), prefix + "_treeids", count: nil)
    let size = trees.count
    let numbers = try required(ints(prefix + "_nodeids"), prefix + "_nodeids", count: size)
    let targets = try required(ints(prefix + "_ids"), prefix + "_ids", count: size)
    let weights = try required(reals(prefix + "_weights"), prefix + "_weights", count: size)
    var votes: [(leaf: Int, vote: DecisionForest.Vote)] = []
    votes.reserveCapacity(size)
    for index in 0..<size {
      guard (0..<count).contains(targets[index]) else {
        throw invalid(prefix + "_ids", expected: "numbers 0 ..< \(count)", got: targets[index])
      }
      let place = try places.child(trees[index], numbers[index], near: nil)
      // Votes at branches are never reached.
      guard place < 0 else { continue }
      votes.append(
        (~place, DecisionForest.Vote(target: Int32(targets[index]), weight: weights[index])))
    }
    return votes
  }

  /// The forest of TreeEnsemble-5: branches by position, leaves by position in lists of their own.
  mutating func numberedForest(targets: Int) throws(ModelError) -> DecisionForest {
    ignore("nodes_hitrates")
    var forest = ForestDescription()
    let features = try required(ints("nodes_featureids"), "nodes_featureids", count: nil)
    let size = features.count
    let modes = try required(reals("nodes_modes", suffix: ""), "nodes_modes", count: size)
    let splits = try required(reals("nodes_splits", suffix: ""), "nodes_splits", count: size)
    let whenTrue = try children("true", count: size)
    let whenFalse = try children("false", count: size)
    let missing = try missingTracksTrue(count: size)
    forest.sets = try memberSets(
      count: modes.count { $0 == Double(DecisionForest.Mode.member.rawValue) })
    var nextSet = 0
    for index in 0..<size {
      guard let mode = UInt8(exactly: modes[index]).flatMap(DecisionForest.Mode.init) else {
        throw invalid("nodes_modes", expected: "numbers 0 to 6", got: modes[index])
      }
      forest.nodes.append(
        ForestDescription.Node(
          mode: mode, feature: features[index],
          threshold: mode == .member ? Double(nextSet) : splits[index],
          missingIsTrue: missing[index], whenTrue: whenTrue[index], whenFalse: whenFalse[index]))
      if mode == .member { nextSet += 1 }
    }
    forest.roots = try required(ints("tree_roots"), "tree_roots", count: nil)
    guard forest.roots.allSatisfy({ $0 >= 0 }) else {
      throw invalid("tree_roots", expected: "0 or more", got: forest.roots.min()!)
    }
    let votes = try numberedLeaves(targets: targets)
    forest.setVotes(votes.enumerated().map { ($0, $1) }, leafCount: votes.count)
    return try forest.compiled()
  }

  /// Children of one branch: positions of nodes, or `~leaf`.
  private mutating func children(_ branch: String, count: Int) throws(ModelError) -> [Int] {
    let name = "nodes_\(branch)nodeids"
    let positions = try required(ints(name), name, count: count)
    let isLeaf = try required(
      ints("nodes_\(branch)leafs"), "nodes_\(branch)leafs", count: count)
    guard positions.allSatisfy({ $0 >= 0 }) else {
      throw invalid(name, expected: "0 or more", got: positions.min()!)
    }
    return zip(positions, isLeaf).map { $1 == 0 ? $0 : ~$0 }
  }

  private mutating func numberedLeaves(targets: Int) throws(ModelError) -> [DecisionForest.Vote] {
    let ids = try required(ints("leaf_targetids"), "leaf_targetids", count: nil)
    let weights = try required(reals("leaf_weights", suffix: ""), "leaf_weights", count: ids.count)
    guard ids.allSatisfy({ (0..<targets).contains($0) }) else {
      throw invalid("leaf_targetids", expected: "numbers 0 ..< \(targets)", got: ids)
    }
    return zip(ids, weights).map { DecisionForest.Vote(target: Int32($0), weight: $1) }
  }

  /// The sets of BRANCH_MEMBER nodes, in their order, each ended by a NaN in the attribute.
  private mutating func memberSets(count: Int) throws(ModelError) -> [[Double]] {
    let values: [Double] = try reals("membership_values", suffix: "") ?? []
    var sets: [[Double]] = []
    var set: [Double] = []
    for value in values {
      guard value.isNaN else {
        set.append(value)
        continue
      }
      sets.append(set.sorted())
      set = []
    }
    if !set.isEmpty { sets.append(set.sorted()) }
    guard sets.count == count else {
      throw invalid("membership_values", expected: "\(count) sets", got: sets.count)
    }
    return sets
  }

  /// For each node, whether missing values take the true branch.
  private mutating func missingTracksTrue(count: Int) throws(ModelError) -> [Bool] {
    let name = "nodes_missing_value_tracks_true"
    guard let flags = try ints(name), !flags.isEmpty else {
      return Array(repeating: false, count: count)
    }
    return try required(flags, name, count: count).map { $0 != 0 }
  }

  /// The attribute `base_values` or `base_values_as_tensor`, of an allowed length.
  mutating func baseValues(allowed: (Int) -> Bool) throws(ModelError) -> [Double] {
    let values = try reals("base_values") ?? []
    guard allowed(values.count) else {
      throw invalid("base_values", expected: "a value for each score, or none", got: values.count)
    }
    return values
  }

  /// An attribute that numbers the cases of an enumeration.
  mutating func numbered<T: CaseIterable>(_ name: String, default value: T) throws(ModelError) -> T
  where T.AllCases == [T] {
    guard let number = try int(name) else { return value }
    guard T.allCases.indices.contains(number) else {
      throw invalid(name, expected: "0 to \(T.allCases.count - 1)", got: number)
    }
    return T.allCases[number]
  }

  /// A list of floats, or the numbers of a tensor attribute whose name may have a suffix.
  private mutating func reals(_ name: String, suffix: String = "_as_tensor") throws(ModelError)
    -> [Double]?
  {
    let tensor = try tensor(name + suffix)
    if let tensor, tensor.type.computed != nil { return tensor.converted() }
    return suffix.isEmpty ? nil : try doubles(name)
  }

  /// The list, which must be there and have so many elements.
  private func required<T>(_ list: [T]?, _ name: String, count: Int?) throws(ModelError) -> [T] {
    guard let list else { throw missing(name) }
    if let count, list.count != count {
      throw invalid(name, expected: "\(count) elements, one for each", got: list.count)
    }
    return list
  }
}

/// Where nodes lie by name, which is their tree and their number there: branches at their position,
/// leaves at the complement of a number of their own.
private struct NodePlaces {
  private struct Name: Hashable {
    let tree: Int
    let number: Int
  }

  /// Per node.
  private var places: [Int] = []
  /// Per node, where the nodes of its tree begin, and per tree, where they lie: where each tree's nodes
  /// stand together and are numbered from 0 on, as all libraries write them.
  private var starts: [Int] = []
  private var ranges: [Int: Range<Int>] = [:]
  /// Per name, the node, where that is not so.
  private var positions: [Name: Int]?
  private(set) var leafCount = 0
  /// The first node of each tree.
  private(set) var roots: [Int] = []
  private(set) var isUnique = true

  init(_ trees: [Int], _ numbers: [Int], isLeaf: [Bool]) {
    places.reserveCapacity(trees.count)
    starts.reserveCapacity(trees.count)
    for position in trees.indices {
      places.append(isLeaf[position] ? ~leafCount : position)
      if isLeaf[position] { leafCount += 1 }
    }
    if !findRanges(trees, numbers) { listNames(trees, numbers) }
  }

  /// - Returns: false where a tree is scattered, or numbered otherwise.
  private mutating func findRanges(_ trees: [Int], _ numbers: [Int]) -> Bool {
    var first = 0
    for position in trees.indices {
      if trees[position] != trees[first] {
        guard end(of: trees[first], first..<position) else { return false }
        first = position
      }
      guard numbers[position] == position - first else { return false }
      starts.append(first)
    }
    return trees.isEmpty || end(of: trees[first], first..<trees.count)
  }

  private mutating func end(of tree: Int, _ range: Range<Int>) -> Bool {
    roots.append(places[range.lowerBound])
    return ranges.updateValue(range, forKey: tree) == nil
  }

  private mutating func listNames(_ trees: [Int], _ numbers: [Int]) {
    var seen: Set<Int> = []
    roots = []
    var positions: [Name: Int] = [:]
    for position in trees.indices {
      positions[Name(tree: trees[position], number: numbers[position])] = position
      if seen.insert(trees[position]).inserted { roots.append(places[position]) }
    }
    isUnique = positions.count == trees.count
    self.positions = positions
  }

  /// - Parameter near: a node of the tree, where one is at hand.
  func child(_ tree: Int, _ number: Int, near: Int?) throws(ModelError) -> Int {
    if let position = position(tree, number, near: near) { return places[position] }
    throw ModelError(.invalid, "tree \(tree) has no node \(number)")
  }

  private func position(_ tree: Int, _ number: Int, near: Int?) -> Int? {
    if let positions { return positions[Name(tree: tree, number: number)] }
    // Any node of the tree tells where it begins; a number counts within the whole of it.
    if let near, number >= 0, number < starts.count - starts[near] {
      let position = starts[near] + number
      return starts[position] == starts[near] ? position : nil
    }
    guard let range = ranges[tree], number >= 0, number < range.count else { return nil }
    return range.lowerBound + number
  }
}
