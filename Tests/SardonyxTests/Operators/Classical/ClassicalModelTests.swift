import Testing

@testable import Sardonyx

/// What recorded cases do not show of the operators of ai.onnx.ml: what they refuse, and how.
@Suite("Classical models") struct ClassicalModelTests {
  private let ml = "ai.onnx.ml"
  private let row = Tensor([0.5, -1, 2] as [Float], [1, 3])

  private func refusal(
    _ operatorName: String, _ inputs: [Value?], _ attributes: [String: Attribute] = [:],
    opset: Int = 1, outputs: Int = 1
  ) -> String? {
    #expect(throws: ModelError.self) {
      try run(
        operatorName, domain: ml, opset: opset, inputs, attributes, outputs: outputs)
    }?.message
  }

  /// One split at 0 of feature 0, whose branches are the given nodes, and leaves 1 and 2.
  private func tree(whenTrue: Int = 1, whenFalse: Int = 2, feature: Int = 0, mode: String = "LEAF")
    -> [String: Attribute]
  {
    [
      "nodes_treeids": .ints([0, 0, 0]), "nodes_nodeids": .ints([0, 1, 2]),
      "nodes_featureids": .ints([feature, 0, 0]), "nodes_values": .floats([0, 0, 0]),
      "nodes_modes": .strings(["BRANCH_LEQ", mode, "LEAF"]),
      "nodes_truenodeids": .ints([whenTrue, 0, 0]), "nodes_falsenodeids": .ints([whenFalse, 0, 0]),
      "target_treeids": .ints([0, 0]), "target_nodeids": .ints([1, 2]),
      "target_ids": .ints([0, 0]), "target_weights": .floats([1, 2]), "n_targets": .int(1),
    ]
  }

  @Test func theLogisticFunctionOfLargeNegativeScoresIsSmallAndNotZero() throws {
    let probabilities = try run(
      "LinearClassifier", domain: ml, opset: 1, [.tensor(Tensor([Float(1)], [1, 1]))],
      [
        "coefficients": .floats([-30, -80, 30]), "intercepts": .floats([0, 0, 0]),
        "classlabels_ints": .ints([0, 1, 2]), "post_transform": .string("LOGISTIC"),
      ], outputs: 2)[1]!.tensor!.floats
    #expect(probabilities == [9.357622968839299e-14, 1.8048513878454153e-35, 1])
  }

  @Test func aTreeWithACycleIsRefused() {
    let message = refusal("TreeEnsembleRegressor", [.tensor(row)], tree(mode: "BRANCH_LT"))
    #expect(message == "node 0 of the trees is below itself")
  }

  @Test func aTreeWithoutABranchsNodeIsRefused() {
    let message = refusal("TreeEnsembleRegressor", [.tensor(row)], tree(whenTrue: 7))
    #expect(message == "tree 0 has no node 7")
  }

  @Test func rowsMustHaveTheFeaturesThatTreesRead() {
    let message = refusal("TreeEnsembleRegressor", [.tensor(row)], tree(feature: 3))
    #expect(message == "features of X: expected 4 or more, got 3")
  }

  @Test func aVoteForNoTargetIsRefused() {
    let message = refusal(
      "TreeEnsembleRegressor", [.tensor(row)],
      tree().merging(["target_ids": .ints([0, 1])]) { $1 })
    #expect(message == "attribute target_ids: expected numbers 0 ..< 1, got 1")
  }

  @Test func anUnknownModeIsRefused() {
    let message = refusal("TreeEnsembleRegressor", [.tensor(row)], tree(mode: "BRANCH_LIKE"))
    #expect(
      message == "attribute nodes_modes: expected BRANCH_LEQ or its like, or LEAF, got BRANCH_LIKE")
  }

  @Test func attributesOfATreeMustMatch() {
    let message = refusal(
      "TreeEnsembleRegressor", [.tensor(row)],
      tree().merging(["nodes_values": .floats([0])]) { $1 })
    #expect(message == "attribute nodes_values: expected 3 elements, one for each, got 1")
  }

  @Test func aDeepTreeNeedsNoDeepStack() throws {
    let depth = 100_000
    let nodes = Array(0...2 * depth)
    // Node 2k splits into leaf 2k + 1 and node 2k + 2; the last is a leaf.
    let isLeaf = nodes.map { $0 % 2 == 1 || $0 == 2 * depth }
    let leaves = nodes.filter { isLeaf[$0] }
    let result: Tensor = try run(
      "TreeEnsembleRegressor", domain: ml, opset: 3, [Tensor([1] as [Float], [1, 1])],
      [
        "nodes_treeids": .ints(nodes.map { _ in 0 }), "nodes_nodeids": .ints(nodes),
        "nodes_featureids": .ints(nodes.map { _ in 0 }),
        "nodes_values": .floats(nodes.map { _ in 0 }),
        "nodes_modes": .strings(isLeaf.map { $0 ? "LEAF" : "BRANCH_LEQ" }),
        "nodes_truenodeids": .ints(nodes.map { isLeaf[$0] ? 0 : $0 + 1 }),
        "nodes_falsenodeids": .ints(nodes.map { isLeaf[$0] ? 0 : $0 + 2 }),
        "target_treeids": .ints(leaves.map { _ in 0 }), "target_nodeids": .ints(leaves),
        "target_ids": .ints(leaves.map { _ in 0 }),
        "target_weights": .floats(leaves.map { $0 == 2 * depth ? 7 : 0 }), "n_targets": .int(1),
      ])
    #expect(result.array(of: Float.self) == [7])
  }

  /// Rows side by side, whatever the comparison and the order of the nodes, against one row at a time.
  @Test(arguments: [
    ["BRANCH_LEQ"], ["BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_LEQ"],
    ["BRANCH_EQ", "BRANCH_NEQ", "BRANCH_LEQ"],
  ])
  func rowsGoDownTreesAsOneAlone(modes: [String]) throws {
    struct Node {
      var tree: Int
      var number: Int
      var mode: String
      var feature: Int
      var value: Float
      var missing: Int
      var whenTrue = 0
      var whenFalse = 0
    }
    let values: [Float] = [-1, 0, 0.5, 1, .infinity]
    var nodes: [Node] = []
    for tree in 0..<5 {
      // Number i has the children 2i + 1 and 2i + 2, as far as there are 21.
      for number in 0..<21 {
        let isLeaf = 2 * number + 2 >= 21
        nodes.append(
          Node(
            tree: tree * 3, number: number, mode: isLeaf ? "LEAF" : modes.randomElement()!,
            feature: .random(in: 0..<3), value: values.randomElement()!,
            missing: .random(in: 0...1), whenTrue: isLeaf ? 0 : 2 * number + 1,
            whenFalse: isLeaf ? 0 : 2 * number + 2))
      }
    }
    func leaf(_ tree: Int, _ row: [Float]) -> Int {
      var node = nodes.first { $0.tree == tree }!
      while node.mode != "LEAF" {
        let x = row[node.feature]
        var isTrue = x.isNaN && node.missing == 1
        switch node.mode {
        case "BRANCH_LEQ": isTrue = isTrue || x <= node.value
        case "BRANCH_LT": isTrue = isTrue || x < node.value
        case "BRANCH_GTE": isTrue = isTrue || x >= node.value
        case "BRANCH_GT": isTrue = isTrue || x > node.value
        case "BRANCH_EQ": isTrue = isTrue || x == node.value
        default: isTrue = isTrue || x != node.value
        }
        let next = isTrue ? node.whenTrue : node.whenFalse
        node = nodes.first { $0.tree == tree && $0.number == next }!
      }
      return node.number
    }
    let features: [Float] = [-2, -1, -0.0, 0.25, 0.5, 1, .nan, .infinity, -.infinity]
    let rows = (0..<21).map { _ in (0..<3).map { _ in features.randomElement()! } }
    let expected = rows.map { row in
      (0..<5).reduce(Float(0)) { $0 + Float(leaf($1 * 3, row) * ($1 + 1)) }
    }
    // In the order of libraries, and with the nodes of all trees mixed behind their roots.
    let mixed = nodes.filter { $0.number == 0 } + nodes.filter { $0.number > 0 }.shuffled()
    for order in [nodes, mixed] {
      let leaves = order.filter { $0.mode == "LEAF" }
      let attributes: [String: Attribute] = [
        "nodes_treeids": .ints(order.map(\.tree)), "nodes_nodeids": .ints(order.map(\.number)),
        "nodes_modes": .strings(order.map(\.mode)),
        "nodes_featureids": .ints(order.map(\.feature)),
        "nodes_values": .floats(order.map(\.value)),
        "nodes_truenodeids": .ints(order.map(\.whenTrue)),
        "nodes_falsenodeids": .ints(order.map(\.whenFalse)),
        "nodes_missing_value_tracks_true": .ints(order.map(\.missing)),
        "target_treeids": .ints(leaves.map(\.tree)),
        "target_nodeids": .ints(leaves.map(\.number)),
        "target_ids": .ints(leaves.map { _ in 0 }),
        "target_weights": .floats(leaves.map { Float($0.number * ($0.tree / 3 + 1)) }),
      ]
      let y = try run(
        "TreeEnsembleRegressor", domain: "ai.onnx.ml", opset: 3,
        [Tensor(rows.flatMap { $0 }, [21, 3])], attributes)
      #expect(y.floats == expected, "\(modes)")
    }
  }

  /// Single precision in place, against doubles.
  @Test(arguments: ["L1", "L2", "MAX"]) func rowsAreNormalizedAlikeInEveryType(norm: String) throws
  {
    for width in [1, 5, 8, 29] {
      let values = numbers(3 * width).enumerated().map { $0 < width ? 0 : $1 }
      let shape = [3, width]
      let attributes: [String: Attribute] = ["norm": .string(norm)]
      let single = try run("Normalizer", domain: ml, [Tensor(values, shape)], attributes)
      let double = try run(
        "Normalizer", domain: ml, [Tensor(values.map { Double($0) }, shape)], attributes)
      #expect(single.floats == double.floats)
      #expect(single.floats.prefix(width).allSatisfy { $0 == 0 })
    }
  }

  @Test func manyRowsComeOutInOrderOnAnyNumberOfThreads() throws {
    let values = numbers(30_000)
    let x = Tensor(values, [10_000, 3])
    let results = try [1, 4].map { threads in
      let reader = try forest(tree())
      let output = try reader.evaluate(
        Inputs([.tensor(x)], .trusting()), wanted: [true],
        context: RunContext(crew: Crew(threads: threads)))
      return try #require(output[0]?.tensor).array(of: Float.self)
    }
    #expect(results[0] == (0..<10_000).map { values[3 * $0] <= 0 ? 1 : 2 })
    #expect(results[0] == results[1])
  }

  private func forest(_ attributes: [String: Attribute]) throws -> any Operator {
    let definition = NodeDefinition(
      operatorName: "TreeEnsembleRegressor", domain: ml, inputs: ["x"], outputs: ["y"],
      attributes: attributes)
    return try OperatorTable.make(definition, operatorSet: 3)
  }

  @Test func anIndexOutsideTheFeaturesIsRefused() {
    let message = refusal(
      "ArrayFeatureExtractor", [.tensor(row), .tensor(Tensor([3] as [Int64]))])
    #expect(message == "an index of Y: expected 0 ..< 3, got 3")
  }

  @Test func anUnknownCategoryIsRefusedWhereTheModelSaysSo() {
    let message = refusal(
      "OneHotEncoder", [.tensor(Tensor(strings: ["a", "z"], [2]))],
      ["cats_strings": .strings(["a"]), "zeros": .int(0)])
    #expect(message == "element 1 of X: expected one of the categories, got text(\"z\")")
  }

  @Test func aNegativeKeyOfASparseMapIsRefused() {
    let map = Value.map(keys: Tensor([-1] as [Int64]), values: Tensor([2] as [Float]))
    let message = refusal("CastMap", [map], ["map_form": .string("SPARSE"), "max_map": .int(3)])
    #expect(message == "key of a sparse map: expected 0 or more, got -1")
  }

  @Test func aTextThatIsNoNumberIsRefused() {
    let map = Value.map(keys: Tensor([1] as [Int64]), values: Tensor(strings: ["x"], [1]))
    let message = refusal("CastMap", [map])
    #expect(message == "value of the map: expected a number as text, got \"x\"")
  }

  @Test(
    "Floats become texts as C++ writes them",
    arguments: [
      (0.5, "0.500000"), (-0.25, "-0.250000"), (1e20, "100000002004087734272.000000"),
      (16_777_216, "16777216.000000"), (.infinity, "inf"),
    ] as [(Float, String)])
  func floatsBecomeTexts(_ number: Float, _ text: String) throws {
    let map = Value.map(keys: Tensor([1] as [Int64]), values: Tensor([number]))
    let result = try run("CastMap", domain: ml, [map], ["cast_to": .string("TO_STRING")])
    #expect(try result[0]?.tensor?.strings() == [text])
  }

  @Test func aMachineNeedsACoefficientForEachVectorAndDuel() {
    let message = refusal(
      "SVMClassifier", [.tensor(row)],
      [
        "classlabels_ints": .ints([0, 1, 2]), "vectors_per_class": .ints([1, 1, 1]),
        "support_vectors": .floats(numbers(9)), "coefficients": .floats([1, 2, 3]),
        "rho": .floats([0, 0, 0]),
      ], outputs: 2)
    #expect(message == "attribute coefficients: expected at least 6 values, got 3")
  }

  @Test func tensorsOfAnOptimizerMustHaveOneShape() {
    let message = #expect(throws: ModelError.self) {
      try run(
        "Momentum", domain: "ai.onnx.preview.training", opset: 1,
        [Tensor(scalar: Float(1)), Tensor(scalar: Int64(0)), row, row.reshaped([3]), row]
          .map(Value.tensor),
        [
          "alpha": .float(0.9), "beta": .float(1), "mode": .string("standard"),
          "norm_coefficient": .float(0),
        ], outputs: 2)
    }?.message
    #expect(message == "shape of input 3: expected [1,3], that of X, got [3]")
  }
}
