import CAllocations
import Foundation
import Testing

@testable import Sardonyx

/// Only optimised code keeps closures and their like off the heap.
private var isOptimized: Bool {
  #if DEBUG
    false
  #else
    true
  #endif
}

/// What a run of a planned shape takes from the heap.
@Suite(.enabled(if: allocations_are_counted() && isOptimized)) struct AllocationTests {
  /// Blocks that `body` takes on this thread.
  private func allocations(_ body: () throws -> Void) rethrows -> Int {
    allocations_begin()
    defer { _ = allocations_end() }
    try body()
    return allocations_end()
  }

  /// Blocks that the steps of a run take after some runs before.
  private func stepAllocations(_ session: Session, _ inputs: [String: Value]) throws -> Int {
    var executor = try session.executor(inputs)
    defer { executor.finish() }
    let values = session.graph.inputs.map { inputs[session.graph.values[$0].name] }
    for _ in 0..<3 { _ = try executor.run(values) }
    executor.begin(values)
    return try Interruption.$crew.withValue(nil) {
      try allocations { try executor.runSteps() }
    }
  }

  private func session(_ model: Model) throws -> Session {
    var options = Session.Options()
    options.threads = 1
    return try Session(model, options: options)
  }

  @Test func countingCounts() {
    var kept: [Storage] = []
    kept.reserveCapacity(3)
    // An object and its memory each.
    #expect(allocations { for _ in 0..<3 { kept.append(Storage(byteCount: 64)) } } == 6)
    let first = kept[0]
    #expect(allocations { kept[1] = first } == 0)
  }

  /// Convolutions over blocks work out their sizes anew in each run, some arrays each.
  @Test func residualNetworkTakesLittle() throws {
    var numbers = Numbers(seed: 1)
    let weights: [(String, Shape)] = [
      ("W1", [16, 1, 3, 3]), ("W2", [16, 16, 3, 3]), ("W3", [32, 16, 3, 3]), ("M", [32, 10]),
    ]
    let definition = graph(
      [declared("X", .float, [2, 1, 8, 8])],
      [
        node("Conv", ["X", "W1"], ["a"], ["pads": .ints([1, 1, 1, 1])]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "W2"], ["c"], ["pads": .ints([1, 1, 1, 1])]),
        node("Add", ["c", "b"], ["d"]), node("Relu", ["d"], ["e"]),
        node(
          "Conv", ["e", "W3"], ["f"], ["pads": .ints([1, 1, 1, 1]), "strides": .ints([2, 2])]),
        node("GlobalAveragePool", ["f"], ["g"]), node("Flatten", ["g"], ["h"]),
        node("Gemm", ["h", "M"], ["Y"]),
      ], [declared("Y")],
      constants: weights.reduce(into: [:]) { $0[$1.0] = numbers.tensor($1.1) })
    let session = try session(model(definition))
    let x = Value.tensor(numbers.tensor([2, 1, 8, 8]))
    #expect(try stepAllocations(session, ["X": x]) <= 48)
  }

  @Test func perceptronTakesNothing() throws {
    var numbers = Numbers(seed: 2)
    let definition = graph(
      [declared("X", .float, [4, 20])],
      [
        node("Gemm", ["X", "W1", "B1"], ["a"]), node("Relu", ["a"], ["b"]),
        node("MatMul", ["b", "W2"], ["c"]), node("Add", ["c", "B2"], ["d"]),
        node("Softmax", ["d"], ["Y"]),
      ], [declared("Y")],
      constants: [
        "W1": numbers.tensor([20, 64]), "B1": numbers.tensor([64]), "W2": numbers.tensor([64, 5]),
        "B2": numbers.tensor([5]),
      ])
    let session = try session(model(definition))
    let x = Value.tensor(numbers.tensor([4, 20]))
    #expect(try stepAllocations(session, ["X": x]) == 0)
  }

  @Test func decisionTreeTakesNothing() throws {
    var definition = ModelDefinition()
    definition.irVersion = 10
    definition.operatorSets = ["": 21, "ai.onnx.ml": 3]
    definition.graph = graph(
      [declared("X", .float, [3, 2])],
      [
        NodeDefinition(
          name: "tree", operatorName: "TreeEnsembleClassifier", domain: "ai.onnx.ml",
          inputs: ["X"], outputs: ["L", "P"],
          attributes: [
            "nodes_treeids": .ints([0, 0, 0]), "nodes_nodeids": .ints([0, 1, 2]),
            "nodes_featureids": .ints([0, 0, 0]), "nodes_values": .floats([0, 0, 0]),
            "nodes_modes": .strings(["BRANCH_LEQ", "LEAF", "LEAF"]),
            "nodes_truenodeids": .ints([1, 0, 0]), "nodes_falsenodeids": .ints([2, 0, 0]),
            "class_treeids": .ints([0, 0]), "class_nodeids": .ints([1, 2]),
            "class_ids": .ints([0, 1]), "class_weights": .floats([1, 1]),
            "classlabels_int64s": .ints([3, 4]),
          ])
      ], [declared("L", .int64, nil), declared("P")])
    let session = try session(Model(definition))
    let x = Value.tensor(Tensor([Float(-1), 0, 1, 0, 2, 0], [3, 2]))
    #expect(try stepAllocations(session, ["X": x]) == 0)
    #expect(try session.run(["X": x])["L"]!.tensor!.elements() == [Int64(3), 4, 4])
  }

  @Test func aConditionTakesNothing() throws {
    func branch(_ operatorName: String) -> Attribute {
      .graph(
        GraphDefinition(
          inputs: [], outputs: [ValueDefinition(name: "r", type: .tensor(.float), shape: nil)],
          nodes: [node(operatorName, ["X", "X"], ["q"]), node("Add", ["q", "X"], ["r"])]))
    }
    let definition = graph(
      [declared("C", .bool, []), declared("X", .float, [4])],
      [
        node("If", ["C"], ["a"], ["then_branch": branch("Add"), "else_branch": branch("Mul")]),
        node("Sigmoid", ["a"], ["Y"]),
      ], [declared("Y")])
    let session = try session(model(definition))
    let x = Value.tensor(Tensor([Float](repeating: 1, count: 4)))
    for condition in [true, false] {
      let inputs = ["C": Value.tensor(Tensor(scalar: condition)), "X": x]
      #expect(try stepAllocations(session, inputs) == 0)
    }
  }

  @Test func loopTakesAsMuchForManyIterationsAsForSome() throws {
    let body = GraphDefinition(
      inputs: [
        ValueDefinition(name: "i", type: .tensor(.int64)),
        ValueDefinition(name: "c", type: .tensor(.bool)),
        ValueDefinition(name: "s", type: .tensor(.float)),
      ],
      outputs: [
        ValueDefinition(name: "go", type: .tensor(.bool), shape: nil),
        ValueDefinition(name: "t", type: .tensor(.float), shape: nil),
      ], nodes: [node("Identity", ["c"], ["go"]), node("Add", ["s", "s"], ["t"])])
    let definition = graph(
      [declared("M", .int64, []), declared("X", .float, [4])],
      [node("Loop", ["M", "", "X"], ["Y"], ["body": .graph(body)])], [declared("Y")])
    let session = try session(model(definition))
    func count(_ iterations: Int64) throws -> Int {
      try stepAllocations(
        session,
        [
          "M": .tensor(Tensor(scalar: iterations)),
          "X": .tensor(Tensor([Float](repeating: 1, count: 4))),
        ])
    }
    let few = try count(10)
    #expect(few < 60)
    #expect(try count(1000) == few)
  }
}
