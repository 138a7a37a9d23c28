/// Asks the operators for types and shapes in order, and computes small values that are known.
struct ShapeInference {
  let graph: Graph
  var facts: [Fact?]
  /// Per node, whether it could tell the facts of its outputs.
  private var isTold: [Bool]
  /// Those of outputs without a name, by node: nobody looks for them among the values.
  private var nameless: [Int: [Fact]] = [:]
  /// Per node, that its inputs' types are allowed; nil while one of them is not known.
  var checked: [TypesChecked?]

  /// Results above this many bytes are left to the run; shape computations are far smaller.
  static let largestComputedValue = 1 << 16
  private let largestComputedValue: Int

  /// The means to compute with, for a second at most: shapes take no time worth speaking of.
  private let context: RunContext

  init(_ graph: Graph, inputs: [Fact], largestComputedValue: Int = Self.largestComputedValue) {
    self.graph = graph
    self.largestComputedValue = largestComputedValue
    facts = graph.values.map { $0.constant.map { Fact($0) } }
    isTold = Array(repeating: false, count: graph.nodes.count)
    checked = Array(repeating: nil, count: graph.nodes.count)
    for (id, fact) in zip(graph.inputs, inputs) { facts[id] = fact }
    let end = ContinuousClock.now + .seconds(1)
    let outer = Interruption.crew?.deadline
    context = RunContext(
      crew: Crew(
        threads: 1, deadline: outer.map { min($0, end) } ?? end,
        account: MemoryAccount(limit: 1 << 26, within: Interruption.crew?.account)))
  }

  /// Goes through all nodes.
  /// - Parameters:
  ///   - leniently: treat the outputs of a node that its inputs do not fit as unknown.
  ///   - activity: is told of each node.
  mutating func run(
    leniently: Bool = false, telling activity: Activity? = nil
  ) throws(ModelError) {
    for (position, node) in graph.nodes.enumerated() {
      activity?.take("plan", position, of: graph.nodes.count, node)
      if position % 64 == 0 { try Interruption.check() }
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

  /// The facts of a node's outputs where it could tell them all.
  func told(_ position: Int) -> [Fact]? {
    guard isTold[position] else { return nil }
    return nameless[position] ?? graph.nodes[position].outputs.map { $0.flatMap { facts[$0] }! }
  }

  private mutating func infer(_ position: Int, _ node: Node, _ inputs: [Fact?])
    throws(ModelError)
  {
    let proof = try node.check(types: inputs.map { $0?.type })
    if inputs.allSatisfy({ $0 == nil || $0!.type != nil }) { checked[position] = proof }
    let described = try node.implementation.describe(Facts(inputs, proof))
    try node.check(made: described.map(\.type))
    isTold[position] =
      described.count >= node.outputs.count && described.allSatisfy { $0.byteCount != nil }
    if isTold[position], node.outputs.contains(nil) {
      nameless[position] = Array(described.prefix(node.outputs.count))
    }
    for (id, fact) in zip(node.outputs, described) {
      if let id { facts[id] = fact }
    }
    guard let results = try compute(node, inputs, described) else { return }
    for (id, value) in zip(node.outputs, results) {
      if let id, let value { facts[id] = Fact(value) }
    }
  }

  /// The outputs of a node whose inputs are all known, where they are small tensors.
  private func compute(_ node: Node, _ inputs: [Fact?], _ described: [Fact])
    throws(ModelError)
    -> [Value?]?
  {
    guard inputs.allSatisfy({ $0 == nil || $0!.value != nil }),
      described.contains(where: { $0.value == nil }),
      described.allSatisfy({ $0.byteCount.map { $0 <= largestComputedValue } ?? false }),
      node.implementation.isDeterministic, node.implementation.bodies.isEmpty,
      !context.crew.isCancelled
    else { return nil }
    do throws(ModelError) {
      return try node.evaluate(inputs.map { $0?.value }, context: context)
    } catch {
      // What takes too long is left to the run.
      guard context.crew.isCancelled || error.code == .limit else { throw error }
      return nil
    }
  }
}
