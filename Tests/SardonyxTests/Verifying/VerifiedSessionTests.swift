import Testing

@testable import Sardonyx

@Suite struct VerifiedSessionTests {
  private let inputs = ["x": Value.tensor(randomTensor([2, 3, 8, 8], seed: 5))]

  @Test func runsThatAgreeAreServedFolded() throws {
    let model = try normalizedModel()
    let verified = try VerifiedSession(model)
    let (values, verdict) = try verified.run(inputs)
    #expect(verdict == .agreed)
    #expect(values["y"]!.tensor!.floats == (try Session(model).run(inputs)["y"]!.tensor!.floats))
  }

  /// A tolerance that no rounding meets stands for a fold that is wrong. The first value that both compute is
  /// that behind Relu, which the prepared model takes into the convolution.
  @Test func runsThatDifferAreServedAsWritten() throws {
    let model = try normalizedModel()
    var tolerance = Comparison.Tolerance()
    tolerance.relative = 1e-12
    let (values, verdict) = try VerifiedSession(model, tolerance: tolerance).run(inputs)
    #expect(verdict == .differed(output: "y", layer: "r1"))
    var options = Session.Options()
    options.batchNormalization = .unfolded
    options.winograd = false
    let written = try Session(model, options: options).run(inputs)
    #expect(values["y"]!.tensor!.floats == written["y"]!.tensor!.floats)
  }

  @Test func runsThatAreAwaitedAreCheckedAlike() async throws {
    let model = try normalizedModel()
    var tolerance = Comparison.Tolerance()
    tolerance.relative = 1e-12
    let (values, verdict) = try await VerifiedSession(model, tolerance: tolerance).run(inputs)
    #expect(verdict == .differed(output: "y", layer: "r1"))
    let verified = try VerifiedSession(model, every: 2)
    #expect(try await verified.run(inputs).verdict == .agreed)
    let (folded, unchecked) = try await verified.run(inputs)
    #expect(unchecked == .unchecked)
    #expect(folded["y"]!.tensor!.floats != values["y"]!.tensor!.floats)
    let task = Task {
      try? await Task.sleep(for: .seconds(60))
      return try await verified.run(inputs).verdict
    }
    task.cancel()
    let error = await #expect(throws: ModelError.self) { _ = try await task.value }
    #expect(error?.code == .cancelled)
  }

  @Test func oneRunInSomeIsChecked() throws {
    let verified = try VerifiedSession(try normalizedModel(), every: 3)
    var verdicts: [VerifiedSession.Verdict] = []
    for _ in 0..<5 { verdicts.append(try verified.run(inputs).verdict) }
    #expect(verdicts == [.agreed, .unchecked, .unchecked, .agreed, .unchecked])
    let error = #expect(throws: ModelError.self) {
      _ = try VerifiedSession(try normalizedModel(), every: 0)
    }
    #expect(error?.message == "runs from one check to the next: expected 1 or more, got 0")
  }
}
