import Testing

@testable import Sardonyx

/// What is told to those who wait.
@Suite struct ActivityTests {
  /// A loop that would go on for days.
  private func endless() throws -> Model {
    let body = graph(
      [declared("i", .int64, []), declared("go", .bool, []), declared("s", .float, [])],
      [node("Add", ["s", "s"], ["t"]), node("Identity", ["go"], ["goes"])],
      [declared("goes", .bool, []), declared("t", .float, [])])
    return try model(
      graph(
        [declared("n", .int64, []), declared("x", .float, [])],
        [
          node("Neg", ["x"], ["minus"]),
          node("Loop", ["n", "", "minus"], ["y"], ["body": .graph(body)]),
        ], [declared("y")]))
  }

  private let inputs: [String: Value] = [
    "n": .tensor(Tensor(scalar: Int64.max)), "x": .tensor(Tensor(scalar: Float(0))),
  ]

  @Test("Loading, preparing and running tell of the node they take up")
  func stagesTellOfNodes() throws {
    let activity = Activity()
    #expect(activity.state.stage.isEmpty)
    let model = try activity.watch { try endless() }
    #expect(activity.state.stage == "load" && activity.state.count == 2)
    // The body's last node.
    #expect(activity.state.node == "the Identity (Identity)" && activity.state.doneCount == 1)
    var options = Session.Options()
    options.timeLimit = 0.2
    let session = try activity.watch { try Session(model, options: options) }
    #expect(activity.state.stage == "pack weights" || activity.state.count == 0)
    #expect(throws: ModelError.self) { try activity.watch { try session.run(inputs) } }
    #expect(activity.state.stage == "run" && activity.state.count == 2)
    #expect(activity.state.node == "the Loop (Loop)" && activity.state.doneCount == 1)
  }

  @Test("A run on another thread tells whoever watched its start")
  func awaitedRunsTell() async throws {
    let activity = Activity()
    var options = Session.Options()
    options.timeLimit = 0.2
    let session = try Session(endless(), options: options)
    let task = activity.watch { Task { try await session.run(inputs) } }
    await #expect(throws: ModelError.self) { try await task.value }
    #expect(activity.state.stage == "run" && activity.state.doneCount == 1)
  }

  @Test("Both sides of a comparison tell, and nobody else is told")
  func comparisonsTell() throws {
    let (activity, other) = (Activity(), Activity())
    let model = try model(
      graph([declared("x", .float, [2])], [node("Relu", ["x"], ["y"])], [declared("y")]))
    _ = try activity.watch { try Comparison(model, inputs: ["x": .tensor(counting(2))]) }
    #expect(activity.state.stage == "run" && activity.state.node == "the Relu (Relu)")
    #expect(other.state.stage.isEmpty)
  }
}
