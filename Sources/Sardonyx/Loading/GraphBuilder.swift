extension Graph {
  /// The graph of a model: functions inlined, names resolved, nodes in order, operators made.
  /// - Throws: ``ModelError``: invalid, or unsupported with all nodes that lack an operator.
  init(_ model: ModelDefinition) throws(ModelError) {
    var definition = model.graph
    if !model.functions.isEmpty {
      var inlining = try FunctionInlining(model)
      definition = try inlining.graph(definition)
    }
    if definition.hasCompositions {
      var expansion = NodeExpansion(definition, operatorSets: model.operatorSets)
      definition = try expansion.graph(definition)
    }
    if definition.hasGradient {
      var expansion = GradientExpansion(definition, operatorSets: model.operatorSets)
      definition = try expansion.graph(definition)
    }
    var builder = GraphBuilder(model)
    var graph = try builder.graph(definition, Captures())
    if let error = builder.missing.error { throw error }
    graph.notes = builder.notes
    self = graph
  }
}

/// What a body reads from the graphs around it.
struct Captures {
  /// Values known at load; every body gets them as constants of its own that share memory.
  var constants: [(name: String, tensor: Tensor)] = []
  /// Values that become inputs after the declared ones.
  var inputs: [ValueDefinition] = []
}

/// Makes graphs of definitions whose functions are inlined.
struct GraphBuilder {
  private var operatorSets: [String: Int]
  /// Before IR 4 an initializer had to be listed among the inputs and was a constant all the same.
  private let inputsHaveDefaults: Bool
  private(set) var missing = MissingOperators()
  /// The last of each operator's name.
  private var kinds: [String: Node.Kind] = [:]
  /// What had to be assumed.
  private(set) var notes: [Note] = []

  init(_ model: ModelDefinition) {
    operatorSets = model.operatorSets
    inputsHaveDefaults = model.irVersion >= 4
  }

  /// A graph, or the body of a node with what it captures.
  mutating func graph(_ definition: GraphDefinition, _ captures: Captures) throws(ModelError)
    -> Graph
  {
    var scope = GraphScope(definition)
    try scope.addInputs(of: definition, haveDefaults: inputsHaveDefaults)
    try scope.addOutputs(of: definition.nodes)
    scope.add(captures)
    let names = definition.nodes.uniqueNames
    scope.graph.nodes.reserveCapacity(names.count)
    let activity = Activity.watched
    for (count, position) in try scope.order(definition.nodes, names).enumerated() {
      var node = definition.nodes[position]
      node.name = names[position]
      activity?.take("load", count, of: names.count, node.name, node.operatorName)
      do throws(ModelError) {
        try append(node, to: &scope)
      } catch {
        throw error.at(node: node.label)
      }
    }
    for output in definition.outputs {
      guard let id = scope.ids[output.name] else {
        throw ModelError(.invalid, "nothing makes the output \"\(output.name)\"")
      }
      scope.graph.outputs.append(id)
    }
    return scope.graph
  }

  private mutating func append(_ definition: NodeDefinition, to scope: inout GraphScope)
    throws(ModelError)
  {
    var inputs: [Graph.ValueID?] = []
    for name in definition.inputs { inputs.append(try scope.id(name)) }
    let captures = try scope.captures(of: definition)
    let captured = try captures.inputs.map { (input) throws(ModelError) in
      try scope.id(input.name)
    }
    var bodies: [String: Body] = [:]
    for (attribute, body) in definition.bodies {
      bodies[attribute] = Body(
        attribute: attribute, graph: try graph(body, captures), captureCount: captured.count)
    }
    let operatorSet = operatorSet(of: definition)
    guard let make = OperatorTable.find(definition.operatorName, domain: definition.domain) else {
      missing.add(definition, operatorSet: operatorSet)
      return
    }
    let schema = try schema(of: definition, operatorSet)
    try schema?.check(definition)
    var reader = NodeReader(
      definition, operatorSet: operatorSet, version: schema?.since ?? operatorSet,
      captureCount: captured.count, bodies: bodies)
    let implementation = try make(&reader)
    try refuse(reader.unreadAttributes, of: definition)
    scope.graph.nodes.append(
      Node(
        name: definition.name, kind: kind(of: definition, operatorSet), inputs: inputs + captured,
        outputs: definition.outputs.map { scope.ids[$0] },
        attributes: definition.attributes.filter { bodies[$0.key] == nil },
        implementation: implementation))
  }

  private mutating func kind(of node: NodeDefinition, _ operatorSet: Int) -> Node.Kind {
    if let last = kinds[node.operatorName], last.domain == node.domain,
      last.operatorSet == operatorSet
    {
      return last
    }
    let kind = Node.Kind(node.operatorName, domain: node.domain, operatorSet: operatorSet)
    kinds[node.operatorName] = kind
    return kind
  }

  /// The operator set that a node is of: the newest known where the model does not import its
  /// domain, which exporters and optimizers forget.
  private mutating func operatorSet(of node: NodeDefinition) -> Int {
    if let version = node.operatorSet ?? operatorSets[node.domain] { return version }
    let newest = Schema.newestOperatorSet(of: node.domain)
    operatorSets[node.domain] = newest
    notes.append(
      Note(
        pass: "load", kind: .done, node: node.name,
        text: "the model imports no operator set of "
          + "\(node.domain.isEmpty ? "ai.onnx" : node.domain): assumed \(newest), the newest known")
    )
    return newest
  }

  /// The operator's schema; nil in domains that ONNX does not define.
  private func schema(of node: NodeDefinition, _ operatorSet: Int) throws(ModelError) -> Schema? {
    let name = node.operatorName
    if let schema = Schema.find(name, domain: node.domain, operatorSet: operatorSet) {
      return schema
    }
    guard let first = Schema.sinceVersions(of: name, domain: node.domain).first else { return nil }
    throw ModelError(
      .invalid,
      "\(name) came with operator set \(first), and the model imports operator set \(operatorSet)")
  }

  /// Attributes that the operator leaves unread change the meaning of the model, unless they are empty.
  private func refuse(_ attributes: [String], of node: NodeDefinition) throws(ModelError) {
    // The first operator sets let nodes tell which inputs they might overwrite.
    let unknown = attributes.filter {
      $0 != "consumed_inputs" && !(node.attributes[$0]?.isEmpty ?? true)
    }
    guard !unknown.isEmpty else { return }
    throw ModelError(
      .unsupported,
      "\(node.operatorName) has no \(unknown.count == 1 ? "attribute" : "attributes") "
        + unknown.joined(separator: ", "))
  }
}

extension Attribute {
  fileprivate var isEmpty: Bool {
    switch self {
    case .string(let text): text.isEmpty
    case .floats(let values): values.isEmpty
    case .ints(let values): values.isEmpty
    case .strings(let values): values.isEmpty
    default: false
    }
  }
}

extension [NodeDefinition] {
  /// Names of the nodes that are unique among them, such as `Conv_12` for the nameless.
  fileprivate var uniqueNames: [String] {
    var taken = Set<String>(minimumCapacity: count)
    return enumerated().map { index, node in
      unique(node.name.isEmpty ? "\(node.operatorName)_\(index)" : node.name, &taken)
    }
  }
}
