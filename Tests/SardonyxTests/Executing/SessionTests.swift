import Testing

@testable import Sardonyx

@Suite struct SessionTests {
  private func sum() throws -> Model {
    try model(
      graph(
        [declared("a", .float, [-1, 3]), declared("b", .float, [-1, 3])],
        [node("Add", ["a", "b"], ["sum"]), node("Relu", ["sum"], ["y"])],
        [declared("y", .float, [-1, 3])]))
  }

  private func failure(_ inputs: [String: Value], outputs: [String]? = nil) throws -> ModelError? {
    let session = try Session(sum())
    return #expect(throws: ModelError.self) { try session.run(inputs, outputs: outputs) }
  }

  private let row = Value.tensor(Tensor([1, -2, 3] as [Float], [1, 3]))

  @Test func aModelRunsByName() throws {
    let results = try Session(sum()).run(["a": row, "b": row])
    #expect(results["y"]?.tensor?.array(of: Float.self) == [2, 0, 6])
  }

  @Test func aMissingInputIsNamedWithWhatTheModelWants() throws {
    let error = try failure(["a": row])
    #expect(
      error?.description == """
        input "b" is missing
          hint: the model wants "b" as float[N,3]
        """)
  }

  @Test func anUnknownInputGetsTheNearestName() throws {
    let error = try failure(["a": row, "B": row])
    #expect(
      error?.description == """
        the model has no input "B"
          hint: did you mean "b"? its inputs are "a", "b"
        """)
  }

  @Test func aWrongTypeIsTold() throws {
    let error = try failure(["a": row, "b": .tensor(Tensor([1] as [Int64], [1, 1]))])
    #expect(error?.message == "input \"b\": type: expected float, got int64")
  }

  @Test func aWrongShapeIsTold() throws {
    let error = try failure(["a": row, "b": .tensor(Tensor(zeros: .float, [1, 4]))])
    #expect(error?.message == "input \"b\": shape: expected [N,3], got [1,4]")
  }

  @Test("Axes of one name may differ, and a run that fails tells of them")
  func namesOfDimensionsAreNotEnforced() throws {
    let column = Value.tensor(Tensor([1, -2] as [Float], [2, 1]))
    var definition = graph(
      [declared("a", .float, [-1, 1]), declared("b", .float, [1, -1])],
      [node("Add", ["a", "b"], ["y"])], [declared("y", .float, [-1, -1])])
    let outer = try Session(model(definition)).run(["a": column, "b": row])
    #expect(outer["y"]?.tensor?.shape == [2, 3])
    definition = graph(
      [declared("a", .float, [-1]), declared("b", .float, [-1])],
      [node("Add", ["a", "b"], ["y"])], [declared("y")])
    let session = try Session(model(definition))
    let error = #expect(throws: ModelError.self) {
      try session.run(["a": .tensor(counting(2)), "b": .tensor(counting(3))])
    }
    #expect(
      error?.hint
        == "the model declares axis 0 of \"a\" and axis 0 of \"b\" as equal (N), and they are 2 and 3"
    )
  }

  @Test func anUnknownOutputIsToldWithTheOnesThereAre() throws {
    let error = try failure(["a": row, "b": row], outputs: ["z"])
    #expect(error?.message == "the model has no output \"z\"; it has \"y\"")
  }

  @Test func aRunMayBeAwaited() async throws {
    let results = try await Session(sum()).run(["a": row, "b": row], outputs: ["y"])
    #expect(results["y"]?.tensor?.floats == [2, 0, 6])
  }

  @Test func aCancelledTaskEndsTheRunItAwaits() async throws {
    // A loop that would go on for days.
    let body = graph(
      [declared("i", .int64, []), declared("go", .bool, []), declared("s", .float, [])],
      [node("Add", ["s", "s"], ["t"]), node("Identity", ["go"], ["goes"])],
      [declared("goes", .bool, []), declared("t", .float, [])])
    let endless = try model(
      graph(
        [declared("n", .int64, []), declared("x", .float, [])],
        [node("Loop", ["n", "", "x"], ["y"], ["body": .graph(body)])], [declared("y")]))
    let session = try Session(endless)
    let task = Task {
      try await session.run([
        "n": .tensor(Tensor(scalar: Int64.max)), "x": .tensor(Tensor(scalar: Float(0))),
      ])
    }
    try await Task.sleep(for: .milliseconds(50))
    task.cancel()
    let error = await #expect(throws: ModelError.self) { try await task.value }
    #expect(error?.code == .cancelled)
    #expect(error?.message == "the run was cancelled")
  }

  @Test func optionsOutOfRangeAreRefused() throws {
    func fault(_ change: (inout Session.Options) -> Void) throws -> String? {
      var options = Session.Options()
      change(&options)
      return #expect(throws: ModelError.self) { try Session(sum(), options: options) }?.message
    }
    #expect(try fault { $0.threads = -5 } == "threads: expected 1 to 1024, got -5")
    #expect(try fault { $0.threads = 0 } == "threads: expected 1 to 1024, got 0")
    #expect(
      try fault { $0.timeLimit = -1 } == "time limit: expected seconds from 0 on, got -1.0")
    #expect(
      try fault { $0.memoryLimit = -1 } == "memory limit: expected a number of bytes, got -1")
  }

  @Test func aTapMakesAnInnerValueAnOutput() throws {
    var options = Session.Options()
    options.taps = ["sum"]
    let results = try Session(sum(), options: options).run(["a": row, "b": row])
    #expect(results["sum"]?.tensor?.array(of: Float.self) == [2, -4, 6])
    options.taps = ["summ"]
    let error = #expect(throws: ModelError.self) { try Session(sum(), options: options) }
    #expect(error?.hint == "did you mean \"sum\"?")
  }

  @Test func oneSessionServesManyShapes() throws {
    let session = try Session(sum())
    for rows in [1, 5, 0, 64, 1] {
      let value = Value.tensor(randomTensor([rows, 3], seed: rows))
      let results = try session.run(["a": value, "b": value])
      #expect(
        results["y"]?.tensor?.array(of: Float.self)
          == value.tensor!.array(of: Float.self).map { max(0, 2 * $0) })
    }
  }

  @Test func runsOnOneSessionMayOverlap() async throws {
    let session = try Session(sum())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for seed in 0..<32 {
        group.addTask {
          let value = Value.tensor(randomTensor([1000, 3], seed: seed))
          let results = try session.run(["a": value, "b": value])
          #expect(
            results["y"]?.tensor?.array(of: Float.self)
              == value.tensor!.array(of: Float.self).map { max(0, 2 * $0) })
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func aValueOverTheMemoryLimitIsRefused() throws {
    var options = Session.Options()
    options.memoryLimit = 1000
    let session = try Session(sum(), options: options)
    let large = Value.tensor(Tensor(zeros: .float, [100, 3]))
    let error = #expect(throws: ModelError.self) { try session.run(["a": large, "b": large]) }
    #expect(error?.code == .limit)
  }

  @Test func aRunPastItsTimeLimitEnds() throws {
    var options = Session.Options()
    options.timeLimit = 0
    let error = #expect(throws: ModelError.self) {
      try Session(sum(), options: options).run(["a": row, "b": row])
    }
    #expect(error?.code == .limit)
    #expect(error?.message == "the run took longer than its time limit")
  }

  @Test(arguments: [1e12, 1e300, .infinity, .nan])
  func aTimeLimitBeyondAllClocksNeverEndsARun(_ seconds: Double) throws {
    var options = Session.Options()
    options.timeLimit = seconds
    let outputs = try Session(sum(), options: options).run(["a": row, "b": row])
    #expect(outputs.count == 1)
  }

  @Test func aRunOnACancelledTaskEnds() async throws {
    let session = try Session(sum())
    let row = row
    let run: @Sendable () throws -> [String: Value] = {
      try session.run(["a": row, "b": row])
    }
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try run()
    }
    task.cancel()
    let error = await #expect(throws: ModelError.self) { try await task.value }
    #expect(error?.code == .cancelled)
  }
}
