extension Planner {
  /// Folds BatchNormalization into the weights of the Conv, ConvTranspose, Gemm or MatMul before it, through
  /// Concat and pools too, or else of the Conv, Gemm or BatchNormalization behind it; and what exporters leave of
  /// one behind a Conv or ConvTranspose: sums and products with constants.
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
  /// The node that is being folded.
  private var folding: Node?

  init(_ graph: Graph) {
    self.graph = graph
    readers = graph.readers()
    producers = graph.producers()
    outputs = Set(graph.outputs)
  }

  mutating func run() throws(ModelError) {
    for position in graph.nodes.indices where graph.nodes[position].domain.isEmpty {
      let node = graph.nodes[position]
      folding = node
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
    do throws(FoldObstacle) {
      return try foldBackward(position, node, normalization)
    } catch {
      guard case .reason = error else { throw error }
      var trial = self
      guard let target = try? trial.foldForward(position, node, normalization) else { throw error }
      self = trial
      return target
    }
  }

  private mutating func foldBackward(
    _ position: Int, _ node: Node, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) -> String {
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
    case "Concat", "MaxPool", "AveragePool", "GlobalAveragePool":
      var trial = self
      try trial.absorb(source, normalization)
      self = trial
      redirect(producer, from: position)
      return "what \(before.label) reads"
    default: throw .reason("follows \(before.label), which has no weights")
    }
  }

  /// Lets what makes a value make it normalised: weights, or what commutes with scale and shift of
  /// channels, whose inputs are then normalised.
  private mutating func absorb(_ value: Graph.ValueID, _ normalization: ChannelNormalization)
    throws(FoldObstacle)
  {
    try requireSoleReader(value)
    let name = graph.values[value].name
    guard let producer = producers[value], graph.nodes[producer].domain.isEmpty else {
      throw .reason("\"\(name)\" is made by no node that has weights")
    }
    let node = graph.nodes[producer]
    switch node.operatorName {
    case "Conv", "ConvTranspose", "Gemm": try foldWeights(producer, normalization)
    case "Concat":
      guard node.attributes.int("axis") ?? 1 == 1 else {
        throw .reason("follows \(node.label), which does not join channels")
      }
      var first = 0
      for case let branch? in node.inputs {
        guard let count = channelCount(of: branch), first + count <= normalization.channelCount
        else {
          throw .reason("\"\(graph.values[branch].name)\" is made by no node that has weights")
        }
        try absorb(branch, normalization.slice(first..<first + count))
        first += count
      }
      guard first == normalization.channelCount else {
        throw .reason("\(node.label) joins \(first) channels")
      }
    case "MaxPool", "AveragePool", "GlobalAveragePool":
      try node.requireCommuting(with: normalization)
      guard let input = node.inputs.first ?? nil else { throw .reason("follows \(node.label)") }
      try absorb(input, normalization)
    default: throw .reason("follows \(node.label), which has no weights")
    }
  }

  /// The channels of a value that ``absorb(_:_:)`` may get to the weights of.
  private func channelCount(of value: Graph.ValueID) -> Int? {
    guard let producer = producers[value] else { return nil }
    let node = graph.nodes[producer]
    switch node.operatorName {
    case "Conv", "ConvTranspose":
      return graph.constant(node, 1).flatMap { try? ChannelLayout.channels(node, $0.shape) }
    case "Gemm":
      let isTransposed = node.attributes.int("transB") ?? 0 != 0
      return graph.constant(node, 1).flatMap { isTransposed ? $0.shape.first : $0.shape.last }
    case "MaxPool", "AveragePool", "GlobalAveragePool":
      return (node.inputs.first ?? nil).flatMap(channelCount)
    case "Concat":
      let counts = node.inputs.map { $0.flatMap(channelCount) }
      return counts.contains(nil) ? nil : counts.reduce(0) { $0 + ($1 ?? 0) }
    default: return nil
    }
  }

  // MARK: - Into what reads it

  /// Folds into the only reader: a Conv without padding, a Gemm or a BatchNormalization.
  private mutating func foldForward(
    _ position: Int, _ node: Node, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) -> String {
    guard let source = node.inputs.first ?? nil, let result = node.outputs[0] else {
      throw .reason("has no input or output")
    }
    try requireSoleReader(result)
    guard let place = readers[result].first, graph.nodes[place].inputs.first == result,
      graph.nodes[place].domain.isEmpty
    else { throw .reason("nothing reads it as its first input") }
    let reader = graph.nodes[place]
    switch reader.operatorName {
    case "Conv", "Gemm": try foldInputs(place, normalization)
    case "BatchNormalization":
      try reader.requireInference()
      try join(place, normalization, try ChannelNormalization(reader, graph))
    default: throw .reason("read by \(reader.label)")
    }
    graph.nodes[place].inputs[0] = source
    readers[source] = readers[source].map { $0 == position ? place : $0 }
    return reader.label
  }

  /// W′ = W·s and b′ = b + Σ W·t, over the input channels.
  private mutating func foldInputs(_ position: Int, _ normalization: ChannelNormalization)
    throws(FoldObstacle)
  {
    let node = graph.nodes[position]
    try node.requireNoPadding()
    // The sum would lose what the difference of x and its mean keeps.
    guard normalization.relativeMean <= 16 else { throw .reason("its mean is far from 0") }
    let weights = try constant(node, 1, "the weights of \(node.label)")
    let layout = try ChannelLayout(
      inputsOf: node, weights.shape, channels: normalization.channelCount)
    let outputs = try node.outputChannels(weights.shape)
    let shifts = layout.sums(
      weights.converted(to: Double.self), normalization.offsets, outputCount: outputs)
    let factor = node.operatorName == "Gemm" ? Double(node.attributes.float("alpha") ?? 1) : 1
    let old = try bias(node, channels: outputs) ?? Array(repeating: 0, count: outputs)
    let newBias = try normalization.rounded(
      zip(old, shifts).map { $0 + factor * $1 }, to: weights.type)
    let newWeights = try normalization.scaled(weights, layout)
    try replaceWeights(
      position, (newWeights, "W·s"), bias: (newBias, "b + Σ W·(B − mean·s)"))
  }

  /// Makes one BatchNormalization of two, with variance 1 and epsilon 0.
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
        name + "_joined", tensor, "one for two", from: node.inputs[index + 1])
    }
    node.attributes["epsilon"] = .float(0)
    do throws(ModelError) { try node.remake() } catch { throw .fault(error) }
    graph.nodes[position] = node
  }

  // MARK: - Weights

  /// Conv, ConvTranspose and Gemm hold their bias as input 2.
  private mutating func foldWeights(
    _ producer: Int, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) {
    let node = graph.nodes[producer]
    let weights = try constant(node, 1, "the weights of \(node.label)")
    let layout = try ChannelLayout(node, weights.shape, channels: normalization.channelCount)
    let oldBias = try bias(node, channels: normalization.channelCount)
    let isScaled = normalization.scale.contains { $0 != 1 }
    let newWeights = isScaled ? try normalization.scaled(weights, layout) : nil
    let newBias = try normalization.rounded(normalization.folded(bias: oldBias), to: weights.type)
    try replaceWeights(
      producer, newWeights.map { ($0, "s·W") }, bias: (newBias, "(b − mean)·s + B"))
  }

  /// Gives a Conv, ConvTranspose or Gemm other weights, unless they stay, and another bias, each with the
  /// formula that it was made by.
  private mutating func replaceWeights(
    _ position: Int, _ weights: (tensor: Tensor, formula: String)?,
    bias: (tensor: Tensor, formula: String)
  ) throws(FoldObstacle) {
    let node = graph.nodes[position]
    let name = graph.values[node.inputs[1]!].name
    var changed = node
    if let (tensor, formula) = weights {
      changed.inputs[1] = addConstant(name + "_folded", tensor, formula, from: node.inputs[1])
    }
    let biasInput = addConstant(
      name + "_folded_bias", bias.tensor, bias.formula,
      from: node.inputs.dropFirst(2).first ?? nil)
    if changed.inputs.count > 2 {
      changed.inputs[2] = biasInput
    } else {
      changed.inputs.append(biasInput)
    }
    if node.operatorName == "Gemm" { changed.attributes["beta"] = .float(1) }
    do throws(ModelError) { try changed.remake() } catch { throw .fault(error) }
    graph.nodes[position] = changed
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
    graph.nodes[producer].inputs[1] = addConstant(name, scaled, "s·W", from: node.inputs[1])
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
    let added = producers[graph.nodes[position].inputs[0]!].flatMap { add in
      graph.nodes[add].inputs.compactMap(\.self).first { $0 != product }
    }
    let tensor = try normalization.rounded(bias, to: type)
    var node = graph.nodes[position]
    let constant = addConstant(
      "\(node.name)_bias", tensor, "(b − mean)·s + B",
      from: graph.nodes[position].inputs[0] == product ? nil : added)
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

  /// - Parameters:
  ///   - formula: what it was made by, of `old` and the node that is folded.
  ///   - old: what it stands for from now on; nil for nothing.
  private mutating func addConstant(
    _ name: String, _ tensor: Tensor, _ formula: String, from old: Graph.ValueID?
  ) -> Graph.ValueID {
    var taken = names ?? Set(graph.values.map(\.name))
    names = nil
    defer { names = taken }
    let id = graph.addConstant(name, tensor, &taken)
    graph.origins[graph.values[id].name] = origin(formula, old)
    return id
  }

  private func origin(_ formula: String, _ old: Graph.ValueID?) -> FoldOrigin {
    let oldName = old.map { graph.values[$0].name }
    let before = oldName.flatMap { graph.origins[$0] }
    var origin = before ?? FoldOrigin(steps: [], sources: oldName.map { [$0] } ?? [])
    guard let node = folding else { return origin }
    let constants = node.inputs.compactMap(\.self).filter { graph.values[$0].constant != nil }
    let names = constants.map { graph.values[$0].name }
    let isNormalization = node.operatorName == "BatchNormalization"
    let epsilon = node.attributes.float("epsilon") ?? 1e-5
    let factor = isNormalization ? ", s = scale/√(var + \(epsilon))" : ""
    let symbol = formula.contains("W") ? "W" : "b"
    let operand = oldName.map { "\(symbol) = \"\($0)\"" } ?? "\(symbol) = 0"
    let step = "\(formula)\(factor) of \(node.label) with \(names.quotedList); \(operand)"
    origin.steps.append(step)
    origin.sources += names
    return origin
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
  /// A pool that gives the same before and behind scale and shift of channels.
  fileprivate func requireCommuting(with normalization: ChannelNormalization) throws(FoldObstacle) {
    guard outputs.dropFirst().allSatisfy({ $0 == nil }) else {
      throw .reason("follows \(label), which has outputs beside Y")
    }
    if operatorName == "MaxPool" {
      guard normalization.scale.allSatisfy({ $0 >= 0 }) else {
        throw .reason("follows \(label), and the scale of a channel is negative")
      }
      return
    }
    // A mean over padding is not one of numbers that were shifted.
    guard operatorName == "AveragePool" else { return }
    guard operatorSet >= 7, attributes.int("count_include_pad") ?? 0 == 0 else {
      throw .reason("follows \(label), whose means count padding")
    }
  }

  fileprivate func requireNoPadding() throws(FoldObstacle) {
    if operatorName == "Gemm" {
      guard attributes.int("transA") ?? 0 == 0 else { throw .reason("\(label) transposes it") }
      return
    }
    if case .string(let padding)? = attributes["auto_pad"], !["NOTSET", "VALID"].contains(padding) {
      throw .reason("read by \(label), which may pad")
    }
    if case .ints(let pads)? = attributes["pads"], pads.contains(where: { $0 != 0 }) {
      throw .reason("read by \(label), which pads")
    }
  }

  /// The output channels of a Conv or Gemm with weights of this shape.
  fileprivate func outputChannels(_ shape: Shape) throws(FoldObstacle) -> Int {
    guard operatorName == "Gemm" else { return try ChannelLayout.channels(self, shape) }
    guard shape.count == 2 else { throw .reason("the weights have \(shape.count) axes") }
    return attributes.int("transB") ?? 0 == 0 ? shape[1] : shape[0]
  }

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
