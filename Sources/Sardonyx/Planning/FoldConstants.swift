extension Planner {
  /// Computes nodes whose inputs are all constants.
  static let foldConstants = Pass(name: "fold constants") { graph throws(ModelError) in
    let context = RunContext()
    for position in graph.nodes.indices {
      let node = graph.nodes[position]
      guard let results = constantResults(of: node, in: graph, context) else { continue }
      for (id, tensor) in zip(node.outputs, results) {
        if let id { graph.values[id].constant = tensor }
      }
      graph.nodes[position].outputs = node.outputs.map { _ in nil }
      graph.note("fold constants", .done, node, "computed once, for all runs")
    }
  }

  /// Constants may grow by this much when folded: enough for tables and masks, too little for a
  /// tensor that is better made anew than kept.
  private static let allowedGrowth = 1 << 20

  private static func constantResults(of node: Node, in graph: Graph, _ context: RunContext)
    -> [Tensor?]?
  {
    let operation = node.implementation
    guard operation.isDeterministic, operation.bodies.isEmpty,
      node.inputs.allSatisfy({ id in id.map { graph.values[$0].constant != nil } ?? true })
    else { return nil }
    let inputs = node.inputs.map { id in id.flatMap { graph.values[$0].constant } }
    let allowed = inputs.reduce(allowedGrowth) { $0 + 4 * ($1?.byteCount ?? 0) }
    // A fault here is the model's own and is reported by the run, with its context.
    guard let facts = try? operation.outputs(Facts(inputs.map { $0.map { Fact($0) } })),
      facts.allSatisfy({ $0.byteCount.map { $0 <= allowed } ?? false }),
      let results = try? operation.evaluate(
        inputs.map { $0.map(Value.tensor) }, wanted: node.outputs.map { $0 != nil },
        context: context)
    else { return nil }
    return results.map { $0?.tensor }
  }
}
