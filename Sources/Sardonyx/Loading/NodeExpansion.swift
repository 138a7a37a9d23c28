/// Replaces nodes whose operator is others put together by the nodes of those, at load: passes and
/// kernels then serve them as if the model had been written so.
///
/// The first of the new nodes that makes an output keeps its name, so that taps and comparisons
/// find it.
struct NodeExpansion {
  private let operatorSets: [String: Int]
  /// All names in use anywhere in the model.
  private var taken: Set<String>

  init(_ graph: GraphDefinition, operatorSets: [String: Int]) {
    self.operatorSets = operatorSets
    taken = graph.allNames
  }

  /// The graph, and the graphs in it, with those nodes replaced.
  mutating func graph(_ graph: GraphDefinition) throws(ModelError) -> GraphDefinition {
    var graph = graph
    var nodes: [NodeDefinition] = []
    nodes.reserveCapacity(graph.nodes.count)
    for var node in graph.nodes {
      for (attribute, body) in node.bodies {
        node.attributes[attribute] = .graph(try self.graph(body))
      }
      guard let rule = OperatorTable.expansion(of: node.operatorName, domain: node.domain) else {
        nodes.append(node)
        continue
      }
      do throws(ModelError) { nodes += try expanded(node, rule) } catch {
        throw error.at(node: node.label)
      }
    }
    graph.nodes = nodes
    return graph
  }

  private mutating func expanded(_ node: NodeDefinition, _ rule: NodeComposition.Rule)
    throws(ModelError) -> [NodeDefinition]
  {
    let operatorSet = node.operatorSet ?? operatorSets[node.domain] ?? 1
    let schema = Schema.find(node.operatorName, domain: node.domain, operatorSet: operatorSet)
    try schema?.check(node)
    var reader = NodeReader(
      node, operatorSet: operatorSet, version: schema?.since ?? operatorSet)
    var composition = NodeComposition(node, taken: taken)
    try rule(&reader, &composition)
    taken = composition.taken
    guard reader.unreadAttributes.isEmpty else {
      throw ModelError(
        .unsupported,
        "attributes of \(node.operatorName) that this build does not know: "
          + reader.unreadAttributes.joined(separator: ", "))
    }
    return composition.nodes
  }
}

extension GraphDefinition {
  /// Whether a node here or in a graph inside is to be replaced.
  var hasCompositions: Bool {
    // Nodes of one operator often follow each other.
    var (name, domain) = ("", "")
    return nodes.contains { node in
      if node.operatorName != name || node.domain != domain {
        (name, domain) = (node.operatorName, node.domain)
        if OperatorTable.expansion(of: name, domain: domain) != nil { return true }
      }
      return node.bodies.contains { $0.graph.hasCompositions }
    }
  }
}

/// The nodes that stand for one, as a rule writes them.
struct NodeComposition {
  /// Writes the nodes, having read the attributes.
  typealias Rule = @Sendable (inout NodeReader, inout NodeComposition) throws(ModelError) -> Void

  private(set) var nodes: [NodeDefinition] = []
  fileprivate private(set) var taken: Set<String>
  private let node: NodeDefinition

  fileprivate init(_ node: NodeDefinition, taken: Set<String>) {
    self.node = node
    self.taken = taken
  }

  /// The name of an input; "" for one left out.
  func input(_ index: Int) -> String { index < node.inputs.count ? node.inputs[index] : "" }

  func hasInput(_ index: Int) -> Bool { !input(index).isEmpty }

  /// The inputs from `first` on.
  func inputs(from first: Int) -> [String] { Array(node.inputs.dropFirst(first)) }

  func hasOutput(_ index: Int) -> Bool { !output(index).isEmpty }

  /// The name of an output; "" for one that nobody wants.
  func output(_ index: Int) -> String { index < node.outputs.count ? node.outputs[index] : "" }

  /// Adds a node and gives the name of its first output.
  /// - Parameters:
  ///   - set: the operator set it is written for; nil for that of the model.
  ///   - outputs: names of its outputs, nil standing for a new one and "" for one left out.
  @discardableResult
  mutating func add(
    _ operatorName: String, _ inputs: [String], _ attributes: [String: Attribute] = [:],
    set: Int? = nil, domain: String = "", outputs: [String?] = [nil]
  ) -> String {
    let names = outputs.map { $0 ?? unique(prefix, &taken) }
    var inputs = inputs
    while inputs.last?.isEmpty == true { inputs.removeLast() }
    nodes.append(
      NodeDefinition(
        name: nodes.isEmpty ? node.name : unique("\(prefix)/\(operatorName)", &taken),
        operatorName: operatorName, domain: domain, operatorSet: set, inputs: inputs,
        outputs: names, attributes: attributes))
    return names[0]
  }

  /// A constant.
  mutating func constant(_ tensor: Tensor) -> String {
    add("Constant", [], ["value": .tensor(tensor)], set: 13)
  }

  /// int64 numbers, as a constant of rank 1.
  mutating func constant(_ numbers: Int...) -> String {
    constant(Tensor(numbers.map(Int64.init)))
  }

  private var prefix: String {
    node.name.isEmpty ? node.outputs.first { !$0.isEmpty } ?? node.operatorName : node.name
  }
}
