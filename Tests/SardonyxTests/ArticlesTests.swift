import Foundation
import Sardonyx
import Testing

/// What the articles of the documentation show in Swift, compiled and run.
@Suite struct ArticlesTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appending(path: "../..").standardizedFileURL
  private let digits = root.appending(path: "Models/digits/digits_resnet_torchscript.onnx").path
  private let inputs: [String: Value]
  private let image: Tensor
  private let model: Model
  private let session: Session

  init() throws {
    image = try Tensor([Float](repeating: 0, count: 64), shape: [1, 1, 8, 8])
    inputs = ["image": .tensor(image)]
    model = try Model(path: digits)
    session = try Session(model)
  }

  @Test func firstModel() throws {
    let model = try Model(path: digits)
    for input in model.inputs { print(input.name, input.shape ?? []) }
    #expect("\(model.inputs[0].shape ?? [])" == "[N, 1, 8, 8]")

    let session = try Session(model)
    let image = try Tensor([Float](repeating: 0, count: 64), shape: [1, 1, 8, 8])
    let outputs = try session.run(["image": .tensor(image)])
    let probabilities: [Float] = try outputs["probabilities"]!.tensor!.elements()
    #expect(probabilities.count == 10)

    let small = try Tensor([Float](repeating: 0, count: 16), shape: [1, 1, 4, 4])
    do {
      _ = try session.run(["image": .tensor(small)])
    } catch {
      print(error)
    }
    #expect(throws: ModelError.self) { _ = try session.run(["image": .tensor(small)]) }

  }

  @Test func firstModelWithinATask() async throws {
    let later = try await session.run(["image": .tensor(image)])
    #expect(later.count == 1)
  }

  @Test func folding() throws {
    let session = try Session(try Model(path: digits))
    for note in session.notes where note.kind == .declined { print(note.node, note.text) }
    #expect(session.notes.contains { $0.kind == .done })

    let folded = try FoldedModel(model, keeping: Comparison.Tolerance()) { run throws(ModelError) in
      try run(inputs)
    }
    for note in folded.notes where note.kind == .declined { print(note.node, note.text) }
    #expect(folded.proof?.trialCount == 1)
  }

  @Test func verifying() throws {
    let comparison = try Comparison(model, inputs: inputs, layers: true)
    print(comparison.passed, comparison.firstFailure?.name ?? "every layer agrees")
    #expect(comparison.passed)

    let verified = try VerifiedSession(model, every: 100)
    let (values, verdict) = try verified.run(inputs)
    if case .differed(let output, let layer) = verdict { print(output, layer ?? "", values.count) }
    #expect(verdict == .agreed)
  }

  @Test func embedding() throws {
    var memory = [Float](repeating: 0, count: 10)
    var span = memory.mutableSpan
    let shape = try session.run(["image": .tensor(image)], into: &span)
    #expect(shape == [1, 10])

    let cancellation = Cancellation()
    let outputs = try session.run(["image": .tensor(image)], cancellation: cancellation)
    #expect(outputs.count == 1)
  }

  @Test func performance() throws {
    let profile = Profile()
    _ = try session.run(["image": .tensor(image)], profile: profile)
  }

  @Test("Each block of Swift in an article stands in this file")
  func areWhatTheArticlesShow() throws {
    let folder = Self.root.appending(path: "Sources/Sardonyx/Sardonyx.docc")
    let here = Self.lines(try String(contentsOfFile: #filePath, encoding: .utf8)).joined(
      separator: "\n")
    var count = 0
    for path in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
      for block in text.components(separatedBy: "```swift\n").dropFirst() {
        let code = Self.lines(block.components(separatedBy: "```")[0]).joined(separator: "\n")
        #expect(here.contains(code), "\(path)")
        count += 1
      }
    }
    #expect(count >= 9)
  }

  private static func lines(_ text: String) -> [String] {
    text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }
}
