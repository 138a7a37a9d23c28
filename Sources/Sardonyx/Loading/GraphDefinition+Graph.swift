extension ModelDefinition {
  /// This model with another graph, such as the one that passes made of its own.
  ///
  /// Functions are gone, as the graph holds their nodes.
  /// - Throws: ``ModelError`` (unsupported) where a node is of another operator-set version than
  ///   the model imports, which a file cannot say.
  func replacing(graph: Graph) throws(ModelError) -> ModelDefinition {
    var model = self
    model.graph = GraphDefinition(graph)
    model.functions = []
    // Before IR 4, initializers must be inputs.
    model.irVersion = max(irVersion, 4)
    try model.graph.forEachNode { (node) throws(ModelError) in
      let version = node.operatorSet ?? 1
      let imported = model.operatorSets[node.domain, default: version]
      guard version == imported else {
        throw ModelError(
          .unsupported,
          "a file cannot mix operator sets: the node is of \(version), the model of \(imported)"
        ).at(node: node.label)
      }
      model.operatorSets[node.domain] = version
    }
    return model
  }
}

extension GraphDefinition {
  /// The definition of a graph, from which the same graph can be built again.
  init(_ graph: Graph) {
    self.init(graph, captured: [:], around: Names())
  }

  /// The names that the graphs around a body use, with their constants.
  private struct Names {
    var taken: Set<String> = []
    var constants: [String: Tensor] = [:]
  }

  /// - Parameters:
  ///   - captured: names of the outer values that stand for the body's last inputs.
  ///   - outer: what the body must not use for values of its own.
  private init(_ graph: Graph, captured: [Graph.ValueID: String], around outer: Names) {
    var scope = outer
    let names = graph.values.indices.map { id in
      let record = graph.values[id]
      if let name = captured[id] { return name }
      if let constant = record.constant, let same = outer.constants[record.name],
        constant.isSameMemory(as: same)
      {
        return record.name
      }
      let name = unique(record.name, &scope.taken)
      scope.constants[name] = record.constant
      return name
    }
    func definition(_ id: Graph.ValueID) -> ValueDefinition {
      ValueDefinition(name: names[id], type: graph.values[id].type, shape: graph.values[id].shape)
    }

    name = graph.name
    inputs = graph.inputs.filter { captured[$0] == nil }.map(definition)
    outputs = graph.outputs.map(definition)
    for (id, record) in graph.values.enumerated() {
      let isCaptured = outer.constants[names[id]] != nil
      if let tensor = record.constant ?? graph.defaults[id], !isCaptured {
        initializers.append((names[id], tensor))
      }
    }
    let listed = Set(graph.inputs + graph.outputs)
    values = graph.nodes.flatMap(\.outputs).compactMap(\.self)
      .filter { !listed.contains($0) && graph.values[$0].type != nil }.map(definition)
    nodes = graph.nodes.map { Self.node($0, names, scope) }
  }

  private static func node(_ node: Node, _ names: [String], _ scope: Names) -> NodeDefinition {
    func name(_ id: Graph.ValueID?) -> String { id.map { names[$0] } ?? "" }
    let bodies = node.implementation.bodies
    let captureCount = bodies.first?.captureCount ?? 0
    var definition = NodeDefinition(
      name: node.name, operatorName: node.operatorName, domain: node.domain,
      operatorSet: node.operatorSet, inputs: node.inputs.dropLast(captureCount).map(name),
      outputs: node.outputs.map(name), attributes: node.attributes)
    let outer = node.inputs.suffix(captureCount).map(name)
    for body in bodies {
      let inner = body.graph.inputs.suffix(captureCount)
      definition.attributes[body.attribute] = .graph(
        GraphDefinition(
          body.graph, captured: Dictionary(zip(inner, outer)) { first, _ in first },
          around: scope))
    }
    return definition
  }

  /// Visits the nodes here and in the graphs inside.
  fileprivate func forEachNode(_ body: (NodeDefinition) throws(ModelError) -> Void)
    throws(ModelError)
  {
    for node in nodes {
      try body(node)
      for inner in node.bodies { try inner.graph.forEachNode(body) }
    }
  }
}

extension Tensor {
  /// Whether both are the same elements in the same place.
  fileprivate func isSameMemory(as other: Tensor) -> Bool {
    storage === other.storage && byteOffset == other.byteOffset && shape == other.shape
      && type == other.type
  }
}
