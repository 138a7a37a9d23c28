extension Planner {
  /// Puts one operator in the place of several that exporters spell it out with: LayerNormalization,
  /// Gelu in either form, Swish and HardSwish in single precision.
  static let fusePatterns = Pass(name: "fuse patterns") { graph throws(ModelError) in
    var fusion = PatternFusion(graph)
    for position in graph.nodes.indices { try fusion.fuse(at: position) }
    graph = fusion.graph
  }
}

private struct PatternFusion {
  var graph: Graph
  private let readers: Readers
  private let producers: [Int?]

  init(_ graph: Graph) {
    self.graph = graph
    readers = graph.readers()
    producers = graph.producers()
  }

  /// Fuses the pattern whose last node stands at `position`, if one does.
  mutating func fuse(at position: Int) throws(ModelError) {
    guard graph.nodes[position].domain.isEmpty else { return }
    switch graph.nodes[position].operatorName {
    case "Add": try fuseNormalization(scaledAndShifted: position)
    case "Mul":
      try fuseGelu(position)
      try fuseSwish(position)
      try fuseHardSwish(position)
    default: return
    }
  }

  // MARK: - LayerNormalization

  /// (d / √(mean(d²) + ε))·scale + bias with d = x - mean(x).
  private mutating func fuseNormalization(scaledAndShifted position: Int) throws(ModelError) {
    guard let (scaled, bias) = operandAndConstant(position, "Add"),
      let product = maker(of: scaled, "Mul"),
      let (normal, scale) = operandAndConstant(product, "Mul"),
      let quotient = maker(of: normal, "Div"),
      let difference = graph.nodes[quotient].inputs[0],
      let root = graph.nodes[quotient].inputs[1].flatMap({ maker(of: $0, "Sqrt") }),
      let sum = graph.nodes[root].inputs[0].flatMap({ maker(of: $0, "Add") }),
      let (variance, epsilon) = operandAndConstant(sum, "Add"),
      let mean = maker(of: variance, "ReduceMean"), isMeanOfRows(mean),
      let square = graph.nodes[mean].inputs[0].flatMap({ producers[$0] }),
      isSquare(square, of: difference),
      let subtraction = producers[difference], graph.nodes[subtraction].operatorName == "Sub",
      let x = graph.nodes[subtraction].inputs[0],
      let center = graph.nodes[subtraction].inputs[1].flatMap({ maker(of: $0, "ReduceMean") }),
      isMeanOfRows(center), graph.nodes[center].inputs[0] == x,
      readers[difference].allSatisfy({ $0 == quotient || $0 == square }),
      !graph.outputs.contains(difference)
    else { return }
    guard let epsilon = graph.scalar(epsilon), epsilon > 0, let scale = row(scale),
      let bias = row(bias),
      let count = graph.values[scale].constant?.shape[0],
      graph.values[bias].constant?.shape == [count],
      graph.symbolicShapes().facts[x].shape?.last == .known(count)
    else { return }
    try replace(
      position, by: "LayerNormalization", operatorSet: 17, [x, scale, bias],
      ["axis": .int(-1), "epsilon": .float(epsilon)])
  }

  /// Whether a node takes the mean along the last axis alone, which it keeps.
  private func isMeanOfRows(_ position: Int) -> Bool {
    let node = graph.nodes[position]
    guard node.attributes.int("keepdims") ?? 1 == 1 else { return false }
    if let axes = graph.constant(node, 1) { return axes.converted(to: Int64.self) == [-1] }
    guard !node.hasInput(1), case .ints(let axes)? = node.attributes["axes"] else { return false }
    return axes == [-1]
  }

  private func isSquare(_ position: Int, of value: Graph.ValueID) -> Bool {
    let node = graph.nodes[position]
    guard readers[node.outputs[0] ?? 0].count == 1 else { return false }
    switch node.operatorName {
    case "Mul": return node.inputs == [value, value]
    case "Pow": return node.inputs.first == value && graph.scalar(node.inputs[1]) == 2
    default: return false
    }
  }

  // MARK: - Activations

  /// x·½·(1 + erf(x / √2)), or x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the factors in any order.
  private mutating func fuseGelu(_ position: Int) throws(ModelError) {
    for form in [geluHalvedLast(position), geluHalvedFirst(position)] {
      guard let (x, sum) = form, let (function, one) = operandAndConstant(sum, "Add"),
        number(one, besides: x) == 1
      else { continue }
      if let erf = maker(of: function, "Erf"),
        let scaled = graph.nodes[erf].inputs[0].flatMap({ producers[$0] }),
        isOverRootOfTwo(scaled, x)
      {
        return try replace(position, by: "Gelu", operatorSet: 20, [x], [:])
      }
      if let tanh = maker(of: function, "Tanh"), let argument = graph.nodes[tanh].inputs[0],
        let polynomial = polynomial(argument, in: x),
        zip(polynomial, Self.tanhOfGelu).allSatisfy({ isNear($0, $1) })
      {
        return try replace(
          position, by: "Gelu", operatorSet: 20, [x], ["approximate": .string("tanh")])
      }
    }
  }

  /// What Gelu takes the hyperbolic tangent of, by the powers of x.
  private static let tanhOfGelu: [Float] = [0, 0.7978846, 0, 0.7978846 * 0.044715]

  /// A value as a polynomial of `x` of at most the third degree, its coefficients by their powers; nil where
  /// it is none, or others read what it is put together from.
  private mutating func polynomial(_ id: Graph.ValueID, in x: Graph.ValueID, depth: Int = 0)
    -> [Float]?
  {
    if id == x { return [0, 1, 0, 0] }
    if let number = number(id, besides: x) { return [number, 0, 0, 0] }
    // As deep as anybody spells it, and twice that.
    guard depth < 12,
      let position = maker(of: id, "Add") ?? maker(of: id, "Mul") ?? maker(of: id, "Pow"),
      let first = graph.nodes[position].inputs[0], let second = graph.nodes[position].inputs[1],
      let left = polynomial(first, in: x, depth: depth + 1),
      let right = polynomial(second, in: x, depth: depth + 1)
    else { return nil }
    switch graph.nodes[position].operatorName {
    case "Add": return zip(left, right).map(+)
    case "Mul": return product(left, right)
    default:
      guard right == [2, 0, 0, 0] || right == [3, 0, 0, 0] else { return nil }
      guard let square = product(left, left) else { return nil }
      return right[0] == 2 ? square : product(square, left)
    }
  }

  private func product(_ left: [Float], _ right: [Float]) -> [Float]? {
    var product = [Float](repeating: 0, count: left.count)
    for (power, factor) in left.enumerated() where factor != 0 {
      for (other, coefficient) in right.enumerated() where coefficient != 0 {
        guard power + other < product.count else { return nil }
        product[power + other] += factor * coefficient
      }
    }
    return product
  }

  /// The number that a constant holds, if it is a single one and has no more axes than `x`.
  private mutating func number(_ id: Graph.ValueID, besides x: Graph.ValueID) -> Float? {
    if let number = graph.scalar(id) { return number }
    guard let tensor = graph.values[id].constant, tensor.type == .float, tensor.elementCount == 1,
      let shape = graph.symbolicShapes().facts[x].shape, tensor.shape.count <= shape.count
    else { return nil }
    return tensor.converted(to: Float.self)[0]
  }

  /// (x·(1 + …))·½.
  private func geluHalvedLast(_ position: Int) -> (x: Graph.ValueID, sum: Int)? {
    guard let (whole, half) = operandAndConstant(position, "Mul"), graph.scalar(half) == 0.5,
      let product = maker(of: whole, "Mul")
    else { return nil }
    return factorAndSum(graph.nodes[product])
  }

  /// (x·½)·(1 + …), or x·(½·(1 + …)).
  private func geluHalvedFirst(_ position: Int) -> (x: Graph.ValueID, sum: Int)? {
    let node = graph.nodes[position]
    for (index, id) in node.inputs.enumerated() {
      guard let id, let halving = maker(of: id, "Mul"),
        let (inner, half) = operandAndConstant(halving, "Mul"), graph.scalar(half) == 0.5,
        let other = node.inputs[1 - index]
      else { continue }
      if let sum = maker(of: other, "Add") { return (inner, sum) }
      if let sum = maker(of: inner, "Add") { return (other, sum) }
    }
    return nil
  }

  private func factorAndSum(_ node: Node) -> (x: Graph.ValueID, sum: Int)? {
    for (index, id) in node.inputs.enumerated() {
      if let id, let sum = maker(of: id, "Add"), let x = node.inputs[1 - index] {
        return (x, sum)
      }
    }
    return nil
  }

  private func isOverRootOfTwo(_ position: Int, _ x: Graph.ValueID) -> Bool {
    let node = graph.nodes[position]
    guard readers[node.outputs[0] ?? 0].count == 1 else { return false }
    switch node.operatorName {
    case "Div":
      return node.inputs.first == x && isNear(graph.scalar(node.inputs[1]), Float(2).squareRoot())
    case "Mul":
      guard let (operand, factor) = operandAndConstant(position, "Mul") else { return false }
      return operand == x && isNear(graph.scalar(factor), Float(0.5).squareRoot())
    default: return false
    }
  }

  private func isNear(_ number: Float?, _ expected: Float) -> Bool {
    number.map { abs($0 - expected) <= 1e-6 } ?? false
  }

  /// x·sigmoid(x).
  private mutating func fuseSwish(_ position: Int) throws(ModelError) {
    let node = graph.nodes[position]
    guard node.operatorName == "Mul", node.inputs.count == 2 else { return }
    for (index, id) in node.inputs.enumerated() {
      guard let id, let sigmoid = maker(of: id, "Sigmoid"), let x = node.inputs[1 - index],
        graph.nodes[sigmoid].inputs == [x]
      else { continue }
      return try replace(position, by: "Swish", operatorSet: 24, [x], [:])
    }
  }

  /// x·hardsigmoid(x) with the slope 1/6.
  private mutating func fuseHardSwish(_ position: Int) throws(ModelError) {
    let node = graph.nodes[position]
    guard node.operatorName == "Mul", node.inputs.count == 2 else { return }
    for (index, id) in node.inputs.enumerated() {
      guard let id, let gate = maker(of: id, "HardSigmoid"), let x = node.inputs[1 - index],
        graph.nodes[gate].inputs == [x],
        isNear(graph.nodes[gate].attributes.float("alpha") ?? 0.2, 1 / 6),
        graph.nodes[gate].attributes.float("beta") ?? 0.5 == 0.5
      else { continue }
      return try replace(position, by: "HardSwish", operatorSet: 14, [x], [:])
    }
  }

  // MARK: - Parts of patterns

  /// The node of an operator that makes a value nobody else reads.
  private func maker(of id: Graph.ValueID, _ operatorName: String) -> Int? {
    guard let position = producers[id], graph.nodes[position].operatorName == operatorName,
      graph.nodes[position].domain.isEmpty, Set(readers[id]).count == 1,
      !graph.outputs.contains(id)
    else { return nil }
    return position
  }

  /// The input that is computed and the one that is a constant of single precision.
  private func operandAndConstant(_ position: Int, _ operatorName: String)
    -> (operand: Graph.ValueID, constant: Graph.ValueID)?
  {
    let node = graph.nodes[position]
    guard node.operatorName == operatorName, node.inputs.count == 2, let first = node.inputs[0],
      let second = node.inputs[1]
    else { return nil }
    if graph.values[second].constant?.type == .float { return (first, second) }
    if graph.values[first].constant?.type == .float { return (second, first) }
    return nil
  }

  /// A constant that has one axis.
  private func row(_ id: Graph.ValueID) -> Graph.ValueID? {
    graph.values[id].constant?.shape.count == 1 ? id : nil
  }

  /// Lets another operator make what the node at `position` makes.
  private mutating func replace(
    _ position: Int, by operatorName: String, operatorSet: Int, _ inputs: [Graph.ValueID],
    _ attributes: [String: Attribute]
  ) throws(ModelError) {
    var node = graph.nodes[position]
    graph.note("fuse patterns", .done, node, "computed as \(operatorName) with the nodes before it")
    node.operatorName = operatorName
    node.operatorSet = operatorSet
    node.inputs = inputs
    node.attributes = attributes
    try node.remake()
    graph.nodes[position] = node
  }
}
