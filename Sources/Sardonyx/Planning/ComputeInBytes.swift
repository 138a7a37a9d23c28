extension Planner {
  /// Lets quantized networks compute in bytes, with their channels last, from the first convolution on:
  /// operators between DequantizeLinear and QuantizeLinear, and QLinearConv and its like.
  ///
  /// Sums of products of bytes are exact, and rounded once, where the operator in single precision rounds
  /// each of its sums: results differ from those as written only where such a rounding falls on the other
  /// side of the middle between two bytes. Sums, products and functions of bytes are the same bit for bit.
  static func computeInBytes(within budget: FoldingBudget) -> Pass {
    Pass(name: "compute in bytes") { graph throws(ModelError) in
      guard
        graph.nodes.contains(where: {
          $0.operatorName == "DequantizeLinear" || $0.implementation is QLinearConv
        })
      else { return }
      var network = ByteNetwork(graph, context: budget.context)
      for position in graph.nodes.indices {
        try Interruption.check()
        network.add(position)
      }
      network.finish()
      graph = network.graph
    }
  }
}

/// Builds the graph anew, node by node.
private struct ByteNetwork {
  private(set) var graph: Graph
  private let context: RunContext
  private let facts: [SymbolicShapes.Known]
  private let original: [Node]
  private let readers: Readers
  private let producers: [Int?]
  private let isOutput: Set<Graph.ValueID>
  private var names: Set<String>
  private var nodes: [Node] = []
  /// Per value of bytes in the file's order, the one that holds it with its channels last.
  private var lasting: [Graph.ValueID: Graph.ValueID] = [:]
  /// Per value that was made with its channels last, its plain form where one was needed.
  private var plainForms: [Graph.ValueID: Graph.ValueID] = [:]
  /// Per value of DequantizeLinear, what it stands for.
  private var reals: [Graph.ValueID: Quantized] = [:]

  /// Numbers that bytes stand for.
  private struct Quantized {
    let bytes: Graph.ValueID
    let isSigned: Bool
    let scale: ByteScale
  }

  /// The bytes that are to be made.
  private struct Target {
    let id: Graph.ValueID
    let isSigned: Bool
    let scale: ByteScale
    var bounds: ChannelsLastPooling.Bounds

    init(_ id: Graph.ValueID, isSigned: Bool, _ scale: ByteScale) {
      (self.id, self.isSigned, self.scale) = (id, isSigned, scale)
      bounds = ChannelsLastPooling.Bounds(zero: scale.zero)
    }

    /// The byte of a number.
    func byte(_ number: Float) -> Int32 {
      let quotient = (number / scale.scale).rounded(.toNearestOrEven)
      return Int32(min(max((quotient.isNaN ? 0 : Double(quotient)) + Double(scale.zero), 0), 255))
    }
  }

  init(_ graph: Graph, context: RunContext) {
    self.graph = graph
    self.context = context
    facts = self.graph.symbolicShapes().facts
    original = graph.nodes
    readers = graph.readers()
    producers = graph.producers()
    isOutput = Set(graph.outputs)
    names = Set(graph.values.map(\.name))
    self.graph.nodes = []
  }

  /// Adds the node at a position of the graph as it was.
  mutating func add(_ position: Int) {
    let node = original[position]
    if let rewritten = rewrite(node) {
      nodes.append(rewritten)
      return
    }
    if let real = quantized(node), let result = node.outputs[0] { reals[result] = real }
    var plainNode = node
    plainNode.inputs = node.inputs.map { $0.map { plain($0) } }
    nodes.append(plainNode)
  }

  /// Makes the outputs of the graph plain.
  mutating func finish() {
    for id in graph.outputs { _ = plain(id) }
    graph.nodes = nodes
    // Types and shapes of values have changed.
    graph.shapesFound = nil
  }

  // MARK: Values

  /// The plain form of a value, by a reorder where it is needed.
  private mutating func plain(_ id: Graph.ValueID) -> Graph.ValueID {
    guard let last = lasting[id], plainForms[id] != id else { return id }
    if let known = plainForms[id] { return known }
    let record = graph.values[id]
    let isSigned = facts[id].type == .tensor(.int8)
    let target =
      isOutput.contains(id)
      ? id : graph.addValue(record.name + " (channels first)", type: record.type)
    if target != id { graph.values[target].isReordered = true }
    plainForms[id] = target
    nodes.append(
      reorder("PutChannelsFirst", PutChannelsFirst(isSigned: isSigned), record.name, last, target))
    return target
  }

  /// A value of bytes with its channels last, by a reorder where it is needed.
  private mutating func last(_ id: Graph.ValueID, isSigned: Bool) -> Graph.ValueID {
    if let known = lasting[id] { return known }
    let record = graph.values[id]
    let target = graph.addValue(record.name + " (channels last)", type: .tensor(.uint8))
    graph.values[target].isReordered = true
    (lasting[id], plainForms[id]) = (target, id)
    nodes.append(
      reorder("PutChannelsLast", PutChannelsLast(isSigned: isSigned), record.name, id, target))
    return target
  }

  private func reorder(
    _ operatorName: String, _ implementation: any Operator, _ name: String,
    _ source: Graph.ValueID, _ target: Graph.ValueID
  ) -> Node {
    Node(
      name: name, operatorName: operatorName, domain: "sardonyx", operatorSet: 1, inputs: [source],
      outputs: [target], attributes: [:], implementation: implementation)
  }

  /// Notes that a value is made with its channels last, and tells what holds it.
  private mutating func produce(_ target: Target) -> Graph.ValueID {
    var id = target.id
    if isOutput.contains(id) {
      id = graph.addValue(graph.values[id].name + " (channels last)", type: .tensor(.uint8))
      graph.values[id].isReordered = true
    }
    graph.values[id].bytesWithChannelsLast = target.isSigned ? .int8 : .uint8
    graph.values[id].shape = nil
    graph.values[id].type = .tensor(.uint8)
    lasting[target.id] = id
    return id
  }

  // MARK: Quantization

  /// What a DequantizeLinear of one constant scale makes.
  private func quantized(_ node: Node) -> Quantized? {
    guard node.operatorName == "DequantizeLinear", node.implementation is DequantizeLinear,
      let bytes = node.inputs[0], graph.values[bytes].constant == nil,
      facts[node.outputs[0] ?? bytes].type == .tensor(.float),
      let (scale, isSigned) = scale(node, 1, zero: 2, type: facts[bytes].type)
    else { return nil }
    return Quantized(bytes: bytes, isSigned: isSigned, scale: scale)
  }

  /// A constant scale and zero point, each one number.
  private func scale(_ node: Node, _ index: Int, zero: Int, type: ValueType?) -> (
    ByteScale, isSigned: Bool
  )? {
    guard type == .tensor(.uint8) || type == .tensor(.int8),
      let scale = graph.constant(node, index), scale.type == .float, scale.elementCount == 1,
      scale.shape.count <= 1
    else { return nil }
    let isSigned = type == .tensor(.int8)
    var number: Int64 = 0
    if node.hasInput(zero) {
      // Nothing has checked yet that it is a byte as those that it belongs to.
      guard let tensor = graph.constant(node, zero), tensor.elementCount == 1,
        .tensor(tensor.type) == type
      else { return nil }
      number = tensor.converted(to: Int64.self)[0]
    }
    let factor = scale.converted(to: Float.self)[0]
    guard factor > 0, factor.isFinite, factor.isNormal else { return nil }
    return (ByteScale(scale: factor, zero: Int32(number) + (isSigned ? 128 : 0)), isSigned)
  }

  /// What a node is to make whose scale and zero point stand at some inputs.
  private func target(_ node: Node, _ index: Int, zero: Int) -> Target? {
    guard let result = node.outputs[0],
      let (scale, isSigned) = scale(node, index, zero: zero, type: facts[result].type)
    else { return nil }
    return Target(result, isSigned: isSigned, scale)
  }

  // MARK: Nodes

  /// The node in bytes; nil where it is to stay as it is.
  private mutating func rewrite(_ node: Node) -> Node? {
    guard node.outputs.first ?? nil != nil else { return nil }
    switch node.operatorName {
    case "QuantizeLinear": return between(node)
    case "QLinearConv" where node.domain.isEmpty: return convolve(node)
    case "QGemm": return multiply(node)
    case "QLinearAdd", "QLinearMul": return combine(node)
    case "QLinearGlobalAveragePool": return average(node)
    case "QLinearSigmoid", "QLinearLeakyRelu": return lookUp(node)
    case "MaxPool" where node.domain.isEmpty: return maximum(node)
    default: return nil
    }
  }

  /// What stands between some DequantizeLinear and a QuantizeLinear.
  private mutating func between(_ node: Node) -> Node? {
    guard node.implementation is QuantizeLinear, var target = target(node, 1, zero: 2),
      node.attributes.int("precision") ?? 0 == 0, let x = node.inputs[0],
      facts[x].type == .tensor(.float)
    else { return nil }
    // From the end to its beginning: clamps, then a BatchNormalization.
    var (value, clamps): (Graph.ValueID, [(low: Float, high: Float)]) = (x, [])
    while let maker = soleProducer(of: value), let clamp = clamp(maker), let first = maker.inputs[0]
    {
      clamps.append(clamp)
      value = first
    }
    let bounds = clamps.reversed().reduce((low: -Float.infinity, high: Float.infinity)) {
      bounds, clamp in
      (min(max(bounds.low, clamp.low), clamp.high), min(max(bounds.high, clamp.low), clamp.high))
    }
    (target.bounds.low, target.bounds.high) = (target.byte(bounds.low), target.byte(bounds.high))
    if let made = soleProducer(of: value) {
      switch made.operatorName {
      case "Conv", "BatchNormalization": if let node = convolve(made, target) { return node }
      case "Add", "Mul": if let node = combine(made, target) { return node }
      case "Gemm", "MatMul": if let node = multiply(made, target) { return node }
      case "MaxPool", "AveragePool", "GlobalAveragePool":
        if let node = pool(made, target) { return node }
      case "Concat": if let node = concatenate(made, target) { return node }
      case "Flatten", "Reshape", "Squeeze":
        if let node = flatten(made, target) { return node }
      default: break
      }
    }
    return tabulate(node)
  }

  /// The node that makes a value which nothing else reads.
  private func soleProducer(of id: Graph.ValueID) -> Node? {
    guard readers[id].count == 1, !isOutput.contains(id), let position = producers[id],
      original[position].domain.isEmpty
    else { return nil }
    return original[position]
  }

  /// The bounds that a node keeps numbers within.
  private func clamp(_ node: Node) -> (low: Float, high: Float)? {
    switch node.operatorName {
    case "Relu": return (0, .infinity)
    case "Clip":
      func bound(_ index: Int, _ name: String, _ fallback: Float) -> Float? {
        guard node.hasInput(index) else { return node.attributes.float(name) ?? fallback }
        return graph.scalar(node.inputs[index])
      }
      guard let low = bound(1, "min", -.infinity), let high = bound(2, "max", .infinity),
        low <= high
      else { return nil }
      return (low, high)
    default: return nil
    }
  }

  /// A node in the place of others.
  private mutating func replace(
    _ node: Node, _ implementation: any Operator, _ inputs: [Graph.ValueID], _ target: Target
  ) -> Node {
    graph.note("compute in bytes", .done, node, "in bytes, channels last")
    return Node(
      name: node.name, operatorName: node.operatorName, domain: "sardonyx", operatorSet: 1,
      inputs: inputs, outputs: [produce(target)], attributes: [:], implementation: implementation)
  }

  private func rank(of id: Graph.ValueID?) -> Int? { id.flatMap { facts[$0].shape?.count } }

  /// Whether the channels of a value are so many.
  private func hasChannels(_ count: Int, _ id: Graph.ValueID) -> Bool {
    guard let shape = facts[id].shape, shape.count >= 2 else { return false }
    return shape[1] == .known(count)
  }
}

// MARK: - Convolutions and products

extension ByteNetwork {
  /// Constant weights that bytes stand for.
  private struct Weights {
    /// int8 of zero point 0.
    let numbers: Tensor
    /// One, or one for each output channel.
    let scales: [Float]
    let id: Graph.ValueID
  }

  private mutating func convolve(_ node: Node, _ target: Target) -> Node? {
    var conv = node
    var normalization: ChannelNormalization?
    if node.operatorName == "BatchNormalization" {
      guard let batch = node.implementation as? BatchNormalization, batch.isInference,
        batch.isSpatial, let x = node.inputs[0], let made = soleProducer(of: x),
        made.operatorName == "Conv", let numbers = try? ChannelNormalization(node, graph)
      else { return nil }
      (conv, normalization) = (made, numbers)
    }
    guard let implementation = conv.implementation as? Conv, let x = conv.inputs[0],
      let real = reals[x], let weights = weights(conv.inputs[1], axis: 0),
      let bias = bias(conv, 2, count: weights.numbers.shape[0])
    else { return nil }
    return convolve(
      node, window: implementation.window, group: implementation.group, real, weights, bias,
      normalization, target)
  }

  /// QLinearConv.
  private mutating func convolve(_ node: Node) -> Node? {
    guard let implementation = node.implementation as? QLinearConv, let x = node.inputs[0],
      let (scale, isSigned) = scale(node, 1, zero: 2, type: facts[x].type),
      let target = target(node, 6, zero: 7), let w = graph.constant(node, 3),
      let factors = graph.constant(node, 4), factors.type == .float,
      let weights = weights(
        w, factors, zeros: graph.constant(node, 5), id: node.inputs[3]!, columns: w.shape[0],
        isComplete: graph.constant(node, 5) != nil)
    else { return nil }
    var bias: Bias = .none
    if node.hasInput(8) {
      guard let numbers = graph.constant(node, 8), numbers.shape == [w.shape[0]] else { return nil }
      bias = .sums(numbers.converted(to: Int64.self))
    }
    let real = Quantized(bytes: x, isSigned: isSigned, scale: scale)
    return convolve(
      node, window: implementation.window, group: implementation.group, real, weights, bias, nil,
      target)
  }

  private mutating func convolve(
    _ node: Node, window: Window, group: Int, _ x: Quantized, _ weights: Weights, _ bias: Bias,
    _ normalization: ChannelNormalization?, _ target: Target
  ) -> Node? {
    let shape = weights.numbers.shape
    guard (3...4).contains(shape.count), rank(of: x.bytes) == shape.count, shape[0] > 0,
      shape[0] % group == 0, hasChannels(shape[1] * group, x.bytes),
      normalization.map({ $0.channelCount == shape[0] }) ?? true,
      let sizes = ConvolutionShape(
        weights: shape, groups: group, window: window,
        input: shape.dropFirst(2).map { _ in nil }), ChannelsLastFilter.takes(sizes),
      let epilogue = epilogue(
        x, weights, bias, normalization, target, depth: shape.dropFirst().reduce(1, *))
    else { return nil }
    return replace(
      node,
      ChannelsLastConv(
        window: window, group: group, inputZero: UInt8(x.scale.zero), epilogue),
      [last(x.bytes, isSigned: x.isSigned), weights.id], target)
  }

  /// Gemm or MatMul of a matrix and constants.
  private mutating func multiply(_ node: Node, _ target: Target) -> Node? {
    guard let x = node.inputs[0], let real = reals[x],
      let weights = weights(node.inputs[1], axis: node.transposesB ? 0 : 1),
      let bias = bias(node, 2, count: weights.numbers.shape[node.transposesB ? 0 : 1])
    else { return nil }
    return multiply(node, real, weights, bias, target)
  }

  /// QGemm.
  private mutating func multiply(_ node: Node) -> Node? {
    guard node.implementation is QGemm, let x = node.inputs[0],
      let (scale, isSigned) = scale(node, 1, zero: 2, type: facts[x].type), node.hasInput(7),
      let target = target(node, 7, zero: 8), let b = graph.constant(node, 3), b.shape.count == 2,
      let factors = graph.constant(node, 4), factors.type == .float,
      let weights = weights(
        b, factors, zeros: graph.constant(node, 5), id: node.inputs[3]!,
        columns: b.shape[node.transposesB ? 0 : 1], isComplete: graph.constant(node, 5) != nil)
    else { return nil }
    var bias: Bias = .none
    if node.hasInput(6) {
      guard let c = graph.constant(node, 6), c.shape == [b.shape[node.transposesB ? 0 : 1]] else {
        return nil
      }
      bias = .sums(c.converted(to: Int64.self))
    }
    return multiply(
      node, Quantized(bytes: x, isSigned: isSigned, scale: scale), weights, bias, target)
  }

  private mutating func multiply(
    _ node: Node, _ x: Quantized, _ weights: Weights, _ bias: Bias, _ target: Target
  ) -> Node? {
    guard lasting[x.bytes] != nil, rank(of: x.bytes) == 2, weights.numbers.shape.count == 2,
      node.attributes.float("alpha") ?? 1 == 1, node.attributes.float("beta") ?? 1 == 1,
      node.attributes.int("transA") ?? 0 == 0
    else { return nil }
    let numbers = node.transposesB ? weights.numbers : weights.numbers.transposedMatrix
    let depth = numbers.shape[1]
    let turned = Weights(numbers: numbers, scales: weights.scales, id: weights.id)
    guard depth <= PackedBytes.largestDepth,
      let epilogue = epilogue(x, turned, bias, nil, target, depth: depth)
    else { return nil }
    let id =
      node.transposesB
      ? weights.id : graph.addConstant("\(node.name)_transposed", numbers, &names)
    return replace(
      node, ChannelsLastProduct(inputZero: UInt8(x.scale.zero), epilogue),
      [last(x.bytes, isSigned: x.isSigned), id], target)
  }

  /// The weights that a DequantizeLinear makes of constants.
  private mutating func weights(_ id: Graph.ValueID?, axis: Int) -> Weights? {
    guard let id, let position = producers[id],
      original[position].implementation is DequantizeLinear
    else { return nil }
    let node = original[position]
    guard let w = graph.constant(node, 0), let scales = graph.constant(node, 1), w.shape.count >= 2,
      scales.type == .float, node.attributes.int("block_size") ?? 0 == 0
    else { return nil }
    let given = node.attributes.int("axis") ?? 1
    guard scales.elementCount == 1 || (given < 0 ? given + w.shape.count : given) == axis else {
      return nil
    }
    return weights(
      w, scales, zeros: graph.constant(node, 2), id: node.inputs[0]!, columns: w.shape[axis],
      isComplete: !node.hasInput(2) || graph.constant(node, 2) != nil)
  }

  /// Weights of zero point 0, or of uint8 and 128, which is the same.
  private mutating func weights(
    _ w: Tensor, _ scales: Tensor, zeros: Tensor?, id: Graph.ValueID, columns: Int,
    isComplete: Bool
  ) -> Weights? {
    let middle: Int64 = w.type == .uint8 ? 128 : 0
    guard isComplete, w.type.isByte, w.elementCount > 0,
      [1, columns].contains(scales.elementCount),
      zeros.map({ $0.converted(to: Int64.self).allSatisfy { $0 == middle } }) ?? (middle == 0)
    else { return nil }
    let factors: [Float] = scales.converted()
    guard factors.allSatisfy({ $0.isFinite }) else { return nil }
    guard w.type == .uint8 else { return Weights(numbers: w, scales: factors, id: id) }
    let numbers = Tensor(
      w.array(of: UInt8.self).map { Int8(bitPattern: $0 ^ 0x80) }, w.shape)
    return Weights(
      numbers: numbers, scales: factors,
      id: graph.addConstant("\(graph.values[id].name)_signed", numbers, &names))
  }

  /// What is added to the sums of each output channel.
  private enum Bias {
    case none
    /// In units of the products.
    case sums([Int64])
    /// Integers in units of their own.
    case scaled([Int64], by: [Float])
    case numbers([Float])
  }

  private func bias(_ node: Node, _ index: Int, count: Int) -> Bias? {
    guard node.hasInput(index), let id = node.inputs[index] else { return Bias.none }
    if let constant = graph.values[id].constant {
      guard constant.type == .float, constant.shape == [count] else { return nil }
      return .numbers(constant.converted())
    }
    guard let position = producers[id], original[position].implementation is DequantizeLinear
    else { return nil }
    let maker = original[position]
    guard let numbers = graph.constant(maker, 0), numbers.type == .int32, numbers.shape == [count],
      let scales = graph.constant(maker, 1), scales.type == .float,
      [1, count].contains(scales.elementCount),
      !maker.hasInput(2)
        || graph.constant(maker, 2)?.converted(to: Int64.self).allSatisfy({ $0 == 0 }) ?? false
    else { return nil }
    return .scaled(numbers.converted(to: Int64.self), by: scales.converted())
  }

  /// How the sums of a product become bytes; nil where they might leave 32 bits.
  private func epilogue(
    _ x: Quantized, _ weights: Weights, _ bias: Bias, _ normalization: ChannelNormalization?,
    _ target: Target, depth: Int
  ) -> ByteEpilogue? {
    let count = weights.numbers.shape[0]
    func factor(_ channel: Int) -> Float {
      weights.scales[weights.scales.count > 1 ? channel : 0]
    }
    var scales = (0..<count).map { x.scale.scale * factor($0) / target.scale.scale }
    guard scales.allSatisfy(\.isFinite) else { return nil }
    var shifts = [Int32](repeating: 0, count: count)
    var addends: [Float]?
    if let sums = sums(bias, x, factor), normalization == nil {
      guard sums.allSatisfy({ PackedBytes.fits($0, depth: depth) }) else { return nil }
      for (channel, sum) in sums.enumerated() { shifts[channel] = Int32(sum) }
    } else {
      var numbers = (0..<count).map { real(bias, $0) }
      if let normalization {
        let scale = normalization.scale
        numbers = zip(numbers.indices, numbers).map { channel, number in
          (number - normalization.mean[channel]) * scale[channel] + normalization.shift[channel]
        }
        for channel in 0..<count {
          scales[channel] = Float(Double(scales[channel]) * scale[channel])
        }
      }
      addends = numbers.map { Float($0 / Double(target.scale.scale)) }
      guard addends!.allSatisfy(\.isFinite), scales.allSatisfy(\.isFinite) else { return nil }
    }
    let epilogue = ByteEpilogue(
      scales: scales, addends: addends, shifts: shifts, zero: target.scale.zero,
      low: target.bounds.low, high: target.bounds.high)
    return epilogue.isModest(forSums: Double(depth) * 255 * 128) ? epilogue : nil
  }

  /// A bias in units of the products, where it is in those, to within their rounding.
  private func sums(_ bias: Bias, _ x: Quantized, _ factor: (Int) -> Float) -> [Int64]? {
    switch bias {
    case .none: return []
    case .sums(let sums): return sums
    case .numbers: return nil
    case .scaled(let integers, let scales):
      let isSame = integers.indices.allSatisfy { channel in
        let unit = x.scale.scale * factor(channel)
        return abs(scales[scales.count > 1 ? channel : 0] - unit) <= 4 * unit.ulp
      }
      return isSame ? integers : nil
    }
  }

  private func real(_ bias: Bias, _ channel: Int) -> Double {
    switch bias {
    case .none, .sums: 0
    case .numbers(let numbers): Double(numbers[channel])
    case .scaled(let integers, let scales):
      Double(integers[channel]) * Double(scales[scales.count > 1 ? channel : 0])
    }
  }
}

extension Tensor {
  /// A matrix of bytes transposed.
  fileprivate var transposedMatrix: Tensor {
    let (rows, columns) = (shape[0], shape[1])
    let numbers = array(of: Int8.self)
    return Tensor(
      (0..<elementCount).map { numbers[$0 % rows * columns + $0 / rows] }, [columns, rows])
  }
}

// MARK: - Arithmetic, poolings and movement

extension ByteNetwork {
  private mutating func combine(_ node: Node, _ target: Target) -> Node? {
    guard node.inputs.count == 2, let a = node.inputs[0].flatMap({ reals[$0] }),
      let b = node.inputs[1].flatMap({ reals[$0] })
    else { return nil }
    return combine(node, node.operatorName == "Add" ? .add : .multiply, a, b, target)
  }

  /// QLinearAdd or QLinearMul.
  private mutating func combine(_ node: Node) -> Node? {
    guard node.implementation is QLinearCombination, let x = node.inputs[0], let y = node.inputs[3],
      let a = scale(node, 1, zero: 2, type: facts[x].type),
      let b = scale(node, 4, zero: 5, type: facts[y].type), let target = target(node, 6, zero: 7),
      graph.values[x].constant == nil, graph.values[y].constant == nil
    else { return nil }
    return combine(
      node, node.operatorName == "QLinearAdd" ? .add : .multiply,
      Quantized(bytes: x, isSigned: a.isSigned, scale: a.0),
      Quantized(bytes: y, isSigned: b.isSigned, scale: b.0), target)
  }

  private mutating func combine(
    _ node: Node, _ operation: Binary, _ a: Quantized, _ b: Quantized, _ target: Target
  ) -> Node? {
    guard lasting[a.bytes] != nil || lasting[b.bytes] != nil,
      let left = facts[a.bytes].shape, let right = facts[b.bytes].shape, left.count >= 3,
      left.count == right.count, !(left + right).prefix(1).contains(.unknown)
    else { return nil }
    var (first, second) = (a, b)
    if left != right || left.contains(.unknown) {
      func isNarrow(_ shape: [Dimension]) -> Bool {
        shape.dropFirst(2).allSatisfy { $0 == .known(1) }
      }
      guard left[0] == right[0], left[0] != .unknown, left[1] == right[1], left[1] != .unknown,
        isNarrow(left) || isNarrow(right)
      else { return nil }
      if isNarrow(left) { (first, second) = (b, a) }
    }
    let inputs = [first, second].map { last($0.bytes, isSigned: $0.isSigned) }
    return replace(
      node,
      ChannelsLastCombination(
        arithmetic: ByteArithmetic(
          operation: operation, a: first.scale, b: second.scale, scale: target.scale.scale,
          bounds: target.bounds)), inputs, target)
  }

  /// MaxPool of bytes.
  private mutating func maximum(_ node: Node) -> Node? {
    guard let pool = node.implementation as? MaxPool,
      node.outputs.dropFirst().allSatisfy({ $0 == nil }),
      let x = node.inputs[0], lasting[x] != nil, let rank = rank(of: x), (3...4).contains(rank),
      let result = node.outputs[0]
    else { return nil }
    let isSigned = facts[x].type == .tensor(.int8)
    return replace(
      node, ChannelsLastPool(window: pool.window, kind: .maximum), [last(x, isSigned: isSigned)],
      Target(result, isSigned: isSigned, ByteScale(scale: 1, zero: 0)))
  }

  /// QLinearGlobalAveragePool.
  private mutating func average(_ node: Node) -> Node? {
    guard node.implementation is QLinearGlobalAveragePool, let x = node.inputs[0],
      node.attributes.int("channels_last") ?? 0 == 0,
      let source = scale(node, 1, zero: 2, type: facts[x].type),
      let target = target(node, 3, zero: 4)
    else { return nil }
    return average(
      node, window: nil, Quantized(bytes: x, isSigned: source.isSigned, scale: source.0),
      countsPadding: false, target)
  }

  private mutating func pool(_ node: Node, _ target: Target) -> Node? {
    guard node.outputs.dropFirst().allSatisfy({ $0 == nil }),
      let real = node.inputs[0].flatMap({ reals[$0] })
    else { return nil }
    switch node.implementation {
    case let pool as MaxPool:
      // The largest byte stands for the largest number.
      guard real.scale == target.scale, real.isSigned == target.isSigned,
        lasting[real.bytes] != nil, let rank = rank(of: real.bytes), (3...4).contains(rank),
        target.bounds.low == 0, target.bounds.high == 255
      else { return nil }
      return replace(
        node, ChannelsLastPool(window: pool.window, kind: .maximum),
        [last(real.bytes, isSigned: real.isSigned)], target)
    case let pool as AveragePool:
      return average(node, window: pool.window, real, countsPadding: pool.countsPadding, target)
    case let pool as GlobalPool where pool.reduction == .average:
      return average(node, window: nil, real, countsPadding: false, target)
    default: return nil
    }
  }

  private mutating func average(
    _ node: Node, window: Window?, _ x: Quantized, countsPadding: Bool, _ target: Target
  ) -> Node? {
    guard lasting[x.bytes] != nil, let rank = rank(of: x.bytes), (3...4).contains(rank) else {
      return nil
    }
    let kind = ChannelsLastPooling.Kind.average(
      countsPadding: countsPadding, zero: x.scale.zero, scale: x.scale.scale / target.scale.scale,
      result: target.bounds)
    return replace(
      node, ChannelsLastPool(window: window, kind: kind), [last(x.bytes, isSigned: x.isSigned)],
      target)
  }

  private mutating func concatenate(_ node: Node, _ target: Target) -> Node? {
    guard let concat = node.implementation as? Concat, let x = node.inputs.first ?? nil,
      let rank = rank(of: x), rank >= 3, concat.axis == 1 || concat.axis == 1 - rank
    else { return nil }
    let parts = node.inputs.compactMap { $0.flatMap { reals[$0] } }
    guard parts.count == node.inputs.count, parts.contains(where: { lasting[$0.bytes] != nil }),
      parts.allSatisfy({ self.rank(of: $0.bytes) == rank })
    else { return nil }
    let tables = parts.map { part -> [UInt8]? in
      let table = (0..<256).map { byte in
        UInt8(
          min(
            max(
              target.byte(Float(Int32(byte) - part.scale.zero) * part.scale.scale),
              target.bounds.low),
            target.bounds.high))
      }
      return table == (0..<256).map { UInt8($0) } ? nil : table
    }
    return replace(
      node, ChannelsLastConcat(tables: tables),
      parts.map { last($0.bytes, isSigned: $0.isSigned) }, target)
  }

  /// [N, C, 1, 1] as [N, C].
  private mutating func flatten(_ node: Node, _ target: Target) -> Node? {
    guard let x = node.inputs[0], let real = reals[x], lasting[real.bytes] != nil,
      real.scale == target.scale, real.isSigned == target.isSigned, let from = facts[x].shape,
      let result = node.outputs[0], let to = facts[result].shape, from.count >= 3, to.count == 2,
      from.dropFirst(2).allSatisfy({ $0 == .known(1) }), from[1] == to[1], from[1] != .unknown,
      from[0] == to[0], target.bounds.low == 0, target.bounds.high == 255
    else { return nil }
    return replace(
      node, FlattenChannelsLast(), [last(real.bytes, isSigned: real.isSigned)], target)
  }

  // MARK: Tables

  /// QLinearSigmoid or QLinearLeakyRelu.
  private mutating func lookUp(_ node: Node) -> Node? {
    guard node.implementation is QLinearFunction, let x = node.inputs[0], lasting[x] != nil,
      let source = scale(node, 1, zero: 2, type: facts[x].type),
      let target = target(node, 3, zero: 4),
      let table = table([node], from: x, isSigned: source.isSigned, target)
    else { return nil }
    return replace(node, ByteTable(table: table), [last(x, isSigned: source.isSigned)], target)
  }

  /// Elementwise operators on one value of bytes, up to a QuantizeLinear.
  private mutating func tabulate(_ end: Node) -> Node? {
    guard let target = target(end, 1, zero: 2), let last = end.inputs[0] else { return nil }
    var positions: Set<Int> = []
    var source: Graph.ValueID?
    var open = [last]
    while let id = open.popLast() {
      if let real = reals[id] {
        guard lasting[real.bytes] != nil, source ?? id == id else { return nil }
        source = id
        continue
      }
      guard let position = producers[id], !isOutput.contains(id) else { return nil }
      if positions.contains(position) { continue }
      let node = original[position]
      guard positions.count < Self.longestTable, node.isElementwise else { return nil }
      positions.insert(position)
      for case let input? in node.inputs {
        if let constant = graph.values[input].constant {
          guard constant.elementCount == 1, constant.shape.count <= 1 else { return nil }
        } else {
          open.append(input)
        }
      }
    }
    guard let source, let real = reals[source], let start = producers[source] else { return nil }
    let nodes = [original[start]] + positions.sorted().map { original[$0] } + [end]
    guard let table = table(nodes, from: real.bytes, isSigned: real.isSigned, target) else {
      return nil
    }
    let name = positions.max().map { original[$0] } ?? end
    return replace(
      name, ByteTable(table: table), [self.last(real.bytes, isSigned: real.isSigned)], target)
  }

  /// Operators that are put into a table.
  private static var longestTable: Int { 16 }

  /// What nodes make of each of the 256 bytes, as they are written.
  private func table(
    _ nodes: [Node], from source: Graph.ValueID, isSigned: Bool, _ target: Target
  ) -> [UInt8]? {
    let bytes = (0..<256).map { UInt8($0) ^ (isSigned ? 0x80 : 0) }
    var values: [Graph.ValueID: Value] = [
      source: .tensor(Tensor(bytes, [256]).reinterpreted(as: isSigned ? .int8 : .uint8))
    ]
    for node in nodes {
      let inputs = node.inputs.map { id in
        id.flatMap { values[$0] ?? graph.values[$0].constant.map(Value.tensor) }
      }
      guard zip(node.inputs, inputs).allSatisfy({ ($0 == nil) == ($1 == nil) }),
        let results = try? node.evaluate(inputs, context: context)
      else { return nil }
      for case (let id?, let value?) in zip(node.outputs, results) { values[id] = value }
    }
    guard let result = values[target.id]?.tensor, result.elementCount == 256,
      result.type == (target.isSigned ? .int8 : .uint8)
    else { return nil }
    return result.reinterpreted(as: .uint8).array(of: UInt8.self)
      .map { $0 ^ (target.isSigned ? 0x80 : 0) }
  }
}

extension Node {
  fileprivate var transposesB: Bool { attributes.int("transB") ?? 0 != 0 }

  /// Whether each element of its output comes from the elements in its place alone.
  fileprivate var isElementwise: Bool {
    guard domain.isEmpty, outputs.count == 1 else { return false }
    switch operatorName {
    case "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min": return true
    default: return implementation is ElementwiseFunction || implementation is Clip
    }
  }
}
