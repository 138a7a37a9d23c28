extension Planner {
  /// Lays the activations of convolution networks out in blocks of channels (``BlockLayout``), from
  /// the first convolution on as far as every operator can read them so, with reorders at the borders.
  ///
  /// Channel counts come from the weights, so this holds for any batch and any image.
  static func blockChannels(winograd: Bool) -> Pass {
    Pass(name: "block channels") { graph throws(ModelError) in
      guard
        graph.nodes.contains(where: {
          $0.implementation is Conv || $0.implementation is ConvTranspose
        })
      else { return }
      var blocking = ChannelBlocking(graph, winograd: winograd)
      for position in graph.nodes.indices { blocking.add(position) }
      blocking.finish()
      graph = blocking.graph
    }
  }
}

/// Builds the graph anew, node by node.
private struct ChannelBlocking {
  private(set) var graph: Graph
  private let layout = BlockLayout()
  private let winograd: Bool
  private var nodes: [Node] = []
  /// Per value, the position of the node that makes it.
  private var producers: [Graph.ValueID: Int] = [:]
  /// Per value that exists in blocks, the value that holds them and its channels.
  private var blocks: [Graph.ValueID: Blocked] = [:]
  /// Per value that is channels of others, where they come from; its blocks are made when they are
  /// needed.
  private var selections: [Graph.ValueID: Selection] = [:]
  /// Per value that was made in blocks, its plain form where one was needed.
  private var plainForms: [Graph.ValueID: Graph.ValueID] = [:]
  private let facts: [SymbolicShapes.Known]
  private let isOutput: Set<Graph.ValueID>
  private var names: Set<String>
  private let original: [Node]
  private let readers: Readers
  /// Nodes that are a part of what one before them has become.
  private var taken: Set<Int> = []

  /// A value in blocks.
  private struct Blocked {
    let id: Graph.ValueID
    let channels: Int
    /// N, C and the spatial axes.
    let rank: Int
  }

  /// Channels of values in blocks.
  private struct Selection {
    var sources: [(value: Graph.ValueID, channel: Int)]
    let rank: Int
  }

  init(_ graph: Graph, winograd: Bool) {
    self.graph = graph
    self.winograd = winograd
    facts = self.graph.symbolicShapes().facts
    self.graph.nodes = []
    isOutput = Set(graph.outputs)
    names = Set(graph.values.map(\.name))
    original = graph.nodes
    readers = graph.readers()
  }

  /// Adds the node at a position of the graph as it was.
  mutating func add(_ position: Int) {
    let node = original[position]
    if taken.contains(position) || node.domain.isEmpty && select(node) { return }
    if node.domain.isEmpty || node.implementation is HalfConversion,
      let rewritten = rewrite(node)
    {
      append(rewritten)
      return
    }
    var plainNode = node
    plainNode.inputs = node.inputs.map { $0.map { plain($0) } }
    append(plainNode)
  }

  private mutating func append(_ node: Node) {
    for case let id? in node.outputs { producers[id] = nodes.count }
    nodes.append(node)
  }

  /// Makes the outputs of the graph plain.
  mutating func finish() {
    for id in graph.outputs { _ = plain(id) }
    graph.nodes = nodes
  }

  // MARK: Values

  /// The plain form of a value, by a reorder where it is needed.
  private mutating func plain(_ id: Graph.ValueID) -> Graph.ValueID {
    guard let blocked = inBlocks(id), plainForms[id] != id else { return id }
    if let known = plainForms[id] { return known }
    // An output of the graph keeps its number, and its blocks have got another.
    let record = graph.values[id]
    let target =
      isOutput.contains(id)
      ? id : graph.addValue(record.name + " (plain)", type: record.type, shape: record.shape)
    if target != id { graph.values[target].isReordered = true }
    plainForms[id] = target
    append(
      reorder(
        "UnblockChannels", UnblockChannels(channels: blocked.channels), record.name, blocked.id,
        target))
    return target
  }

  /// A value in blocks, where it is so without a reorder.
  private mutating func inBlocks(_ id: Graph.ValueID) -> Blocked? {
    guard blocks[id] == nil, let selection = selections.removeValue(forKey: id) else {
      return blocks[id]
    }
    var values: [Graph.ValueID] = []
    let sources = selection.sources.map { source in
      if !values.contains(source.value) { values.append(source.value) }
      return BlockedSelection.Source(
        input: values.firstIndex(of: source.value)!, channel: source.channel)
    }
    let target = produce(id, channels: sources.count, rank: selection.rank)
    append(
      Node(
        name: graph.values[id].name, operatorName: "SelectChannels", domain: "sardonyx",
        operatorSet: 1, inputs: values, outputs: [target], attributes: [:],
        implementation: BlockedSelection(sources)))
    return blocks[id]
  }

  /// A value in blocks, by a reorder where it is needed.
  private mutating func blocked(_ id: Graph.ValueID, channels: Int, rank: Int) -> Graph.ValueID {
    if let known = inBlocks(id) { return known.id }
    let record = graph.values[id]
    let target = graph.addValue(record.name + " (in blocks)", type: record.type)
    graph.values[target].blockedChannels = channels
    graph.values[target].isReordered = true
    blocks[id] = Blocked(id: target, channels: channels, rank: rank)
    plainForms[id] = id
    append(
      reorder("BlockChannels", BlockChannels(channels: channels), record.name, id, target))
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

  /// Notes that a value is made in blocks, and tells what holds them.
  private mutating func produce(_ id: Graph.ValueID, channels: Int, rank: Int) -> Graph.ValueID {
    var target = id
    if isOutput.contains(id) {
      target = graph.addValue(graph.values[id].name + " (in blocks)", type: graph.values[id].type)
      graph.values[target].isReordered = true
    }
    graph.values[target].blockedChannels = channels
    graph.values[target].shape = nil
    blocks[id] = Blocked(id: target, channels: channels, rank: rank)
    return target
  }

  // MARK: Nodes

  /// The node over blocks; nil where it is to stay as it is.
  private mutating func rewrite(_ node: Node) -> Node? {
    if let conversion = node.implementation as? HalfConversion {
      guard case .rounding = conversion else { return nil }
    }
    guard node.outputs.count >= 1, let result = node.outputs[0],
      node.outputs.dropFirst().allSatisfy({ $0 == nil })
    else { return nil }
    if let conv = node.implementation as? Conv { return convolve(node, conv, result) }
    if let transpose = node.implementation as? ConvTranspose {
      return convolve(node, transpose, result)
    }
    guard let first = node.inputs.first ?? nil else { return nil }
    switch node.operatorName {
    case "Add", "Sub", "Mul", "Div", "Sum", "Max", "Min": return combine(node, result)
    case "Concat": return concatenate(node, result)
    case "PRelu": return bend(node, result)
    default: break
    }
    guard let x = inBlocks(first) else { return nil }
    let parameters = node.inputs.dropFirst()
    switch node.implementation {
    case let pool as MaxPool where x.rank <= 4:
      return replace(node, BlockedPool(window: pool.window, kind: .maximum), x, result)
    case let pool as AveragePool where x.rank <= 4:
      let kind = Pooling.Kind.average(countsPadding: pool.countsPadding)
      return replace(node, BlockedPool(window: pool.window, kind: kind), x, result)
    case let pool as GlobalPool where pool.reduction != .norm:
      let kind: ReductionKernel = pool.reduction == .average ? .mean : .maximum
      return replace(node, BlockedGlobalPool(kind: kind), x, result)
    case let batch as BatchNormalization where batch.isInference && batch.isSpatial:
      guard let numbers = try? ChannelNormalization(node, graph),
        numbers.channelCount == x.channels
      else { return nil }
      var normalized = replace(
        node, BlockedNormalization(numbers, batch.activation), x, result)
      normalized.inputs = pieces(of: x) ?? normalized.inputs
      return normalized
    case let resize as any AxisResizing where resizesPlanes(node, x):
      return replace(
        node, BlockedResize(resize: resize, channels: x.channels), x, result,
        keeping: Array(parameters))
    case is ElementwiseFunction, is Clip, is HalfConversion:
      guard parameters.allSatisfy({ $0.map { graph.values[$0].constant != nil } ?? true }) else {
        return nil
      }
      return replace(node, node.implementation, x, result, keeping: Array(parameters))
    default: return nil
    }
  }

  /// Whether a Resize or Upsample leaves the batch and the channels alone, as far as shapes tell.
  private func resizesPlanes(_ node: Node, _ x: Blocked) -> Bool {
    guard let source = node.inputs[0], let result = node.outputs[0],
      let before = facts[source].shape, let after = facts[result].shape, before.count == x.rank,
      after.count == x.rank, before[0] != .unknown
    else { return false }
    return before.prefix(2) == after.prefix(2)
      && node.inputs.dropFirst().allSatisfy {
        $0.map { graph.values[$0].constant != nil } ?? true
      }
  }

  /// The tensors that a Concat has joined into a value that nobody else reads.
  private func pieces(of x: Blocked) -> [Graph.ValueID?]? {
    guard let producer = producers[x.id], nodes[producer].implementation is Concat,
      readers[x.id].count == 1, !isOutput.contains(x.id)
    else { return nil }
    return nodes[producer].inputs
  }

  private mutating func replace(
    _ node: Node, _ implementation: any Operator, _ x: Blocked, _ result: Graph.ValueID,
    keeping parameters: [Graph.ValueID?] = []
  ) -> Node {
    var node = node
    node.implementation = implementation
    node.inputs = [x.id] + parameters
    node.outputs = [produce(result, channels: x.channels, rank: x.rank)]
    return node
  }

  private mutating func convolve(_ node: Node, _ conv: Conv, _ result: Graph.ValueID)
    -> Node?
  {
    guard let x = node.inputs[0], let weights = graph.constant(node, 1), weights.type == .float,
      weights.shape.count >= 3, weights.shape.elementCount > 0,
      weights.shape[0] % conv.group == 0, hasFittingBias(node, channels: weights.shape[0])
    else { return nil }
    let channels = weights.shape[1] * conv.group
    let source = inBlocks(x)
    let readsPlanes = source == nil && channels < layout.lanes && conv.group == 1
    guard source.map({ $0.channels == channels }) ?? true,
      let shape = ConvolutionShape(
        weights: weights.shape, groups: conv.group, window: conv.window,
        input: extents(of: x, count: weights.shape.count - 2)),
      shape.trueAxes.count <= 2
    else { return nil }
    var node = node
    let rank = weights.shape.count
    if !conv.addsResidual, shape.isNarrow(layout, readsPlanes: readsPlanes) {
      let makesBlocks = weights.shape[0] >= layout.lanes
      node.inputs[0] = source?.id ?? x
      node.implementation = NarrowConv(
        conv, readsPlanes: source == nil, makesBlocks: makesBlocks)
      graph.note(
        "block channels", .done, node,
        "to few channels in each group, by places of planes" + (makesBlocks ? ", into blocks" : ""))
      if makesBlocks {
        node.outputs = [produce(result, channels: weights.shape[0], rank: rank)]
      }
      return node
    }
    guard
      let algorithm = BlockedAlgorithm.choose(
        shape.keeping(shape.trueAxes), readsPlanes: readsPlanes, winograd: winograd, layout)
    else { return nil }
    if conv.addsResidual, let residual = node.inputs[3] {
      node.inputs[3] = blocked(residual, channels: weights.shape[0], rank: rank)
    }
    if !readsPlanes { node.inputs[0] = blocked(x, channels: channels, rank: rank) }
    // A batch that is not known is mostly 1.
    var batch = 1
    if case .known(let count)? = facts[x].shape?.first { batch = count }
    node.implementation = BlockedConv(
      conv, algorithm, axes: shape.trueAxes, batch: batch,
      outputPlaces: shape.input.contains(0) ? nil : shape.output.elementCount)
    graph.note(
      "block channels", .done, node, "\(algorithm), in blocks of \(layout.lanes) channels")
    node.outputs = [produce(result, channels: weights.shape[0], rank: rank)]
    return node
  }

  private mutating func convolve(
    _ node: Node, _ transpose: ConvTranspose, _ result: Graph.ValueID
  ) -> Node? {
    guard let x = node.inputs[0], let weights = graph.constant(node, 1), weights.type == .float,
      (3...4).contains(weights.shape.count), weights.shape.elementCount > 0,
      weights.shape[0] % transpose.group == 0, transpose.window.isDense,
      hasFittingBias(node, channels: weights.shape[1] * transpose.group),
      areModest(
        transpose.window.strides(axisCount: weights.shape.count - 2),
        kernel: weights.shape.dropFirst(2))
    else { return nil }
    var node = node
    let rank = weights.shape.count
    let source = inBlocks(x)
    guard source.map({ $0.channels == weights.shape[0] }) ?? true else { return nil }
    if weights.shape[1] <= NarrowFilter.mostOutputs(layout) {
      node.inputs[0] = source?.id ?? x
      node.implementation = NarrowConvTranspose(transpose, readsPlanes: source == nil)
      graph.note(
        "block channels", .done, node,
        "phase by phase to few channels in each group, by places of planes")
      return node
    }
    guard
      BlockedFilter.groupsTogether(
        transpose.group, inputChannels: weights.shape[0],
        outputChannels: weights.shape[1] * transpose.group, layout) != nil,
      source != nil || weights.shape[0] * 2 >= layout.lanes
    else { return nil }
    node.inputs[0] = blocked(x, channels: weights.shape[0], rank: rank)
    node.implementation = BlockedConvTranspose(transpose)
    node.outputs = [produce(result, channels: weights.shape[1] * transpose.group, rank: rank)]
    graph.note(
      "block channels", .done, node, "phase by phase, in blocks of \(layout.lanes) channels")
    return node
  }

  /// Whether there is a positive stride for each axis of the kernel, none larger than that or 8.
  private func areModest(_ strides: [Int], kernel: ArraySlice<Int>) -> Bool {
    strides.count == kernel.count
      && zip(strides, kernel).allSatisfy { (1...8).contains($0) && $0 <= $1 }
  }

  /// Whether input 2 is left out, or a constant with a number for each output channel; others are told when
  /// the node is planned.
  private func hasFittingBias(_ node: Node, channels: Int) -> Bool {
    guard node.hasInput(2) else { return true }
    guard let bias = graph.constant(node, 2) else { return false }
    return bias.type == .float && bias.shape == [channels]
  }

  /// The spatial extents of a value, nil where they are not known.
  private func extents(of id: Graph.ValueID, count: Int) -> [Int?] {
    guard let shape = facts[id].shape, shape.count == count + 2 else {
      return Array(repeating: nil, count: count)
    }
    return shape.dropFirst(2).map { if case .known(let extent) = $0 { extent } else { nil } }
  }

  /// Operators on two or more tensors that broadcast: blocks of as many channels line up as their
  /// plain forms do; of the constants only numbers and one number for each channel do.
  private mutating func combine(_ node: Node, _ result: Graph.ValueID) -> Node? {
    let inputs = node.inputs.compactMap { $0 }
    for id in inputs { _ = inBlocks(id) }
    guard inputs.count == node.inputs.count, node.attributes.isEmpty,
      let leader = inputs.lazy.compactMap({ [blocks] in blocks[$0] }).first
    else { return nil }
    var operands: [Operand] = []
    for id in inputs {
      guard let operand = operand(id, beside: leader) else { return nil }
      operands.append(operand)
    }
    var node = node
    node.inputs = operands.map { operand in
      switch operand {
      case .value(let id): id
      case .plain(let id): blocked(id, channels: leader.channels, rank: leader.rank)
      case .constant(let tensor): graph.addConstant("\(node.name)_in_blocks", tensor, &names)
      }
    }
    if node.operatorName == "Mul", inputs.count == 2,
      let scaled = inputs.indices.first(where: {
        isNarrow(inputs[1 - $0]) && !isNarrow(inputs[$0]) && blocks[inputs[$0]] != nil
      })
    {
      node.implementation = BlockedScaling()
      node.inputs = [node.inputs[scaled], node.inputs[1 - scaled]]
    }
    node.outputs = [produce(result, channels: leader.channels, rank: leader.rank)]
    return node
  }

  /// PRelu with a constant slope for each channel.
  private mutating func bend(_ node: Node, _ result: Graph.ValueID) -> Node? {
    guard let first = node.inputs[0], let x = inBlocks(first),
      let slope = graph.constant(node, 1), slope.type == .float
    else { return nil }
    // Up to version 6 a vector has one slope for each channel, axis 1.
    let ones = Array(repeating: 1, count: x.rank - 2)
    let shape = node.operatorSet < 7 && slope.shape.count == 1 ? slope.shape + ones : slope.shape
    guard x.rank >= shape.count,
      Array(repeating: 1, count: x.rank - shape.count) + shape == [1, x.channels] + ones
    else { return nil }
    var node = node
    let blocks = layout.blocked(slope.reshaped([1, x.channels] + ones))
    node.implementation = BlockedPRelu()
    node.inputs = [x.id, graph.addConstant("\(node.name)_slopes_in_blocks", blocks, &names)]
    node.outputs = [produce(result, channels: x.channels, rank: x.rank)]
    return node
  }

  /// Whether a value in blocks has one number for each image and channel.
  private func isNarrow(_ id: Graph.ValueID) -> Bool {
    guard let blocked = blocks[id] else { return false }
    return extents(of: id, count: blocked.rank - 2).allSatisfy { $0 == 1 }
  }

  private enum Operand {
    case value(Graph.ValueID)
    /// To be brought into blocks.
    case plain(Graph.ValueID)
    case constant(Tensor)
  }

  private func operand(_ id: Graph.ValueID, beside leader: Blocked) -> Operand? {
    if let known = blocks[id] {
      return known.channels == leader.channels && known.rank == leader.rank ? .value(known.id) : nil
    }
    if let constant = graph.values[id].constant {
      guard constant.type == .float, constant.shape.count <= leader.rank else { return nil }
      if constant.elementCount == 1 { return .value(id) }
      let missing = leader.rank - constant.shape.count
      let shape = Array(repeating: 1, count: missing) + constant.shape
      let perChannel = [1, leader.channels] + Array(repeating: 1, count: leader.rank - 2)
      guard shape == perChannel else { return nil }
      return .constant(layout.blocked(constant.reshaped(shape)))
    }
    guard let shape = facts[id].shape, shape.count == leader.rank,
      facts[id].type == .tensor(.float),
      case .known(leader.channels) = shape[1]
    else { return nil }
    return .plain(id)
  }

  /// Whole blocks can be joined; only the last input may end within one.
  private mutating func concatenate(_ node: Node, _ result: Graph.ValueID)
    -> Node?
  {
    let inputs = node.inputs.compactMap { $0 }.compactMap { inBlocks($0) }
    guard let concat = node.implementation as? Concat, let first = inputs.first,
      inputs.count == node.inputs.count,
      concat.axis == 1 || concat.axis == 1 - first.rank,
      inputs.allSatisfy({ $0.rank == first.rank }),
      inputs.dropLast().allSatisfy({ $0.channels % layout.lanes == 0 })
    else { return nil }
    var node = node
    node.inputs = inputs.map(\.id)
    node.implementation = Concat(axis: 1)
    let channels = inputs.reduce(0) { $0 + $1.channels }
    node.outputs = [produce(result, channels: channels, rank: first.rank)]
    return node
  }

  // MARK: Selections of channels

  /// Notes a node that only picks channels of values in blocks instead of running it.
  private mutating func select(_ node: Node) -> Bool {
    let picked: [(Graph.ValueID?, [(value: Graph.ValueID, channel: Int)])]?
    switch node.operatorName {
    case "Slice": picked = slice(node)
    case "Split": picked = split(node)
    case "Concat": picked = join(node)
    case "Reshape": return shuffle(node)
    default: picked = nil
    }
    guard let picked, let x = node.inputs.compactMap({ $0 }).compactMap({ rank(of: $0) }).first
    else { return false }
    for case (let result?, let sources) in picked {
      selections[result] = Selection(sources: sources, rank: x)
    }
    return true
  }

  /// The rank of a value that is in blocks or a selection.
  private func rank(of id: Graph.ValueID) -> Int? { blocks[id]?.rank ?? selections[id]?.rank }

  /// Where the channels of such a value come from.
  private func sources(of id: Graph.ValueID?) -> [(value: Graph.ValueID, channel: Int)]? {
    guard let id else { return nil }
    if let selection = selections[id] { return selection.sources }
    return blocks[id].map { blocked in (0..<blocked.channels).map { (blocked.id, $0) } }
  }

  private func slice(_ node: Node)
    -> [(Graph.ValueID?, [(value: Graph.ValueID, channel: Int)])]?
  {
    func numbers(_ index: Int, _ attribute: String) -> [Int]? {
      if node.hasInput(index) {
        // Exporters compute halves of shapes, whatever the shape.
        return graph.constant(node, index)?.converted(to: Int64.self).map(Int.init)
          ?? facts[node.inputs[index]!].integers
      }
      guard case .ints(let values)? = node.attributes[attribute] else { return nil }
      return values
    }
    guard let sources = sources(of: node.inputs[0]), let rank = rank(of: node.inputs[0]!),
      let starts = numbers(1, "starts"), let ends = numbers(2, "ends"), starts.count == 1,
      ends.count == 1, let axes = numbers(3, "axes"), axes == [1] || axes == [1 - rank],
      !node.hasInput(4) || numbers(4, "") == [1]
    else { return nil }
    func clamped(_ place: Int) -> Int {
      min(max(place < 0 ? place + sources.count : place, 0), sources.count)
    }
    let range = clamped(starts[0])..<max(clamped(starts[0]), clamped(ends[0]))
    return range.isEmpty ? nil : [(node.outputs[0], Array(sources[range]))]
  }

  private func split(_ node: Node)
    -> [(Graph.ValueID?, [(value: Graph.ValueID, channel: Int)])]?
  {
    guard let sources = sources(of: node.inputs[0]), let rank = rank(of: node.inputs[0]!),
      [1, 1 - rank].contains(node.attributes.int("axis") ?? 0)
    else { return nil }
    // What the operator makes of its sizes, the shapes tell.
    var picked: [(Graph.ValueID?, [(value: Graph.ValueID, channel: Int)])] = []
    var first = 0
    for result in node.outputs {
      guard let result, let shape = facts[result].shape, shape.count == rank,
        case .known(let count) = shape[1], count > 0, first + count <= sources.count
      else { return nil }
      picked.append((result, Array(sources[first..<first + count])))
      first += count
    }
    return first == sources.count ? picked : nil
  }

  /// A Concat of what does not fill whole blocks, or is a selection already.
  private func join(_ node: Node)
    -> [(Graph.ValueID?, [(value: Graph.ValueID, channel: Int)])]?
  {
    guard let concat = node.implementation as? Concat, let first = node.inputs.first ?? nil,
      let rank = rank(of: first), concat.axis == 1 || concat.axis == 1 - rank,
      node.inputs.allSatisfy({ $0.map { self.rank(of: $0) == rank } ?? false })
    else { return nil }
    let inputs = node.inputs.compactMap { $0 }
    let isAligned = inputs.dropLast().allSatisfy { id in
      blocks[id].map { $0.channels % layout.lanes == 0 } ?? false
    }
    guard !isAligned || selections[inputs[inputs.count - 1]] != nil else { return nil }
    let sources = inputs.flatMap { self.sources(of: $0) ?? [] }
    // Many values would have to be read for each.
    guard Set(sources.map(\.value)).count <= 4 else { return nil }
    return [(node.outputs[0], sources)]
  }

  /// Reshape to [N, g, C / g, H, W], Transpose of axes 1 and 2, Reshape back: a channel shuffle, found
  /// at its beginning and noted for its end.
  private mutating func shuffle(_ node: Node) -> Bool {
    guard let x = node.inputs[0], let sources = sources(of: x), let grouped = node.outputs[0],
      let turning = soleReader(of: grouped), original[turning].operatorName == "Transpose",
      case .ints([0, 2, 1, 3, 4])? = original[turning].attributes["perm"],
      let turned = original[turning].outputs[0], let end = soleReader(of: turned),
      original[end].operatorName == "Reshape", original[end].inputs[0] == turned,
      let result = original[end].outputs[0],
      let from = facts[x].shape, let middle = facts[grouped].shape, let to = facts[result].shape,
      from.count == 4, middle.count == 5, from == to, from.dropFirst(2) == middle.dropFirst(3),
      !from.dropFirst(1).contains(.unknown), case .known(let groups) = middle[1],
      case .known(let size) = middle[2], groups * size == sources.count
    else { return false }
    let order = (0..<sources.count).map { $0 % groups * size + $0 / groups }
    selections[result] = Selection(sources: order.map { sources[$0] }, rank: 4)
    taken.formUnion([turning, end])
    return true
  }

  /// The position of the one node that reads a value.
  private func soleReader(of id: Graph.ValueID) -> Int? {
    readers[id].count == 1 && !isOutput.contains(id) ? readers[id][0] : nil
  }
}
