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

  /// Folds both, matches their nodes by the names of their outputs, or else by operator and order,
  /// and compares the constants these read.
  ///
  /// A BatchNormalization that only one of them kept is folded here and so compared too.
  /// - Throws: ``ModelError`` of a model that cannot be folded.
  public init(_ original: Model, against folded: Model) throws(ModelError) {
    compare(try FoldedModel(original).graph, try FoldedModel(folded).graph)
  }

  /// Whether no constant is wrong.
  public var passed: Bool { faults.isEmpty }

  private mutating func compare(_ first: Graph, _ second: Graph) {
    var matcher = NodeMatcher(second)
    for node in first.nodes {
      let hasConstants = node.inputs.contains { first.isNumbers($0) }
      guard let other = matcher.counterpart(of: node, in: first) else {
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
  private static func difference(_ expected: Tensor, _ found: Tensor) -> String? {
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

/// Finds the nodes of a graph that stand for those of another.
private struct NodeMatcher {
  private let graph: Graph
  private var byOutput: [String: Int] = [:]
  private var isTaken: [Bool]

  init(_ graph: Graph) {
    self.graph = graph
    isTaken = graph.nodes.map { _ in false }
    for (position, node) in graph.nodes.enumerated() {
      for case let id? in node.outputs { byOutput[graph.values[id].name] = position }
    }
  }

  /// The node that makes the value of the same name, or else the first of the same operator with
  /// constants of the same sizes.
  mutating func counterpart(of node: Node, in other: Graph) -> Node? {
    let named = node.outputs.compactMap { $0.flatMap { byOutput[other.values[$0].name] } }.first
    let position =
      named.flatMap { isLike(node, in: other, $0) ? $0 : nil }
      ?? graph.nodes.indices.first { isLike(node, in: other, $0) }
    guard let position else { return nil }
    isTaken[position] = true
    return graph.nodes[position]
  }

  private func isLike(_ node: Node, in other: Graph, _ position: Int) -> Bool {
    let candidate = graph.nodes[position]
    return !isTaken[position] && candidate.operatorName == node.operatorName
      && candidate.domain == node.domain
      && Self.sizes(candidate, graph) == Self.sizes(node, other)
  }

  private static func sizes(_ node: Node, _ graph: Graph) -> [Int?] {
    node.inputs.map { id in
      graph.isNumbers(id) ? id.flatMap { graph.values[$0].constant?.elementCount } : nil
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
