/// Checks a model that was folded, by whatever tool, against the one it was made from.
public struct FoldVerification: Sendable {
  /// A constant that is not what folding the original gives.
  public struct Fault: Sendable {
    /// The node that reads it, as the folded model has it.
    public let node: String
    /// The constant's name in the folded model.
    public let constant: String
    /// What was expected and what was found.
    public let text: String
  }

  /// The constants that are wrong, in the order of the graph.
  public private(set) var faults: [Fault] = []
  /// How many constants were compared.
  public private(set) var checkedCount = 0
  /// Labels of nodes with constants of the original, folded, that have no counterpart.
  public private(set) var unmatched: [String] = []

  /// Folds both, matches their nodes by the names of their outputs, or else by operator and by what
  /// they read, and compares the constants these read.
  ///
  /// A BatchNormalization that only one of them kept is folded here and so compared too, and what a
  /// caller could override counts as its default.
  /// - Parameters:
  ///   - original: the model as it was.
  ///   - folded: what a tool made of it.
  ///   - timeLimit: seconds after which the folding of either ends with a `limit` error.
  /// - Throws: ``ModelError`` of a model that cannot be folded.
  public init(
    _ original: Model, against folded: Model, timeLimit: Double? = nil
  ) throws(ModelError) {
    func graph(_ model: Model) throws(ModelError) -> Graph {
      try FoldedModel.graphWithConstantDefaults(of: model, timeLimit: timeLimit)
    }
    compare(try graph(original), try graph(folded))
  }

  /// Whether no constant is wrong.
  public var passed: Bool { faults.isEmpty }

  private mutating func compare(_ first: Graph, _ second: Graph) {
    let matching = NodeMatching(first, second)
    for (position, node) in first.nodes.enumerated() {
      let hasConstants = node.inputs.contains { first.isNumbers($0) }
      guard let other = matching.counterparts[position].map({ second.nodes[$0] }) else {
        if hasConstants { unmatched.append(node.label) }
        continue
      }
      if hasConstants { compare(node, first, other, second) }
      let pairs = zip(node.implementation.bodies, other.implementation.bodies)
      for (left, right) in pairs { compare(left.graph, right.graph) }
    }
  }

  private mutating func compare(_ node: Node, _ first: Graph, _ other: Node, _ second: Graph) {
    for (index, id) in node.inputs.enumerated() {
      guard first.isNumbers(id), let id, let expected = first.values[id].constant else { continue }
      guard other.inputs.indices.contains(index), let found = other.inputs[index],
        let constant = second.values[found].constant
      else {
        report(other, "input \(index)", "expected a constant, got none")
        continue
      }
      checkedCount += 1
      if let text = Self.difference(expected, constant) {
        report(other, second.values[found].name, text)
      }
    }
  }

  private mutating func report(_ node: Node, _ constant: String, _ text: String) {
    faults.append(Fault(node: node.label, constant: constant, text: text))
  }

  /// What differs by more than some roundings of the type, and than cancellation explains.
  fileprivate static func difference(_ expected: Tensor, _ found: Tensor) -> String? {
    guard expected.elementCount == found.elementCount else {
      return "expected \(expected.elementCount) elements, got \(found.elementCount)"
    }
    let (left, right) = (expected.converted(to: Double.self), found.converted(to: Double.self))
    let largest = left.lazy.filter(\.isFinite).reduce(0) { max($0, abs($1)) }
    let relative = expected.type.fileBitCount <= 16 ? 4e-3 : 1e-4
    func agree(_ a: Double, _ b: Double) -> Bool {
      a == b || (a.isNaN && b.isNaN) || abs(a - b) <= relative * abs(a) + relative / 100 * largest
    }
    let wrong = left.indices.filter { !agree(left[$0], right[$0]) }
    guard let worst = wrong.max(by: { abs(left[$0] - right[$0]) < abs(left[$1] - right[$1]) })
    else { return nil }
    return "expected \(left[worst]) as element \(worst), got \(right[worst]); "
      + "\(wrong.count) of \(left.count) elements differ"
  }
}

/// Which nodes of a graph stand for those of another.
private struct NodeMatching {
  /// For each node of the first graph, the position of its counterpart in the second.
  private(set) var counterparts: [Int?]

  private let first: Graph
  private let second: Graph
  private var isTaken: [Bool]
  /// Values of the second graph by those of the first that they stand for.
  private var values: [Graph.ValueID: Graph.ValueID] = [:]

  /// Nodes are told by the name of what they make, else by what they read, else by their constants;
  /// those of which none of these tells are matched in the end, in their order.
  init(_ first: Graph, _ second: Graph) {
    (self.first, self.second) = (first, second)
    counterparts = first.nodes.map { _ in nil }
    isTaken = second.nodes.map { _ in false }
    let inputs = [String: Graph.ValueID](
      second.inputs.map { (second.values[$0].name, $0) }, uniquingKeysWith: { one, _ in one })
    for (index, id) in first.inputs.enumerated() {
      let placed = second.inputs.indices.contains(index) ? second.inputs[index] : nil
      values[id] = inputs[first.values[id].name] ?? placed
    }
    var byOutput: [String: Int] = [:]
    for (position, node) in second.nodes.enumerated() {
      for case let id? in node.outputs { byOutput[second.values[id].name] = position }
    }
    for (position, node) in first.nodes.enumerated() {
      let named = node.outputs.compactMap { $0.flatMap { byOutput[first.values[$0].name] } }.first
      if let named, isLike(node, named) { match(position, named) }
    }
    for position in first.nodes.indices where counterparts[position] == nil {
      if let other = told(first.nodes[position]) { match(position, other) }
    }
    for (position, node) in first.nodes.enumerated() where counterparts[position] == nil {
      let like = second.nodes.indices.filter { isLike(node, $0) }
      if let other = like.first(where: { readsTheSame(node, $0) }) ?? like.first {
        match(position, other)
      }
    }
  }

  private mutating func match(_ position: Int, _ other: Int) {
    counterparts[position] = other
    isTaken[other] = true
    for case (let id?, let counterpart?) in zip(
      first.nodes[position].outputs, second.nodes[other].outputs)
    {
      values[id] = counterpart
    }
  }

  /// The only node like this one that reads what it reads, or the one of those with its constants.
  private func told(_ node: Node) -> Int? {
    let like = second.nodes.indices.filter { isLike(node, $0) }
    let reading = like.filter { readsTheSame(node, $0) }
    if reading.count == 1 { return reading[0] }
    guard node.inputs.contains(where: first.isNumbers) else { return reading.first }
    return (reading.isEmpty ? like : reading).first { hasTheSameConstants(node, $0) }
  }

  private func isLike(_ node: Node, _ position: Int) -> Bool {
    let candidate = second.nodes[position]
    return !isTaken[position] && candidate.operatorName == node.operatorName
      && candidate.domain == node.domain && Self.sizes(candidate, second) == Self.sizes(node, first)
  }

  private static func sizes(_ node: Node, _ graph: Graph) -> [Int?] {
    node.inputs.map { id in
      graph.isNumbers(id) ? id.flatMap { graph.values[$0].constant?.elementCount } : nil
    }
  }

  private func readsTheSame(_ node: Node, _ position: Int) -> Bool {
    zip(node.inputs, second.nodes[position].inputs).allSatisfy { id, other in
      guard let id, first.values[id].constant == nil else { return true }
      return values[id] == other && other != nil
    }
  }

  private func hasTheSameConstants(_ node: Node, _ position: Int) -> Bool {
    zip(node.inputs, second.nodes[position].inputs).allSatisfy { id, other in
      guard first.isNumbers(id), let id, let other, let expected = first.values[id].constant,
        let found = second.values[other].constant
      else { return true }
      return FoldVerification.difference(expected, found) == nil
    }
  }
}

extension Graph {
  /// Whether a value is a constant of floating-point numbers.
  fileprivate func isNumbers(_ id: ValueID?) -> Bool {
    guard let type = id.flatMap({ values[$0].constant?.type }) else { return false }
    return [.float, .double, .float16, .bfloat16].contains(type)
  }
}
