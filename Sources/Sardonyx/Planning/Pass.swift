/// A rewriting of a graph that keeps what it computes.
///
/// To add a pass, write a function in a file of its own and name it in ``Planner/passes(_:_:widens:)``.
struct Pass: Sendable {
  /// Verb and object, as notes and messages show it.
  let name: String
  let rewrite: @Sendable (inout Graph) throws(ModelError) -> Void
}

extension Graph {
  /// Applies a pass here and in the bodies of all nodes, then drops what nothing needs any more.
  mutating func apply(_ pass: Pass) throws(ModelError) {
    for position in nodesWithBodies {
      var bodies = nodes[position].implementation.bodies
      for index in bodies.indices { try bodies[index].graph.apply(pass) }
      nodes[position].implementation.bodies = bodies
    }
    try Interruption.check()
    Activity.begin(pass.name)
    try pass.rewrite(&self)
    // What was made since the end was due is not whole.
    try Interruption.check()
    removeDeadNodes()
    assert(isConsistent, "pass \(pass.name) broke the graph")
  }

  private var nodesWithBodies: [Int] {
    // Nodes are not copied, as this is done before each pass.
    let nodes = nodes.span
    var positions: [Int] = []
    for position in nodes.indices where !nodes[position].implementation.bodies.isEmpty {
      positions.append(position)
    }
    return positions
  }

  /// Drops nodes none of whose outputs is read.
  mutating func removeDeadNodes() {
    let alive = nodesAlive
    guard alive.contains(false) else { return }
    nodes = nodes.indices.filter { alive[$0] }.map { nodes[$0] }
  }

  /// Per node, whether one of its outputs is read.
  private var nodesAlive: [Bool] {
    var needed = [Bool](repeating: false, count: values.count)
    for id in outputs { needed[id] = true }
    var alive = [Bool](repeating: false, count: nodes.count)
    // Nodes are not copied, as this is done after each pass.
    let nodes = nodes.span
    for position in nodes.indices.reversed() {
      for case let id? in nodes[position].outputs where needed[id] { alive[position] = true }
      guard alive[position] else { continue }
      for case let id? in nodes[position].inputs { needed[id] = true }
    }
    return alive
  }

  /// Whether each value is made once, before it is read.
  var isConsistent: Bool {
    var made = values.map { $0.constant != nil }
    for id in inputs { made[id] = true }
    for node in nodes {
      for case let id? in node.inputs where !made[id] { return false }
      for case let id? in node.outputs {
        if made[id] { return false }
        made[id] = true
      }
    }
    return outputs.allSatisfy { made[$0] }
  }

  /// Lets every reader of a value, the graph's outputs included, read another one instead.
  mutating func replace(_ replacements: Replacements) {
    guard !replacements.isEmpty else { return }
    for position in nodes.indices {
      for index in nodes[position].inputs.indices {
        guard let id = nodes[position].inputs[index] else { continue }
        let other = replacements[id]
        if other != id { nodes[position].inputs[index] = other }
      }
    }
    for index in outputs.indices { outputs[index] = replacements[outputs[index]] }
  }
}

/// Which values are to be read in place of others; gathered first and applied in one go.
struct Replacements {
  private var byValue: [Graph.ValueID: Graph.ValueID] = [:]

  var isEmpty: Bool { byValue.isEmpty }

  /// What to read for a value: itself, unless it is replaced.
  subscript(_ id: Graph.ValueID) -> Graph.ValueID { byValue[id] ?? id }

  /// Notes that `new`, or what stands for it by now, is read for `old`; where many are noted, those
  /// that are made earlier come first.
  mutating func replace(_ old: Graph.ValueID, by new: Graph.ValueID) { byValue[old] = self[new] }
}
