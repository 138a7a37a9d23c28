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
  /// - Parameters:
  ///   - model: stays as it is.
  ///   - timeLimit: seconds after which folding ends with a `limit` error.
  ///   - memoryLimit: bytes that folded constants may hold, together with what making them takes; nil
  ///     means what the machine has.
  /// - Throws: ``ModelError``: unsupported where the model calls nodes of several operator sets, limit,
  ///   or mismatch for a limit below 0.
  public init(
    _ model: Model, timeLimit: Double? = nil, memoryLimit: Int? = nil
  ) throws(ModelError) {
    (definition, notes, graph) = try Self.within(timeLimit, memoryLimit, model) {
      () throws(ModelError) in
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
  static func graphWithConstantDefaults(
    of model: Model, timeLimit: Double?
  ) throws(ModelError) -> Graph {
    try within(timeLimit, nil, model) { () throws(ModelError) in
      try fold(model.graph.withConstantDefaults)
    }
  }

  /// What `body` makes of the model within the limits that a session keeps to.
  private static func within<Result>(
    _ timeLimit: Double?, _ memoryLimit: Int?, _ model: Model,
    _ body: () throws(ModelError) -> Result
  ) throws(ModelError) -> Result {
    var options = Session.Options()
    (options.timeLimit, options.memoryLimit) = (timeLimit, memoryLimit)
    try options.check()
    return try options.crew(threads: 1).asCurrent { () throws(ModelError) in
      try model.naming(body)
    }
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
