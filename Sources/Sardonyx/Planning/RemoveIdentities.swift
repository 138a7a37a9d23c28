extension Planner {
  /// Takes out nodes that hand on their input: Identity, and Dropout outside training.
  static let removeIdentities = Pass(name: "remove identities") { graph throws(ModelError) in
    let outputs = Set(graph.outputs)
    var replacements = Replacements()
    for position in graph.nodes.indices {
      let node = graph.nodes[position]
      guard node.domain.isEmpty, let source = node.inputs.first ?? nil,
        let result = node.outputs.first ?? nil, handsOn(node, in: graph)
      else { continue }
      // The graph's own outputs keep their names, so the node that makes one stays.
      guard !outputs.contains(result) else { continue }
      replacements.replace(result, by: source)
    }
    graph.replace(replacements)
  }

  private static func handsOn(_ node: Node, in graph: Graph) -> Bool {
    switch node.operatorName {
    case "Identity": return true
    case "Dropout":
      guard node.outputs.dropFirst().allSatisfy({ $0 == nil }),
        (node.implementation as? Dropout)?.isTraining != true
      else { return false }
      if node.operatorSet < 7 {
        return node.attributes.int("is_test") ?? 0 != 0
      }
      guard node.hasInput(2) else { return true }
      return graph.constant(node, 2).map { $0.converted(to: Int64.self) == [0] } ?? false
    default: return false
    }
  }
}
