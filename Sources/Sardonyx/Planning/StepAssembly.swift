/// The steps of a plan as they are put together, in order.
struct StepAssembly {
  private(set) var steps: [Plan.Step] = []
  private(set) var releases = Lists<Graph.ValueID>()
  private(set) var fixed: [Bool]
  private(set) var varying: [Graph.ValueID] = []
  /// A value and its place among the operands, for each operand that a computation reads or writes.
  private var operands: [(list: Graph.ValueID, element: Int)] = []
  private(set) var operandCount = 0

  private let graph: Graph
  private let inference: ShapeInference
  private let inputs: Set<Graph.ValueID>

  init(_ graph: Graph, _ inference: ShapeInference) {
    self.graph = graph
    self.inference = inference
    inputs = Set(graph.inputs)
    fixed = inference.facts.map { $0?.value != nil }
  }

  /// Adds the step of a node.
  /// - Throws: ``ModelError`` where the node's inputs do not fit its operator.
  mutating func append(
    _ position: Int, _ places: ArraySlice<Plan.Placement>, releases: ArraySlice<Graph.ValueID>
  ) throws(ModelError) {
    let node = graph.nodes[position]
    let facts = inference.told(position)
    let placements = Array(places)
    let action = try action(node, facts, inference.checked[position], placements)
    var isFixed = true
    for (index, id) in node.outputs.enumerated() {
      guard let id, placements[index] != .unwanted else { continue }
      fixed[id] = isPlaced(placements[index], node, action)
      if !fixed[id] { varying.append(id) }
      isFixed = isFixed && fixed[id]
    }
    steps.append(
      Plan.Step(
        node, at: position, isTold: facts != nil, checked: inference.checked[position],
        action: action, isFixed: isFixed, firstOperand: operandCount))
    self.releases.append(releases.filter { !fixed[$0] && !inputs.contains($0) })
    guard case .call = action else { return }
    for (index, id) in (node.inputs + node.outputs).enumerated() {
      let isWanted =
        index < node.inputs.count
        ? node.implementation.reads(index) : placements[index - node.inputs.count] != .unwanted
      if let id, isWanted { operands.append((list: id, element: operandCount + index)) }
    }
    operandCount += node.inputs.count + node.outputs.count
  }

  /// Where each value is used.
  var uses: Lists<Int> { Lists(operands, count: graph.values.count) }

  private func action(
    _ node: Node, _ facts: [Fact]?, _ checked: TypesChecked?, _ placements: [Plan.Placement]
  ) throws(ModelError) -> Plan.Action {
    // What is not known to be of allowed types is looked at in the run.
    guard let facts, let checked else { return .described }
    if node.implementation.isView, placements == [.input(0)] { return .nothing }
    // Texts need the pools of the run.
    guard facts.allSatisfy({ $0.elementType != .string }) else { return .described }
    if node.implementation.isDone(facts, wanted: placements.map { $0 != .unwanted }) {
      return .nothing
    }
    let inputs = node.inputs.map { id in id.map { inference.facts[$0] ?? .unknown } }
    guard inputs.allSatisfy({ $0 == nil || $0!.byteCount != nil }),
      let first = placements.first, first != .unwanted
    else { return .planned }
    let wanted = placements.enumerated().map { $1 == .unwanted ? nil : facts[$0] }
    do throws(ModelError) {
      for case let fact? in wanted { try Self.checkMemory(of: fact) }
      let computation = try node.implementation.computation(Facts(inputs, checked), wanted)
      // Tables that a long axis made it leave off are not whole.
      if Interruption.crew?.wasCancelled ?? false { try Interruption.check() }
      return computation.map(Plan.Action.call) ?? .planned
    } catch { throw error.at(node: node.label(inputs)) }
  }

  /// Refuses a value that no run can hold before its operator makes tables as long as its axes.
  private static func checkMemory(of fact: Fact) throws(ModelError) {
    guard let account = Interruption.crew?.account, fact.byteCount ?? .max > account.limit else {
      return
    }
    throw account.fault("a value of type \(fact)")
  }

  /// Whether an output lies at one place of a workspace.
  private func isPlaced(_ placement: Plan.Placement, _ node: Node, _ action: Plan.Action) -> Bool {
    if case .described = action { return false }
    // Control flow hands over what its body has made, wherever that lies, unless it computes in place.
    let isCall = if case .call = action { true } else { false }
    guard isCall || node.implementation.bodies.isEmpty else { return false }
    switch placement {
    case .arena: return true
    case .input(let index): return node.inputs[index].map { fixed[$0] } ?? false
    case .own, .unwanted: return false
    }
  }
}
