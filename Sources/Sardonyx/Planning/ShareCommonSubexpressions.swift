extension Planner {
  /// Computes once what several nodes compute alike.
  static let shareCommonSubexpressions = Pass(name: "share common subexpressions") {
    graph throws(ModelError) in
    let outputs = Set(graph.outputs)
    shareConstants(&graph, outputs)
    var seen: [String: [Graph.ValueID?]] = [:]
    var replacements = Replacements()
    for position in graph.nodes.indices {
      var node = graph.nodes[position]
      node.inputs = node.inputs.map { $0.map { replacements[$0] } }
      guard let key = key(node) else { continue }
      guard let earlier = seen[key] else {
        seen[key] = node.outputs
        continue
      }
      guard canReplace(node.outputs, by: earlier, outputs) else { continue }
      for (old, new) in zip(node.outputs, earlier) {
        if let old, let new { replacements.replace(old, by: new) }
      }
      graph.note("share common subexpressions", .done, node, "computed by an equal node already")
    }
    graph.replace(replacements)
  }

  /// Outputs of the graph keep their names, so a node that makes one stays.
  private static func canReplace(
    _ old: [Graph.ValueID?], by new: [Graph.ValueID?], _ outputs: Set<Graph.ValueID>
  ) -> Bool {
    old.count <= new.count
      && zip(old, new).allSatisfy { old, new in
        old == nil || (new != nil && !outputs.contains(old!))
      }
  }

  /// A text equal for nodes that compute the same; nil for those that cannot be compared.
  private static func key(_ node: Node) -> String? {
    guard node.implementation.isDeterministic, node.implementation.bodies.isEmpty else {
      return nil
    }
    var parts = ["\(node.domain):\(node.operatorName)-\(node.operatorSet)", "\(node.inputs)"]
    for (name, attribute) in node.attributes.sorted(by: { $0.key < $1.key }) {
      switch attribute {
      case .float, .int, .string, .floats, .ints, .strings: parts.append("\(name)=\(attribute)")
      default: return nil
      }
    }
    return parts.joined(separator: " ")
  }

  /// Small constants of equal content; exporters write the same axes and scalars many times.
  private static func shareConstants(_ graph: inout Graph, _ outputs: Set<Graph.ValueID>) {
    struct Content: Hashable {
      let type: ElementType
      let shape: Shape
      let bytes: [UInt8]
    }
    var seen: [Content: Graph.ValueID] = [:]
    var replacements = Replacements()
    for id in graph.values.indices {
      guard let tensor = graph.values[id].constant, tensor.byteCount <= 64,
        tensor.type != .string, !outputs.contains(id)
      else { continue }
      let content = Content(type: tensor.type, shape: tensor.shape, bytes: tensor.rawBytes)
      if let equal = seen[content] {
        replacements.replace(id, by: equal)
      } else {
        seen[content] = id
      }
    }
    graph.replace(replacements)
  }
}
