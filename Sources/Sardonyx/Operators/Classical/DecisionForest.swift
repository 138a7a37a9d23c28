/// Decision trees in one compact form, whichever operator and version described them.
///
/// Nodes lie in the order in which a walk that prefers the true branch meets them, so that a tree is
/// close together in memory. A child that is negative is the leaf `~child`. Thresholds and votes are
/// doubles, which hold the values of every allowed type.
struct DecisionForest: Sendable {
  /// The comparison that sends a row to the true branch, in the order of TreeEnsemble's numbers.
  enum Mode: UInt8, Sendable {
    case lessOrEqual, less, greaterOrEqual, greater, equal, notEqual, member
  }

  struct Node: Sendable {
    /// For ``Mode/member`` the number of the set instead.
    var threshold: Double
    var feature: Int32
    var whenTrue: Int32
    var whenFalse: Int32
    var mode: Mode
    /// Whether a missing value (NaN) takes the true branch.
    var missingIsTrue: Bool

    /// Lets the node ask by ≤ what it asks by <, ≥ or >, with the number next below and with its branches
    /// exchanged.
    mutating func compareByLessOrEqual() {
      guard threshold.isFinite else { return }
      switch mode {
      case .less: threshold = threshold.nextDown
      case .greaterOrEqual:
        threshold = threshold.nextDown
        exchangeBranches()
      case .greater: exchangeBranches()
      case .lessOrEqual, .equal, .notEqual, .member: return
      }
      mode = .lessOrEqual
    }

    private mutating func exchangeBranches() {
      swap(&whenTrue, &whenFalse)
      missingIsTrue.toggle()
    }
  }

  /// What a leaf adds to one target or class.
  struct Vote: Sendable {
    var target: Int32
    var weight: Double
  }

  let nodes: [Node]
  /// The children (as in nodes) that trees begin with.
  let roots: [Int32]
  /// The votes of leaf i are those from `leafStarts[i]` to `leafStarts[i + 1]`.
  let votes: [Vote]
  let leafStarts: [Int32]
  /// The members of each set, sorted.
  let sets: [[Double]]
  /// 1 + the largest feature that a node reads.
  let width: Int
  /// Whether all nodes compare by ≤, as most do.
  private let isPlain: Bool

  init(
    nodes: [Node], roots: [Int32], votes: [Vote], leafStarts: [Int32], sets: [[Double]]
  ) {
    self.nodes = nodes
    self.roots = roots
    self.votes = votes
    self.leafStarts = leafStarts
    self.sets = sets
    width = 1 + nodes.reduce(-1) { max($0, Int($1.feature)) }
    isPlain = nodes.allSatisfy { $0.mode == .lessOrEqual }
  }

  /// Rows that go down a tree side by side: each waits for memory and comparisons, all together do not.
  private static let rowsTogether = 8

  /// Calls `body` with each row and each vote of the leaves that it falls into, tree after tree, so that a
  /// tree is fetched into the cache once for all rows.
  /// - Parameter numbers: so many rows of `width` numbers.
  @inline(__always)
  func forEachVote(
    _ numbers: UnsafePointer<Double>, rows: Int, width: Int, _ body: (Int, Vote) -> Void
  ) {
    unsafe nodes.withUnsafeBufferPointer { nodes in
      for root in roots {
        for first in stride(from: 0, to: rows, by: Self.rowsTogether) {
          let count = min(Self.rowsTogether, rows - first)
          var leaves = InlineArray<8, Int32>(repeating: root)
          if isPlain {
            unsafe self.leaves(&leaves, nodes, numbers, first, count, width)
          } else {
            for row in 0..<count {
              leaves[row] = unsafe leaf(root, nodes, numbers + (first + row) * width)
            }
          }
          for row in 0..<count {
            let leaf = Int(~leaves[row])
            for index in Int(leafStarts[leaf])..<Int(leafStarts[leaf + 1]) {
              body(first + row, votes[index])
            }
          }
        }
      }
    }
  }

  /// The leaves that some rows fall into.
  @inline(__always)
  private func leaves(
    _ places: inout InlineArray<8, Int32>, _ nodes: UnsafeBufferPointer<Node>,
    _ numbers: UnsafePointer<Double>, _ first: Int, _ count: Int, _ width: Int
  ) {
    guard places[0] >= 0, let nodes = nodes.baseAddress else { return }
    // Where there are fewer, the last one goes along several times.
    var starts = InlineArray<8, Int>(repeating: (first + count - 1) * width)
    for row in 0..<count { starts[row] = (first + row) * width }
    while true {
      var isDone: Int32 = -1
      for row in 0..<8 {
        let place = places[row]
        let node = unsafe nodes + Int(max(place, 0))
        let value = unsafe numbers[starts[row] + Int(node.pointee.feature)]
        let threshold = unsafe node.pointee.threshold
        let isTrue = unsafe node.pointee.missingIsTrue ? !(value > threshold) : value <= threshold
        let next = unsafe isTrue ? node.pointee.whenTrue : node.pointee.whenFalse
        places[row] = place < 0 ? place : next
        isDone &= places[row]
      }
      if isDone < 0 { return }
    }
  }

  private func leaf(
    _ root: Int32, _ nodes: UnsafeBufferPointer<Node>, _ row: UnsafePointer<Double>
  ) -> Int32 {
    var position = root
    while position >= 0 {
      let node = unsafe nodes[Int(position)]
      let value = unsafe row[Int(node.feature)]
      let isTrue = passes(value, node) || (node.missingIsTrue && value.isNaN)
      position = isTrue ? node.whenTrue : node.whenFalse
    }
    return position
  }

  private func passes(_ value: Double, _ node: Node) -> Bool {
    switch node.mode {
    case .lessOrEqual: value <= node.threshold
    case .less: value < node.threshold
    case .greaterOrEqual: value >= node.threshold
    case .greater: value > node.threshold
    case .equal: value == node.threshold
    case .notEqual: value != node.threshold
    case .member: Self.contains(sets[Int(node.threshold)], value)
    }
  }

  /// Binary search.
  private static func contains(_ set: [Double], _ value: Double) -> Bool {
    var range = 0..<set.count
    while let middle = range.isEmpty ? nil : (range.lowerBound + range.upperBound) / 2 {
      if set[middle] == value { return true }
      range = set[middle] < value ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    return false
  }
}

/// Decision trees as a model's attributes describe them: nodes in any order, unchecked.
struct ForestDescription {
  struct Node {
    var mode: DecisionForest.Mode
    var feature: Int
    var threshold: Double
    var missingIsTrue: Bool
    /// A position among ``nodes``, or `~leaf`.
    var whenTrue: Int
    var whenFalse: Int
  }
  var nodes: [Node] = []
  var roots: [Int] = []
  /// The votes of all leaves, one after the other.
  private(set) var votes: [DecisionForest.Vote] = []
  /// Where the votes of each leaf begin, and at last where those of the last one end.
  private(set) var leafStarts: [Int32] = [0]
  var sets: [[Double]] = []

  private var leafCount: Int { leafStarts.count - 1 }

  /// Sets the votes of all leaves; those of one keep their order.
  mutating func setVotes(_ given: [(leaf: Int, vote: DecisionForest.Vote)], leafCount: Int) {
    leafStarts = Array(repeating: 0, count: leafCount + 1)
    for (leaf, _) in given { leafStarts[leaf + 1] += 1 }
    for leaf in 0..<leafCount { leafStarts[leaf + 1] += leafStarts[leaf] }
    var next = leafStarts
    votes = Array(
      repeating: DecisionForest.Vote(target: 0, weight: 0), count: given.count)
    for (leaf, vote) in given {
      votes[Int(next[leaf])] = vote
      next[leaf] += 1
    }
  }

  /// The compact form.
  /// - Throws: ``ModelError`` (invalid) where a child or feature does not exist or nodes form a
  ///   cycle.
  func compiled() throws(ModelError) -> DecisionForest {
    var order = NodeOrder(count: nodes.count)
    for root in roots where root >= 0 { try order.visit(root, in: self) }
    var compact: [DecisionForest.Node] = []
    compact.reserveCapacity(order.visited.count)
    for position in order.visited {
      let node = nodes[position]
      guard let feature = Int32(exactly: node.feature), feature >= 0 else {
        throw ModelError(.invalid, "node \(position) of the trees: feature \(node.feature)")
      }
      var made = DecisionForest.Node(
        threshold: node.threshold, feature: feature,
        whenTrue: try child(node.whenTrue, order), whenFalse: try child(node.whenFalse, order),
        mode: node.mode, missingIsTrue: node.missingIsTrue)
      made.compareByLessOrEqual()
      compact.append(made)
    }
    var compactRoots: [Int32] = []
    for root in roots { compactRoots.append(try child(root, order)) }
    return DecisionForest(
      nodes: compact, roots: compactRoots, votes: votes, leafStarts: leafStarts, sets: sets)
  }

  private func child(_ position: Int, _ order: NodeOrder) throws(ModelError) -> Int32 {
    if position >= 0 { return Int32(order.places[position]) }
    guard ~position < leafCount else {
      throw .unexpected(
        "a leaf of the trees", expected: "0 ..< \(leafCount)", got: "\(~position)",
        code: .invalid)
    }
    return Int32(position)
  }
}

/// The order in which walks down from the roots meet the nodes, true branches first.
private struct NodeOrder {
  private(set) var visited: [Int] = []
  /// Where each node stands in the order; -1 for those not met.
  private(set) var places: [Int]
  /// Nodes whose branches have all been followed.
  private var isFinished: [Bool]

  init(count: Int) {
    places = Array(repeating: -1, count: count)
    isFinished = Array(repeating: false, count: count)
  }

  /// Follows all branches below a node.
  ///
  /// A node stays on the stack until its branches are done; meeting it before then is a cycle.
  mutating func visit(_ root: Int, in description: ForestDescription) throws(ModelError) {
    var stack = [root]
    while let position = stack.last {
      guard places.indices.contains(position) else {
        throw .unexpected(
          "a node of the trees", expected: "0 ..< \(places.count)", got: "\(position)",
          code: .invalid)
      }
      guard places[position] < 0 else {
        isFinished[position] = true
        stack.removeLast()
        continue
      }
      places[position] = visited.count
      visited.append(position)
      let node = description.nodes[position]
      for next in [node.whenFalse, node.whenTrue] where next >= 0 {
        if places.indices.contains(next), places[next] >= 0, !isFinished[next] {
          throw ModelError(.invalid, "node \(next) of the trees is below itself")
        }
        stack.append(next)
      }
    }
  }
}
