extension Planner {
  /// Lets a float32 Conv, Gemm, MatMul or BatchNormalization finish the activation behind it, and a
  /// Conv the residual sum before that, while its results are still in the cache.
  static let fuseEpilogues = Pass(name: "fuse epilogues") { graph throws(ModelError) in
    var fusion = EpilogueFusion(graph)
    for position in graph.nodes.indices { fusion.fuse(from: position) }
    graph = fusion.graph
  }
}

private struct EpilogueFusion {
  var graph: Graph
  private var readers: Readers
  private let outputs: Set<Graph.ValueID>

  init(_ graph: Graph) {
    self.graph = graph
    readers = graph.readers()
    outputs = Set(graph.outputs)
  }

  /// Takes what follows the node at `position` into it, as far as that goes.
  mutating func fuse(from position: Int) {
    guard graph.nodes[position].domain.isEmpty,
      graph.constant(graph.nodes[position], 1)?.type == .float,
      graph.nodes[position].implementation is any ActivationAccepting
    else { return }
    if let normalization = graph.nodes[position].implementation as? BatchNormalization {
      guard normalization.isInference, soleReader(position) != nil else { return }
    }
    let next = addResidual(from: position) ?? addBias(from: position) ?? position
    activate(from: next)
  }

  /// Moves the node into the place of the one that alone reads its output.
  private mutating func move(_ position: Int, to next: Int, _ implementation: any Operator) {
    var node = graph.nodes[position]
    node.implementation = implementation
    let follower = graph.nodes[next]
    graph.note("fuse epilogues", .done, follower, "done by \(node.label)")
    graph.nodes[position].outputs = []
    node.outputs = follower.outputs
    graph.nodes[next] = node
    for case let id? in node.inputs {
      readers.remove(position, from: id)
      readers.add(next, to: id)
    }
  }

  private func soleReader(_ position: Int) -> Int? {
    guard let result = graph.nodes[position].outputs.first ?? nil, readers[result].count == 1,
      !outputs.contains(result)
    else { return nil }
    return readers[result][0]
  }

  private mutating func activate(from position: Int) {
    var position = position
    while var implementation = graph.nodes[position].implementation as? any ActivationAccepting,
      let next = soleReader(position), let result = graph.nodes[position].outputs[0],
      let activation = graph.activation(graph.nodes[next], of: result)
    {
      implementation.activation = implementation.activation.followed(by: activation)
      move(position, to: next, implementation)
      position = next
    }
  }

  /// Lets a MatMul add a row of constants, as Gemm does.
  /// - Returns: where the MatMul stands afterwards.
  private mutating func addBias(from position: Int) -> Int? {
    let node = graph.nodes[position]
    guard let product = node.implementation as? MatMul, product.activation == .none,
      node.inputs.count == 2, let columns = graph.constant(node, 1)?.shape, columns.count == 2,
      let next = soleReader(position), graph.nodes[next].operatorName == "Add",
      graph.nodes[next].domain.isEmpty, graph.nodes[next].attributes.isEmpty,
      let bias = graph.nodes[next].inputs.first(where: { $0 != node.outputs[0] }) ?? nil,
      let row = graph.values[bias].constant, row.type == .float, row.shape == [columns[1]]
    else { return nil }
    graph.nodes[position].inputs = node.inputs + [bias]
    move(position, to: next, product)
    return next
  }

  private mutating func shape(of id: Graph.ValueID) -> [Dimension]? {
    graph.symbolicShapes().facts[id].shape
  }

  /// - Returns: where the Conv stands afterwards.
  private mutating func addResidual(from position: Int) -> Int? {
    guard var conv = graph.nodes[position].implementation as? Conv,
      conv.activation == .none, !conv.addsResidual, let next = soleReader(position),
      graph.nodes[next].operatorName == "Add", graph.nodes[next].domain.isEmpty,
      graph.nodes[next].attributes.isEmpty, let result = graph.nodes[position].outputs[0],
      let residual = graph.nodes[next].inputs.first(where: { $0 != result }) ?? nil,
      let shape = shape(of: result), !shape.contains(.unknown), self.shape(of: residual) == shape
    else { return nil }
    conv.addsResidual = true
    var inputs = graph.nodes[position].inputs
    while inputs.count < 3 { inputs.append(nil) }
    graph.nodes[position].inputs = inputs + [residual]
    move(position, to: next, conv)
    return next
  }
}

extension Graph {
  /// The function a node applies to each element of a value, if a kernel can do it as it stores.
  fileprivate func activation(_ node: Node, of value: ValueID) -> Activation? {
    guard node.domain.isEmpty else { return nil }
    if node.inputs.first != value { return affine(node, of: value) }
    func float(_ name: String, _ fallback: Float) -> Float {
      node.attributes.float(name) ?? fallback
    }
    switch node.operatorName {
    case "Relu": return .relu
    case "LeakyRelu": return .leaky(slope: float("alpha", 0.01))
    case "Sigmoid": return .unary(.sigmoid)
    case "Tanh": return .unary(.tanh)
    case "HardSwish": return .unary(.hardSwish)
    case "Gelu":
      guard case .string(let form)? = node.attributes["approximate"] else { return .unary(.gelu) }
      return .unary(form == "tanh" ? .geluTanh : .gelu)
    case "Swish": return float("alpha", 1) == 1 ? .unary(.silu) : nil
    case "HardSigmoid":
      return .unary(.hardSigmoid, alpha: float("alpha", 0.2), beta: float("beta", 0.5))
    case "Clip": return clamp(node, float("min", -.infinity), float("max", .infinity))
    default: return affine(node, of: value)
    }
  }

  /// The sum, difference or product of a value and a number.
  private func affine(_ node: Node, of value: ValueID) -> Activation? {
    guard ["Add", "Sub", "Mul"].contains(node.operatorName), node.attributes.isEmpty,
      node.inputs.count == 2, let left = node.inputs[0], let right = node.inputs[1], left != right,
      let constant = values[left == value ? right : left].constant, constant.type == .float,
      constant.elementCount == 1, constant.shape.count <= 1
    else { return nil }
    let number = constant.converted(to: Float.self)[0]
    return switch (node.operatorName, left == value) {
    case ("Add", _): .unary(.affine, alpha: 1, beta: number)
    case ("Sub", true): .unary(.affine, alpha: 1, beta: -number)
    case ("Sub", false): .unary(.affine, alpha: -1, beta: number)
    default: .unary(.affine, alpha: number)
    }
  }

  /// Clip with bounds that are attributes (before version 11) or constants.
  private func clamp(_ node: Node, _ low: Float, _ high: Float) -> Activation? {
    func bound(_ index: Int, _ fallback: Float) -> Float? {
      guard node.hasInput(index) else { return fallback }
      return constant(node, index)?.converted(to: Float.self).first
    }
    guard let low = bound(1, low), let high = bound(2, high) else { return nil }
    return .clamp(low: low, high: high)
  }
}
