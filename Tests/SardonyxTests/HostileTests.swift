import Foundation
import Testing

@testable import Sardonyx

/// Files made to break the reader: each ends in order, within its limits.
@Suite(.serialized) struct HostileTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures/Hostile")

  private static let files: [String] = {
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
    return (names ?? []).filter { $0.hasSuffix(".onnx") }.sorted()
  }()

  private func model(_ name: String) throws -> Model {
    try Model(path: Self.folder.appending(path: name).path)
  }

  /// Prepares and runs a model with 0 or 1 everywhere, two of each symbol.
  private func outputs(
    _ name: String, _ mode: Session.BatchNormalizationMode = .folded, threads: Int = 1
  ) throws -> [String: Value] {
    let model = try model(name)
    var options = Session.Options()
    options.threads = threads
    options.batchNormalization = mode
    options.timeLimit = 0.5
    options.memoryLimit = 200 << 20
    let symbols = Dictionary(Inspection(model).symbols.map { ($0, 2) }) { first, _ in first }
    _ = Inspection(model, dimensions: symbols)
    let session = try Session(model, options: options)
    _ = try? PlanInspection(session, dimensions: symbols)
    return try session.run(try inputs(model))
  }

  private func inputs(_ model: Model) throws -> [String: Value] {
    var inputs: [String: Value] = [:]
    for input in model.inputs where !model.optionalInputs.contains(input.name) {
      guard case .tensor(let type)? = input.type else { continue }
      let shape = (input.shape ?? []).map { if case .known(let extent) = $0 { extent } else { 2 } }
      guard let count = shape.checkedElementCount, count < 1 << 27 else {
        throw ModelError(.limit, "input \(input.name) is too large to be made up")
      }
      inputs[input.name] = .tensor(Tensor(zeros: type, shape))
    }
    return inputs
  }

  @Test(arguments: files) func endsInOrder(_ name: String) throws {
    let start = ContinuousClock.now
    for (mode, threads) in [(Session.BatchNormalizationMode.folded, 1), (.unfolded, 2)] {
      _ = try? outputs(name, mode, threads: threads)
    }
    // Far more than the limits of both, for machines that are busy.
    #expect(ContinuousClock.now - start < .seconds(60))
  }

  @Test(arguments: [
    (
      "foldconstants-oob-read",
      "inputs A and B of Sub-13: expected one type, got float and int8"
    ),
    ("foldconstants-concat-types", "expected one type"),
    ("foldconstants-conv-int8-weights", "Conv"),
    ("foldconstants-bernoulli-complex", "Bernoulli"),
    ("sequencelength-tensor-constant", "SequenceLength"),
    ("dropout-complex-training-mode", "Dropout"),
    ("gridsample-complex", "does not compute this operator with elements of type complex64"),
    ("batchnorm-huge-dim", "extents whose product is a number of elements"),
    ("convtranspose-bn-group-overflow", "attribute group"),
    ("conv-group-huge-allocation", "attribute group"),
    ("range-int64-wraps", "start, limit and delta"),
    ("gradient-arity", "Mul"),
    ("det-ignores-timelimit", "time limit"),
    ("matmul-double-ignores-timelimit", "time limit"),
  ]) func saysWhatIsWrong(_ name: String, _ part: String) throws {
    let error = #expect(throws: ModelError.self) { try outputs("\(name).onnx") }
    #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
  }

  @Test func aConstantOfAnotherTypeIsToldWithTheRemedy() throws {
    let error = #expect(throws: ModelError.self) { try outputs("foldconstants-oob-read.onnx") }
    #expect(error?.hint == "convert B to float by Cast, or A to int8")
  }

  @Test func aLoopWithoutStatesStacksItsElements() throws {
    let outputs = try outputs("loop-no-state.onnx")
    let numbers = try outputs.values.first?.tensor?.numbers()
    #expect(numbers == [0, 1, 2])
  }

  @Test func namesThatWouldSteerATerminalAreEscaped() throws {
    for name in Self.files where name.hasPrefix("terminal-") {
      do { _ = try outputs(name) } catch {
        let text = "\(error)"
        #expect(!text.unicodeScalars.contains { $0.steers && $0 != "\n" }, "\(text)")
      }
    }
  }
}

@Suite struct VisibleTextTests {
  @Test func controlsAndDirectionsAreEscaped() {
    #expect("a\u{1B}[31mb\u{7F}\u{9B}\u{202E}c".visible == "a\\u{1b}[31mb\\u{7f}\\u{9b}\\u{202e}c")
    #expect("zwölf 12 – ok".visible == "zwölf 12 – ok")
  }

  @Test func linesAreKeptOnlyWhereTheyAreIndented() {
    #expect("a\n  b\nc".visibleLines == "a\n  b\\u{a}c")
    #expect("a\nb".visible == "a\\u{a}b")
  }
}
