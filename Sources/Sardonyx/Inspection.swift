/// What can be said of a model without running it.
public struct Inspection: Sendable {
  /// With the shapes that follow from the inputs' where the file is silent.
  public let inputs: [ValueDefinition]
  /// The model's outputs, likewise.
  public let outputs: [ValueDefinition]
  /// Operators with how often each is used, bodies included, the most frequent first.
  public let operators: [(name: String, count: Int)]
  /// Elements of all constants.
  public let parameterCount: Int
  /// Bytes of all constants as the file stores them.
  public let parameterByteCount: Int
  /// Multiply-adds of one run, bodies left out; nil where shapes are not known.
  public let multiplyAdds: Int?
  /// Symbolic dimensions of the inputs.
  public let symbols: [String]
  /// The names that several axes of the inputs are declared under, with these axes, such as
  /// `axis 0 of "x"`. Runs do not insist that they are equal.
  public let sharedDimensions: [(name: String, axes: [String])]

  /// Looks at a model.
  /// - Parameters:
  ///   - model: what is looked at.
  ///   - dimensions: numbers for symbolic dimensions; with all of them given, ``multiplyAdds`` is known.
  public init(_ model: Model, dimensions: [String: Int] = [:]) {
    let graph = model.graph
    let shapes = SymbolicShapes(graph, fixed: dimensions).facts
    func definition(_ id: Graph.ValueID) -> ValueDefinition {
      ValueDefinition(
        name: graph.values[id].name, type: shapes[id].type ?? graph.values[id].type,
        shape: shapes[id].shape ?? graph.values[id].shape)
    }
    inputs = graph.inputs.map(graph.definition(of:))
    outputs = graph.outputs.map(definition)
    operators = graph.operatorCounts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .map { ($0.key, $0.value) }
    let constants = graph.storedConstants
    parameterCount = constants.reduce(0) { $0 + $1.elementCount }
    parameterByteCount = constants.reduce(0) { $0 + $1.elementCount * $1.type.fileBitCount / 8 }
    symbols = graph.inputSymbols
    sharedDimensions = graph.sharedSymbols.map { ($0.name, $0.axes.map(graph.words)) }
    multiplyAdds = graph.multiplyAdds(dimensions)
  }
}

extension Graph {
  /// How often each operator is used, bodies included.
  fileprivate var operatorCounts: [String: Int] {
    var counts: [String: Int] = [:]
    for node in nodes {
      counts[
        node.domain.isEmpty ? node.operatorName : "\(node.domain):\(node.operatorName)", default: 0] +=
        1
      for body in node.implementation.bodies {
        counts.merge(body.graph.operatorCounts, uniquingKeysWith: +)
      }
    }
    return counts
  }

  /// Initializers here and in bodies; those captured by bodies count once.
  fileprivate var storedConstants: [Tensor] {
    var seen: Set<[Int]> = []
    var constants: [Tensor] = []
    func collect(_ graph: Graph) {
      for tensor in graph.values.compactMap(\.constant) + Array(graph.defaults.values)
      where seen.insert([tensor.storage.address, tensor.byteOffset]).inserted {
        constants.append(tensor)
      }
      for body in graph.nodes.flatMap(\.implementation.bodies) { collect(body.graph) }
    }
    collect(self)
    return constants
  }

  /// Multiply-adds when symbols stand for these numbers; nil where a shape stays unknown.
  fileprivate func multiplyAdds(_ symbols: [String: Int]) -> Int? {
    let facts = inferredFacts(symbols)
    guard outputs.allSatisfy({ facts[$0]?.shape != nil }) else { return nil }
    return nodes.reduce(0) { sum, node in
      let known = node.inputs.map { id in id.map { facts[$0] ?? .unknown } }
      guard let inputs = try? node.facts(known) else { return sum }
      let results = node.outputs.compactMap { id in id.flatMap { facts[$0] } }
      return sum &+ node.implementation.multiplyAdds(inputs, results)
    }
  }
}

/// What a session made of a model, and how it would run for given sizes.
public struct PlanInspection: Sendable {
  /// One node as it runs.
  public struct Step: Sendable {
    /// The node's name.
    public let node: String
    /// The node's operator.
    public let operatorName: String
    /// Outputs with the types and shapes known before the run.
    public let outputs: [String]
  }

  /// What passes did and declined to do, with the reasons.
  public let notes: [Note]
  /// The nodes in the order in which they run.
  public let steps: [Step]
  /// Nodes of the graph as loaded, bodies left out.
  public let loadedNodeCount: Int
  /// Bytes that inner values share in one run.
  public let workingByteCount: Int

  /// Plans a session's model.
  /// - Parameters:
  ///   - session: what is planned.
  ///   - dimensions: a number for every symbolic dimension of the inputs.
  /// - Throws: ``ModelError`` where a node does not fit what it is given, or planning takes longer than
  ///   the session's time limit.
  public init(_ session: Session, dimensions: [String: Int] = [:]) throws(ModelError) {
    let graph = session.graph
    let facts = graph.inferredFacts(dimensions)
    let context = session.makeContext(nil)
    let plan = try session.model.naming { () throws(ModelError) in
      let plan = try context.crew.asCurrent { () throws(ModelError) in
        try Plan(graph, inputs: graph.inputs.map { facts[$0] ?? .unknown })
      }
      try context.checkCancellation()
      return plan
    }
    notes = session.notes
    steps = plan.steps.map { step in
      let node = graph.nodes[step.node]
      let results = node.outputs.compactMap { id in
        id.map { "\(graph.values[$0].name): \(plan.facts[$0] ?? .unknown)" }
      }
      return Step(node: node.name, operatorName: node.operatorName, outputs: results)
    }
    loadedNodeCount = session.model.graph.nodes.count
    workingByteCount = plan.arenaByteCount
  }
}
