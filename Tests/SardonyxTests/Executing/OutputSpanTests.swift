import Testing

@testable import Sardonyx

/// Runs whose outputs lie in memory of the caller's.
@Suite struct OutputSpanTests {
  /// y = Relu(a + b), viewed as `rows`; `sum` may be tapped.
  private func session(_ rows: [Int] = [-1, 3], taps: [String] = []) throws -> Session {
    var options = Session.Options()
    options.taps = taps
    return try Session(
      model(
        graph(
          [declared("a", .float, [-1, 3]), declared("b", .float, [-1, 3])],
          [
            node("Add", ["a", "b"], ["sum"]), node("Relu", ["sum"], ["positive"]),
            node("Reshape", ["positive", "rows"], ["y"]),
          ], [declared("y", .float)], constants: ["rows": Tensor(rows.map { Int64($0) })])),
      options: options)
  }

  private func inputs(_ rows: Int) -> [String: Value] {
    [
      "a": .tensor(randomTensor([rows, 3], seed: 1)),
      "b": .tensor(randomTensor([rows, 3], seed: 2)),
    ]
  }

  @Test(arguments: [0, 1, 7, 1000])
  func anOutputIsWrittenIntoASpan(_ rows: Int) throws {
    let session = try session()
    let expected: [Float] = try session.run(inputs(rows))["y"]!.tensor!.elements()
    var elements = [Float](repeating: -1, count: 3 * rows + 2)
    for _ in 0..<3 {
      var span = elements.mutableSpan
      #expect(try session.run(inputs(rows), into: &span) == [rows, 3])
      #expect(Array(elements.prefix(3 * rows)) == expected)
      #expect(elements.suffix(2) == [-1, -1])
      for index in elements.indices { elements[index] = -1 }
    }
    #expect(try session.run(inputs(rows))["y"]?.tensor?.elements() == expected)
  }

  @Test("A view's source is computed in the buffer", arguments: [[-1, 3], [3, -1]])
  func viewsAreComputedInPlace(_ rows: [Int]) throws {
    let plan = try Plan(
      session(rows).graph, inputs: [Fact(.float, [4, 3]), Fact(.float, [4, 3])])
    let workspace = Workspace(plan)
    workspace.aim(at: [plan.graph.outputs[0]: Storage(byteCount: 48)], plan)
    let made = plan.steps.flatMap { plan.outputs(of: $0).compactMap(\.self) }
    #expect(made.count == 3 && made.allSatisfy { workspace.targets[$0] != nil })
    workspace.clear(plan)
    #expect(workspace.targets.isEmpty)
  }

  @Test func outputsOfOneMemoryGoIntoTwoBuffers() throws {
    let session = try session([-1], taps: ["positive", "sum"])
    let expected = try session.run(inputs(5))
    var memory = [Float](repeating: 0, count: 50)
    let written = try unsafe memory.withUnsafeMutableBytes { bytes in
      // The second buffer does not lie as floats do.
      try unsafe session.run(
        inputs(5), outputs: nil,
        into: [
          "y": .init(rebasing: bytes[0..<60]), "positive": .init(rebasing: bytes[61..<125]),
          "sum": .init(rebasing: bytes[128..<200]),
        ])
    }
    #expect(
      written.mapValues { $0.tensor?.shape } == ["y": [15], "positive": [5, 3], "sum": [5, 3]])
    #expect(written.values.allSatisfy { $0.tensor?.type == .float })
    let bytes = unsafe memory.withUnsafeBytes { unsafe Array($0) }
    #expect(Array(bytes[0..<60]) == expected["y"]?.tensor?.rawBytes)
    #expect(Array(bytes[61..<121]) == expected["positive"]?.tensor?.rawBytes)
    #expect(Array(bytes[128..<188]) == expected["sum"]?.tensor?.rawBytes)
    #expect(bytes[121..<128].allSatisfy { $0 == 0 } && bytes[188...].allSatisfy { $0 == 0 })
  }

  @Test("Constants, inputs and values of unknown shape are copied")
  func valuesWithoutMemoryOfTheirOwnAreCopied() throws {
    let session = try Session(
      model(
        graph(
          [declared("x", .int64, [-1])],
          [
            node("Identity", ["x"], ["same"]), node("NonZero", ["x"], ["places"]),
            node("Identity", ["c"], ["constant"]),
          ], [declared("same"), declared("places"), declared("constant")],
          constants: ["c": Tensor([5, 6] as [Int64])])))
    let x: [String: Value] = ["x": .tensor(Tensor([0, 3, 4] as [Int64]))]
    var target = [Int64](repeating: 9, count: 3)
    func run(_ output: String) throws -> Shape {
      var span = target.mutableSpan
      return try session.run(x, output: output, into: &span)
    }
    #expect(try run("same") == [3] && target == [0, 3, 4])
    #expect(try run("places") == [1, 2] && target == [1, 2, 4])
    #expect(try run("constant") == [2] && target == [5, 6, 4])
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let session = try session(taps: ["sum"])
    func fault<T: Element>(_ start: T, _ count: Int, _ output: String?) -> String? {
      var elements = [T](repeating: start, count: count)
      var span = elements.mutableSpan
      do throws(ModelError) {
        _ = try session.run(inputs(4), output: output, into: &span)
        return nil
      } catch { return error.message }
    }
    #expect(
      fault(Float(0), 11, "y")
        == "memory for output \"y\": expected 48 bytes or more for float[4,3], got 44")
    #expect(fault(0.0, 12, "y") == "element type of output \"y\": expected double, got float")
    #expect(fault(Float(0), 12, nil) == "output to write: expected one of \"y\", \"sum\", got none")
    #expect(fault(Float(0), 12, "z") == "the model has no output \"z\"; it has \"y\", \"sum\"")
  }

  @Test func textsAndSequencesAreRefused() throws {
    let session = try Session(
      model(
        graph(
          [declared("x", .float, [2])],
          [node("SequenceConstruct", ["x"], ["list"]), node("Identity", ["c"], ["text"])],
          [declared("list"), declared("text")], constants: ["c": Tensor(strings: ["a", "b"], [2])]))
    )
    let x: [String: Value] = ["x": .tensor(counting(2))]
    var memory = [Float](repeating: 0, count: 8)
    for (name, got) in [("list", "seq(tensor(float))"), ("text", "string")] {
      var span = memory.mutableSpan
      let error = #expect(throws: ModelError.self) {
        try session.run(x, output: name, into: &span)
      }
      #expect(
        error?.message
          == "output \"\(name)\": expected a tensor of plain bytes for the memory given, got \(got)"
      )
    }
  }
}
