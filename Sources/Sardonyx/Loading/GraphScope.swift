/// A graph in the making, with the numbers of its names.
struct GraphScope {
  var graph = Graph()
  private(set) var ids: [String: Graph.ValueID] = [:]
  /// What the file declares of values inside the graph.
  private let declarations: [String: ValueDefinition]
  /// The numbers of the nodes' inputs, ``unmade`` for names that nothing makes, and of their outputs.
  private(set) var inputs: [[Graph.ValueID?]] = []
  private(set) var outputs: [[Graph.ValueID?]] = []
  /// Stands for a value that nothing makes.
  static let unmade = -1
  /// Outputs of Constant nodes.
  private var constants: [Graph.ValueID: Tensor] = [:]

  init(_ definition: GraphDefinition) {
    graph.name = definition.name
    declarations = Dictionary(
      (definition.values + definition.outputs).map { ($0.name, $0) }
    ) { first, second in second.type == nil ? first : second }
  }

  // MARK: - Values

  /// The number of a value a node reads; nil for one left out.
  func id(_ name: String) throws(ModelError) -> Graph.ValueID? {
    if name.isEmpty { return nil }
    if let id = ids[name] { return id }
    throw ModelError(.invalid, "nothing makes the input \"\(name)\"")
  }

  /// Adds inputs and initializers.
  ///
  /// An initializer that is an input too is its default, or a constant where inputs have none.
  mutating func addInputs(of definition: GraphDefinition, haveDefaults: Bool) throws(ModelError) {
    var initializers: [String: Tensor] = [:]
    for (name, tensor) in definition.initializers {
      guard initializers.updateValue(tensor, forKey: name) == nil else {
        throw ModelError(.invalid, "the initializer \"\(name)\" is given twice")
      }
    }
    for input in definition.inputs {
      let tensor = initializers[input.name]
      if tensor != nil && !haveDefaults { continue }
      guard ids[input.name] == nil, !input.name.isEmpty else {
        throw ModelError(
          .invalid, "inputs: expected different names, got \"\(input.name)\" twice or empty")
      }
      let id = add(input.name, type: input.type, shape: input.shape)
      graph.inputs.append(id)
      graph.defaults[id] = tensor
    }
    for (name, tensor) in definition.initializers where ids[name] == nil {
      addConstant(name, tensor)
    }
  }

  /// Adds the values that nodes make.
  mutating func addOutputs(of nodes: [NodeDefinition]) throws(ModelError) {
    let nodes = nodes.span
    let count = nodes.indices.reduce(0) { $0 + nodes[$1].outputs.count }
    graph.values.reserveCapacity(graph.values.count + count)
    ids.reserveCapacity(ids.count + count)
    outputs.reserveCapacity(nodes.count)
    for position in nodes.indices {
      outputs.append(
        try nodes[position].outputs.map { (name) throws(ModelError) in
          if name.isEmpty { return nil }
          guard ids.updateValue(graph.values.count, forKey: name) == nil else {
            throw ModelError(.invalid, "the value \"\(name)\" is made twice")
              .at(node: nodes[position].label)
          }
          let declared = declarations.isEmpty ? nil : declarations[name]
          let id = graph.addValue(name, type: declared?.type, shape: declared?.shape)
          if let constant = nodes[position].constant { constants[id] = constant }
          return id
        })
    }
  }

  /// Looks up what nodes read, once all values are known.
  mutating func addInputs(of nodes: [NodeDefinition]) {
    let nodes = nodes.span
    inputs = nodes.indices.map { position in
      nodes[position].inputs.map { $0.isEmpty ? nil : ids[$0] ?? Self.unmade }
    }
  }

  /// Adds what a body captures; a name the body has itself hides the captured one.
  mutating func add(_ captures: Captures) {
    for (name, tensor) in captures.constants where ids[name] == nil { addConstant(name, tensor) }
    guard !captures.inputs.isEmpty else { return }
    var taken = Set(ids.keys)
    for input in captures.inputs {
      if ids[input.name] == nil {
        graph.inputs.append(add(input.name, type: input.type, shape: input.shape))
      } else {
        let name = unique("\(input.name)_captured", &taken)
        graph.inputs.append(graph.addValue(name, type: input.type, shape: input.shape))
      }
    }
  }

  @discardableResult
  private mutating func add(_ name: String, type: ValueType?, shape: [Dimension]?)
    -> Graph.ValueID
  {
    let id = graph.addValue(name, type: type, shape: shape)
    ids[name] = id
    return id
  }

  private mutating func addConstant(_ name: String, _ tensor: Tensor) {
    let id = add(name, type: .tensor(tensor.type), shape: tensor.shape.map { .known($0) })
    graph.values[id].constant = tensor
  }

  /// What the bodies of a node capture, together.
  func captures(of node: NodeDefinition) throws(ModelError) -> Captures {
    var captures = Captures()
    var seen = Set<String>()
    for body in node.bodies {
      for name in body.graph.capturedNames where seen.insert(name).inserted {
        guard let id = try id(name) else { continue }
        if let tensor = graph.values[id].constant ?? constants[id] {
          captures.constants.append((name, tensor))
        } else {
          captures.inputs.append(graph.definition(of: id))
        }
      }
    }
    return captures
  }

  // MARK: - Order

  /// The positions of the nodes in an order that makes every value before it is read: that of the
  /// file wherever it does.
  /// - Parameter names: of the nodes, for errors.
  func order(_ nodes: [NodeDefinition], _ names: [String]) throws(ModelError) -> [Int] {
    var producers = [Int?](repeating: nil, count: graph.values.count)
    for (position, made) in outputs.enumerated() {
      for case let id? in made { producers[id] = position }
    }
    // Nearly all files have their nodes in order.
    let isPlacedBefore = nodes.indices.allSatisfy { position in
      forEachNeed(of: position, in: nodes, producers) { $0 < position }
    }
    if isPlacedBefore { return Array(nodes.indices) }
    var order: [Int] = []
    order.reserveCapacity(nodes.count)
    var isPlaced = [Bool](repeating: false, count: nodes.count)
    var isOpen = isPlaced
    for start in nodes.indices where !isPlaced[start] {
      // Nodes whose needs are being placed, with how many of them have been looked at.
      var open = [(position: start, needs: needs(start, in: nodes, producers, isPlaced), next: 0)]
      isOpen[start] = true
      while let (position, needs, next) = open.last {
        guard next < needs.count else {
          open.removeLast()
          isPlaced[position] = true
          order.append(position)
          continue
        }
        open[open.count - 1].next += 1
        let needed = needs[next]
        if isPlaced[needed] { continue }
        guard !isOpen[needed] else {
          var node = nodes[needed]
          node.name = names[needed]
          throw ModelError(.invalid, "the node needs its own output: the graph has a cycle")
            .at(node: node.label)
        }
        isOpen[needed] = true
        open.append((needed, self.needs(needed, in: nodes, producers, isPlaced), 0))
      }
    }
    return order
  }

  /// The nodes to be placed before another one.
  private func needs(
    _ position: Int, in nodes: [NodeDefinition], _ producers: [Int?], _ isPlaced: [Bool]
  ) -> [Int] {
    var needs: [Int] = []
    _ = forEachNeed(of: position, in: nodes, producers) { producer in
      if !isPlaced[producer] { needs.append(producer) }
      return true
    }
    return needs
  }

  /// Calls `body` with the nodes that make what one reads, until it returns false.
  private func forEachNeed(
    of position: Int, in nodes: [NodeDefinition], _ producers: [Int?], _ body: (Int) -> Bool
  ) -> Bool {
    for case let id? in inputs[position] where id != Self.unmade {
      if let producer = producers[id], !body(producer) { return false }
    }
    guard !nodes[position].attributes.isEmpty else { return true }
    for (_, graph) in nodes[position].bodies {
      for name in graph.capturedNames {
        if let id = ids[name], let producer = producers[id], !body(producer) { return false }
      }
    }
    return true
  }
}

extension NodeDefinition {
  /// The tensor that a Constant node makes.
  fileprivate var constant: Tensor? {
    guard operatorName == "Constant", domain.isEmpty, attributes.count == 1,
      let (name, value) = attributes.first
    else { return nil }
    switch value {
    case .tensor(let tensor) where name == "value": return tensor
    case .float(let number) where name == "value_float": return Tensor(scalar: number)
    case .floats(let numbers) where name == "value_floats": return Tensor(numbers)
    case .int(let number) where name == "value_int": return Tensor(scalar: Int64(number))
    case .ints(let numbers) where name == "value_ints": return Tensor(numbers.map(Int64.init))
    default: return nil
    }
  }
}
