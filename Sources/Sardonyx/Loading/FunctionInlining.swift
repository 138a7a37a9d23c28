/// Replaces the calls of a model's own functions by the functions' nodes.
///
/// Values and nodes of a function are named after the call, as in `call/value`; names stay unique
/// in the whole model, so that no graph inside hides a name of the graphs around it.
struct FunctionInlining {
  /// How deep functions may call one another.
  static let depthLimit = 64
  /// How many nodes all calls together may become.
  static let nodeLimit = 1 << 22

  /// What tells functions apart.
  private struct Key: Hashable {
    let domain: String
    let name: String
    let overload: String

    init(of node: NodeDefinition) {
      (domain, name, overload) = (node.domain, node.operatorName, node.overload)
    }

    init(of function: FunctionDefinition) {
      (domain, name, overload) = (function.domain, function.name, function.overload)
    }
  }

  private let functions: [Key: FunctionDefinition]
  private let operatorSets: [String: Int]
  /// All names in use anywhere in the model.
  private var taken: Set<String>
  /// How many nodes a call of each function becomes; nil while that is being counted.
  private var nodeCounts: [Key: Int?] = [:]

  init(_ model: ModelDefinition) throws(ModelError) {
    var functions: [Key: FunctionDefinition] = [:]
    for function in model.functions {
      guard functions.updateValue(function, forKey: Key(of: function)) == nil else {
        throw ModelError(.invalid, "the function \(function.name) is defined twice")
      }
    }
    self.functions = functions
    operatorSets = model.operatorSets
    taken = model.graph.allNames
  }

  /// The graph, and the graphs in it, without calls.
  mutating func graph(_ graph: GraphDefinition) throws(ModelError) -> GraphDefinition {
    var graph = graph
    graph.nodes = try nodes(graph.nodes)
    return graph
  }

  private mutating func nodes(_ nodes: [NodeDefinition]) throws(ModelError) -> [NodeDefinition] {
    var result: [NodeDefinition] = []
    result.reserveCapacity(nodes.count)
    for var node in nodes {
      for (attribute, body) in node.bodies {
        node.attributes[attribute] = .graph(try graph(body))
      }
      let key = Key(of: node)
      guard let function = functions[key] else {
        result.append(node)
        continue
      }
      do throws(ModelError) {
        _ = try nodeCount(key, function, depth: 1)
        result += try expand(node, function)
      } catch {
        throw error.at(node: node.label)
      }
    }
    return result
  }

  /// Counts the nodes of a call before any is made.
  /// - Throws: ``ModelError``: invalid for a function that calls itself, limit.
  private mutating func nodeCount(_ key: Key, _ function: FunctionDefinition, depth: Int)
    throws(ModelError) -> Int
  {
    if let known = nodeCounts[key] {
      if let known { return known }
      throw ModelError(.invalid, "the function \(function.name) calls itself")
    }
    nodeCounts[key] = .some(nil)
    let count = try nodeCount(function.nodes, depth: depth)
    guard depth <= Self.depthLimit, count <= Self.nodeLimit else {
      throw ModelError(
        .limit,
        "functions: expected calls at most \(Self.depthLimit) deep that become at most "
          + "\(Self.nodeLimit) nodes, got more")
    }
    nodeCounts[key] = count
    return count
  }

  private mutating func nodeCount(_ nodes: [NodeDefinition], depth: Int) throws(ModelError)
    -> Int
  {
    var count = nodes.count
    for node in nodes {
      for body in node.bodies { count += try nodeCount(body.graph.nodes, depth: depth) }
      if let function = functions[Key(of: node)], depth <= Self.depthLimit {
        count += try nodeCount(Key(of: node), function, depth: depth + 1)
      }
    }
    return count
  }

  /// The nodes that stand for a call.
  private mutating func expand(_ call: NodeDefinition, _ function: FunctionDefinition)
    throws(ModelError) -> [NodeDefinition]
  {
    var substitution = try Substitution(of: call, by: function, operatorSets, &taken)
    return try nodes(try substitution.nodes(&taken))
  }
}

/// How the names and attributes of one function become those of one call.
private struct Substitution {
  private let call: NodeDefinition
  private let function: FunctionDefinition
  private let operatorSets: [String: Int]
  private let prefix: String
  private var names: [String: String] = ["": ""]
  /// Outputs that are an input, or another output, under a second name.
  private var copies: [(from: String, to: String)] = []

  init(
    of call: NodeDefinition, by function: FunctionDefinition, _ operatorSets: [String: Int],
    _ taken: inout Set<String>
  ) throws(ModelError) {
    self.call = call
    self.function = function
    self.operatorSets = operatorSets.merging(function.operatorSets) { _, own in own }
    prefix = call.name.isEmpty ? function.name : call.name
    guard call.inputs.count <= function.inputs.count else {
      throw .unexpected(
        "inputs", expected: "at most \(function.inputs.count)", got: "\(call.inputs.count)",
        code: .invalid)
    }
    guard call.outputs.count <= function.outputs.count else {
      throw .unexpected(
        "outputs", expected: "at most \(function.outputs.count)", got: "\(call.outputs.count)",
        code: .invalid)
    }
    let declared = Set(function.attributeNames).union(function.attributeDefaults.keys)
    if let unknown = call.attributes.keys.sorted().first(where: { !declared.contains($0) }) {
      throw ModelError(.invalid, "the function \(function.name) has no attribute \(unknown)")
    }
    for (index, input) in function.inputs.enumerated() {
      names[input] = index < call.inputs.count ? call.inputs[index] : ""
    }
    for (output, name) in zip(function.outputs, call.outputs) where !name.isEmpty {
      if let other = names[output] {
        copies.append((other, name))
      } else {
        names[output] = name
      }
    }
    for name in function.nodes.flatMap(\.outputs) where names[name] == nil {
      names[name] = unique("\(prefix)/\(name)", &taken)
    }
  }

  mutating func nodes(_ taken: inout Set<String>) throws(ModelError) -> [NodeDefinition] {
    var result: [NodeDefinition] = []
    for node in function.nodes { result.append(try self.node(node, names, &taken)) }
    for (from, to) in copies {
      result.append(
        NodeDefinition(
          name: "\(prefix)/\(to)", operatorName: "Identity", operatorSet: operatorSets[""],
          inputs: [from], outputs: [to]))
    }
    return result
  }

  private func node(
    _ node: NodeDefinition, _ names: [String: String], _ taken: inout Set<String>
  ) throws(ModelError) -> NodeDefinition {
    var node = node
    node.name = node.name.isEmpty ? "" : "\(prefix)/\(node.name)"
    node.operatorSet = node.operatorSet ?? operatorSets[node.domain]
    for index in node.inputs.indices {
      guard let name = names[node.inputs[index]] else {
        throw ModelError(
          .invalid,
          "the function \(function.name) reads \"\(node.inputs[index])\", which nothing in it makes"
        )
      }
      node.inputs[index] = name
    }
    node.outputs = node.outputs.map { names[$0] ?? $0 }
    for (name, attribute) in node.attributes {
      switch attribute {
      case .reference(let other):
        node.attributes[name] = call.attributes[other] ?? function.attributeDefaults[other]
      case .graph(let body):
        node.attributes[name] = .graph(try graph(body, names, &taken))
      default: break
      }
    }
    return node
  }

  private func graph(
    _ graph: GraphDefinition, _ outer: [String: String], _ taken: inout Set<String>
  ) throws(ModelError) -> GraphDefinition {
    var names = outer
    for name in graph.definedNames.sorted() { names[name] = unique("\(prefix)/\(name)", &taken) }
    var graph = graph
    for index in graph.inputs.indices { rename(&graph.inputs[index].name, names) }
    for index in graph.outputs.indices { rename(&graph.outputs[index].name, names) }
    for index in graph.values.indices { rename(&graph.values[index].name, names) }
    for index in graph.initializers.indices { rename(&graph.initializers[index].name, names) }
    graph.nodes = try graph.nodes.map { (node) throws(ModelError) in
      try self.node(node, names, &taken)
    }
    return graph
  }

  private func rename(_ name: inout String, _ names: [String: String]) {
    name = names[name] ?? name
  }
}

/// A name that starts with `name` and is not taken; it is from now on.
func unique(_ name: String, _ taken: inout Set<String>) -> String {
  var result = name
  var suffix: UInt64 = 2
  // How many names there are is hardly one of them, so that a million of one name cost no more than as many
  // different ones; where it is, numbers follow that nobody guesses for all of them.
  var next = UInt64(taken.count)
  while !taken.insert(result).inserted {
    result = "\(name)_\(suffix)"
    (suffix, next) = (next, next &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407)
  }
  return result
}

extension GraphDefinition {
  /// The names of all values here and in the graphs inside.
  var allNames: Set<String> {
    var names = definedNames.union(outputs.map(\.name))
    for node in nodes {
      names.formUnion(node.inputs)
      for body in node.bodies { names.formUnion(body.graph.allNames) }
    }
    return names
  }
}
