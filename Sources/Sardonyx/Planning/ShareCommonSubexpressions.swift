extension Planner {
  /// Computes once what several nodes compute alike.
  static let shareCommonSubexpressions = Pass(name: "share common subexpressions") {
    graph throws(ModelError) in
    shareConstants(&graph)
    var seen: [String: [Graph.ValueID?]] = [:]
    for position in graph.nodes.indices {
      let node = graph.nodes[position]
      guard let key = key(node) else { continue }
      guard let earlier = seen[key] else {
        seen[key] = node.outputs
        continue
      }
      guard canReplace(node.outputs, by: earlier, in: graph) else { continue }
      for (old, new) in zip(node.outputs, earlier) {
        if let old, let new { graph.replace(old, by: new) }
      }
      graph.note("share common subexpressions", .done, node, "computed by an equal node already")
    }
  }

  /// Outputs of the graph keep their names, so a node that makes one stays.
  private static func canReplace(
    _ old: [Graph.ValueID?], by new: [Graph.ValueID?], in graph: Graph
  ) -> Bool {
    old.count <= new.count
      && zip(old, new).allSatisfy { old, new in
        old == nil || (new != nil && !graph.outputs.contains(old!))
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
  private static func shareConstants(_ graph: inout Graph) {
    var seen: [[UInt8]: [Graph.ValueID]] = [:]
    for id in graph.values.indices {
      guard let tensor = graph.values[id].constant, tensor.byteCount <= 64,
        tensor.type != .string, !graph.outputs.contains(id)
      else { continue }
      let bytes = tensor.rawBytes
      if let equal = seen[bytes]?.first(where: {
        graph.values[$0].constant!.type == tensor.type
          && graph.values[$0].constant!.shape == tensor.shape
      }) {
        graph.replace(id, by: equal)
      } else {
        seen[bytes, default: []].append(id)
      }
    }
  }
}
