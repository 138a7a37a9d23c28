/// The passes that prepare a graph, in order.
enum Planner {
  /// - Parameter folding: what folding constants may cost in all.
  static func passes(_ mode: Session.BatchNormalizationMode, _ folding: FoldingBudget) -> [Pass] {
    let foldConstants = foldConstants(within: folding)
    var passes = [foldConstants, removeIdentities, shareCommonSubexpressions]
    if mode == .folded { passes += [foldBatchNormalizations, foldConstants, fuseEpilogues] }
    return passes
  }

  /// The graph a session runs: rewritten, with constant inputs packed.
  /// - Parameter taps: values to keep and to add to the outputs.
  static func prepare(
    _ loaded: Graph, _ mode: Session.BatchNormalizationMode, taps: [String]
  ) throws(ModelError) -> Graph {
    var graph = loaded
    try graph.expose(taps)
    let folding = FoldingBudget(constantByteCount: graph.constantByteCount)
    for pass in passes(mode, folding) { try graph.apply(pass) }
    try graph.prepareOperators()
    return graph
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

  /// Lets every operator prepare its constant inputs, in bodies too.
  fileprivate mutating func prepareOperators() throws(ModelError) {
    for position in nodes.indices {
      let facts = nodes[position].inputs.map { id in
        id.map { values[$0].constant.map { Fact($0) } ?? .unknown }
      }
      do throws(ModelError) {
        try Interruption.check()
        let checked = try nodes[position].facts(facts)
        try nodes[position].implementation.prepare(checked)
        var bodies = nodes[position].implementation.bodies
        for index in bodies.indices { try bodies[index].graph.prepareOperators() }
        nodes[position].implementation.bodies = bodies
      } catch { throw error.at(node: nodes[position].label(facts)) }
    }
  }
}
