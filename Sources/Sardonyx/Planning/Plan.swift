import Synchronization

/// A graph made ready for inputs of known types and shapes: what to run, in which memory.
///
/// Shapes are those the operators themselves tell. Whatever follows from shapes alone is computed
/// here and never runs; what depends on data is described and placed during the run.
final class Plan: Sendable {
  /// One node to run. A class, so that a run looks at it without copying what it holds; what the node
  /// says is not said again, and lists lie with those of all steps, as a plan may have a million.
  final class Step: Sendable {
    let action: Action
    /// Where the addresses of the inputs, and then of the outputs, begin among those of all steps.
    let firstOperand: Int
    // Short, so that a step takes 64 bytes of the heap: no graph in memory has 2³¹ nodes.
    private let position: Int32
    private let counts: (inputs: Int32, outputs: Int32)
    /// Whether types and shapes of the outputs are known; else they are asked for in the run.
    let isTold: Bool
    /// Whether the operator runs graphs, whose results it hands over as they are.
    let runsGraphs: Bool
    /// That the inputs' types are allowed; nil while one of them is not known.
    let checked: TypesChecked?
    /// Whether all outputs are values of ``Plan/fixed``.
    let isFixed: Bool

    init(
      _ node: Node, at position: Int, isTold: Bool, checked: TypesChecked?, action: Action,
      isFixed: Bool, firstOperand: Int
    ) {
      (self.action, self.firstOperand) = (action, firstOperand)
      self.position = Int32(position)
      counts = (Int32(node.inputs.count), Int32(node.outputs.count))
      runsGraphs = !node.implementation.bodies.isEmpty
      (self.isTold, self.checked, self.isFixed) = (isTold, checked, isFixed)
    }

    /// Position among the graph's nodes.
    var node: Int { Int(position) }
    var inputCount: Int { Int(counts.inputs) }
    var outputCount: Int { Int(counts.outputs) }
  }

  /// By the position of a step's node, the types that its inputs had in a run, which are allowed.
  private let met = Mutex<[Int: (types: [ValueType?], proof: TypesChecked)]>([:])

  /// That the types which the inputs of a step have in a run are allowed; nil for those without a value.
  /// - Throws: ``ModelError`` (invalid) where they are not, or a value is missing.
  func check(_ step: Step, given types: [ValueType?]) throws(ModelError) -> TypesChecked {
    let known = met.withLock { met in
      met[step.node].flatMap { $0.types == types ? $0.proof : nil }
    }
    if let known { return known }
    let proof = try graph.nodes[step.node].check(given: types)
    met.withLock { $0[step.node] = (types, proof) }
    return proof
  }

  /// How a step computes its outputs.
  enum Action: Sendable {
    /// Not at all: output 0 is input 0 under another shape, or no output has elements.
    case nothing
    /// By what the operator made ready.
    case call(Computation)
    /// By the operator, into memory of known shapes.
    case planned
    /// By the operator, which is first asked for what the plan does not know.
    case described
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
  /// What the plan was made for, one fact per input of the graph.
  let inputs: [Fact]
  /// What is known of each value; for a constant or a shape computed here, the value itself.
  let facts: [Fact?]
  let steps: [Step]
  /// Per step, where each output goes.
  let placements: Lists<Placement>
  /// Per step, the values that vary from run to run and that nothing reads after it.
  let releases: Lists<Graph.ValueID>
  let arenaByteCount: Int
  /// Those of the steps whose shapes are known, bodies left out.
  let multiplyAdds: Int
  /// Per value, whether it is the same tensor in every run in one workspace.
  let fixed: [Bool]
  /// The values that steps make and that are not fixed.
  let varying: [Graph.ValueID]
  /// Per value, its places among the operands of all steps that have a computation.
  let uses: Lists<Int>
  let operandCount: Int
  /// How the plan runs on addresses alone, where it does; worked out when it is asked for.
  var direct: DirectPlan? {
    knownDirect.withLock { known in
      if let known { return known }
      let direct = DirectPlan(self)
      known = .some(direct)
      return direct
    }
  }
  private let knownDirect = Mutex<DirectPlan??>(nil)
  /// Memory for runs that overlap.
  let workspaces = WorkspacePool()

  /// Plans a graph.
  /// - Parameters:
  ///   - inputs: one fact per input of the graph.
  ///   - activity: is told of each node.
  /// - Throws: ``ModelError`` of the first node whose inputs do not fit its operator.
  init(_ graph: Graph, inputs: [Fact], telling activity: Activity? = nil) throws(ModelError) {
    var inference = ShapeInference(graph, inputs: inputs)
    try inference.run(telling: activity)
    let running = Self.needed(graph, inference)
    let memory = MemoryPlan(graph, facts: inference.facts, running: running)
    var assembly = StepAssembly(graph, inference)
    for (index, node) in running.enumerated() {
      try assembly.append(node, memory.placements[index], releases: memory.releases[index])
    }
    self.graph = graph
    self.inputs = inputs
    facts = inference.facts
    steps = assembly.steps
    placements = memory.placements
    releases = assembly.releases
    fixed = assembly.fixed
    varying = assembly.varying
    uses = assembly.uses
    operandCount = assembly.operandCount
    arenaByteCount = memory.arenaByteCount
    multiplyAdds = steps.reduce(0) { sum, step in
      let work = Self.work(of: step, graph.nodes[step.node], inference.facts)
      return sum.addingReportingOverflow(max(0, work?.multiplyAdds ?? 0)).partialValue
    }
  }

  /// What a step reads; nil for what is left out.
  func inputs(of step: Step) -> [Graph.ValueID?] { graph.nodes[step.node].inputs }

  /// What a step makes; nil for what nobody wants.
  func outputs(of step: Step) -> [Graph.ValueID?] { graph.nodes[step.node].outputs }

  func implementation(of step: Step) -> any Operator { graph.nodes[step.node].implementation }

  /// What is known of a named output of a step, where all of them are known.
  func fact(of output: Int, _ step: Step) -> Fact? {
    guard step.isTold, let id = outputs(of: step)[output] else { return nil }
    return facts[id]
  }

  /// What a step has to do; nil where shapes are not known before the run.
  func work(of step: Step) -> (multiplyAdds: Int, byteCount: Int)? {
    Self.work(of: step, graph.nodes[step.node], facts)
  }

  private static func work(
    of step: Step, _ node: Node, _ facts: [Fact?]
  ) -> (multiplyAdds: Int, byteCount: Int)? {
    guard step.isTold, let checked = step.checked else { return nil }
    let inputs = node.inputs.map { id in id.map { facts[$0] ?? .unknown } }
    let outputs = node.outputs.map { id in id.flatMap { facts[$0] } ?? .unknown }
    let byteCount =
      inputs.reduce(0) { $0 + ($1?.byteCount ?? 0) }
      + outputs.reduce(0) { $0 + ($1.byteCount ?? 0) }
    let operands = Facts(inputs, checked)
    guard inputs.indices.allSatisfy({ !operands.has($0) || operands[$0].shape != nil }) else {
      return nil
    }
    return (node.implementation.multiplyAdds(operands, outputs), byteCount)
  }

  /// More than any thread of a machine does in a second.
  private static let mostMultiplyAdds = 1e12

  /// Refuses a run that cannot end in time before it takes the memory.
  func check(timeLimit: Double?, threads: Int) throws(ModelError) {
    guard let timeLimit, timeLimit > 0 else { return }
    guard Double(multiplyAdds) <= Self.mostMultiplyAdds * timeLimit * Double(threads) else {
      throw ModelError(
        .limit,
        "the run would take longer than its time limit: it has \(multiplyAdds) multiply-adds")
    }
  }

  /// Whether the plan was made for values of these types and shapes.
  func fits(_ values: [Value?]) -> Bool {
    guard values.count == inputs.count else { return false }
    for index in values.indices {
      if case .tensor(let tensor)? = values[index] {
        guard case .tensor(tensor.type)? = inputs[index].type, inputs[index].shape == tensor.shape
        else { return false }
      } else {
        guard inputs[index].type == values[index]?.type, inputs[index].shape == nil else {
          return false
        }
      }
    }
    return true
  }

  /// The nodes that outputs depend on and whose results are not known yet, in order.
  private static func needed(_ graph: Graph, _ inference: ShapeInference) -> [Int] {
    var wanted = [Bool](repeating: false, count: graph.values.count)
    for id in graph.outputs { wanted[id] = true }
    var running: [Int] = []
    let nodes = graph.nodes.span
    for position in nodes.indices.reversed() {
      let makesUnknown = nodes[position].outputs.contains { id in
        id.map { wanted[$0] && inference.facts[$0]?.value == nil } ?? false
      }
      guard makesUnknown else { continue }
      running.append(position)
      for case let id? in nodes[position].inputs { wanted[id] = true }
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
