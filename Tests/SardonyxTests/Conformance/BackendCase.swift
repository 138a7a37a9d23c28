import Foundation
import Testing

@testable import Sardonyx

/// A model with inputs and expected outputs, in the folders of ONNX's backend suite:
/// `CASE/{model.onnx, test_data_set_0/{input,output}_N.pb}`.
struct BackendCase: Sendable, CustomTestStringConvertible {
  let name: String
  let folder: URL
  var tolerance = Tolerance()

  var testDescription: String { name }

  var model: String { folder.appending(path: "model.onnx").path }

  /// Runs the model and tells how its outputs differ from those expected; nil where they agree.
  /// - Parameter comparesValues: whether more than types and shapes is to agree.
  func difference(comparesValues: Bool = true) throws -> String? {
    let model = try Model(path: self.model)
    let session = try Session(model)
    let results = try session.run(try inputs(of: model))
    let expected = files("output")
    guard expected.count <= model.outputs.count else { return "too few outputs" }
    for (definition, file) in zip(model.outputs, expected) {
      let expectation = try value(file, definition)
      guard let result = results[definition.name] else { return "no output \(definition.name)" }
      let difference = tolerance.difference(
        expectation, result, comparesValues: comparesValues)
      if let difference { return "output \(definition.name): \(difference)" }
    }
    return nil
  }

  /// The recorded inputs by name.
  func inputs(of model: Model) throws -> [String: Value] {
    let given = model.inputs.filter { !model.optionalInputs.contains($0.name) }
    var inputs: [String: Value] = [:]
    for (definition, file) in zip(given, files("input")) {
      inputs[definition.name] = try value(file, definition)
    }
    return inputs
  }

  /// The recorded outputs by name.
  func outputs(of model: Model) throws -> [String: Value] {
    var outputs: [String: Value] = [:]
    for (definition, file) in zip(model.outputs, files("output")) {
      outputs[definition.name] = try value(file, definition)
    }
    return outputs
  }

  private func value(_ file: URL, _ definition: ValueDefinition) throws -> Value {
    let type = try #require(definition.type, "\(definition.name) has no type")
    return try Value(protobuf: [UInt8](Data(contentsOf: file)), as: type)
  }

  /// `role_0.pb`, `role_1.pb` and so on, as many as there are.
  private func files(_ role: String) -> [URL] {
    let data = folder.appending(path: "test_data_set_0")
    return (0...).lazy.map { data.appending(path: "\(role)_\($0).pb") }
      .prefix { FileManager.default.fileExists(atPath: $0.path) }.map { $0 }
  }
}

// MARK: - Where cases are

extension BackendCase {
  private static let tests = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()

  /// ONNX's own cases, as tools/generate-conformance.py writes them; none where it has not run.
  static let onnx: [BackendCase] = {
    let folder =
      ProcessInfo.processInfo.environment["SARDONYX_CONFORMANCE"].map { URL(filePath: $0) }
      ?? tests.appending(path: "../../.build/conformance").standardizedFileURL
    guard let list = try? String(contentsOf: folder.appending(path: "cases.txt"), encoding: .utf8)
    else {
      print(
        """
        ⚠️  ONNX's backend cases are not in \(folder.path): NOT TESTED. \
        Run tools/generate-conformance.py, or set SARDONYX_CONFORMANCE to a folder that has them.
        """)
      return []
    }
    return list.split(separator: "\n").map { line in
      let fields = line.split(separator: " ")
      return BackendCase(
        name: String(fields[0]), folder: folder.appending(path: fields[0]),
        tolerance: Tolerance(relative: Double(fields[1])!, absolute: Double(fields[2])!))
    }
  }()

  /// Our own cases for what ONNX's do not cover, as tools/record-references.py writes them.
  static let recorded = cases(in: "Fixtures/Operators")

  /// Whole networks of the kinds that people run, as tools/record-networks.py writes them.
  static let networks = cases(in: "Fixtures/Networks")

  private static func cases(in path: String) -> [BackendCase] {
    let folder = tests.appending(path: path)
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
    return (names ?? []).sorted().map { BackendCase(name: $0, folder: folder.appending(path: $0)) }
  }

  /// The cases whose values nobody can reproduce, with the reason.
  static let exclusions: [String: String] = {
    let file = tests.appending(path: "Conformance/exclusions.txt")
    guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [:] }
    let lines = text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1) }
    return Dictionary(uniqueKeysWithValues: lines.map { (String($0[0]), String($0[1])) })
  }()
}
