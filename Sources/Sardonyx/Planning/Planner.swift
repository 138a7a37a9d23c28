import Synchronization

/// The passes that prepare a graph, in order.
enum Planner {
  /// - Parameter folding: what folding constants may cost in all.
  static func passes(_ options: Session.Options, _ folding: FoldingBudget) -> [Pass] {
    let foldConstants = foldConstants(within: folding)
    var passes = options.dropout == .train ? [dropOut] : []
    let computesInBytes =
      options.usesBlocks && ![.batch, .unfolded].contains(options.batchNormalization)
    if computesInBytes {
      // The weights of a quantized network are wanted as bytes first.
      passes += [
        Self.foldConstants(within: folding, sparing: ["DequantizeLinear"]), removeIdentities,
        shareCommonSubexpressions, computeInBytes(within: folding), foldConstants,
      ]
    } else {
      passes += [foldConstants, removeIdentities, shareCommonSubexpressions]
    }
    switch options.batchNormalization {
    case .batch: passes.append(useBatchStatistics)
    case .unfolded: break
    case .auto, .folded, .epilogue:
      // Before factors of patterns, such as the half of a spelled out Gelu, go into weights behind them.
      passes.append(fusePatterns)
      if options.batchNormalization != .epilogue {
        let copies = options.batchNormalization == .auto ? worthwhileCopies : .max
        passes += [
          foldBatchNormalizations(leaving: options.leftOut, copyBudget: copies), foldConstants,
        ]
      }
      passes.append(fuseAttention)
      // 16-bit numbers are kept in single precision.
      if options.usesBlocks { passes.append(widenHalves) }
      passes.append(fuseEpilogues)
    }
    return passes.filter { !options.leftOut.contains($0.name) }
  }

  /// Bytes that copies of weights which others read too may take in all, for folds to be worth them.
  private static let worthwhileCopies = 16 << 20

  /// The graph a session runs: rewritten, with constant inputs packed.
  static func prepare(
    _ loaded: Graph, _ options: Session.Options, on crew: Crew
  ) throws(ModelError) -> Graph {
    var graph = loaded
    try graph.expose(options.taps)
    let folding = FoldingBudget(constantByteCount: graph.constantByteCount)
    for pass in passes(options, folding) { try graph.apply(pass) }
    if options.usesBlocks {
      try graph.apply(blockChannels(winograd: options.winograd))
      if !options.leftOut.contains(chainConvolutions.name) { try graph.apply(chainConvolutions) }
    }
    try graph.prepareOperators(on: crew)
    return graph
  }
}

extension Planner {
  /// Lets every BatchNormalization take mean and variance of its batch, as in training.
  static let useBatchStatistics = Pass(name: "use batch statistics") { graph throws(ModelError) in
    for position in graph.nodes.indices {
      let node = graph.nodes[position]
      guard var normalization = node.implementation as? BatchNormalization,
        normalization.isInference
      else { continue }
      normalization.isInference = false
      graph.nodes[position].implementation = normalization
      graph.note(
        "use batch statistics", .done, node,
        "mean and variance are those of the batch, not the stored ones")
    }
  }
}

extension Planner {
  /// Lets every Dropout drop, as in training.
  static let dropOut = Pass(name: "drop out") { graph throws(ModelError) in
    for position in graph.nodes.indices {
      let node = graph.nodes[position]
      guard node.domain.isEmpty, var dropout = node.implementation as? Dropout else { continue }
      dropout.isTraining = true
      graph.nodes[position].implementation = dropout
      graph.note("drop out", .done, node, "drops numbers, as in training")
    }
  }
}

extension Node {
  fileprivate func hasConstant(in graph: Graph) -> Bool {
    inputs.contains { id in id.map { graph.values[$0].constant != nil } ?? false }
  }
}

extension Graph {
  /// Adds inner values to the outputs.
  fileprivate mutating func expose(_ taps: [String]) throws(ModelError) {
    guard !taps.isEmpty else { return }
    let known = Dictionary(
      values.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { a, _ in a })
    for tap in taps {
      guard let id = known[tap] else {
        throw ModelError(
          .mismatch, "the graph has no value named \"\(tap)\"",
          hint: known.keys.nearest(to: tap).map { "did you mean \"\($0)\"?" })
      }
      if !outputs.contains(id) { outputs.append(id) }
    }
  }

  /// Bytes of constants from which on a node is prepared by all threads together.
  private static var sharedByteCount: Int { 1 << 20 }

  /// Lets every operator prepare its constant inputs, in bodies too.
  ///
  /// Packing reads and writes all weights: the work on large ones is shared out, and so are the other
  /// nodes.
  fileprivate mutating func prepareOperators(on crew: Crew) throws(ModelError) {
    let arena = WeightArena(expecting: constantByteCount)
    var (large, small): ([Int], [Int]) = ([], [])
    for position in nodes.indices {
      let byteCount = nodes[position].inputs.reduce(0) {
        $0 + ($1.flatMap { values[$0].constant }?.byteCount ?? 0)
      }
      // Without a constant there is nothing to prepare.
      guard nodes[position].hasConstant(in: self) || !nodes[position].implementation.bodies.isEmpty
      else { continue }
      if byteCount < Self.sharedByteCount { small.append(position) } else { large.append(position) }
    }
    let activity = Activity.watched
    let (others, largeCount) = (small, large.count)
    let count = largeCount + others.count
    for (done, position) in large.enumerated() {
      activity?.take("pack weights", done, of: count, nodes[position])
      nodes[position].implementation = try arena.asCurrent { () throws(ModelError) in
        try preparedOperator(of: nodes[position], on: crew)
      }
    }
    let prepared = Mutex([(any Operator)?](repeating: nil, count: others.count))
    let failure = Mutex<(position: Int, error: ModelError)?>(nil)
    let graph = self
    crew.perform(others.count) { index in
      activity?.take("pack weights", largeCount + index, of: count, graph.nodes[others[index]])
      do throws(ModelError) {
        let implementation = try crew.asCurrent { () throws(ModelError) in
          try arena.asCurrent { () throws(ModelError) in
            try graph.preparedOperator(of: graph.nodes[others[index]], on: crew)
          }
        }
        prepared.withLock { $0[index] = implementation }
      } catch {
        failure.withLock { first in
          if first.map({ $0.position > index }) ?? true { first = (index, error) }
        }
      }
    }
    if let error = failure.withLock({ $0?.error }) ?? crew.interruption { throw error }
    prepared.withLock { prepared in
      for (index, position) in others.enumerated() {
        if let implementation = prepared[index] { nodes[position].implementation = implementation }
      }
    }
    arena.finish()
  }

  private func preparedOperator(of node: Node, on crew: Crew) throws(ModelError) -> any Operator {
    let facts = node.inputs.map { id in
      id.map { values[$0].constant.map { Fact($0) } ?? .unknown }
    }
    do throws(ModelError) {
      var implementation = node.implementation
      try implementation.makeReady(try node.facts(facts))
      var bodies = implementation.bodies
      guard !bodies.isEmpty else { return implementation }
      for index in bodies.indices { try bodies[index].graph.prepareOperators(on: crew) }
      implementation.bodies = bodies
      return implementation
    } catch { throw error.at(node: node.label(facts)) }
  }
}
