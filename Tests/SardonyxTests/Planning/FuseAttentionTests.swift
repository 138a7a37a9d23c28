import Testing

@testable import Sardonyx

@Suite struct FuseAttentionTests {
  private let heads = 3
  private let size = 20

  /// Runs the model fused and as written, in both with one and two threads.
  private func fused(
    _ nodes: [NodeDefinition], _ constants: [String: Tensor], inputs: [String: [Int]],
    declaring declarations: [String: [Int]]? = nil, opset: Int = 17
  ) throws -> [String] {
    let model = try model(
      graph(
        (declarations ?? inputs).sorted { $0.key < $1.key }.map {
          declared($0.key, .float, $0.value)
        },
        nodes, [declared("y")], constants: constants), opset: opset)
    var values: [String: Value] = [:]
    for (number, (name, shape)) in inputs.sorted(by: { $0.key < $1.key }).enumerated() {
      values[name] = .tensor(randomTensor(shape, seed: number + 3))
    }
    var results: [[Float]] = []
    for threads in [1, 2] {
      var options = Session.Options()
      options.threads = threads
      let comparison = try Comparison(model, inputs: values, options: options)
      #expect(comparison.passed)
      results.append(try Session(model, options: options).run(values)["y"]!.tensor!.floats)
    }
    #expect(results[0].map(\.bitPattern) == results[1].map(\.bitPattern))
    return try Session(model).graph.nodes.map {
      "\($0.domain.isEmpty ? "" : $0.domain + ".")\($0.operatorName)"
    }
  }

  /// Q, K and V out of one tensor of [batch, length, 3·heads·size], by a Split.
  private var splitting: [NodeDefinition] {
    [node("Split", ["x"], ["q0", "k0", "v0"], ["axis": .int(2)])]
      + ["q", "k", "v"].map { node("Reshape", ["\($0)0", "heads"], ["\($0)1"]) } + [
        node("Transpose", ["q1"], ["q"], ["perm": .ints([0, 2, 1, 3])]),
        node("Transpose", ["k1"], ["kT"], ["perm": .ints([0, 2, 3, 1])]),
        node("Transpose", ["v1"], ["v"], ["perm": .ints([0, 2, 1, 3])]),
      ]
  }

  private var joining: [NodeDefinition] {
    [
      node("Softmax", ["scores"], ["weights"], ["axis": .int(-1)]),
      node("MatMul", ["weights", "v"], ["sum"]),
      node("Transpose", ["sum"], ["y"], ["perm": .ints([0, 2, 1, 3])]),
    ]
  }

  private var shapes: [String: Tensor] {
    ["heads": Tensor([0, 0, Int64(heads), Int64(size)]), "scale": Tensor(scalar: Float(0.25))]
  }

  @Test(arguments: [(1, 5), (2, 37), (3, 197)]) func partsOfOneTensorAreReadInPlace(
    _ batch: Int, _ length: Int
  ) throws {
    let scores = [node("MatMul", ["q", "kT"], ["p"]), node("Mul", ["p", "scale"], ["scores"])]
    for declaration in [[batch, length, 3 * heads * size], [-1, length, 3 * heads * size]] {
      let names = try fused(
        splitting + scores + joining, shapes, inputs: ["x": [batch, length, 3 * heads * size]],
        declaring: ["x": declaration])
      #expect(names == ["sardonyx.Attention"])
    }
  }

  @Test func masksAreAddedOrChosen() throws {
    let inputs = ["x": [2, 11, 3 * heads * size], "m": [2, 1, 1, 11]]
    let added = [
      node("MatMul", ["q", "kT"], ["p"]), node("Div", ["p", "scale"], ["s"]),
      node("Add", ["s", "m"], ["scores"]),
    ]
    let names = try fused(splitting + added + joining, shapes, inputs: inputs)
    #expect(names == ["sardonyx.Attention"])
    let chosen = [
      node("MatMul", ["q", "kT"], ["p"]), node("Mul", ["p", "scale"], ["s"]),
      node("Greater", ["m", "scale"], ["flags"]), node("Where", ["flags", "far", "s"], ["scores"]),
    ]
    for far in [Float(-1e9), 1] {
      let constants = shapes.merging(["far": Tensor(scalar: far)]) { $1 }
      #expect(
        try fused(splitting + chosen + joining, constants, inputs: inputs) == [
          "Greater", "sardonyx.Attention",
        ])
    }
  }

  @Test func queriesThatSeeNothingAreNotANumber() throws {
    let nodes = [
      node("MatMul", ["q", "k"], ["p"]), node("Add", ["p", "far"], ["scores"]),
      node("Softmax", ["scores"], ["weights"]), node("MatMul", ["weights", "v"], ["y"]),
    ]
    let far = Tensor([Float](repeating: -.infinity, count: 6), [6])
    let model = try model(
      graph(
        [
          declared("q", .float, [4, 8]), declared("k", .float, [8, 6]),
          declared("v", .float, [6, 5]),
        ],
        nodes, [declared("y")], constants: ["far": far]))
    #expect(try Session(model).graph.nodes.map(\.operatorName) == ["Attention"])
    let y: [Float] = try Session(model).run([
      "q": .tensor(randomTensor([4, 8], seed: 1)), "k": .tensor(randomTensor([8, 6], seed: 2)),
      "v": .tensor(randomTensor([6, 5], seed: 3)),
    ])["y"]!.tensor!.floats
    #expect(y.filter { !$0.isNaN }.isEmpty)
  }

  /// As an exporter turns keys: through axes that are joined and parted again, and by slices.
  @Test(arguments: [1, 2]) func joinedAxesAreReadInPlace(_ batch: Int) throws {
    let length: Int64 = 9
    let (heads, size) = (Int64(heads), Int64(size))
    let constants: [String: Tensor] = [
      "five": Tensor([Int64(batch), length, 3, heads, size]),
      "three": Tensor([-1, length, size]), "four": Tensor([Int64(batch), heads, size, length]),
      "0": Tensor([Int64(0)]), "1": Tensor([Int64(1)]), "2": Tensor([Int64(2)]),
      "3": Tensor([Int64(3)]), "scale": Tensor(scalar: Float(0.5)),
    ]
    let nodes =
      [
        node("Reshape", ["x", "five"], ["x5"]),
        node("Transpose", ["x5"], ["t"], ["perm": .ints([2, 0, 3, 1, 4])]),
      ]
      + [("q", "0", "1"), ("k", "1", "2"), ("v", "2", "3")].flatMap { name, first, last in
        [
          node("Slice", ["t", first, last, "0"], ["\(name)5"]),
          node("Squeeze", ["\(name)5", "0"], [name]),
        ]
      } + [
        node("Reshape", ["k", "three"], ["k3"]),
        node("Transpose", ["k3"], ["kT3"], ["perm": .ints([0, 2, 1])]),
        node("Reshape", ["kT3", "four"], ["kT4"]), node("Mul", ["kT4", "scale"], ["kT"]),
        node("Mul", ["q", "scale"], ["qs"]), node("MatMul", ["qs", "kT"], ["scores"]),
      ]
    #expect(
      try fused(
        nodes + joining, constants, inputs: ["x": [batch, 9, 3 * Int(heads * size)]])
        == ["sardonyx.Attention"])
  }

  /// Reshape takes rows apart that no view joins, so that a copy is made first.
  @Test func whatNoViewShowsIsCopied() throws {
    let constants: [String: Tensor] = [
      "flat": Tensor([Int64(10), 6]), "scale": Tensor(scalar: Float(1)),
    ]
    let nodes = [
      node("Transpose", ["x"], ["t"]), node("Reshape", ["t", "flat"], ["q"]),
      node("MatMul", ["q", "k"], ["scores"]), node("Softmax", ["scores"], ["weights"]),
      node("MatMul", ["weights", "v"], ["y"]),
    ]
    #expect(
      try fused(nodes, constants, inputs: ["x": [4, 15], "k": [6, 7], "v": [7, 3]])
        == ["sardonyx.Attention"])
  }

  @Test func theOperatorReadsItsInputsInPlace() throws {
    let nodes =
      splitting.filter { $0.outputs != ["kT"] } + [
        node("Transpose", ["k1"], ["k"], ["perm": .ints([0, 2, 1, 3])]),
        node("Attention", ["q", "k", "v"], ["sum"], ["is_causal": .int(1)]),
        node("Transpose", ["sum"], ["y"], ["perm": .ints([0, 2, 1, 3])]),
      ]
    #expect(
      try fused(nodes, shapes, inputs: ["x": [2, 13, 3 * heads * size]], opset: 23)
        == ["sardonyx.Attention"])
  }

  @Test func scaledValuesAndOtherReadersKeepTheirMeaning() throws {
    let scores = [node("MatMul", ["q", "k"], ["scores"])]
    let softmax = [node("Softmax", ["scores"], ["weights"])]
    let inputs = ["q": [4, 8], "k": [8, 6], "v": [6, 5]]
    let scaled = [node("Mul", ["v", "scale"], ["v2"]), node("MatMul", ["weights", "v2"], ["y"])]
    #expect(
      try fused(scores + softmax + scaled, shapes, inputs: inputs) == ["Mul", "sardonyx.Attention"])
    let shared = [
      node("MatMul", ["weights", "v"], ["z"]), node("ReduceSum", ["weights"], ["total"]),
      node("Add", ["z", "total"], ["y"]),
    ]
    #expect(try fused(scores + softmax + shared, shapes, inputs: inputs).contains("Softmax"))
    let otherAxis = [
      node("Softmax", ["scores"], ["weights"], ["axis": .int(0)]),
      node("MatMul", ["weights", "v"], ["y"]),
    ]
    #expect(try fused(scores + otherAxis, shapes, inputs: inputs).contains("Softmax"))
  }
}
