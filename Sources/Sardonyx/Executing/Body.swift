/// A graph that a node runs: a branch of If, the body of Loop or Scan.
///
/// Its inputs are those the graph declares, followed by the values it captures, which the node
/// carries as inputs of its own.
struct Body: Sendable {
  /// The attribute that holds the graph.
  let attribute: String
  var graph: Graph

  init(attribute: String, graph: Graph) {
    self.attribute = attribute
    self.graph = graph
  }

  /// What the outputs will be for inputs of which this is known.
  func outputs(_ inputs: [Fact]) throws(ModelError) -> [Fact] {
    throw ModelError(.unsupported, "bodies")
  }

  /// Runs the graph.
  func run(_ inputs: [Value?], _ context: RunContext) throws(ModelError) -> [Value] {
    throw ModelError(.unsupported, "bodies")
  }
}
