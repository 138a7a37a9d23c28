extension Planner {
  /// Folds BatchNormalization into the weights of the Conv, ConvTranspose, Gemm or MatMul before it, and
  /// what exporters leave of one behind a Conv or ConvTranspose: sums and products with constants.
  ///
  /// With s = γ/√(σ² + ε): W′ = s·W and b′ = (b − μ)·s + β, per output channel, computed in double
  /// and rounded once. A BatchNormalization that cannot be folded stays, with a note of the reason.
  static let foldBatchNormalizations = Pass(name: "fold batch normalizations") {
    graph throws(ModelError) in
    var fold = BatchNormalizationFold(graph)
    try fold.run()
    graph = fold.graph
  }
}

private struct BatchNormalizationFold {
  var graph: Graph
  private var readers: [[Int]]
  private var producers: [Int?]
  private lazy var ranks = graph.probableRanks()
  /// The names of all values; gathered when the first constant is added.
  private var names: Set<String>?
  private let outputs: Set<Graph.ValueID>

  init(_ graph: Graph) {
    self.graph = graph
    readers = graph.readers()
    producers = graph.producers()
    outputs = Set(graph.outputs)
  }

  mutating func run() throws(ModelError) {
    for position in graph.nodes.indices where graph.nodes[position].domain.isEmpty {
      let node = graph.nodes[position]
      guard node.operatorName == "BatchNormalization" else {
        try foldArithmetic(position, node)
        continue
      }
      do throws(FoldObstacle) {
        let target = try fold(position, node)
        note(.done, node, "into the weights of \(target)")
      } catch {
        switch error {
        case .reason(let reason): note(.declined, node, reason)
        case .fault(let error): throw error.at(node: node.label)
        }
      }
    }
  }

  /// Folds a sum, difference, product or quotient of a convolution and a constant; any other stays
  /// without a word.
  private mutating func foldArithmetic(_ position: Int, _ node: Node) throws(ModelError) {
    guard let (source, normalization) = ChannelNormalization.arithmetic(node, graph),
      let producer = producers[source], graph.nodes[producer].domain.isEmpty,
      ["Conv", "ConvTranspose"].contains(graph.nodes[producer].operatorName),
      let weights = graph.constant(graph.nodes[producer], 1)
    else { return }
    do throws(FoldObstacle) {
      let channels = try ChannelLayout.channels(graph.nodes[producer], weights.shape)
      let spread = try normalization.spread(over: channels, rank: weights.shape.count)
      try requireSoleReader(source)
      try foldWeights(producer, spread)
      note(.done, node, "into the weights of \(graph.nodes[producer].label)")
      redirect(producer, from: position)
    } catch {
      if case .fault(let error) = error { throw error.at(node: node.label) }
    }
  }

  private mutating func note(_ kind: Note.Kind, _ node: Node, _ text: String) {
    graph.note("fold batch normalizations", kind, node, text)
  }

  /// Folds the node at `position` and returns the label of the node that took it in.
  private mutating func fold(_ position: Int, _ node: Node) throws(FoldObstacle) -> String {
    try node.requireInference()
    let normalization = try ChannelNormalization(node, graph)
    guard let source = node.inputs.first ?? nil, let producer = producers[source] else {
      throw .reason("its input is made by no node")
    }
    let before = graph.nodes[producer]
    guard before.domain.isEmpty else { throw .reason("follows \(before.label)") }
    switch before.operatorName {
    case "Conv", "ConvTranspose", "Gemm":
      try requireSoleReader(source)
      try foldWeights(producer, normalization)
      redirect(producer, from: position)
      return before.label
    case "MatMul":
      try requireSoleReader(source)
      try foldMatMul(producer, normalization)
      let bias = normalization.folded(bias: nil)
      try replace(position, byAdd: source, bias, normalization)
      return before.label
    case "Add":
      return try foldMatMulAdd(position, producer, source, normalization)
    default: throw .reason("follows \(before.label), which has no weights")
    }
  }

  /// Conv, ConvTranspose and Gemm hold their bias as input 2.
  private mutating func foldWeights(
    _ producer: Int, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) {
    let node = graph.nodes[producer]
    let weights = try constant(node, 1, "the weights of \(node.label)")
    let layout = try ChannelLayout(node, weights.shape, channels: normalization.channelCount)
    let oldBias = try bias(node, channels: normalization.channelCount)
    let isScaled = normalization.scale.contains { $0 != 1 }
    let newWeights = isScaled ? try normalization.scaled(weights, layout) : weights
    let newBias = try normalization.rounded(normalization.folded(bias: oldBias), to: weights.type)
    var changed = node
    let name = graph.values[node.inputs[1]!].name
    if isScaled { changed.inputs[1] = addConstant(name + "_folded", newWeights) }
    let biasInput = addConstant(name + "_folded_bias", newBias)
    if changed.inputs.count > 2 {
      changed.inputs[2] = biasInput
    } else {
      changed.inputs.append(biasInput)
    }
    if node.operatorName == "Gemm" { changed.attributes["beta"] = .float(1) }
    do throws(ModelError) { try changed.remake() } catch { throw .fault(error) }
    graph.nodes[producer] = changed
  }

  /// The bias of a Conv, ConvTranspose or Gemm per output channel, Gemm's times its beta; nil
  /// where there is none.
  private func bias(_ node: Node, channels: Int) throws(FoldObstacle) -> [Double]? {
    guard node.hasInput(2) else { return nil }
    let tensor = try constant(node, 2, "the bias of \(node.label)")
    let values = tensor.converted(to: Double.self)
    guard node.operatorName == "Gemm" else {
      guard values.count == channels else { throw .reason("the bias has \(values.count) elements") }
      return values
    }
    let factor = Double(node.attributes.float("beta") ?? 1)
    return try Self.perColumn(tensor.shape, values, channels).map { $0 * factor }
  }

  /// A tensor that broadcasts along rows only, spread over the columns.
  private static func perColumn(_ shape: Shape, _ values: [Double], _ columns: Int)
    throws(FoldObstacle) -> [Double]
  {
    guard shape.count <= 2, shape.dropLast().allSatisfy({ $0 == 1 }),
      values.count == 1 || values.count == columns
    else { throw .reason("the added constant [\(shape.joined)] varies from row to row") }
    return values.count == columns ? values : Array(repeating: values[0], count: columns)
  }

  private mutating func foldMatMul(_ producer: Int, _ normalization: ChannelNormalization)
    throws(FoldObstacle)
  {
    let node = graph.nodes[producer]
    let weights = try constant(node, 1, "the right operand of \(node.label)")
    guard weights.shape.count == 2, ranks[node.outputs[0]!] == 2 else {
      throw .reason("axis 1 is not the column axis of \(node.label), or its rank is not known")
    }
    let layout = try ChannelLayout(node, weights.shape, channels: normalization.channelCount)
    let name = graph.values[node.inputs[1]!].name + "_folded"
    let scaled = try normalization.scaled(weights, layout)
    // Checked before anything is changed.
    _ = try normalization.rounded(normalization.folded(bias: nil), to: weights.type)
    graph.nodes[producer].inputs[1] = addConstant(name, scaled)
  }

  /// MatMul, then Add of a constant, then BatchNormalization.
  private mutating func foldMatMulAdd(
    _ position: Int, _ add: Int, _ sum: Graph.ValueID, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) -> String {
    let addition = graph.nodes[add]
    try requireSoleReader(sum)
    guard addition.inputs.count == 2, let left = addition.inputs[0], let right = addition.inputs[1]
    else { throw .reason("follows \(addition.label)") }
    let product = graph.values[right].constant == nil ? right : left
    guard let constant = graph.constant(addition, product == left ? 1 : 0),
      let producer = producers[product], graph.nodes[producer].operatorName == "MatMul",
      graph.nodes[producer].domain.isEmpty
    else { throw .reason("follows \(addition.label), which does not add a constant to a MatMul") }
    try requireSoleReader(product)
    let columns = try Self.perColumn(
      constant.shape, constant.converted(to: Double.self), normalization.channelCount)
    let bias = normalization.folded(bias: columns)
    _ = try normalization.rounded(bias, to: constant.type)
    try foldMatMul(producer, normalization)
    try replace(position, byAdd: product, bias, normalization)
    return graph.nodes[producer].label
  }

  /// Turns the BatchNormalization into the addition of what is left of it.
  private mutating func replace(
    _ position: Int, byAdd product: Graph.ValueID, _ bias: [Double],
    _ normalization: ChannelNormalization
  ) throws(FoldObstacle) {
    let type = graph.constant(graph.nodes[producers[product]!], 1)!.type
    let tensor = try normalization.rounded(bias, to: type)
    var node = graph.nodes[position]
    let constant = addConstant("\(node.name)_bias", tensor)
    node.operatorName = "Add"
    node.inputs = [product, constant]
    node.attributes = [:]
    node.outputs = [node.outputs[0]]
    do throws(ModelError) { try node.remake() } catch { throw .fault(error) }
    graph.nodes[position] = node
    readers[product] = [position]
  }

  /// Lets the producer make the BatchNormalization's output itself.
  private mutating func redirect(_ producer: Int, from position: Int) {
    let result = graph.nodes[position].outputs[0]!
    graph.nodes[position].outputs = []
    graph.nodes[producer].outputs[0] = result
    producers[result] = producer
  }

  private mutating func addConstant(_ name: String, _ tensor: Tensor) -> Graph.ValueID {
    var taken = names ?? Set(graph.values.map(\.name))
    names = nil
    defer { names = taken }
    return graph.addConstant(name, tensor, &taken)
  }

  private func requireSoleReader(_ id: Graph.ValueID) throws(FoldObstacle) {
    if outputs.contains(id) {
      throw .reason("\"\(graph.values[id].name)\" is an output of the graph")
    }
    if readers[id].count > 1 {
      throw .reason("\"\(graph.values[id].name)\" has \(readers[id].count) readers")
    }
  }

  private func constant(_ node: Node, _ index: Int, _ what: String) throws(FoldObstacle) -> Tensor {
    guard let tensor = graph.constant(node, index) else {
      throw .reason("\(what): not a constant, or one the caller may override")
    }
    guard [.float, .double, .float16, .bfloat16].contains(tensor.type) else {
      throw .reason("\(what): of type \(tensor.type)")
    }
    return tensor
  }
}

/// Why a fold is not done.
enum FoldObstacle: Error {
  case reason(String)
  case fault(ModelError)
}

extension Node {
  /// Whether this BatchNormalization uses the stored statistics, by the rules of its version.
  fileprivate func requireInference() throws(FoldObstacle) {
    let extraOutputs = outputs.dropFirst().contains { $0 != nil }
    let training =
      switch operatorSet {
      case ..<7: attributes.int("is_test") ?? 0 == 0
      case ..<14: extraOutputs
      default: attributes.int("training_mode") ?? 0 != 0
      }
    if training { throw .reason("runs in training mode, with the statistics of its batch") }
    if extraOutputs { throw .reason("has outputs beside Y") }
    // Version 9 dropped `spatial`; its default is 1.
    if operatorSet < 9, attributes.int("spatial") == 0 {
      throw .reason("spatial = 0 scales each element, not each channel")
    }
  }
}
