/// Asks the operators for types and shapes in order, and computes small values that are known.
struct ShapeInference {
  let graph: Graph
  var facts: [Fact?]
  /// Per node, the facts of its outputs where it could tell them.
  var outputs: [[Fact]?]

  /// Results above this many bytes are left to the run; shape computations are far smaller.
  private static let largestComputedValue = 1 << 16

  init(_ graph: Graph, inputs: [Fact]) {
    self.graph = graph
    facts = graph.values.map { $0.constant.map { Fact($0) } }
    outputs = Array(repeating: nil, count: graph.nodes.count)
    for (id, fact) in zip(graph.inputs, inputs) { facts[id] = fact }
  }

  /// Goes through all nodes.
  /// - Parameter leniently: treat the outputs of a node that its inputs do not fit as unknown.
  mutating func run(leniently: Bool = false) throws(ModelError) {
    for (position, node) in graph.nodes.enumerated() {
      let inputs = node.inputs.map { id in id.map { facts[$0] ?? .unknown } }
      do throws(ModelError) {
        try infer(position, node, inputs)
      } catch {
        guard leniently || error.code == .undetermined else {
          throw error.at(node: node.label(inputs))
        }
      }
    }
  }

  private mutating func infer(_ position: Int, _ node: Node, _ inputs: [Fact?])
    throws(ModelError)
  {
    let described = try node.outputs(inputs)
    outputs[position] = described.allSatisfy { $0.byteCount != nil } ? described : nil
    for (id, fact) in zip(node.outputs, described) {
      if let id { facts[id] = fact }
    }
    guard let results = try compute(node, inputs, described) else { return }
    for (id, value) in zip(node.outputs, results) {
      if let id, let value { facts[id] = Fact(value) }
    }
  }

  /// The outputs of a node whose inputs are all known, where they are small tensors.
  private func compute(_ node: Node, _ inputs: [Fact?], _ described: [Fact]) throws(ModelError)
    -> [Value?]?
  {
    guard node.implementation.isDeterministic, node.implementation.bodies.isEmpty,
      inputs.allSatisfy({ $0 == nil || $0!.value != nil }),
      described.contains(where: { $0.value == nil }),
      described.allSatisfy({ $0.byteCount.map { $0 <= Self.largestComputedValue } ?? false })
    else { return nil }
    return try node.implementation.evaluate(
      inputs.map { $0?.value }, wanted: node.outputs.map { $0 != nil }, context: RunContext())
  }
}
