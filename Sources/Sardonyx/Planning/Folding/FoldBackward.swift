extension BatchNormalizationFold {
  /// What is left to add per channel when weights have taken in a scale but could not take in the shift.
  struct Rest {
    var offsets: [Double]
    /// The type of the values.
    var type = ElementType.float

    var isNothing: Bool { offsets.allSatisfy { $0 == 0 } }
  }

  /// Folds the node at `position` into what makes its input.
  mutating func foldBackward(
    _ position: Int, _ node: Node, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) -> String {
    guard
      let index = node.inputs.firstIndex(where: { $0.map { producers[$0] != nil } ?? false }),
      let source = node.inputs[index], let producer = producers[source]
    else { throw .reason("its input is made by no node") }
    let label = graph.nodes[producer].label
    let hasWeights = graph.nodes[producer].hasWeights
    let target = "into the weights \(hasWeights ? "of" : "before") \(label)"
    let rest = try absorb(index, of: position, normalization, axis: 1)
    if rest.isNothing {
      redirect(producer, from: position)
    } else {
      guard node.operatorName == "BatchNormalization" else { throw .reason("nothing would be won") }
      try replace(position, source, byAdding: rest)
    }
    return rest.isNothing ? target : "\(target), but for what is added"
  }

  /// Lets the value that a node reads be made normalised: by weights, or by what commutes with scale and
  /// shift of channels, whose inputs are then normalised.
  private mutating func absorb(
    _ index: Int, of place: Int, _ normalization: ChannelNormalization, axis: Int
  ) throws(FoldObstacle) -> Rest {
    let value = graph.nodes[place].inputs[index]!
    if let constant = graph.values[value].constant {
      return try absorbConstant(constant, index, of: place, normalization, axis: axis)
    }
    let name = graph.values[value].name
    guard let producer = producers[value], graph.nodes[producer].domain.isEmpty else {
      throw .reason("\"\(name)\" is made by no node that has weights")
    }
    let node = graph.nodes[producer]
    guard node.passesNormalization else {
      throw .reason("follows \(node.label), which has no weights")
    }
    try requireSoleReader(value)
    let rest: Rest
    switch node.operatorName {
    case _ where node.holdsBias:
      guard axis == 1 else {
        throw .reason("its channels are not those of \(node.label)")
      }
      rest = Rest(
        offsets: [Double](repeating: 0, count: normalization.channelCount),
        type: try foldWeights(producer, normalization))
    case "MatMul": rest = try foldMatMul(producer, normalization, axis: axis)
    case "Add", "Sub", "Sum": rest = try absorbSum(producer, normalization, axis: axis)
    case "Concat": rest = try absorbBranches(producer, normalization, axis: axis)
    case "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool":
      try node.requireCommuting(with: normalization)
      guard axis == 1 else { throw .reason("its channels are not those of \(node.label)") }
      rest = try absorb(0, of: producer, normalization, axis: 1)
    case "ReduceMean":
      let rank = node.inputs[0].flatMap { shape(of: $0)?.count }
      guard let path = node.axisOfMean(axis, rank: rank, graph, isBackward: true) else {
        throw .reason("\(node.label) takes the mean over channels, or over axes that are not known")
      }
      rest = try absorb(0, of: producer, normalization, axis: path)
    default: rest = try absorbThrough(producer, normalization, axis: axis)
    }
    rename(value)
    return rest
  }

  private mutating func absorbConstant(
    _ constant: Tensor, _ index: Int, of place: Int, _ normalization: ChannelNormalization,
    axis: Int
  ) throws(FoldObstacle) -> Rest {
    let node = graph.nodes[place]
    let old = node.inputs[index]!
    guard [.float, .double, .float16, .bfloat16].contains(constant.type) else {
      throw .reason("\"\(graph.values[old].name)\" is of type \(constant.type)")
    }
    guard let rank = shape(of: node.outputs[0]!)?.count, constant.shape.count <= rank else {
      throw .reason("the rank of \"\(graph.values[node.outputs[0]!].name)\" is not known")
    }
    let changed = try normalization.applied(to: constant, rank: rank, axis: axis)
    let folded = addConstant(
      graph.values[old].name + "_folded", changed, "(b − mean)·s + B", from: old)
    change(place) { $0.inputs[index] = folded }
    return Rest(
      offsets: [Double](repeating: 0, count: normalization.channelCount), type: constant.type)
  }

  /// All operands are scaled, one of them is shifted too.
  private mutating func absorbSum(
    _ place: Int, _ normalization: ChannelNormalization, axis: Int
  ) throws(FoldObstacle) -> Rest {
    let node = graph.nodes[place]
    let operands = node.inputs.compactMap(\.self)
    guard operands.count == node.inputs.count, operands.count > 1, node.attributes.isEmpty,
      Set(operands).count == operands.count
    else { throw .reason("follows \(node.label), which adds a value to itself or by old rules") }
    for id in operands where graph.values[id].constant == nil {
      try requireChannels(of: id, of: node, normalization.channelCount, axis: axis)
    }
    // A constant takes a shift for sure; a MatMul does not.
    let first = operands.lastIndex { graph.values[$0].constant != nil } ?? 0
    let isSubtracted = node.operatorName == "Sub" && first == 1
    let rest = try absorb(
      first, of: place, isSubtracted ? normalization.subtracted : normalization, axis: axis)
    for index in operands.indices where index != first {
      _ = try absorb(index, of: place, normalization.unshifted, axis: axis)
    }
    return rest
  }

  /// That a branch of a sum has all the channels, on the same axis as the sum.
  private mutating func requireChannels(
    of branch: Graph.ValueID, of node: Node, _ count: Int, axis: Int
  ) throws(FoldObstacle) {
    let name = graph.values[branch].name
    guard let rank = shape(of: node.outputs[0]!)?.count, let shape = shape(of: branch) else {
      throw .reason("the shape of \"\(name)\", which \(node.label) adds, is not known")
    }
    guard shape.count == rank, axis < rank, shape[axis] == .known(count) else {
      throw .reason("\"\(name)\", which \(node.label) adds, is spread over channels")
    }
  }

  private mutating func absorbBranches(
    _ place: Int, _ normalization: ChannelNormalization, axis: Int
  ) throws(FoldObstacle) -> Rest {
    let node = graph.nodes[place]
    let rank = shape(of: node.outputs[0]!)?.count
    var joined = node.attributes.int("axis") ?? 1
    if joined < 0, let rank { joined += rank }
    guard joined == axis, Set(node.inputs).count == node.inputs.count else {
      throw .reason("follows \(node.label), which does not join channels of different values")
    }
    var rest = Rest(offsets: [])
    for (index, branch) in node.inputs.enumerated() {
      let first = rest.offsets.count
      guard let branch, let count = try extent(of: branch, axis: axis),
        first + count <= normalization.channelCount
      else {
        let name = branch.map { graph.values[$0].name } ?? ""
        throw .reason("\"\(name)\" is made by no node that has weights")
      }
      let slice = normalization.slice(first..<first + count)
      let own = try absorb(index, of: place, slice, axis: axis)
      rest.offsets += own.offsets
      rest.type = own.type
    }
    guard rest.offsets.count == normalization.channelCount else {
      throw .reason("\(node.label) joins \(rest.offsets.count) channels")
    }
    return rest
  }

  private mutating func extent(of value: Graph.ValueID, axis: Int) throws(FoldObstacle) -> Int? {
    if axis == 1, let count = try channels(of: value) { return count }
    guard let shape = shape(of: value), axis < shape.count, case .known(let extent) = shape[axis]
    else { return nil }
    return extent
  }

  /// Through a node that moves elements.
  private mutating func absorbThrough(
    _ place: Int, _ normalization: ChannelNormalization, axis: Int
  ) throws(FoldObstacle) -> Rest {
    let node = graph.nodes[place]
    guard let input = node.inputs.first ?? nil, let output = node.outputs[0] else {
      throw .reason("follows \(node.label)")
    }
    let (from, to) = (shape(of: output), shape(of: input))
    guard let path = AxisPath(axis, from: from, to: to, through: node, isBackward: true) else {
      throw .reason("its channels cannot be told apart before \(node.label)")
    }
    let rest = try absorb(
      0, of: place, normalization.repeated(inner: path.inner, outer: path.outer), axis: path.axis)
    return Rest(
      offsets: (0..<normalization.channelCount).map { rest.offsets[$0 * path.inner] },
      type: rest.type)
  }

  /// Scales the columns of a MatMul's right operand, or the rows of its left one.
  private mutating func foldMatMul(
    _ place: Int, _ normalization: ChannelNormalization, axis: Int
  ) throws(FoldObstacle) -> Rest {
    let node = graph.nodes[place]
    let rank = shape(of: node.outputs[0]!)?.count
    let isRight = graph.constant(node, 1) != nil || graph.constant(node, 0) == nil
    let weights = try constant(
      node, isRight ? 1 : 0, "the \(isRight ? "right" : "left") operand of \(node.label)")
    guard weights.shape.count >= 2, let rank, weights.shape.count <= rank,
      axis == rank - (isRight ? 1 : 2)
    else {
      let name = isRight ? "column" : "row"
      throw .reason(
        "axis \(axis) is not the \(name) axis of \(node.label), or its rank is not known")
    }
    let weightAxis = weights.shape.count - (isRight ? 1 : 2)
    let layout = try ChannelLayout(
      axis: weightAxis, of: weights.shape, channels: normalization.channelCount)
    let index = isRight ? 1 : 0
    var unrounded = unrounded(node, index, weights)
    let scaled = try normalization.scaled(weights, layout, &unrounded)
    _ = try normalization.rounded(normalization.offsets, to: weights.type)
    let folded = addConstant(
      graph.values[node.inputs[index]!].name + "_folded",
      FoldedConstant(tensor: scaled, formula: "s·W", weights: unrounded), from: node.inputs[index])
    change(place) { $0.inputs[index] = folded }
    return Rest(offsets: normalization.offsets, type: weights.type)
  }

  /// Lets the producer make the output of the node at a position itself.
  mutating func redirect(_ producer: Int, from position: Int) {
    let result = graph.nodes[position].outputs[0]!
    drop(position)
    change(producer) { $0.outputs[0] = result }
    setProducer(of: result, producer)
  }

  /// Turns a node into the addition of what is left of it.
  private mutating func replace(
    _ position: Int, _ source: Graph.ValueID, byAdding rest: Rest
  ) throws(FoldObstacle) {
    let node = graph.nodes[position]
    guard node.operatorSet >= 7, let rank = shape(of: source)?.count, rank >= 2 else {
      throw .reason("what is left to add has no place")
    }
    let shape = [rest.offsets.count] + Array(repeating: 1, count: rank - 2)
    let identity = ChannelNormalization(adding: rest.offsets)
    let tensor = try identity.rounded(rest.offsets, to: rest.type, shape: shape)
    let constant = addConstant("\(node.name)_bias", tensor, "(b − mean)·s + B", from: nil)
    let addition = try node.becoming("Add", [source, constant], [node.outputs[0]])
    change(position) { $0 = addition }
    changeReaders(of: source) { $0.set(position, of: source) }
  }
}

extension Node {
  /// Whether the operator takes a bias as input 2, so that weights can take in all of a normalisation.
  var holdsBias: Bool { ["Conv", "ConvTranspose", "Gemm"].contains(operatorName) }

  var hasWeights: Bool { holdsBias || operatorName == "MatMul" }

  /// Whether scale and shift of what it makes may go to what it reads.
  fileprivate var passesNormalization: Bool {
    hasWeights
      || [
        "Add", "Sub", "Sum", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool",
        "GlobalMaxPool", "ReduceMean", "Identity", "Transpose", "Reshape", "Flatten", "Squeeze",
        "Unsqueeze",
      ].contains(operatorName)
  }
}
