extension BatchNormalizationFold {
  /// Folds the node at `position` into all that read it.
  mutating func foldForward(
    _ position: Int, _ node: Node, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) -> String {
    guard let result = node.outputs[0],
      let source = node.inputs.compactMap(\.self).first(where: { graph.values[$0].constant == nil })
    else { throw .reason("") }
    guard !outputs.contains(result) else { throw .reason("") }
    forwardAllowance = node.operatorName == "BatchNormalization" ? .infinity : 2
    let targets = try carry(result, normalization, axis: 1)
    for place in readers[result] {
      change(place) { reader in
        reader.inputs = reader.inputs.map { $0 == result ? source : $0 }
      }
      changeReaders(of: source) { $0.add(place, to: source) }
    }
    drop(position)
    return "into \(Set(targets).sorted().joined(separator: ", "))"
  }

  /// Lets all that read a value normalise it themselves.
  /// - Parameter padding: nodes that have put zeros beside the normalised value before.
  /// - Returns: what they are called.
  private mutating func carry(
    _ value: Graph.ValueID, _ normalization: ChannelNormalization, axis: Int,
    padding: [Node] = []
  ) throws(FoldObstacle) -> [String] {
    guard !readers[value].isEmpty else { throw .reason("nothing reads it") }
    var labels: [String] = []
    // Nodes move as others are inserted, but keep their order.
    for number in readers[value].indices {
      let place = readers[value][number]
      labels += try carry(value, into: place, normalization, axis: axis, padding: padding)
    }
    return labels
  }

  private mutating func carry(
    _ value: Graph.ValueID, into place: Int, _ normalization: ChannelNormalization, axis: Int,
    padding: [Node]
  ) throws(FoldObstacle) -> [String] {
    let reader = graph.nodes[place]
    guard reader.domain.isEmpty, let index = reader.inputs.firstIndex(of: value),
      reader.inputs.count(where: { $0 == value }) == 1
    else { throw .reason("\(reader.label) reads it") }
    guard let output = reader.outputs.first ?? nil else { throw .reason("") }
    guard padding.isEmpty || ["Conv", "ConvTranspose", "Pad"].contains(reader.operatorName) else {
      throw .reason("\(reader.label) reads it padded")
    }
    switch reader.operatorName {
    case "Conv", "ConvTranspose":
      guard index == 0, axis == 1 else { throw .reason("\(reader.label) reads it otherwise") }
      try foldInputs(place, normalization, behind: padding)
      return ["the weights of \(reader.label)"]
    case "Gemm":
      guard index == 0, axis == (reader.attributes.int("transA") ?? 0 == 0 ? 1 : 0) else {
        throw .reason("\(reader.label) reads it otherwise")
      }
      try foldInputs(place, normalization)
      return ["the weights of \(reader.label)"]
    case "MatMul":
      try foldOperand(place, value, index, normalization, axis: axis)
      return ["the weights of \(reader.label)"]
    case "BatchNormalization":
      guard index == 0, axis == 1 else { throw .reason("\(reader.label) reads it otherwise") }
      try reader.requireInference()
      try join(place, normalization, try channelNormalization(reader))
      return [reader.label]
    case "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool":
      guard axis == 1 else { throw .reason("\(reader.label) reads it otherwise") }
      try reader.requireCommuting(with: normalization)
      return try carryOn(output, normalization, axis: 1)
    case "ReduceMean":
      guard
        let place = reader.axisOfMean(
          axis, rank: shape(of: value)?.count, graph, isBackward: false)
      else {
        throw .reason(
          "\(reader.label) takes the mean over channels, or over axes that are not known")
      }
      return try carryOn(output, normalization, axis: place)
    case "Concat":
      return try carryOn(
        output, try joined(normalization, of: reader, index, axis: axis), axis: axis)
    case "Pad":
      guard index == 0, axis == 1, let rank = shape(of: value)?.count,
        reader.padsWithZeros(rank: rank, graph)
      else { throw .reason("\(reader.label) does not put zeros beside its channels") }
      return try carryOn(output, normalization, axis: 1, padding: padding + [reader])
    case "Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze":
      guard index == 0,
        let path = AxisPath(
          axis, from: shape(of: value), to: shape(of: output), through: reader, isBackward: false)
      else { throw .reason("its channels cannot be told apart behind \(reader.label)") }
      return try carryOn(
        output, normalization.repeated(inner: path.inner, outer: path.outer), axis: path.axis)
    default: throw .reason("\(reader.label), which has no weights, reads it")
    }
  }

  /// The normalisation of all that a Concat joins, of which only one part is changed.
  private mutating func joined(
    _ normalization: ChannelNormalization, of node: Node, _ index: Int, axis: Int
  ) throws(FoldObstacle) -> ChannelNormalization {
    let rank = shape(of: node.outputs[0]!)?.count
    var joined = node.attributes.int("axis") ?? 1
    if joined < 0, let rank { joined += rank }
    guard joined == axis else { throw .reason("\(node.label) does not join channels") }
    var counts: [Int] = []
    for case let input? in node.inputs {
      guard let shape = shape(of: input), axis < shape.count, case .known(let count) = shape[axis]
      else { throw .reason("the channels that \(node.label) joins are not known") }
      counts.append(count)
    }
    guard counts.count == node.inputs.count, counts[index] == normalization.channelCount,
      counts.reduce(0, { $0 &+ $1 }) <= AxisPath.largestExtent,
      counts.allSatisfy({ $0 <= AxisPath.largestExtent })
    else { throw .reason("the channels that \(node.label) joins are not known") }
    return normalization.padded(
      before: counts[..<index].reduce(0, +), behind: counts[(index + 1)...].reduce(0, +))
  }

  private mutating func carryOn(
    _ value: Graph.ValueID, _ normalization: ChannelNormalization, axis: Int,
    padding: [Node] = []
  ) throws(FoldObstacle) -> [String] {
    try requireInner(value)
    let labels = try carry(value, normalization, axis: axis, padding: padding)
    rename(value)
    return labels
  }

  // MARK: - Into weights

  /// W′ = W·s and b′ = b + Σ W·t, over the input channels of a Conv, ConvTranspose or Gemm; where a border
  /// makes that vary from place to place, it is a map that is added.
  private mutating func foldInputs(
    _ position: Int, _ normalization: ChannelNormalization, behind padding: [Node] = []
  ) throws(FoldObstacle) {
    let node = graph.nodes[position]
    try requireSmallMean(normalization)
    let weights = try constant(node, 1, "the weights of \(node.label)")
    let layout = try ChannelLayout(
      inputsOf: node, weights.shape, channels: normalization.channelCount)
    let before = unrounded(node, 1, weights)
    var behind = before
    let newWeights = FoldedConstant(
      tensor: try normalization.scaled(weights, layout, &behind), formula: "W·s", weights: behind)
    guard normalization.offsets.contains(where: { $0 != 0 }) else {
      return try replaceWeights(position, newWeights, bias: nil)
    }
    if node.hasBorder || !padding.isEmpty {
      let map = try borderMap(node, normalization, before, behind: padding)
      change(position) { $0.inputs = Array(node.inputs.prefix(2)) }
      try replaceWeights(position, newWeights, bias: nil)
      return try add(map, behind: position, "b + W∗(B − mean·s)", in: node.inputs)
    }
    let outputs = try node.outputChannels(weights.shape)
    let shifts = layout.sums(before, normalization.offsets, outputCount: outputs)
    let factor = node.operatorName == "Gemm" ? Double(node.attributes.float("alpha") ?? 1) : 1
    let old = try bias(node, channels: outputs) ?? Array(repeating: 0, count: outputs)
    let numbers = zip(old, shifts).map { $0 + factor * $1 }
    let newBias = FoldedConstant(
      tensor: try normalization.rounded(numbers, to: weights.type),
      formula: "b + Σ W·(B − mean·s)", numbers: numbers)
    try replaceWeights(position, newWeights, bias: newBias)
  }

  /// The sum would lose what the difference of a value and its mean keeps.
  private func requireSmallMean(_ normalization: ChannelNormalization) throws(FoldObstacle) {
    guard normalization.relativeMean <= 16 else { throw .reason("its mean is far from 0") }
  }

  /// Numbers up to which a map of the border is kept.
  private static var largestMap: Int { 1 << 20 }

  /// What a convolution makes, in double, of an image that has the normalisation's offset at every place.
  private mutating func borderMap(
    _ node: Node, _ normalization: ChannelNormalization, _ unrounded: UnroundedWeights,
    behind padding: [Node]
  ) throws(FoldObstacle) -> Tensor {
    let weights = unrounded.tensor
    guard let input = (padding.first ?? node).inputs[0], let output = node.outputs[0],
      let from = shape(of: input)?.dropFirst(2).map(\.extent),
      let to = shape(of: output)?.dropFirst(2).map(\.extent), !from.contains(nil),
      !to.contains(nil), from.count == weights.shape.count - 2
    else {
      throw .reason("\(node.label) has a border, and the size of its input is not known")
    }
    let extents = from.compactMap(\.self)
    let channels = try ChannelLayout.channels(node, weights.shape)
    guard let area = extents.checkedElementCount,
      let count = ([channels] + to.compactMap(\.self)).checkedElementCount,
      let inputCount = ([normalization.channelCount] + extents).checkedElementCount
    else { throw .reason("\(node.label) has a border, and its map would be too large") }
    let taps = weights.shape.dropFirst(2).reduce(1, *)
    let (sums, overflows) = count.multipliedReportingOverflow(by: taps)
    guard count <= Self.largestMap, inputCount <= 1 << 22, !overflows, sums <= mapBudget,
      Double(count) <= forwardAllowance * Double(inputCount)
    else { throw .reason("\(node.label) has a border, and its map would have \(count) numbers") }
    let context = mapContext(costing: sums)
    // One channel of ones stands for all of them.
    var padded = Value.tensor(Tensor(Array(repeating: 1.0, count: area), [1, 1] + extents))
    for pad in padding {
      // Without the number to pad with, which is 0 in double too.
      let amounts = pad.operatorSet < 11 ? [] : [graph.constant(pad, 1).map(Value.tensor)]
      guard let result = try? pad.evaluate([padded] + amounts, context: context).first ?? nil else {
        throw .reason("the zeros of \(pad.label) could not be told")
      }
      padded = result
    }
    let ofOnes = node.weightsOfOnes(unrounded, normalization.offsets, outputCount: channels)
    var operands = [padded, .tensor(ofOnes)]
    if let bias = try bias(node, channels: channels) {
      operands.append(.tensor(Tensor(bias, [channels])))
    }
    var double = node
    double.inputs = operands.indices.map { $0 }
    double.attributes["group"] = nil
    do throws(ModelError) { try double.remake() } catch { throw .fault(error) }
    guard let map = try? double.evaluate(operands, context: context).first??.tensor else {
      throw .reason("\(node.label) has a border, whose map could not be made in time")
    }
    return try normalization.rounded(
      map.converted(to: Double.self), to: weights.type, shape: map.shape)
  }

  /// What to make a map with that takes so many products.
  private mutating func mapContext(costing products: Int) -> RunContext {
    mapBudget -= products
    let outer = Interruption.crew
    return RunContext(
      crew: Crew(
        threads: 1, deadline: outer?.deadline,
        account: MemoryAccount(
          limit: min(1 << 28, outer?.account?.limit ?? .max), within: outer?.account)))
  }

  /// Scales the rows of a MatMul's right operand, or the columns of its left one, and adds what the offsets
  /// come to.
  private mutating func foldOperand(
    _ place: Int, _ value: Graph.ValueID, _ index: Int, _ normalization: ChannelNormalization,
    axis: Int
  ) throws(FoldObstacle) {
    let node = graph.nodes[place]
    try requireSmallMean(normalization)
    let weights = try constant(
      node, 1 - index, "the \(index == 0 ? "right" : "left") operand of \(node.label)")
    guard let rank = shape(of: value)?.count, rank >= 2, axis == rank - (index == 0 ? 1 : 2),
      weights.shape.count == 2
    else { throw .reason("\(node.label) does not sum over its channels") }
    // What is summed over is axis 0 of a right operand, axis 1 of a left one.
    let layout = try ChannelLayout(
      axis: index, of: weights.shape, channels: normalization.channelCount)
    let before = unrounded(node, 1 - index, weights)
    var behind = before
    let scaled = try normalization.scaled(weights, layout, &behind)
    let count = weights.shape[1 - index]
    let sums = layout.sums(before, normalization.offsets, outputCount: count)
    let old = node.inputs[1 - index]
    let folded = addConstant(
      graph.values[old!].name + "_folded",
      FoldedConstant(tensor: scaled, formula: "W·s", weights: behind), from: old)
    change(place) { $0.inputs[1 - index] = folded }
    guard sums.contains(where: { $0 != 0 }) else { return }
    let shift = try normalization.rounded(
      sums, to: weights.type, shape: index == 0 ? [count] : [count, 1])
    try add(shift, behind: place, "Σ W·(B − mean·s)", in: [nil, old])
  }

  /// Puts the addition of a constant behind a node, or into the one that is there.
  private mutating func add(
    _ tensor: Tensor, behind position: Int, _ formula: String, in inputs: [Graph.ValueID?]
  ) throws(FoldObstacle) {
    let node = graph.nodes[position]
    guard node.operatorSet >= 7, let output = node.outputs[0] else {
      throw .reason("\(node.label) has no place for what is to be added")
    }
    let weights = inputs.dropFirst().first ?? nil
    let name = weights.map { graph.values[$0].name } ?? node.name
    let constant = addConstant(name + "_border", tensor, formula, from: weights)
    let unshifted = addValue(graph.values[output].name + "_unshifted", like: output)
    change(position) { $0.outputs[0] = unshifted }
    var addition = try node.becoming("Add", [unshifted, constant], [output])
    addition.name = node.name + "_border"
    insert(addition, behind: position)
  }

  // MARK: - Into another normalisation

  /// Lets the BatchNormalization behind do both, with variance 1 and epsilon 0.
  private mutating func join(
    _ position: Int, _ first: ChannelNormalization, _ second: ChannelNormalization
  ) throws(FoldObstacle) {
    guard first.channelCount == second.channelCount,
      let type = graph.constant(graph.nodes[position], 1)?.type
    else { throw .reason("the channels differ") }
    var node = graph.nodes[position]
    let scales = zip(first.scale, second.scale).map { $0 * $1 }
    let parts = [scales, second.folded(bias: first.shift), first.mean, scales.map { _ in 1 }]
    for (index, numbers) in parts.enumerated() {
      let name = graph.values[node.inputs[index + 1]!].name
      let tensor = try first.rounded(numbers, to: type)
      node.inputs[index + 1] = addConstant(
        name + "_joined",
        FoldedConstant(tensor: tensor, formula: "one for two", numbers: numbers),
        from: node.inputs[index + 1])
    }
    node.attributes["epsilon"] = .float(0)
    do throws(ModelError) { try node.remake() } catch { throw .fault(error) }
    change(position) { $0 = node }
  }

  /// Lets a BatchNormalization do the sums and products with numbers of channels behind it too.
  mutating func joinArithmetic(behind position: Int) throws(FoldObstacle) {
    while let result = graph.nodes[position].outputs[0], readers[result].count == 1,
      !outputs.contains(result)
    {
      let place = readers[result][0]
      let reader = graph.nodes[place]
      guard reader.domain.isEmpty, reader.operatorSet >= 7, !isLeft(reader),
        let operand = ChannelNormalization.arithmetic(reader, graph),
        let rank = shape(of: result)?.count
      else { return }
      let node = graph.nodes[position]
      let normalization = try channelNormalization(node)
      guard let spread = try? operand.spread(over: normalization.channelCount, rank: rank) else {
        return
      }
      // With all its numbers in range, or not at all.
      guard (try? join(position, normalization, spread)) != nil else { return }
      note(.done, reader, "into \(node.label)")
      change(position) { $0.outputs[0] = reader.outputs[0] }
      drop(place)
      setProducer(of: reader.outputs[0]!, position)
    }
  }
}

extension Dimension {
  /// The number, where it is one.
  fileprivate var extent: Int? {
    if case .known(let extent) = self { extent } else { nil }
  }
}

extension Node {
  /// The weights by which this Conv or ConvTranspose makes of one channel of ones what it makes of channels
  /// that have an offset at every place: for each output and tap, the sum over the input channels.
  fileprivate func weightsOfOnes(
    _ weights: UnroundedWeights, _ offsets: [Double], outputCount: Int
  ) -> Tensor {
    let shape = weights.tensor.shape
    let kernel = Shape(shape.dropFirst(2))
    let taps = kernel.reduce(1, *)
    let isTransposed = operatorName == "ConvTranspose"
    let rowsPerGroup = max(1, shape[0] / max(1, attributes.int("group") ?? 1))
    var sums = [Double](repeating: 0, count: outputCount * taps)
    weights.tensor.forEachStretch { range, unscaled in
      var numbers = unscaled
      weights.scale(&numbers, in: range)
      var position = range.lowerBound
      while position < range.upperBound {
        let (row, tap) = position.quotientAndRemainder(dividingBy: taps)
        let (first, second) = row.quotientAndRemainder(dividingBy: shape[1])
        let across = first / rowsPerGroup * shape[1] + second
        let (output, input) = isTransposed ? (across, first) : (first, across)
        let end = min(position + taps - tap, range.upperBound)
        for index in position..<end {
          sums[output * taps + tap + index - position] +=
            numbers[index - range.lowerBound] * offsets[input]
        }
        position = end
      }
    }
    return Tensor(sums, (isTransposed ? [1, outputCount] : [outputCount, 1]) + kernel)
  }
}
