import Testing

@testable import Sardonyx

@Suite struct SequencesTests {
  private let one = Value.tensor(Tensor([Float(1)]))
  private let two = Value.tensor(Tensor([Float(2), 3]))

  private var pair: Value { .sequence([one, two], of: .tensor(.float)) }

  private func at(_ position: Int) -> Value { .tensor(Tensor(scalar: Int64(position))) }

  private func shapes(_ value: Value??) -> [[Int]] {
    guard case .sequence(let elements, _)?? = value else { return [] }
    return elements.map { $0.tensor!.shape }
  }

  @Test func elementsAreInsertedErasedAndRead() throws {
    let made = try run("SequenceConstruct", [one, two])[0]
    #expect(shapes(made) == [[1], [2]])
    #expect(shapes(try run("SequenceInsert", [made, one])[0]) == [[1], [2], [1]])
    #expect(shapes(try run("SequenceInsert", [made, two, at(-2)])[0]) == [[2], [1], [2]])
    #expect(shapes(try run("SequenceInsert", [made, one, at(2)])[0]) == [[1], [2], [1]])
    #expect(shapes(try run("SequenceErase", [made])[0]) == [[1]])
    #expect(shapes(try run("SequenceErase", [made, at(-2)])[0]) == [[2]])
    #expect(try run("SequenceAt", [made, at(-1)])[0]?.tensor?.elements() == [Float(2), 3])
    #expect(try run("SequenceLength", [made])[0]?.tensor?.elements() == [Int64(2)])
  }

  @Test func positionsOutsideAreRefused() {
    #expect(
      message { try run("SequenceAt", [pair, at(2)]) } == "position: expected -2 to 1, got 2")
    #expect(
      message { try run("SequenceInsert", [pair, one, at(3)]) }
        == "position: expected -2 to 1, got 3")
    let empty = Value.sequence([], of: .tensor(.float))
    #expect(
      message { try run("SequenceErase", [empty]) }
        == "position: expected none, as the axis is empty, got -1")
    #expect(
      message { try run("SequenceInsert", [pair, .tensor(Tensor([Int8(1)]))]) }
        == "type of the new element: expected tensor(float), got int8")
  }

  @Test func emptySequencesKnowTheirType() throws {
    #expect(try run("SequenceEmpty", [])[0]?.type == .sequence(.tensor(.float)))
    #expect(
      try run("SequenceEmpty", [], ["dtype": .int(7)])[0]?.type == .sequence(.tensor(.int64)))
  }

  @Test func tensorsAreSplitIntoSequences() throws {
    let x = Value.tensor(Tensor((0..<10).map(Int32.init), [5, 2]))
    #expect(shapes(try run("SplitToSequence", [x, at(2)])[0]) == [[2, 2], [2, 2], [1, 2]])
    let sizes = Value.tensor(Tensor([Int64(4), 1]))
    #expect(shapes(try run("SplitToSequence", [x, sizes])[0]) == [[4, 2], [1, 2]])
    let dropped = try run("SplitToSequence", [x], ["keepdims": .int(0), "axis": .int(1)])[0]
    #expect(shapes(dropped) == [[5], [5]])
    #expect(
      message { try run("SplitToSequence", [x, at(0)]) }
        == "split: expected a positive number, got 0")
  }

  @Test func sequencesAreJoinedOrStacked() throws {
    let words = Value.sequence(
      [.tensor(Tensor(strings: ["a"], [1])), .tensor(Tensor(strings: ["b"], [1]))],
      of: .tensor(.string))
    let joined = try run("ConcatFromSequence", [words], ["axis": .int(0)])[0]?.tensor
    #expect(try joined?.strings() == ["a", "b"])
    let stacked = try run(
      "ConcatFromSequence", [words], ["axis": .int(-1), "new_axis": .int(1)])[0]?.tensor
    #expect(stacked?.shape == [1, 2])
    #expect(
      message {
        try run("ConcatFromSequence", [.sequence([], of: .tensor(.float))], ["axis": .int(0)])
      }
        == "tensors to join: expected at least one, got none")
  }

  @Test func optionalsHoldAnElementOrNone() throws {
    let full = try run("Optional", [one])[0]
    let none = try run("Optional", [], ["type": .type(.tensor(.float), shape: nil)])[0]
    func has(_ value: Value?) throws -> [Bool]? {
      try run("OptionalHasElement", [value])[0]?.tensor?.elements()
    }
    #expect(try has(full) == [true])
    #expect(try has(none) == [false])
    #expect(try has(pair) == [true])
    #expect(try run("OptionalHasElement", [])[0]?.tensor?.elements() == [false])
    #expect(try run("OptionalGetElement", [full])[0]?.tensor?.elements() == [Float(1)])
    #expect(try run("OptionalGetElement", [one])[0]?.tensor?.elements() == [Float(1)])
    #expect(
      message { try run("OptionalGetElement", [none]) }
        == "input: expected an optional that holds an element, got an empty one")
  }
}

/// What sequences and texts take counts against a run's memory limit, whatever they hold.
@Suite struct SequenceMemoryTests {
  private static let limit = 1 << 22

  private func outcome(
    _ operatorName: String, opset: Int = 22, _ inputs: [Value?],
    _ attributes: [String: Attribute] = [:]
  ) throws -> ModelError? {
    let node = lone(
      operatorName, domain: "", givenInputs: inputs.map { $0 != nil }, attributes, outputs: 1)
    let checked = try Schema.check(
      types: inputs.map { $0?.type }, of: operatorName, domain: "", operatorSet: opset)
    let context = RunContext(memoryLimit: Self.limit)
    do throws(ModelError) {
      let implementation = try OperatorTable.make(node, operatorSet: opset)
      _ = try implementation.evaluate(Inputs(inputs, checked), wanted: [true], context: context)
    } catch {
      #expect(context.account.byteCount == 0, "what a failed operator held is given back")
      return error
    }
    return nil
  }

  @Test func partsWithoutElementsAreCounted() throws {
    let empty = Value.tensor(Tensor(zeros: .float, [1 << 30, 0]))
    #expect(try outcome("SplitToSequence", [empty])?.code == .limit)
    let one = Value.tensor(Tensor(scalar: Int64(1)))
    #expect(try outcome("SplitToSequence", [empty, one])?.code == .limit)
    let many = Value.tensor(Tensor(zeros: .float, [1 << 15, 0]))
    #expect(try outcome("SplitToSequence", [many])?.code == .limit)
    let few = Value.tensor(Tensor(zeros: .float, [1 << 10, 0]))
    #expect(try outcome("SplitToSequence", [few]) == nil)
  }

  @Test func sequencesOfOneTensorAreCounted() throws {
    // A loop that lets its sequence grow by the same tensor.
    let body = graph(
      [
        declared("i", .int64, []), declared("go", .bool, []),
        ValueDefinition(name: "all", type: .sequence(.tensor(.float)), shape: nil),
      ],
      [
        node("Identity", ["go"], ["on"]), node("SequenceInsert", ["all", "x"], ["more"]),
      ],
      [
        declared("on", .bool, []),
        ValueDefinition(name: "more", type: .sequence(.tensor(.float)), shape: nil),
      ])
    let whole = graph(
      [declared("x", .float, [1]), declared("count", .int64, [])],
      [
        node("SequenceEmpty", [], ["none"]),
        node("Loop", ["count", "", "none"], ["list"], ["body": .graph(body)]),
        node("SequenceLength", ["list"], ["length"]),
      ], [declared("length", .int64, [])])
    var options = Session.Options()
    options.memoryLimit = 1 << 16
    let session = try Session(try model(whole), options: options)
    func length(_ count: Int64) throws -> [Int64]? {
      try session.run([
        "x": .tensor(Tensor([Float(1)])), "count": .tensor(Tensor(scalar: count)),
      ])["length"]?.tensor?.elements()
    }
    #expect(try length(100) == [100])
    let error = #expect(throws: ModelError.self) { try length(100_000) }
    #expect(error?.code == .limit, "\(error.map { "\($0)" } ?? "")")
  }

  @Test func textsAreCounted() throws {
    let text = String(repeating: "a ", count: 1 << 10)
    let texts = Value.tensor(Tensor(strings: Array(repeating: text, count: 1 << 10), [1 << 10]))
    let rows = Value.tensor(Tensor(strings: Array(repeating: text, count: 1 << 10), [1 << 10, 1]))
    #expect(try outcome("StringConcat", [texts, rows])?.code == .limit)
    #expect(try outcome("StringSplit", [texts])?.code == .limit)
    // A single long list makes all others as long.
    let uneven = Value.tensor(
      Tensor(strings: [text] + Array(repeating: "a", count: 1 << 12), [1 << 12 + 1]))
    #expect(try outcome("StringSplit", [uneven])?.code == .limit)
    let numbers = Value.tensor(Tensor(zeros: .uint8, [1 << 20]))
    #expect(try outcome("Cast", [numbers], ["to": .int(8)])?.code == .limit)
  }
}
