extension BatchNormalizationFold {
  /// Lets a Conv, ConvTranspose or Gemm, which hold their bias as input 2, make its outputs normalised.
  /// - Returns: the type of the weights.
  mutating func foldWeights(
    _ producer: Int, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) -> ElementType {
    let node = graph.nodes[producer]
    let weights = try constant(node, 1, "the weights of \(node.label)")
    let layout = try ChannelLayout(node, weights.shape, channels: normalization.channelCount)
    let isScaled = normalization.scale.contains { $0 != 1 }
    var unrounded = unrounded(node, 1, weights)
    let newWeights = isScaled ? try normalization.scaled(weights, layout, &unrounded) : nil
    let bias = try foldedBias(node, normalization, weights)
    try replaceWeights(
      producer,
      newWeights.map { FoldedConstant(tensor: $0, formula: "s·W", weights: unrounded) }, bias: bias)
    return weights.type
  }

  private func foldedBias(
    _ node: Node, _ normalization: ChannelNormalization, _ weights: Tensor
  ) throws(FoldObstacle) -> FoldedConstant {
    let (what, formula) = ("the bias of \(node.label)", "(b − mean)·s + B")
    guard node.operatorName == "Gemm", node.hasInput(2), unroundedNumbers[node.inputs[2]!] == nil
    else {
      let old = try bias(node, channels: normalization.channelCount)
      let numbers = normalization.folded(bias: old)
      return FoldedConstant(
        tensor: try normalization.rounded(numbers, to: weights.type), formula: formula,
        numbers: numbers)
    }
    let tensor = try constant(node, 2, what)
    guard tensor.shape.count <= 2 else { throw .reason("\(what) has \(tensor.shape.count) axes") }
    let beta = Double(node.attributes.float("beta") ?? 1)
    let applied = try normalization.applied(to: tensor, rank: 2, axis: 1, factor: beta)
    return FoldedConstant(
      tensor: applied.shape.first == 1 ? applied.reshaped([normalization.channelCount]) : applied,
      formula: formula)
  }

  /// Gives a Conv, ConvTranspose or Gemm other weights, and another bias, unless they stay.
  mutating func replaceWeights(
    _ position: Int, _ weights: FoldedConstant?, bias: FoldedConstant?
  ) throws(FoldObstacle) {
    let node = graph.nodes[position]
    let name = graph.values[node.inputs[1]!].name
    var changed = node
    if let weights {
      try takeFromShared(node.inputs[1]!, of: node, position)
      changed.inputs[1] = addConstant(name + "_folded", weights, from: node.inputs[1])
    }
    if let bias {
      let old = node.inputs.dropFirst(2).first ?? nil
      let new = addConstant(name + "_folded_bias", bias, from: old)
      changed.inputs = changed.inputs.prefix(2) + [new]
      if node.operatorName == "Gemm" { changed.attributes["beta"] = .float(1) }
    }
    do throws(ModelError) { try changed.remake() } catch { throw .fault(error) }
    change(position) { $0 = changed }
  }

  /// Counts a copy of weights that others read too.
  private mutating func takeFromShared(
    _ weights: Graph.ValueID, of node: Node, _ position: Int
  ) throws(FoldObstacle) {
    guard readers[weights].count > 1 || outputs.contains(weights),
      let size = graph.values[weights].constant?.byteCount
    else { return }
    // Those that read others meanwhile are listed still, at the front, as nodes fold in their order.
    let other = readers[weights].lastIndex {
      $0 != position && graph.nodes[$0].inputs.contains(weights)
    }
    guard other != nil || outputs.contains(weights) else { return }
    guard size <= copyBudget else {
      throw .reason("others read the weights of \(node.label), whose copy would take \(size) bytes")
    }
    copyBudget -= size
  }

  /// The bias of a Conv, ConvTranspose or Gemm per output channel, Gemm's times its beta; nil
  /// where there is none.
  func bias(_ node: Node, channels: Int) throws(FoldObstacle) -> [Double]? {
    guard node.hasInput(2) else { return nil }
    let tensor = try constant(node, 2, "the bias of \(node.label)")
    let (shape, count) = (tensor.shape, tensor.elementCount)
    let values = unroundedNumbers[node.inputs[2]!] ?? tensor.converted(to: Double.self)
    guard node.operatorName == "Gemm" else {
      guard count == channels else { throw .reason("the bias has \(count) elements") }
      return values
    }
    guard shape.count <= 2, shape.dropLast().allSatisfy({ $0 == 1 }),
      count == 1 || count == channels
    else { throw .reason("the added constant [\(shape.joined)] varies from row to row") }
    let factor = Double(node.attributes.float("beta") ?? 1)
    let spread = values.count == channels ? values : Array(repeating: values[0], count: channels)
    return spread.map { $0 * factor }
  }
}
