/// A graph that a node runs: a branch of If, the body of Loop or Scan.
///
/// Its inputs are those the graph declares, followed by the values it captures, which the node
/// carries as inputs of its own.
struct Body: Sendable {
  /// The attribute that holds the graph.
  let attribute: String
  var graph: Graph {
    didSet { plans = PlanCache() }
  }
  private var plans = PlanCache()

  init(attribute: String, graph: Graph) {
    self.attribute = attribute
    self.graph = graph
  }

  /// What the outputs will be for inputs of which this is known; unknown facts where the graph
  /// does not fit them, as in a branch that such inputs never reach.
  func outputs(_ inputs: [Fact]) -> [Fact] {
    guard let plan = try? plans.plan(graph, inputs: inputs.map(\.withoutValue)) else {
      return graph.outputs.map { _ in .unknown }
    }
    return graph.outputs.map { plan.facts[$0] ?? .unknown }
  }

  /// Runs the graph.
  /// - Parameter inputs: one value per input; nil where the caller left an optional input out.
  func run(_ inputs: [Value?], _ context: RunContext) throws(ModelError) -> [Value] {
    let facts = inputs.map { $0.map { Fact($0).withoutValue } ?? .unknown }
    return try Executor.run(try plans.plan(graph, inputs: facts), inputs, context)
  }
}

extension Fact {
  /// This fact without the value, for plans that serve every value of a type and shape.
  fileprivate var withoutValue: Fact {
    var fact = self
    fact.value = nil
    return fact
  }
}
