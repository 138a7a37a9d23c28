/// Operators that run graphs of their own.
///
/// Values that a body reads from the graph around it follow the node's own inputs, and the inputs
/// that the body itself declares.
let controlFlow: OperatorFamily = [
  "If": If.init,
  "Loop": Loop.init,
  "Scan": Scan.init,
  "SequenceMap": SequenceMap.init,
]

extension Fact {
  /// What holds for a value that is described by either of two facts.
  static func common(_ left: Fact, _ right: Fact) -> Fact {
    guard left.type == right.type else { return .unknown }
    var fact = Fact(type: left.type)
    if left.shape == right.shape { fact.shape = left.shape }
    return fact
  }
}

extension Body {
  /// Checks that the graph declares as many inputs and outputs as its operator is going to use.
  func check(inputs: Int, captures: Int, outputs: ClosedRange<Int>) throws(ModelError) {
    guard graph.inputs.count == inputs + captures else {
      throw .unexpected(
        "inputs of graph \(attribute)", expected: "\(inputs)",
        got: "\(graph.inputs.count - captures)", code: .invalid)
    }
    guard outputs.contains(graph.outputs.count) else {
      let expected =
        outputs.count == 1 ? "\(outputs.lowerBound)" : "at least \(outputs.lowerBound)"
      throw .unexpected(
        "outputs of graph \(attribute)", expected: expected, got: "\(graph.outputs.count)",
        code: .invalid)
    }
  }

  /// What is known of a tensor output that no run has made: from the graph's own analysis, else as
  /// declared, with 0 for what is not known.
  func emptyOutput(_ index: Int, _ inputs: [Fact]) -> (type: ElementType, shape: Shape) {
    let fact = outputs(inputs)[index]
    let declared = graph.values[graph.outputs[index]]
    let shape = declared.shape?.map { if case .known(let extent) = $0 { extent } else { 0 } }
    return (
      fact.elementType ?? declared.type?.elementType ?? .float, fact.shape ?? shape ?? []
    )
  }
}

/// One of two graphs, as the condition says.
struct If: Operator {
  /// `then_branch` and `else_branch`.
  var bodies: [Body]

  init(_ node: inout NodeReader) throws(ModelError) {
    bodies = [try node.body("then_branch"), try node.body("else_branch")]
    for body in bodies {
      try body.check(
        inputs: 0, captures: node.captureCount, outputs: node.outputCount...node.outputCount)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let captured = inputs.from(1).map { $0 ?? .unknown }
    if inputs[0].value != nil { return branch(try condition(inputs.tensor(0))).outputs(captured) }
    var results: [[Fact]] = []
    for body in bodies {
      switch Result(catching: { () throws(ModelError) in try body.fittingOutputs(captured) }) {
      case .success(let facts): results.append(facts)
      // A branch that does not fit such inputs cannot run.
      case .failure(let error) where error.code != .limit && error.code != .cancelled: continue
      case .failure: return body.graph.outputs.map { _ in .unknown }
      }
    }
    guard let first = results.first else { return bodies[0].outputs(captured) }
    return results.dropFirst().reduce(first) { zip($0, $1).map(Fact.common) }
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let facts = inputs.from(1).compactMap(\.self)
    guard try inputs.shape(0).elementCount == 1, facts.count == inputs.from(1).count else {
      return nil
    }
    let choice = try inputs[0].value.map { _ throws(ModelError) in
      try condition(inputs.tensor(0)) ? 0 : 1
    }
    var calls: [Result<DirectCalls, ModelError>?] = [nil, nil]
    for index in bodies.indices where choice == nil || choice == index {
      do throws(ModelError) {
        guard let direct = try bodies[index].directCalls(facts) else { return nil }
        calls[index] = .success(direct)
      } catch {
        guard error.code != .limit, error.code != .cancelled else { return nil }
        calls[index] = .failure(error)
      }
    }
    let branches = calls
    return { addresses, crew throws(ModelError) in
      let isTrue = unsafe addresses.input(0, as: UInt8.self).pointee != 0
      try branches[choice ?? (isTrue ? 0 : 1)]?.get().run(addresses, from: 1, on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let branch = branch(try condition(inputs[0]))
    for (index, value) in try branch.run(inputs.from(1), outputs.context).enumerated() {
      outputs.set(index, value)
    }
  }

  private func branch(_ condition: Bool) -> Body { bodies[condition ? 0 : 1] }

  private func condition(_ tensor: Tensor) throws(ModelError) -> Bool {
    guard tensor.elementCount == 1 else {
      throw .unexpected("elements of cond", expected: "1", got: "\(tensor.elementCount)")
    }
    return tensor.converted(to: Int64.self)[0] != 0
  }
}

/// A graph run again and again: at most M times, as long as its condition holds.
///
/// The body takes (iteration, condition, states…) and gives (condition, states…, elements…); the
/// elements of all iterations, stacked, are the last outputs.
struct Loop: Operator {
  var bodies: [Body] {
    didSet { iteration = LoopIteration(bodies[0], stateCount: stateCount) }
  }
  let ownInputCount: Int
  let stateCount: Int
  /// What an iteration does on addresses alone.
  private var iteration: LoopIteration

  init(_ node: inout NodeReader) throws(ModelError) {
    let body = try node.body("body")
    bodies = [body]
    ownInputCount = node.inputCount
    stateCount = max(0, ownInputCount - 2)
    iteration = LoopIteration(body, stateCount: stateCount)
    try bodies[0].check(
      inputs: 2 + stateCount, captures: node.captureCount,
      outputs: 1 + max(stateCount, node.outputCount)...Int.max)
  }

  func outputs(_ inputs: Facts) -> [Fact] {
    let captured = inputs.from(ownInputCount).map { $0 ?? .unknown }
    let control = [Fact(.int64, []), Fact(.bool, [])]
    let initial = (0..<stateCount).map { inputs[2 + $0] }
    let (states, elements) = bodies[0].settled(initial, after: 1) { control + $0 + captured }
    return states + elements.map { Fact(type: $0.type) }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let limit = try scalar(ownInputCount > 0 ? inputs.tensor(0) : nil, "M") ?? .max
    var condition = try scalar(ownInputCount > 1 ? inputs.tensor(1) : nil, "cond") ?? 1
    var states = (0..<stateCount).map { inputs.value(2 + $0) }
    if limit > 0, condition != 0, try runDirectly(states, limit, inputs, outputs) { return }
    var elements = [[Tensor]](
      repeating: [], count: bodies[0].graph.outputs.count - 1 - stateCount)
    var given: [Value?] = [nil, nil] + states + inputs.from(ownInputCount)
    var counter = Counter()
    let claim = MemoryClaim(on: outputs.context.account)
    var runs = BodyRuns(of: bodies[0], outputs.context)
    defer { runs.finish() }
    while counter.count < limit && condition != 0 {
      try outputs.context.checkCancellation()
      given[0] = nil
      given[0] = .tensor(counter.next())
      given[1] = .tensor(condition != 0 ? Self.truth : Self.falsehood)
      for index in states.indices { given[2 + index] = declared(index, states[index]) }
      let results = try runs.run(given)
      condition = try scalar(results[0].tensor, "condition") ?? 0
      for index in states.indices { states[index] = results[1 + index] }
      for index in elements.indices {
        guard let tensor = results[1 + stateCount + index].tensor else { continue }
        try claim.grow(by: MemoryLayout<Tensor>.stride, for: "the elements of a loop")
        elements[index].append(tensor)
      }
    }
    for (index, state) in states.enumerated() {
      if let state { outputs.set(index, state) }
    }
    for (index, tensors) in elements.enumerated() where outputs.wants(stateCount + index) {
      let result =
        tensors.isEmpty
        ? emptyScan(stateCount + index + 1, inputs)
        : try Tensor(stacking: tensors, 0, outputs.context)
      outputs.set(stateCount + index, .tensor(result))
    }
  }

  /// The same on addresses alone.
  /// - Returns: false where the body is not made for it.
  private func runDirectly(
    _ states: [Value?], _ limit: Int, _ inputs: Inputs, _ outputs: Outputs
  ) throws(ModelError) -> Bool {
    let context = outputs.context
    // Memory of its own, which the iterations write.
    let (number, truth) = (Tensor(scalar: Int64(0)), Tensor(scalar: true))
    let kept = iteration.kept
    let given =
      [.tensor(number), .tensor(truth)] + kept.map { states[$0] } + inputs.from(ownInputCount)
    guard kept.allSatisfy({ declared($0, states[$0])?.tensor != nil }),
      let runs = try iteration.body.directRuns(like: given, context),
      runs.direct.outputs[0].type == .bool,
      runs.direct.outputs[0].shape.elementCount == 1,
      kept.indices.allSatisfy({ runs.canFollow(1 + $0, as: 2 + $0) })
    else { return false }
    let elementCount = bodies[0].graph.outputs.count - 1 - stateCount
    // Where the results of each stack go.
    let results = (0..<elementCount).map { stateCount + $0 } + iteration.appended
    var stacks: [GrowingStack?] = []
    for (index, result) in results.enumerated() {
      let output = runs.direct.outputs[1 + kept.count + index]
      if index >= elementCount {
        guard case .sequence(_, .tensor(output.type))? = states[result] else { return false }
      }
      stacks.append(
        outputs.wants(result)
          ? try GrowingStack(
            output.type, output.shape, axis: 0, capacity: min(limit, 16), context) : nil)
    }
    var count = 0
    let counter = unsafe Destination(number).pointer(as: Int64.self)
    repeat {
      try context.checkCancellation()
      unsafe counter.pointee = Int64(count)
      try runs.run()
      count += 1
      for index in stacks.indices {
        try unsafe stacks[index]?.append(runs.output(1 + kept.count + index))
      }
      for index in kept.indices { unsafe runs.bind(2 + index, to: runs.output(1 + index)) }
    } while unsafe runs.output(0).load(as: UInt8.self) != 0 && count < limit
    for (index, state) in kept.enumerated() {
      // Else it is handed on as it is.
      outputs.set(state, runs.tensor(1 + index).map { .tensor($0) } ?? states[state]!)
    }
    for (index, stack) in stacks.enumerated() {
      guard let stack else { continue }
      if case .sequence(let elements, let type)? = index < elementCount
        ? nil : states[results[index]]
      {
        outputs.set(results[index], .sequence(elements + stack.slices, of: type))
      } else {
        outputs.set(results[index], .tensor(stack.tensor))
      }
    }
    return true
  }

  private static let truth = Tensor(scalar: true)
  private static let falsehood = Tensor(scalar: false)

  /// A state as the body declares it: it may call optional what it gives back plain.
  private func declared(_ index: Int, _ state: Value?) -> Value? {
    let graph = bodies[0].graph
    guard let state, case .optional(let element)? = graph.values[graph.inputs[2 + index]].type,
      state.type == element
    else { return state }
    return .optional(state, of: element)
  }

  /// What an output that stacks elements is after no iteration.
  private func emptyScan(_ index: Int, _ inputs: Inputs) -> Tensor {
    let facts = inputs.facts
    let known = [Fact(.int64, []), Fact(.bool, [])] + (2..<2 + stateCount).map { facts[$0] }
    let (type, shape) = bodies[0].emptyOutput(
      index, known + facts.from(ownInputCount).map { $0 ?? .unknown })
    return Tensor(zeros: type, [0] + shape)
  }

  private func scalar(_ tensor: Tensor?, _ name: String) throws(ModelError) -> Int? {
    guard let tensor else { return nil }
    guard tensor.elementCount == 1 else {
      throw .unexpected("elements of \(name)", expected: "1", got: "\(tensor.elementCount)")
    }
    if tensor.type == .bool { return unsafe Int(tensor.pointer(as: UInt8.self).pointee) }
    return Int(tensor.converted(to: Int64.self)[0])
  }
}

/// The body of a loop without the sequences that it does nothing with but append to: what would be appended
/// comes as further elements.
private struct LoopIteration: Sendable {
  let body: Body
  /// The states that are left, in order.
  private(set) var kept: [Int] = []
  /// The states that are sequences, in the order of the elements that stand for them.
  private(set) var appended: [Int] = []

  init(_ body: Body, stateCount: Int) {
    var graph = body.graph
    guard graph.inputs.count >= 2 + stateCount, graph.outputs.count > stateCount,
      graph.nodes.contains(where: { $0.operatorName == "SequenceInsert" })
    else {
      self.body = body
      kept = Array(0..<stateCount)
      return
    }
    let (readers, producers) = (graph.readers(), graph.producers())
    var (dropped, elements): (Set<Int>, [Graph.ValueID]) = ([], [])
    for state in 0..<stateCount {
      let (old, new) = (graph.inputs[2 + state], graph.outputs[1 + state])
      guard let position = producers[new], graph.nodes[position].domain.isEmpty,
        graph.nodes[position].operatorName == "SequenceInsert",
        !graph.nodes[position].hasInput(2), graph.nodes[position].inputs.first == old,
        graph.nodes[position].hasInput(1), let element = graph.nodes[position].inputs[1],
        element != old, readers[old].elementsEqual([position]), readers[new].isEmpty,
        !graph.outputs.contains(old), graph.outputs.count(where: { $0 == new }) == 1
      else {
        kept.append(state)
        continue
      }
      appended.append(state)
      elements.append(element)
      dropped.insert(position)
    }
    guard !appended.isEmpty else {
      self.body = body
      return
    }
    let rest = (stateCount...).prefix { 1 + $0 < graph.outputs.count }
    graph.outputs =
      [graph.outputs[0]] + kept.map { graph.outputs[1 + $0] }
      + rest.map { graph.outputs[1 + $0] } + elements
    graph.inputs =
      graph.inputs[..<2] + kept.map { graph.inputs[2 + $0] } + graph.inputs[(2 + stateCount)...]
    graph.nodes = graph.nodes.indices.filter { !dropped.contains($0) }.map { graph.nodes[$0] }
    self.body = Body(attribute: body.attribute, graph: graph, captureCount: body.captureCount)
  }
}

/// The numbers of a loop's iterations, as tensors that take over each other's memory where the body
/// has not kept it.
private struct Counter {
  private(set) var count = 0
  private var storage = Storage(byteCount: 8)

  /// The number of the next iteration.
  mutating func next() -> Tensor {
    if !isKnownUniquelyReferenced(&storage) { storage = Storage(byteCount: 8) }
    unsafe storage.base.assumingMemoryBound(to: Int64.self).pointee = Int64(count)
    count += 1
    return Tensor(.int64, [], storage: storage)
  }
}

extension Body {
  /// What is known of states that the graph passes from one iteration to the next, whatever their
  /// number; and of the outputs that follow them.
  /// - Parameter first: the position of the states among the outputs.
  func settled(_ initial: [Fact], after first: Int, _ inputs: ([Fact]) -> [Fact])
    -> (states: [Fact], others: [Fact])
  {
    var states = initial.map { Fact.common($0, $0) }
    while true {
      let results = outputs(inputs(states))
      let next = zip(states, results[first...]).map(Fact.common)
      // Each round forgets a type or a shape, or is the last.
      if zip(states, next).allSatisfy({ $0.type == $1.type && $0.shape == $1.shape }) {
        return (states, Array(results[(first + states.count)...]))
      }
      states = next
    }
  }
}

/// A graph run on each element of a sequence, with the elements of other sequences at the same
/// place; other inputs are the same each time.
struct SequenceMap: Operator {
  var bodies: [Body]
  let ownInputCount: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    bodies = [try node.body("body")]
    ownInputCount = node.inputCount
    try bodies[0].check(
      inputs: ownInputCount, captures: node.captureCount,
      outputs: node.outputCount...node.outputCount)
  }

  func outputs(_ inputs: Facts) -> [Fact] {
    let elements = inputs.from(0).enumerated().map { index, fact in
      guard index < ownInputCount, case .sequence(let element)? = fact?.type else {
        return fact ?? .unknown
      }
      return Fact(type: element)
    }
    return bodies[0].outputs(elements).map { Fact(type: $0.type.map { .sequence($0) }) }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let count = inputs.sequence(0).count
    var results = [[Value]](repeating: [], count: outputs.count)
    let claim = MemoryClaim(on: outputs.context.account)
    for position in 0..<count {
      try outputs.context.checkCancellation()
      var elements = inputs.from(0)
      for index in 0..<ownInputCount {
        guard case .sequence(let sequence, _)? = elements[index] else { continue }
        guard sequence.count == count else {
          throw .unexpected(
            "length of input \(index)", expected: "\(count)", got: "\(sequence.count)")
        }
        elements[index] = sequence[position]
      }
      let values = try bodies[0].run(elements, outputs.context)
      try claim.grow(by: values.count * MemoryLayout<Value>.stride, for: "\(count) results")
      for (index, value) in values.enumerated() { results[index].append(value) }
    }
    let facts = self.outputs(inputs.facts)
    for (index, elements) in results.enumerated() {
      let declared = bodies[0].graph.values[bodies[0].graph.outputs[index]].type
      var type = elements.first?.type ?? declared ?? .tensor(.float)
      if case .sequence(let known)? = facts[index].type { type = known }
      outputs.set(index, .sequence(elements, of: type))
    }
  }
}
