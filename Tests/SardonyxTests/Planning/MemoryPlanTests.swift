import Testing

@testable import Sardonyx

/// Stands for any operator in tests of planning: the sum of its inputs plus one, or a view.
struct Stub: Operator {
  var reusableInput: Int?
  var isView = false

  init(reusableInput: Int? = nil, isView: Bool = false) {
    self.reusableInput = reusableInput
    self.isView = isView
  }

  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard !isView else { return outputs[0].copy(inputs[0]) }
    let result = unsafe outputs[0].pointer(as: Float.self)
    for index in 0..<outputs[0].elementCount {
      var sum: Float = 1
      for input in 0..<inputs.count {
        unsafe sum += inputs[input].pointer(as: Float.self)[index]
      }
      unsafe result[index] = sum
    }
  }
}

@Suite struct MemoryPlanTests {
  /// A graph of stubs; each node is (operator, inputs), value i + 1 is node i's output.
  private func graph(_ nodes: [(Stub, [Int])], outputs: [Int]) -> Graph {
    var graph = Graph()
    graph.inputs = [graph.addValue("input")]
    for (index, (stub, inputs)) in nodes.enumerated() {
      let result = graph.addValue("value\(index + 1)")
      graph.nodes.append(
        Node(
          name: "node\(index)", operatorName: "Stub", domain: "test", operatorSet: 1,
          inputs: inputs, outputs: [result], attributes: [:], implementation: stub))
    }
    graph.outputs = outputs
    return graph
  }

  private func plan(_ graph: Graph) throws -> Plan {
    try Plan(graph, inputs: [Fact(.float, [100])])
  }

  @Test func aChainNeedsTwoValuesAtOnce() throws {
    let chain = (0..<10).map { (Stub(), [$0]) }
    #expect(try plan(graph(chain, outputs: [10])).arenaByteCount == 2 * 448)
  }

  @Test("What a Concat joins is made in its place, and stays as it is while it is read")
  func concatenation() throws {
    var graph = graph(
      [
        (Stub(), [0]), (Stub(), [1]), (Stub(), [1, 2]), (Stub(reusableInput: 0), [1]),
        (Stub(), [2]), (Stub(), [6]),
      ], outputs: [4, 7])
    // Values 1, 2 and 1 again, and what reads the three as one: node 4 becomes the Concat.
    graph.nodes[4].implementation = Concat(axis: 0)
    graph.nodes[4].inputs = [1, 2, 1]
    graph.nodes[5].inputs = [5]
    graph.nodes[5].outputs = [6]
    graph.outputs = [4, 6]
    let plan = try plan(graph)
    #expect(plan.arenaByteCount <= 1216 + 448)
    let results = try Executor.run(
      plan, [.tensor(Tensor([Float](repeating: 0, count: 100), [100]))], RunContext())
    let read: [Float] = try results[1].tensor!.elements()
    #expect(read == [2, 3, 2].flatMap { [Float](repeating: $0, count: 100) })
    #expect(try results[0].tensor!.elements() == [Float](repeating: 2, count: 100))
  }

  @Test("A view sees what an operator made elsewhere and handed over")
  func viewOfWhatIsHandedOver() throws {
    let definition = SardonyxTests.graph(
      [declared("x", .float, [1, 4])],
      [
        node("ArrayFeatureExtractor", ["x", "which"], ["a"], domain: "ai.onnx.ml"),
        node("Reshape", ["a", "shape"], ["b"]), node("Relu", ["b"], ["y"]),
      ], [declared("y")],
      constants: ["which": Tensor([Int64(2), 0]), "shape": Tensor([Int64(2), 1])])
    let session = try Session(try model(definition))
    for _ in 0..<3 {
      let y = try session.run(["x": .tensor(Tensor([Float(1), 2, 3, 4], [1, 4]))])["y"]
      #expect(try y?.tensor?.elements() == [Float(3), 1])
    }
  }

  @Test func workInPlaceNeedsOne() throws {
    let chain = (0..<10).map { (Stub(reusableInput: 0), [$0]) }
    let plan = try plan(graph(chain, outputs: [10]))
    #expect(plan.arenaByteCount == 448)
    #expect(
      plan.steps.indices.map { Array(plan.placements[$0]) }
        == [[.arena(0)]] + .init(repeating: [.input(0)], count: 8) + [[.own]],
      "only the last step writes to memory that leaves the plan")
  }

  @Test func anInputThatIsReadLaterIsNotOverwritten() throws {
    let nodes = [(Stub(), [0]), (Stub(reusableInput: 0), [1]), (Stub(), [1]), (Stub(), [2, 3])]
    let plan = try plan(graph(nodes, outputs: [4]))
    #expect(plan.placements[1] != [.input(0)])
  }

  @Test func anInputThatIsAlsoAnotherOperandIsNotOverwritten() throws {
    let nodes = [(Stub(), [0]), (Stub(isView: true), [1]), (Stub(reusableInput: 0), [2, 1])]
    let plan = try plan(graph(nodes, outputs: [3]))
    #expect(plan.placements[1] == [.input(0)])
    #expect(plan.placements[2] == [.own])
  }

  @Test func aViewKeepsTheMemoryOfWhatItShows() throws {
    let nodes = [
      (Stub(), [0]), (Stub(isView: true), [1]), (Stub(), [0]), (Stub(), [3]), (Stub(), [2, 4]),
    ]
    let plan = try plan(graph(nodes, outputs: [5]))
    var offsets: Set<Int> = []
    for step in [0, 2, 3] {
      guard case .arena(let offset) = plan.placements[step, 0] else {
        Issue.record("step \(step) is not in the arena")
        continue
      }
      offsets.insert(offset)
    }
    #expect(offsets.count == 3)
  }

  @Test func theCallersInputIsNeverOverwritten() throws {
    let plan = try plan(graph([(Stub(reusableInput: 0), [0]), (Stub(), [1])], outputs: [2]))
    #expect(plan.placements[0] == [.arena(0)])
  }

  @Test(arguments: 0..<100) func valuesAliveTogetherNeverOverlap(_ seed: Int) throws {
    var random = Generator(state: UInt64(seed))
    var nodes: [(Stub, [Int])] = []
    var expected: [Float] = [1]
    for index in 0..<30 {
      let inputs = (0..<random.next(3) + 1).map { _ in random.next(index + 1) }
      let kind = random.next(3)
      nodes.append((Stub(reusableInput: kind == 1 ? 0 : nil, isView: kind == 2), inputs))
      let sum = inputs.map { expected[$0] }.reduce(1, +)
      expected.append(kind == 2 ? expected[inputs[0]] : sum)
    }
    let wanted = [30, random.next(30) + 1]
    let plan = try plan(graph(nodes, outputs: wanted))
    let ones = Tensor([Float](repeating: 1, count: 100), [100])
    let results = try Executor.run(plan, [.tensor(ones)], RunContext())
    for (id, result) in zip(wanted, results) {
      #expect(Set(result.tensor!.array(of: Float.self)) == [expected[id]])
    }
  }
}

/// A small linear congruential generator, so that failures come again.
private struct Generator {
  var state: UInt64

  mutating func next(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(bound))
  }
}
