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
  private var calls: [String: Call] = [:]
  /// What had to be assumed.
  private(set) var notes: [Note] = []

  /// What is known of an operator that many nodes call.
  private struct Call {
    let kind: Node.Kind
    let make: OperatorFamily.Value
  }

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
    scope.addInputs(of: definition.nodes)
    let names = definition.nodes.uniqueNames
    scope.graph.nodes.reserveCapacity(names.count)
    let activity = Activity.watched
    let nodes = definition.nodes.span
    for (count, position) in try scope.order(definition.nodes, names).enumerated() {
      activity?.take(
        "load", count, of: names.count, names[position], nodes[position].operatorName)
      // Hardly any node needs another name, and a copy for it.
      if names[position] == nodes[position].name {
        try append(nodes[position], position, to: &scope)
      } else {
        var node = nodes[position]
        node.name = names[position]
        try append(node, position, to: &scope)
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

  private mutating func append(
    _ definition: NodeDefinition, _ position: Int, to scope: inout GraphScope
  ) throws(ModelError) {
    do throws(ModelError) {
      try appendUnlabelled(definition, position, to: &scope)
    } catch {
      throw error.at(node: definition.label)
    }
  }

  private mutating func appendUnlabelled(
    _ definition: NodeDefinition, _ position: Int, to scope: inout GraphScope
  ) throws(ModelError) {
    let inputs = scope.inputs[position]
    if let unmade = inputs.firstIndex(of: GraphScope.unmade) {
      _ = try scope.id(definition.inputs[unmade])
    }
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
    guard let call = try call(of: definition, operatorSet) else {
      missing.add(definition, operatorSet: operatorSet)
      return
    }
    try call.kind.schema?.check(definition)
    var reader = NodeReader(
      definition, operatorSet: operatorSet, version: call.kind.schema?.since ?? operatorSet,
      captureCount: captured.count, bodies: bodies)
    let implementation = try call.make(&reader)
    let unread = reader.unreadAttributes
    if !unread.isEmpty { try refuse(unread, of: definition) }
    scope.graph.nodes.append(
      Node(
        name: definition.name, kind: call.kind,
        inputs: captured.isEmpty ? inputs : inputs + captured,
        outputs: scope.outputs[position],
        attributes: bodies.isEmpty
          ? definition.attributes : definition.attributes.filter { bodies[$0.key] == nil },
        implementation: implementation))
  }

  /// nil where this build lacks the operator.
  private mutating func call(of node: NodeDefinition, _ operatorSet: Int) throws(ModelError)
    -> Call?
  {
    if let last = calls[node.operatorName], last.kind.domain == node.domain,
      last.kind.operatorSet == operatorSet
    {
      return last
    }
    guard let make = OperatorTable.find(node.operatorName, domain: node.domain) else { return nil }
    let kind = Node.Kind(node.operatorName, domain: node.domain, operatorSet: operatorSet)
    if kind.schema == nil { try requireNoSchema(of: node, operatorSet) }
    let call = Call(kind: kind, make: make)
    calls[node.operatorName] = call
    return call
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

  /// Refuses an operator that came with a later operator set.
  private func requireNoSchema(of node: NodeDefinition, _ operatorSet: Int) throws(ModelError) {
    let name = node.operatorName
    guard let first = Schema.sinceVersions(of: name, domain: node.domain).first else { return }
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
    let nodes = span
    return indices.map { index in
      let name = nodes[index].name
      return unique(
        name.isEmpty ? nodes[index].operatorName + "_" + String(index) : name, &taken)
    }
  }
}
