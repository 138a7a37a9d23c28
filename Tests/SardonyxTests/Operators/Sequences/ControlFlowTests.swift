import Testing

@testable import Sardonyx

/// Graphs are written as lists of nodes `outputs = Operator(inputs)`.
@Suite struct ControlFlowTests {
  private func node(
    _ outputs: [String], _ operatorName: String, _ inputs: [String],
    _ attributes: [String: Attribute] = [:]
  ) -> NodeDefinition {
    NodeDefinition(
      name: outputs[0], operatorName: operatorName, inputs: inputs, outputs: outputs,
      attributes: attributes)
  }

  private func graph(
    _ inputs: [(String, ValueType)], _ nodes: [NodeDefinition],
    _ outputs: [(String, ValueType, [Dimension]?)]
  ) -> GraphDefinition {
    GraphDefinition(
      inputs: inputs.map { ValueDefinition(name: $0.0, type: $0.1) },
      outputs: outputs.map { ValueDefinition(name: $0.0, type: $0.1, shape: $0.2) }, nodes: nodes)
  }

  private func run(
    opset: Int = 21, _ inputs: [(String, Value?)], _ nodes: [NodeDefinition], _ outputs: [String],
    context: RunContext = RunContext()
  ) throws -> [Value] {
    var model = ModelDefinition()
    model.irVersion = 10
    model.operatorSets = ["": opset]
    let given = inputs.compactMap { input in input.1.map { (input.0, $0) } }
    model.graph = graph(
      given.map { ($0, $1.type) }, nodes, outputs.map { ($0, .tensor(.float), nil) })
    let graph = try Graph(model)
    let plan = try Plan(
      graph, inputs: given.map { Fact(type: $0.1.type).with(shape: $0.1.tensor?.shape) })
    return try Executor.run(plan, given.map(\.1), context)
  }

  private let float = ValueType.tensor(.float)
  private let number = ValueType.tensor(.int64)
  private let flag = ValueType.tensor(.bool)

  private func tensor(_ value: some Element) -> Value { .tensor(Tensor(scalar: value)) }

  @Test(arguments: [(true, [Float(3)]), (false, [Float(-1)])])
  func ifRunsOneBranchOnCapturedValues(condition: Bool, expected: [Float]) throws {
    let attributes: [String: Attribute] = [
      "then_branch": .graph(graph([], [node(["s"], "Add", ["x", "y"])], [("s", float, nil)])),
      "else_branch": .graph(graph([], [node(["d"], "Sub", ["x", "y"])], [("d", float, nil)])),
    ]
    let results = try run(
      [("c", tensor(condition)), ("x", tensor(Float(1))), ("y", tensor(Float(2)))],
      [node(["z"], "If", ["c"], attributes)], ["z"])
    #expect(try results[0].tensor?.elements() == expected)
  }

  @Test func loopsLieInOneAnotherAsDeepAsAFileCanHoldThem() throws {
    var nodes = [node(["inner"], "Add", ["state", "x"])]
    var result = "inner"
    for depth in 0..<32 {
      let body = graph(
        [("i\(depth)", number), ("c\(depth)", flag), ("state", float)],
        nodes + [node(["go\(depth)"], "Identity", ["c\(depth)"])],
        [("go\(depth)", flag, nil), (result, float, nil)])
      let state = depth == 31 ? "start" : "state"
      nodes = [node(["sum\(depth)"], "Loop", ["once", "", state], ["body": .graph(body)])]
      result = "sum\(depth)"
    }
    var model = ModelDefinition()
    model.irVersion = 10
    model.operatorSets = ["": 21]
    model.graph = graph(
      [("once", number), ("start", float), ("x", float)], nodes, [(result, float, nil)])
    let session = try Session(Model(bytes: model.bytes()))
    let results = try session.run([
      "once": tensor(Int64(1)), "start": tensor(Float(1)), "x": tensor(Float(2)),
    ])
    #expect(results[result]?.tensor?.floats == [3])
  }

  /// sum += x and elements = sum, at most M times, as long as the sum is below 10.
  private var body: GraphDefinition {
    graph(
      [("i", number), ("c", flag), ("sum", float)],
      [
        node(["next"], "Add", ["sum", "x"]),
        node(["ten"], "Constant", [], ["value_float": .float(10)]),
        node(["goes"], "Less", ["next", "ten"]), node(["element"], "Identity", ["next"]),
      ],
      [("goes", flag, nil), ("next", float, nil), ("element", float, [])])
  }

  @Test(arguments: [
    (3 as Int?, true as Bool?, Float(6), [Float(2), 4, 6]), (nil, nil, 10, [2, 4, 6, 8, 10]),
    (0, nil, 0, []), (9, false, 0, []), (9, true, 10, [2, 4, 6, 8, 10]),
  ])
  func loopEndsByCountOrCondition(
    count: Int?, condition: Bool?, sum: Float, elements: [Float]
  ) throws {
    let results = try run(
      [
        ("m", count.map { tensor(Int64($0)) }), ("go", condition.map { tensor($0) }),
        ("zero", tensor(Float(0))), ("x", tensor(Float(2))),
      ],
      [
        node(
          ["total", "all"], "Loop",
          [count == nil ? "" : "m", condition == nil ? "" : "go", "zero"],
          ["body": .graph(body)])
      ], ["total", "all"])
    #expect(try results[0].tensor?.elements() == [sum])
    #expect(try results[1].tensor?.elements() == elements)
    #expect(results[1].tensor?.shape == [elements.count])
  }

  @Test func loopCarriesSequences() throws {
    let body = graph(
      [("i", number), ("c", flag), ("s", .sequence(number))],
      [node(["more"], "SequenceInsert", ["s", "i"]), node(["go"], "Identity", ["c"])],
      [("go", flag, nil), ("more", .sequence(number), nil)])
    let results = try run(
      [("m", tensor(Int64(3))), ("t", tensor(true))],
      [
        node(["empty"], "SequenceEmpty", [], ["dtype": .int(7)]),
        node(["s"], "Loop", ["m", "t", "empty"], ["body": .graph(body)]),
        node(["y"], "ConcatFromSequence", ["s"], ["axis": .int(0), "new_axis": .int(1)]),
      ], ["y"])
    #expect(try results[0].tensor?.elements() == [Int64(0), 1, 2])
  }

  @Test func endlessLoopsEndWithTheirCrew() {
    let body = graph(
      [("i", number), ("c", flag)], [node(["go"], "Identity", ["c"])], [("go", flag, nil)])
    let context = RunContext()
    context.crew.cancel()
    #expect(throws: ModelError.self) {
      try run(
        [("t", tensor(true))],
        [
          node(["none"], "Loop", ["", "t"], ["body": .graph(body)])
        ], ["none"], context: context)
    }
  }

  /// state += slice; element = state.
  private var scanBody: GraphDefinition {
    graph(
      [("state", float), ("slice", float)],
      [node(["sum"], "Add", ["state", "slice"]), node(["element"], "Identity", ["sum"])],
      [("sum", float, nil), ("element", float, nil)])
  }

  @Test(arguments: [
    ([:], [Float(1), 3, 6, 10]), (["scan_input_directions": [1]], [4, 7, 9, 10]),
    (["scan_output_directions": [1]], [10, 6, 3, 1]),
  ])
  func scanSumsInEitherDirection(directions: [String: [Int]], expected: [Float]) throws {
    var attributes = directions.mapValues { Attribute.ints($0) }
    attributes["body"] = .graph(scanBody)
    attributes["num_scan_inputs"] = .int(1)
    let results = try run(
      [("zero", tensor(Float(0))), ("x", .tensor(Tensor((1...4).map(Float.init))))],
      [node(["total", "sums"], "Scan", ["zero", "x"], attributes)], ["total", "sums"])
    #expect(try results[0].tensor?.elements() == [Float(10)])
    #expect(try results[1].tensor?.elements() == expected)
  }

  @Test func scanAlongOtherAxes() throws {
    let x = Value.tensor(Tensor((0..<6).map(Float.init), [2, 3]))
    let zeros = Value.tensor(Tensor([Float(0), 0]))
    let results = try run(
      [("zero", zeros), ("x", x)],
      [
        node(
          ["total", "sums"], "Scan", ["zero", "x"],
          [
            "body": .graph(scanBody), "num_scan_inputs": .int(1), "scan_input_axes": .ints([1]),
            "scan_output_axes": .ints([-1]),
          ])
      ], ["sums"])
    #expect(results[0].tensor?.shape == [2, 3])
    #expect(try results[0].tensor?.elements() == [Float(0), 1, 3, 3, 7, 12])
  }

  @Test func scanOfBatchesFillsShortSequencesWithZeros() throws {
    let x = Value.tensor(Tensor((1...6).map(Float.init), [2, 3, 1]))
    let results = try run(
      opset: 8,
      [
        ("lengths", .tensor(Tensor([Int64(3), 2]))),
        ("zero", .tensor(Tensor([Float(0), 0], [2, 1]))), ("x", x),
      ],
      [
        node(
          ["total", "sums"], "Scan", ["lengths", "zero", "x"],
          ["body": .graph(scanBody), "num_scan_inputs": .int(1)])
      ], ["total", "sums"])
    #expect(try results[0].tensor?.elements() == [Float(6), 9])
    #expect(try results[1].tensor?.elements() == [Float(1), 3, 6, 4, 9, 0])
  }

  /// A node that no computation is made ready for, so that values are passed from run to run.
  private func slow(_ output: String, _ input: String) -> NodeDefinition {
    node([output], "Det", [input])
  }

  /// Two states, one of them handed on as it is; elements that are a state as it was, a result, a view
  /// of one and a constant; slices and elements along first and last axes, forwards and backwards.
  @Test func scansOnAddressesAreThoseOfValues() throws {
    let nodes = [
      node(["scaled"], "Mul", ["state", "factor"]), node(["next"], "Add", ["scaled", "slice"]),
      node(["same"], "Identity", ["factor"]), node(["before"], "Identity", ["state"]),
      node(["product"], "MatMul", ["next", "other"]),
      node(["shape"], "Constant", [], ["value": .tensor(Tensor([Int64(3), 2]))]),
      node(["turned"], "Reshape", ["next", "shape"]),
      node(["fixed"], "Constant", [], ["value": .tensor(Tensor([Float(7), 8]))]),
    ]
    let states: [(String, ValueType)] = [
      ("state", float), ("factor", float), ("slice", float), ("other", float),
    ]
    let elements = ["before", "product", "turned", "fixed"]
    let body = graph(states, nodes, (["next", "same"] + elements).map { ($0, float, nil) })
    let plainBody = graph(
      states, nodes + [slow("extra", "product")],
      (["next", "same"] + elements + ["extra"]).map { ($0, float, nil) })
    func results(_ body: GraphDefinition, _ extra: Int) throws -> [Tensor] {
      let names = ["a", "b", "c", "d", "e", "f"] + (extra > 0 ? ["g"] : [])
      return try run(
        [
          ("x", .tensor(numbers([2, 3], from: 1))), ("y", .tensor(Tensor([Float(0.5)]))),
          ("z", .tensor(numbers([5, 2, 3], from: 2))), ("w", .tensor(numbers([3, 2, 5], from: 3))),
        ],
        [
          node(
            names, "Scan", ["x", "y", "z", "w"],
            [
              "body": .graph(body), "num_scan_inputs": .int(2), "scan_input_axes": .ints([0, 2]),
              "scan_input_directions": .ints([1, 0]),
              "scan_output_axes": .ints([0, 1, -1, 1] + Array(repeating: 0, count: extra)),
              "scan_output_directions": .ints([0, 1, 1, 0] + Array(repeating: 0, count: extra)),
            ])
        ], names
      ).map { $0.tensor! }
    }
    let like = [[2, 3], [1], [2, 3], [3, 2]].map { numbers($0, from: 0) }
    #expect(try runsOnAddresses(body, like))
    #expect(try !runsOnAddresses(plainBody, like))
    let (got, expected) = (try results(body, 0), try results(plainBody, 1))
    for (index, tensor) in got.enumerated() {
      #expect(tensor.shape == expected[index].shape)
      #expect(tensor.rawBytes == expected[index].rawBytes, "output \(index)")
    }
    #expect(got[3].shape == [2, 5, 2] && got[4].shape == [3, 2, 5] && got[5].shape == [2, 5])
  }

  /// As many iterations as make memory grow twice, ended by the condition.
  @Test func loopsOnAddressesAreThoseOfValues() throws {
    let nodes = [
      node(["one"], "Constant", [], ["value": .tensor(Tensor([Float(1), 2]))]),
      node(["next"], "Add", ["state", "one"]), node(["same"], "Identity", ["kept"]),
      node(["limit"], "Constant", [], ["value": .tensor(Tensor(scalar: Int64(40)))]),
      node(["go"], "Less", ["i", "limit"]), node(["number"], "Identity", ["i"]),
    ]
    let states: [(String, ValueType)] = [
      ("i", number), ("c", flag), ("state", float), ("kept", float),
    ]
    let outputs: [(String, ValueType, [Dimension]?)] = [
      ("go", flag, nil), ("next", float, nil), ("same", float, nil), ("number", number, nil),
      ("state", float, nil),
    ]
    let body = graph(states, nodes, outputs)
    let plainBody = graph(
      states,
      nodes + [node(["square"], "MatMul", ["kept", "kept"]), slow("extra", "square")],
      outputs + [("extra", float, nil)])
    let like = [
      Tensor(scalar: Int64(0)), Tensor(scalar: true), numbers([2], from: 0),
      numbers([2, 2], from: 0),
    ]
    #expect(try runsOnAddresses(body, like))
    #expect(try !runsOnAddresses(plainBody, like))
    for limit in [nil, 1, 17, 100] as [Int?] {
      func results(_ body: GraphDefinition, _ extra: [String]) throws -> [Tensor] {
        try run(
          [
            ("x", .tensor(Tensor([Float(0), 0]))), ("k", .tensor(numbers([2, 2], from: 1))),
            ("m", limit.map { tensor(Int64($0)) }),
          ],
          [
            node(
              ["a", "b", "n", "s"] + extra, "Loop", [limit == nil ? "" : "m", "", "x", "k"],
              ["body": .graph(body)])
          ], ["a", "b", "n", "s"]
        ).map { $0.tensor! }
      }
      let (got, expected) = (try results(body, []), try results(plainBody, ["e"]))
      for (index, tensor) in got.enumerated() {
        #expect(tensor.shape == expected[index].shape)
        #expect(tensor.rawBytes == expected[index].rawBytes, "output \(index), \(limit ?? -1)")
      }
      #expect(got[2].shape == [min(limit ?? 100, 41)])
    }
  }

  /// Branches whose outputs are results, a view of one, a constant, what they capture, and one result
  /// twice, with another If inside; run by a loop on addresses, by one on values, and alone.
  @Test func branchesOnAddressesAreThoseOfValues() throws {
    let inner: [String: Attribute] = [
      "then_branch": .graph(
        graph([], [node(["up"], "Add", ["product", "x"])], [("up", float, nil)])),
      "else_branch": .graph(
        graph([], [node(["down"], "Sub", ["product", "x"])], [("down", float, nil)])),
    ]
    let names = ["a", "b", "c", "d", "e"]
    func branch(_ operatorName: String, _ number: Float) -> GraphDefinition {
      graph(
        [],
        [
          node(["product"], operatorName, ["x", "state"]),
          node(["inner"], "If", ["small"], inner),
          node(["sum"], "Add", ["inner", "product"]),
          node(["shape"], "Constant", [], ["value": .tensor(Tensor([Int64(6)]))]),
          node(["flat"], "Reshape", ["sum", "shape"]),
          node(["fixed"], "Constant", [], ["value": .tensor(Tensor([number]))]),
          node(["own"], "Identity", ["x"]), node(["again"], "Identity", ["sum"]),
        ],
        [
          ("sum", float, nil), ("flat", float, nil), ("fixed", float, nil), ("own", float, nil),
          ("again", float, nil),
        ])
    }
    let choice: [String: Attribute] = [
      "then_branch": .graph(branch("Mul", 3)), "else_branch": .graph(branch("Add", 4)),
    ]
    let nodes = [
      node(["two"], "Constant", [], ["value": .tensor(Tensor(scalar: Int64(2)))]),
      node(["three"], "Constant", [], ["value": .tensor(Tensor(scalar: Int64(3)))]),
      node(["smaller"], "Less", ["i", "two"]), node(["small"], "Less", ["i", "three"]),
      node(names, "If", ["smaller"], choice), node(["next"], "Identity", ["a"]),
      node(["go"], "Identity", ["c0"]),
    ]
    let states: [(String, ValueType)] = [("i", number), ("c0", flag), ("state", float)]
    let outputs: [(String, ValueType, [Dimension]?)] =
      [("go", flag, nil), ("next", float, nil)] + names.dropFirst().map { ($0, float, nil) }
    let plainNodes =
      nodes + [
        node(["square"], "Constant", [], ["value": .tensor(Tensor([Float(1)], [1, 1]))]),
        slow("extra", "square"),
      ]
    func results(_ nodes: [NodeDefinition], extra: Bool) throws -> [Tensor] {
      let body = graph(states, nodes, outputs + (extra ? [("extra", float, nil)] : []))
      let results = ["s", "f", "k", "o", "t"] + (extra ? ["z"] : [])
      return try run(
        [
          ("m", tensor(Int64(5))), ("t0", tensor(true)), ("x", .tensor(numbers([2, 3], from: 3))),
          ("y", .tensor(numbers([2, 3], from: 1))),
        ], [node(results, "Loop", ["m", "t0", "y"], ["body": .graph(body)])], results
      ).map { $0.tensor! }
    }
    let like = [
      Tensor(scalar: Int64(0)), Tensor(scalar: true), numbers([2, 3], from: 0),
      numbers([2, 3], from: 0),
    ]
    let captured: [(String, ValueType)] = [("x", float)]
    #expect(try runsOnAddresses(graph(states + captured, nodes, outputs), like))
    let (got, expected) = (
      try results(nodes, extra: false), try results(plainNodes, extra: true)
    )
    for (index, tensor) in got.enumerated() {
      #expect(tensor.shape == expected[index].shape)
      #expect(tensor.rawBytes == expected[index].rawBytes, "output \(index)")
    }
    #expect(got[2].floats == [3, 3, 4, 4, 4])
  }

  /// A branch that the inputs do not fit makes the node no slower, and fails where it is chosen.
  @Test func aBranchThatDoesNotFitIsRefusedWhereItRuns() throws {
    let choice: [String: Attribute] = [
      "then_branch": .graph(graph([], [node(["s"], "Add", ["x", "x"])], [("s", float, nil)])),
      "else_branch": .graph(graph([], [node(["p"], "MatMul", ["x", "y"])], [("p", float, nil)])),
    ]
    func result(_ condition: Bool) throws -> [Value] {
      try run(
        [
          ("c", tensor(condition)), ("x", .tensor(numbers([2, 3], from: 1))),
          ("y", .tensor(numbers([2, 3], from: 1))),
        ], [node(["z"], "If", ["c"], choice)], ["z"])
    }
    #expect(try result(true)[0].tensor?.shape == [2, 3])
    #expect(throws: ModelError.self) { try result(false) }
  }

  /// One sequence that is only appended to, with elements from before, and one that is read too.
  @Test(arguments: [1, 5, 40]) func sequencesThatLoopsAppendToAreThoseOfValues(count: Int) throws {
    let sequence = ValueType.sequence(float)
    let nodes = [
      node(["one"], "Constant", [], ["value": .tensor(Tensor([Float(1), 2]))]),
      node(["next"], "Add", ["state", "one"]), node(["more"], "SequenceInsert", ["list", "next"]),
      node(["go"], "Identity", ["c"]), node(["element"], "Mul", ["next", "next"]),
    ]
    let states: [(String, ValueType)] = [
      ("i", number), ("c", flag), ("list", sequence), ("state", float),
    ]
    let outputs: [(String, ValueType, [Dimension]?)] = [
      ("go", flag, nil), ("more", sequence, nil), ("next", float, nil), ("element", float, nil),
    ]
    let read = [
      node(["length"], "SequenceLength", ["list"]), node(["seen"], "Identity", ["length"]),
    ]
    func results(_ body: GraphDefinition, _ extra: [String]) throws -> [Value] {
      try run(
        [
          ("m", tensor(Int64(count))), ("t", tensor(true)), ("x", .tensor(Tensor([Float(0), 0]))),
        ],
        [
          node(["first"], "SequenceConstruct", ["x"]),
          node(
            ["all", "last", "elements"] + extra, "Loop", ["m", "t", "first", "x"],
            ["body": .graph(body)]),
          node(["stack"], "ConcatFromSequence", ["all"], ["axis": .int(0), "new_axis": .int(1)]),
        ], ["all", "stack", "last", "elements"])
    }
    let got = try results(graph(states, nodes, outputs), [])
    let expected = try results(
      graph(states, nodes + read, outputs + [("seen", number, nil)]), ["lengths"])
    guard case .sequence(let elements, let type) = got[0],
      case .sequence(let others, _) = expected[0]
    else {
      Issue.record("no sequence")
      return
    }
    #expect(type == float && elements.count == count + 1 && others.count == count + 1)
    for (element, other) in zip(elements, others) {
      #expect(element.tensor?.rawBytes == other.tensor?.rawBytes)
    }
    for index in 1..<4 { #expect(got[index].tensor?.rawBytes == expected[index].tensor?.rawBytes) }
  }

  /// What is handed from state to state, or from a slice to a state, is left to values.
  @Test func statesThatChangePlacesDoSo() throws {
    let body = graph(
      [("a", float), ("b", float), ("slice", float)],
      [
        node(["c"], "Identity", ["b"]), node(["d"], "Add", ["a", "b"]),
        node(["e"], "Identity", ["slice"]),
      ], [("c", float, nil), ("d", float, nil), ("e", float, nil)])
    let results = try run(
      [
        ("x", tensor(Float(0))), ("y", tensor(Float(1))),
        ("z", .tensor(Tensor((0..<10).map(Float.init)))),
      ],
      [
        node(
          ["p", "q", "r"], "Scan", ["x", "y", "z"],
          ["body": .graph(body), "num_scan_inputs": .int(1)])
      ], ["p", "q", "r"])
    #expect(try results[0].tensor!.elements() == [Float(55)])
    #expect(try results[1].tensor!.elements() == [Float(89)])
    #expect(try results[2].tensor!.elements() == (0..<10).map(Float.init))
  }

  /// Whether a body runs on addresses for inputs like these.
  private func runsOnAddresses(_ body: GraphDefinition, _ inputs: [Tensor]) throws -> Bool {
    var model = ModelDefinition()
    model.irVersion = 10
    model.operatorSets = ["": 21]
    model.graph = body
    return try Plan(Graph(model), inputs: inputs.map { Fact($0.type, $0.shape) }).direct != nil
  }

  private func numbers(_ shape: Shape, from seed: Int) -> Tensor {
    Tensor((0..<shape.elementCount).map { Float(($0 * 7 + seed) % 11) - 4 }, shape)
  }

  @Test func bodiesOfTheWrongSizeAreRefused() {
    let body = graph([("i", number)], [node(["go"], "Identity", ["i"])], [("go", flag, nil)])
    #expect {
      try run(
        [("t", tensor(true))], [node(["y"], "Loop", ["", "t"], ["body": .graph(body)])], ["y"])
    } throws: {
      ($0 as? ModelError)?.message == "inputs of graph body: expected 2, got 1"
    }
  }
}

extension Fact {
  fileprivate func with(shape: Shape?) -> Fact {
    var fact = self
    fact.shape = shape
    return fact
  }
}

/// States that a node leaves out have no value in the body either.
@Suite struct LeftOutStateTests {
  @Test(arguments: ["Identity", "Add", "SequenceInsert", "SequenceLength", "MatMul"])
  func whatReadsThemIsRefused(_ operatorName: String) throws {
    let inputs =
      ["Add", "SequenceInsert", "MatMul"].contains(operatorName) ? ["s", "x"] : ["s"]
    let body = graph(
      [
        declared("i", .int64, []), declared("go", .bool, []),
        ValueDefinition(name: "s", type: nil, shape: nil),
      ],
      [node("Identity", ["go"], ["on"]), node(operatorName, inputs, ["t"])],
      [declared("on", .bool, []), ValueDefinition(name: "t", type: nil, shape: nil)])
    let whole = graph(
      [declared("x", .float, [1]), declared("count", .int64, [])],
      [node("Loop", ["count", "", ""], ["y"], ["body": .graph(body)])],
      [ValueDefinition(name: "y", type: nil, shape: nil)])
    let session = try Session(try model(whole))
    let error = #expect(throws: ModelError.self) {
      try session.run([
        "x": .tensor(Tensor([Float(1)])), "count": .tensor(Tensor(scalar: Int64(2))),
      ])
    }
    #expect(error?.code == .invalid, "\(error.map { "\($0)" } ?? "")")
    #expect(error?.description.contains("which has no value in this run") == true)
  }
}
