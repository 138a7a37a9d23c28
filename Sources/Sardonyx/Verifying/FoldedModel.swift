/// A model whose BatchNormalizations are folded into weights, made of ONNX's operators alone.
public struct FoldedModel: Sendable {
  /// The model, with ``originPrefix`` and a constant's name as key of how it came about.
  public let definition: ModelDefinition
  /// What became of each BatchNormalization.
  public let notes: [Note]
  let graph: Graph

  /// How the keys of metadata begin that tell of a folded constant.
  public static let originPrefix = "sardonyx.fold:"

  /// Folds what can be folded; what cannot stays as it is.
  /// - Throws: ``ModelError`` (unsupported) where the model calls nodes of several operator sets.
  public init(_ model: Model) throws(ModelError) {
    (definition, notes, graph) = try model.naming { () throws(ModelError) in
      let graph = try Self.fold(model.graph)
      var definition = try model.definition.replacing(graph: graph)
      for (name, origin) in graph.allOrigins {
        definition.metadata[Self.originPrefix + name] = origin.steps.joined(separator: "; then ")
      }
      let notes = graph.allNotes.filter { $0.pass == Planner.foldingName }
      return (definition, notes, graph)
    }
  }

  /// What a model computes for callers that override no default, folded.
  static func graphWithConstantDefaults(of model: Model) throws(ModelError) -> Graph {
    try model.naming { () throws(ModelError) in try fold(model.graph.withConstantDefaults) }
  }

  private static func fold(_ original: Graph) throws(ModelError) -> Graph {
    var graph = original
    let budget = FoldingBudget(constantByteCount: graph.constantByteCount)
    // Quantised weights stay so where no fold needs their numbers.
    let folding = Planner.foldConstants(
      within: budget, sparing: graph.hasBatchNormalization ? [] : ["DequantizeLinear"])
    let normalizations = Planner.foldBatchNormalizations(copyBudget: budget.byteCount)
    for pass in [folding, Planner.removeIdentities, normalizations] {
      try graph.apply(pass)
    }
    graph.forgetUnreadConstants()
    return graph
  }
}

extension Graph {
  /// The graphs of all bodies, and theirs.
  var bodies: [Graph] { nodes.flatMap { $0.implementation.bodies.map(\.graph) } }

  /// Whether one is here or in a body.
  fileprivate var hasBatchNormalization: Bool {
    nodes.contains { $0.operatorName == "BatchNormalization" && $0.domain.isEmpty }
      || bodies.contains(where: \.hasBatchNormalization)
  }

  /// The notes on this graph and on the bodies in it.
  var allNotes: [Note] { notes + bodies.flatMap(\.allNotes) }

  /// Of the constants that are left.
  fileprivate var allOrigins: [(String, FoldOrigin)] {
    let names = Set(values.lazy.filter { $0.constant != nil }.map(\.name))
    return origins.filter { names.contains($0.key) }.map { ($0.key, $0.value) }
      + bodies.flatMap(\.allOrigins)
  }

  /// Drops constants that no node and no output needs, here and in the bodies of all nodes.
  fileprivate mutating func forgetUnreadConstants() {
    for position in nodes.indices {
      var bodies = nodes[position].implementation.bodies
      guard !bodies.isEmpty else { continue }
      for index in bodies.indices { bodies[index].graph.forgetUnreadConstants() }
      nodes[position].implementation.bodies = bodies
    }
    let readers = readers()
    let outputs = Set(outputs)
    for id in values.indices where readers[id].isEmpty && !outputs.contains(id) {
      values[id].constant = nil
    }
  }
}
