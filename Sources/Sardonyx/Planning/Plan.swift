/// A graph made ready for inputs of known types and shapes: what to run, in which memory.
///
/// Shapes are those the operators themselves tell. Whatever follows from shapes alone is computed
/// here and never runs; what depends on data is described and placed during the run.
struct Plan: Sendable {
  /// One node to run.
  struct Step: Sendable {
    /// Position among the graph's nodes.
    let node: Int
    /// Types and shapes of the outputs, where they are known; else they are asked for in the run.
    let facts: [Fact]?
    /// That the inputs' types are allowed; nil while one of them is not known.
    let checked: TypesChecked?
    /// Where each output goes.
    let placements: [Placement]
    /// Values that nothing reads after this step.
    let releases: [Graph.ValueID]
  }

  /// Where an output of a step is put.
  enum Placement: Sendable, Equatable {
    /// Nobody reads it.
    case unwanted
    /// At a byte offset of the plan's arena.
    case arena(Int)
    /// In memory of its own, because it outlives the step's neighbours or its shape is unknown.
    case own
    /// In the memory of the step's input of this position.
    case input(Int)
  }

  let graph: Graph
  /// What is known of each value; for a constant or a shape computed here, the value itself.
  let facts: [Fact?]
  let steps: [Step]
  let arenaByteCount: Int
  /// Blocks of ``arenaByteCount`` bytes for runs that overlap.
  let arenas = ArenaPool()

  /// Plans a graph.
  /// - Parameter inputs: one fact per input of the graph.
  /// - Throws: ``ModelError`` of the first node whose inputs do not fit its operator.
  init(_ graph: Graph, inputs: [Fact]) throws(ModelError) {
    self.graph = graph
    var inference = ShapeInference(graph, inputs: inputs)
    try inference.run()
    facts = inference.facts
    let running = Self.needed(graph, inference)
    let memory = MemoryPlan(graph, facts: facts, running: running)
    steps = zip(running, memory.placements).enumerated().map { index, step in
      Step(
        node: step.0, facts: inference.outputs[step.0], checked: inference.checked[step.0],
        placements: step.1,
        releases: memory.releases[index])
    }
    arenaByteCount = memory.arenaByteCount
  }

  /// The nodes that outputs depend on and whose results are not known yet, in order.
  private static func needed(_ graph: Graph, _ inference: ShapeInference) -> [Int] {
    var wanted = [Bool](repeating: false, count: graph.values.count)
    for id in graph.outputs { wanted[id] = true }
    var running: [Int] = []
    for position in graph.nodes.indices.reversed() {
      let node = graph.nodes[position]
      let makesUnknown = node.outputs.contains { id in
        id.map { wanted[$0] && inference.facts[$0]?.value == nil } ?? false
      }
      guard makesUnknown else { continue }
      running.append(position)
      for case let id? in node.inputs { wanted[id] = true }
    }
    return running.reversed()
  }
}

extension Fact {
  /// More than any machine addresses; a tensor said to be larger is refused during the run.
  private static let largestByteCount = 1 << 46

  /// The bytes of a tensor of this type and shape; nil where either is unknown or absurd.
  var byteCount: Int? {
    guard let elementType, let count = shape?.checkedElementCount,
      count <= Self.largestByteCount / elementType.byteCount
    else { return nil }
    return count * elementType.byteCount
  }
}
