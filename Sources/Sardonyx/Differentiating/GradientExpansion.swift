/// Replaces Gradient nodes by nodes that compute the derivatives.
///
/// Gradient names the tensors `xs` and `y` of the graph around it. The nodes between them are
/// differentiated in reverse, each by its rule in ``derivativeRules``; where the node is given
/// other values than the tensors it names, those nodes are first repeated for these values.
/// What comes out is ordinary nodes, so derivatives of derivatives need nothing more.
struct GradientExpansion {
  static let domain = "ai.onnx.preview.training"
  private let operatorSets: [String: Int]
  private var taken: Set<String>

  /// - Parameter graph: the whole model's, whose names are not to be taken again.
  init(_ graph: GraphDefinition, operatorSets: [String: Int]) {
    self.operatorSets = operatorSets
    taken = graph.allNames
  }

  /// The graph, and the graphs in it, without Gradient nodes.
  mutating func graph(_ graph: GraphDefinition) throws(ModelError) -> GraphDefinition {
    var graph = graph
    for position in graph.nodes.indices {
      for (attribute, body) in graph.nodes[position].bodies {
        graph.nodes[position].attributes[attribute] = .graph(try self.graph(body))
      }
    }
    while graph.nodes.contains(where: \.isGradient) {
      let (position, path) = try nextGradient(graph.nodes)
      let node = graph.nodes[position]
      do throws(ModelError) {
        let derivatives = try expand(node, path.map { graph.nodes[$0] })
        graph.nodes.replaceSubrange(position...position, with: derivatives)
      } catch {
        throw error.at(node: node.label)
      }
    }
    return graph
  }

  /// A Gradient node below whose `y` there is no other, and the nodes between its `xs` and `y`.
  private func nextGradient(_ nodes: [NodeDefinition]) throws(ModelError) -> (Int, path: [Int]) {
    let producers = nodes.producers
    for (position, node) in nodes.enumerated() where node.isGradient {
      let path = nodes.path(to: try node.target(), from: try node.variables(), producers)
      if !path.contains(where: { nodes[$0].isGradient }) { return (position, path) }
    }
    throw ModelError(.invalid, "Gradient nodes: expected an order to compute them in, got a cycle")
  }

  /// The nodes that stand for a Gradient node.
  private mutating func expand(_ gradient: NodeDefinition, _ path: [NodeDefinition])
    throws(ModelError) -> [NodeDefinition]
  {
    let variables = try gradient.variables()
    let count = variables.count - (try gradient.constants().count)
    guard gradient.inputs.count == variables.count else {
      throw .unexpected(
        "inputs", expected: "a value for each of \(variables.count) xs and zs",
        got: "\(gradient.inputs.count)", code: .invalid)
    }
    guard gradient.outputs.count <= count else {
      throw .unexpected(
        "outputs", expected: "at most \(count), one for each of xs",
        got: "\(gradient.outputs.count)", code: .invalid)
    }
    let prefix = gradient.name.isEmpty ? "Gradient" : gradient.name
    var writer = DerivativeWriter(prefix: prefix, taken: taken)
    let values = Dictionary(zip(variables, gradient.inputs)) { first, _ in first }
    let (nodes, target) = writer.repeating(path, try gradient.target(), for: values)
    let inputs = Array(gradient.inputs.prefix(count))
    var backward = BackwardPass(writer, operatorSets)
    let results = try backward.differentiate(target, by: inputs, nodes)
    for (result, output) in zip(results, gradient.outputs) where !output.isEmpty {
      backward.writer.name(result, output)
    }
    taken = backward.writer.taken
    return backward.writer.nodes(for: gradient.outputs)
  }
}

/// The walk from a tensor back to what it is differentiated by.
private struct BackwardPass {
  var writer: DerivativeWriter
  private let operatorSets: [String: Int]
  /// The derivative by each value met so far.
  private var derivatives: [String: String] = [:]

  init(_ writer: DerivativeWriter, _ operatorSets: [String: Int]) {
    self.writer = writer
    self.operatorSets = operatorSets
  }

  /// The derivatives of the sum of `target`'s elements by `variables`.
  /// - Parameter nodes: those between, each after those it reads.
  mutating func differentiate(
    _ target: String, by variables: [String], _ nodes: [NodeDefinition]
  ) throws(ModelError) -> [String] {
    let active = nodes.names(dependingOn: Set(variables))
    derivatives[target] = writer.filled(like: target, 1)
    for node in nodes.reversed() where node.reads.contains(where: active.contains) {
      // What a variable is made of does not matter: it is independent.
      let outputs = node.outputs.filter { derivatives[$0] != nil && !variables.contains($0) }
      guard !outputs.isEmpty else { continue }
      try step(node, outputs, active)
    }
    return variables.map { derivatives[$0] ?? writer.filled(like: $0, 0) }
  }

  private mutating func step(_ node: NodeDefinition, _ outputs: [String], _ active: Set<String>)
    throws(ModelError)
  {
    if node.domain.isEmpty && piecewiseConstant.contains(node.operatorName) { return }
    guard outputs == [node.outputs[0]], let rule = derivativeRules[node.operatorName],
      node.domain.isEmpty || node.domain == DerivativeWriter.domain
    else {
      throw ModelError(
        .unsupported, "Gradient: this build cannot differentiate \(node.label)",
        hint: "it differentiates \(derivativeRules.keys.sorted().joined(separator: ", "))")
    }
    var definition = node
    definition.operatorSet = node.operatorSet ?? operatorSets[node.domain]
    // Rules rely on the inputs and outputs that the operator must have.
    do throws(ModelError) {
      let operatorSet = definition.operatorSet ?? 1
      guard
        let schema = Schema.find(
          node.operatorName, domain: node.domain, operatorSet: operatorSet)
      else {
        throw ModelError(
          .invalid, "\(node.operatorName) does not exist in operator set \(operatorSet)")
      }
      try schema.check(node)
    } catch {
      throw error.at(node: node.label)
    }
    let parts = try rule(&writer, definition, derivatives[outputs[0]]!)
    for (input, part) in zip(node.inputs, parts) where active.contains(input) {
      guard let part else { continue }
      derivatives[input] = derivatives[input].map { writer("Add", $0, part) } ?? part
    }
  }
}

extension GraphDefinition {
  /// Whether there is a Gradient node here or in the graphs inside.
  var hasGradient: Bool {
    nodes.contains { $0.isGradient || $0.bodies.contains(where: \.graph.hasGradient) }
  }
}

extension NodeDefinition {
  fileprivate var isGradient: Bool {
    operatorName == "Gradient" && domain == GradientExpansion.domain
  }

  /// The names it reads, those of the graphs in it included.
  fileprivate var reads: [String] { inputs + bodies.flatMap(\.graph.capturedNames) }

  /// The tensor to differentiate.
  fileprivate func target() throws(ModelError) -> String {
    guard case .string(let name)? = attributes["y"] else {
      throw ModelError(.invalid, "Gradient needs the attribute y, which is missing")
    }
    return name
  }

  /// The tensors that `y` is a function of: `xs`, then `zs`.
  fileprivate func variables() throws(ModelError) -> [String] {
    guard case .strings(let names)? = attributes["xs"] else {
      throw ModelError(.invalid, "Gradient needs the attribute xs, which is missing")
    }
    return names + (try constants())
  }

  /// The tensors not to differentiate by.
  fileprivate func constants() throws(ModelError) -> [String] {
    if case .strings(let names)? = attributes["zs"] { names } else { [] }
  }
}

extension [NodeDefinition] {
  /// The node that makes each value.
  fileprivate var producers: [String: Int] {
    var producers: [String: Int] = [:]
    for (position, node) in enumerated() {
      for output in node.outputs where !output.isEmpty { producers[output] = position }
    }
    return producers
  }

  /// The nodes that a value depends on, down to `variables`, each after those it reads.
  fileprivate func path(to target: String, from variables: [String], _ producers: [String: Int])
    -> [Int]
  {
    let variables = Set(variables)
    func sources(_ names: [String]) -> [Int] {
      names.compactMap { variables.contains($0) ? nil : producers[$0] }
    }
    var path: [Int] = []
    var visited: Set<Int> = []
    var stack = sources([target]).map { (node: $0, isDone: false) }
    while let (node, isDone) = stack.popLast() {
      if isDone {
        path.append(node)
      } else if visited.insert(node).inserted {
        stack.append((node, true))
        stack += sources(self[node].reads).map { ($0, false) }
      }
    }
    return path
  }

  /// The given names and those of all values that depend on them.
  fileprivate func names(dependingOn names: Set<String>) -> Set<String> {
    reduce(into: names) { names, node in
      if node.reads.contains(where: names.contains) { names.formUnion(node.outputs) }
      names.remove("")
    }
  }
}

extension DerivativeWriter {
  /// The nodes of a path as they compute for other values of its variables.
  /// - Parameter values: what stands for each variable.
  /// - Returns: the path and its target; those that the values do not reach are the old ones.
  fileprivate mutating func repeating(
    _ path: [NodeDefinition], _ target: String, for values: [String: String]
  ) -> (nodes: [NodeDefinition], target: String) {
    var names = values.filter { $0.key != $0.value }
    guard !names.isEmpty else { return (path, target) }
    let nodes = path.map { node in
      guard node.inputs.contains(where: { names[$0] != nil }) else { return node }
      var copy = node
      copy.name = unique(node.name.isEmpty ? node.operatorName : node.name)
      copy.inputs = node.inputs.map { names[$0] ?? $0 }
      copy.outputs = node.outputs.map { output in
        guard !output.isEmpty else { return "" }
        names[output] = unique(output)
        return names[output]!
      }
      append(copy)
      return copy
    }
    return (nodes, names[target] ?? target)
  }
}
