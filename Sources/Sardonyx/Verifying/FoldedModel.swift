#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// A model whose BatchNormalizations are folded into weights, made of ONNX's operators alone.
public struct FoldedModel: Sendable {
  /// The model, with ``originPrefix`` and a constant's name as key of how it came about.
  public let definition: ModelDefinition
  /// What became of each BatchNormalization.
  public private(set) var notes: [Note]
  /// How data have shown that the outputs agree; nil where the model was folded without data.
  public private(set) var proof: Proof?
  let graph: Graph

  /// What runs on data have shown of a folded model.
  public struct Proof: Sendable {
    /// How many sets of folds were run on all the data.
    public let trialCount: Int
    /// The output that the folds move most, of what is allowed; nil where they move none.
    public let output: String?
    /// By how much, relative to the largest magnitude of what the model as written gives.
    public let difference: Double
  }

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
    var options = Session.Options()
    (options.timeLimit, options.memoryLimit) = (timeLimit, memoryLimit)
    try self.init(model, leaving: [], within: options)
  }

  /// Folds what can be folded, but for some nodes.
  /// - Parameters:
  ///   - nodes: the names of those that are left as they are.
  ///   - options: whose limits are kept to.
  init(
    _ model: Model, leaving nodes: Set<String>, within options: Session.Options
  ) throws(ModelError) {
    (definition, notes, graph) = try Self.within(options, model) { () throws(ModelError) in
      let graph = try Self.fold(
        model.graph, leaving: Set(nodes.map(Planner.foldName)))
      var definition = try model.definition.replacing(graph: graph)
      for (name, origin) in graph.allOrigins {
        definition.metadata[Self.originPrefix + name] = origin.steps.joined(separator: "; then ")
      }
      let notes = graph.allNotes.filter { $0.pass == Planner.foldingName }
      return (definition, notes, graph)
    }
  }

  /// Folds what can be folded without moving the outputs on data too far.
  ///
  /// The model as written and the folded one run on the data, here and in the precision of the model. Where an
  /// output differs by more than a quarter of the tolerance, folds are taken back until none does, each with a
  /// declined note; the rest is for engines that sum in another order. What results has been run as a
  /// whole.
  /// - Parameters:
  ///   - model: stays as it is.
  ///   - tolerance: what an output may differ by, in any engine, from that of the model as written.
  ///   - options: how both are run; its time limit is that of folding and of all runs together.
  ///   - batches: calls its argument with the inputs of each run; it is asked once for each set of folds that
  ///     is tried, and gives the same each time.
  /// - Throws: ``ModelError``: mismatch where there are no data, what ``init(_:timeLimit:memoryLimit:)``
  ///   throws, and what runs and `batches` throw.
  public init(
    _ model: Model, keeping tolerance: Comparison.Tolerance,
    options: Session.Options = Session.Options(),
    batches: (_ run: ([String: Value]) throws(ModelError) -> Void) throws(ModelError) -> Void
  ) throws(ModelError) {
    let options = options.endingTogether
    var witness = try FoldWitness(model, keeping: tolerance, options, batches)
    let whole = try FoldedModel(model, leaving: [], within: options)
    var folded = whole
    var rejections: [FoldSearch.Rejection] = []
    if try !witness.difference(of: whole, batches).isWithin {
      let nodes = try whole.nodesToTry(model, options)
      rejections = try FoldSearch(nodes) { (kept) throws(ModelError) in
        let leftOut = Set(nodes).subtracting(kept)
        let trial = try FoldedModel(model, leaving: leftOut, within: options)
        return try witness.difference(of: trial, batches)
      }.rejections
      folded = try FoldedModel(model, leaving: Set(rejections.map(\.node)), within: options)
    }
    let difference = try witness.difference(of: folded, batches)
    folded.notes += rejections.map { Note(takingBack: $0) }
    folded.proof = Proof(
      trialCount: witness.trialCount, output: difference.share > 0 ? difference.output : nil,
      difference: difference.relative)
    self = folded
  }

  /// The names of the nodes that were folded.
  var foldedNodes: [String] { notes.filter { $0.kind == .done }.map(\.node) }

  /// The nodes of the model that can be folded, each once: those folded here, and those that can be once these
  /// are left as they are.
  private func nodesToTry(
    _ model: Model, _ options: Session.Options
  ) throws(ModelError) -> [String] {
    var (nodes, found) = ([String](), foldedNodes)
    var known: Set<String> = []
    while !found.isEmpty {
      nodes += found.filter { known.insert($0).inserted }
      found = try FoldedModel(model, leaving: known, within: options).foldedNodes
        .filter { !known.contains($0) }
    }
    return nodes
  }

  /// What a model computes for callers that override no default, folded.
  static func graphWithConstantDefaults(
    of model: Model, timeLimit: Double?
  ) throws(ModelError) -> Graph {
    var options = Session.Options()
    options.timeLimit = timeLimit
    return try within(options, model) { () throws(ModelError) in
      try fold(model.graph.withConstantDefaults)
    }
  }

  /// What `body` makes of the model within the limits that a session keeps to.
  private static func within<Result>(
    _ options: Session.Options, _ model: Model, _ body: () throws(ModelError) -> Result
  ) throws(ModelError) -> Result {
    try options.check()
    return try options.crew(threads: 1).asCurrent { () throws(ModelError) in
      try model.naming(body)
    }
  }

  private static func fold(
    _ original: Graph, leaving leftOut: Set<String> = []
  ) throws(ModelError) -> Graph {
    var graph = original
    let budget = FoldingBudget(constantByteCount: graph.constantByteCount)
    // Quantised weights stay so where no fold needs their numbers.
    let folding = Planner.foldConstants(
      within: budget, sparing: graph.hasBatchNormalization ? [] : ["DequantizeLinear"])
    let normalizations = Planner.foldBatchNormalizations(
      leaving: leftOut, copyBudget: budget.byteCount)
    for pass in [folding, Planner.removeIdentities, normalizations] {
      try graph.apply(pass)
    }
    graph.forgetUnreadConstants()
    return graph
  }
}

extension Note {
  /// Tells why a fold is taken back.
  fileprivate init(takingBack rejection: FoldSearch.Rejection) {
    let difference = rejection.difference
    let found =
      difference.relative.isFinite
      ? "differs by \(difference.relative.short) of its largest magnitude, more than the "
        + "\(difference.allowed.short) allowed" : "is another one"
    self.init(
      pass: Planner.foldingName, kind: .declined, node: rejection.node,
      text: "taken back: with it output \"\(difference.output)\" \(found)")
  }
}

extension Double {
  /// The number in two digits, such as 3.3e-05.
  fileprivate var short: String {
    guard self > 0, isFinite else { return "\(self)" }
    let exponent = Int(log10(self).rounded(.down)) - 1
    let digits = Int((self / pow(10, Double(exponent))).rounded())
    return Double("\(digits)e\(exponent)").map { "\($0)" } ?? "\(self)"
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
