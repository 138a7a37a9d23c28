extension Planner {
  /// Computes once what several nodes compute alike.
  static let shareCommonSubexpressions = Pass(name: "share common subexpressions") {
    graph throws(ModelError) in
    let outputs = Set(graph.outputs)
    shareConstants(&graph, outputs)
    // Positions of the first nodes of their kind, by a digest that two kinds do not share in practice.
    var seen: [Int: Int] = [:]
    seen.reserveCapacity(graph.nodes.count)
    var replacements = Replacements()
    for position in graph.nodes.indices {
      var node = graph.nodes[position]
      if !replacements.isEmpty {
        node.inputs = node.inputs.map { $0.map { replacements[$0] } }
      }
      guard let digest = digest(node) else { continue }
      guard let first = seen[digest] else {
        seen[digest] = position
        continue
      }
      var known = graph.nodes[first]
      known.inputs = known.inputs.map { $0.map { replacements[$0] } }
      let earlier = known.outputs
      guard isSame(known, node), canReplace(node.outputs, by: earlier, outputs) else { continue }
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

  /// A number equal for nodes that compute the same; nil for those that cannot be compared.
  private static func digest(_ node: Node) -> Int? {
    guard node.implementation.isDeterministic, node.implementation.bodies.isEmpty,
      node.attributes.allSatisfy({ isComparable($0.value) })
    else { return nil }
    var hasher = Hasher()
    hasher.combine(node.domain)
    hasher.combine(node.operatorName)
    hasher.combine(node.operatorSet)
    hasher.combine(node.inputs)
    if !node.attributes.isEmpty {
      for (name, attribute) in node.attributes.sorted(by: { $0.key < $1.key }) {
        hasher.combine(name)
        combine(attribute, &hasher)
      }
    }
    return hasher.finalize()
  }

  private static func isSame(_ left: Node, _ right: Node) -> Bool {
    left.inputs == right.inputs && left.operatorName == right.operatorName
      && left.domain == right.domain && left.operatorSet == right.operatorSet
      && left.attributes.count == right.attributes.count
      && left.attributes.allSatisfy { name, attribute in
        right.attributes[name].map { isSame(attribute, $0) } ?? false
      }
  }

  /// Longer lists are those of trees and vocabularies, which no model holds twice.
  private static let longestCompared = 1 << 12

  private static func isComparable(_ attribute: Attribute) -> Bool {
    switch attribute {
    case .float, .int, .string: true
    case .floats(let list): list.count <= longestCompared
    case .ints(let list): list.count <= longestCompared
    case .strings(let list): list.count <= longestCompared
    default: false
    }
  }

  private static func combine(_ attribute: Attribute, _ hasher: inout Hasher) {
    switch attribute {
    case .float(let number): hasher.combine(number.bitPattern)
    case .int(let number): hasher.combine(number)
    case .string(let text): hasher.combine(text)
    case .floats(let numbers): for number in numbers { hasher.combine(number.bitPattern) }
    case .ints(let numbers): hasher.combine(numbers)
    case .strings(let texts): hasher.combine(texts)
    default: break
    }
  }

  /// Whether two are of one kind and equal bit for bit.
  private static func isSame(_ left: Attribute, _ right: Attribute) -> Bool {
    switch (left, right) {
    case (.float(let a), .float(let b)): a.bitPattern == b.bitPattern
    case (.int(let a), .int(let b)): a == b
    case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
    case (.floats(let a), .floats(let b)): a.elementsEqual(b) { $0.bitPattern == $1.bitPattern }
    case (.ints(let a), .ints(let b)): a == b
    case (.strings(let a), .strings(let b)):
      a.elementsEqual(b) { $0.utf8.elementsEqual($1.utf8) }
    default: false
    }
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
