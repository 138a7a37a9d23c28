extension Planner {
  /// Lets convolutions over blocks of channels follow each other some rows at a time (``ConvolutionChain``), where what
  /// lies between is read by the next alone and does not fit the second cache.
  static let chainConvolutions = Pass(name: "chain convolutions") { graph throws(ModelError) in
    let readers = graph.readers()
    let outputs = Set(graph.outputs)
    var taken: Set<Int> = []
    for position in graph.nodes.indices where !taken.contains(position) {
      var chain = [position]
      while let next = graph.next(behind: chain.last!, isFirst: chain.count == 1, readers, outputs)
      {
        chain.append(next)
      }
      guard chain.count > 1 else { continue }
      taken.formUnion(chain.dropLast())
      graph.join(chain)
    }
    guard !taken.isEmpty else { return }
    graph.nodes = graph.nodes.indices.filter { !taken.contains($0) }.map { graph.nodes[$0] }
  }
}

extension Graph {
  /// The position of the convolution that takes rows of another as they are made.
  /// - Parameter isFirst: whether nothing stands before the other.
  fileprivate func next(
    behind position: Int, isFirst: Bool, _ readers: Readers, _ outputs: Set<ValueID>
  ) -> Int? {
    guard let conv = nodes[position].implementation as? BlockedConv, !conv.conv.addsResidual,
      isFirst && conv.readsPlanes || goesByRows(nodes[position], conv),
      let result = nodes[position].outputs[0], readers[result].count == 1,
      !outputs.contains(result), isLarge(result, conv)
    else { return nil }
    let next = readers[result][0]
    guard let other = nodes[next].implementation as? BlockedConv, nodes[next].inputs[0] == result,
      goesByRows(nodes[next], other)
    else { return nil }
    return next
  }

  /// Whether a convolution of images sees a few of their rows for each of its own, or one.
  private func goesByRows(_ node: Node, _ conv: BlockedConv) -> Bool {
    guard conv.axes == [0, 1], let weights = constant(node, 1) else { return false }
    switch conv.algorithm {
    case .depthwise: return true
    case .product:
      let shape = ConvolutionShape(
        weights: weights.shape, groups: conv.conv.group, window: conv.conv.window,
        input: [nil, nil])
      return shape?.isPointwise ?? false
    case .planar, .winograd: return false
    }
  }

  /// Whether what a convolution makes of an image does not fit the second cache; what is not known is taken for large.
  private func isLarge(_ result: ValueID, _ conv: BlockedConv) -> Bool {
    guard let places = conv.outputPlaces, let channels = values[result].blockedChannels else {
      return true
    }
    let layout = BlockLayout()
    return layout.blocks(channels) * layout.lanes * places * MemoryLayout<Float>.stride
      > Caches.level2
  }

  /// Puts a chain in place of the last of some convolutions.
  fileprivate mutating func join(_ positions: [Int]) {
    let chained = positions.map { nodes[$0] }
    let links = chained.map { ($0.implementation as! BlockedConv, $0.label) }
    var node = chained.last!
    func inputs(_ node: Node, _ range: Range<Int>) -> [ValueID?] {
      range.map { node.inputs.indices.contains($0) ? node.inputs[$0] : nil }
    }
    node.inputs = inputs(chained[0], 0..<1) + chained.flatMap { inputs($0, 1..<3) }
    if links.last!.0.conv.addsResidual { node.inputs += inputs(chained.last!, 3..<4) }
    node.implementation = BlockedConvChain(links)
    nodes[positions.last!] = node
    for (own, next) in zip(chained, chained.dropFirst()) {
      note("chain convolutions", .done, own, "its rows go on to \(next.label) as they are made")
    }
  }
}
