import Foundation
import SardonyxData
import Testing

@testable import Sardonyx
@testable import SardonyxCommand

/// A model of the folder Models with what another engine computed for it.
struct BundledModel: Sendable, CustomTestStringConvertible {
  let name: String
  let file: String
  let reference: String
  let kind: String
  let tolerance: Double

  var testDescription: String { name }

  /// All models that the index names.
  static let all: [BundledModel] = {
    let index = Command.root.appending(path: "Models/index.json")
    guard let data = try? Data(contentsOf: index),
      let entries = try? JSONSerialization.jsonObject(with: data) as? [[String: Any]]
    else { return [] }
    return entries.map { entry in
      BundledModel(
        name: entry["name"] as! String, file: path(entry["file"]),
        reference: path(entry["reference"]),
        kind: entry["kind"] as! String, tolerance: entry["tolerance"] as! Double)
    }
  }()

  private static func path(_ file: Any?) -> String {
    Command.root.appending(path: "Models/\(file as! String)").path
  }

  /// The recorded arrays whose names begin with `in:` or `out:`, without that.
  func recorded(_ prefix: String) throws -> [String: Tensor] {
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: reference)))
    let arrays = try NPZ.read(bytes).filter { $0.name.hasPrefix(prefix) }
    return Dictionary(
      uniqueKeysWithValues: arrays.map { (String($0.name.dropFirst(prefix.count)), $0.tensor) })
  }

  func inputs() throws -> [String: Value] { try recorded("in:").mapValues(Value.tensor) }
}

@Suite struct BundledModelTests {
  @Test func thereAreModels() { #expect(BundledModel.all.count > 20) }

  @Test(arguments: BundledModel.all, [Session.BatchNormalizationMode.folded, .unfolded])
  func resultsAreThoseOfAnotherEngine(
    _ bundled: BundledModel, _ mode: Session.BatchNormalizationMode
  ) throws {
    var options = Session.Options()
    options.batchNormalization = mode
    let session = try Session(Model(path: bundled.file), options: options)
    let results = try session.run(bundled.inputs())
    for (name, reference) in try bundled.recorded("out:") {
      expect(try #require(results[name]), reference, bundled, name)
    }
  }

  /// Numbers within the index's tolerance of the largest magnitude; integers and texts equal, but
  /// for one step in one of 200 elements of a quantised model.
  private func expect(
    _ result: Value, _ reference: Tensor, _ bundled: BundledModel, _ name: String
  ) {
    guard let tensor = result.matrix(like: reference) else {
      Issue.record("\(name) is a \(result.type), not like [\(reference.shape)]")
      return
    }
    #expect(tensor.shape == reference.shape, "\(name)")
    if reference.type == .string {
      #expect((try? tensor.strings()) == (try? reference.strings()), "\(name)")
      return
    }
    let numbers = tensor.converted(to: Double.self)
    let expected = reference.converted(to: Double.self)
    if reference.type.isFloatingPoint {
      let metrics = Metrics(numbers, reference: expected)
      #expect(metrics.maxAbsolute <= bundled.tolerance * metrics.magnitude, "\(name): \(metrics)")
    } else {
      let different = zip(numbers, expected).filter { $0 != $1 }
      let allowed = bundled.kind == "quantised" ? expected.count / 200 : 0
      #expect(different.count <= allowed, "\(name)")
      #expect(different.allSatisfy { abs($0 - $1) <= 1 }, "\(name)")
    }
  }

  @Test(arguments: BundledModel.all.filter { $0.kind == "float" })
  func foldedAgreesWithUnfoldedLayerByLayer(_ bundled: BundledModel) throws {
    let comparison = try Comparison(
      Model(path: bundled.file), inputs: bundled.inputs(), layers: true)
    #expect(comparison.passed, "\(comparison.outputs.filter { !$0.passed })")
  }

  @Test(arguments: BundledModel.all)
  func bitsDoNotDependOnThreads(_ bundled: BundledModel) throws {
    let model = try Model(path: bundled.file)
    let inputs = try bundled.inputs()
    var first: [String: [UInt8]]?
    for threads in [1, 2, 3, 7, 1] {
      var options = Session.Options()
      options.threads = threads
      let results = try Session(model, options: options).run(inputs)
      let bytes = results.compactMapValues { value -> [UInt8]? in
        guard let tensor = value.tensor, tensor.type != .string else { return nil }
        return tensor.rawBytes
      }
      #expect(bytes == first ?? bytes, "\(threads) threads")
      first = bytes
    }
  }

  @Test func overlappingRunsOfARealModelAgree() async throws {
    let bundled = try #require(BundledModel.all.first { $0.name == "digits_resnet_torchscript" })
    let session = try Session(Model(path: bundled.file))
    let inputs = try bundled.inputs()
    let expected = try await session.run(inputs)["probabilities"]?.tensor?.rawBytes
    try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
      for _ in 0..<16 {
        group.addTask { try await session.run(inputs)["probabilities"]?.tensor?.rawBytes }
      }
      for try await bytes in group { #expect(bytes == expected) }
    }
  }

  @Test func alteredStatisticsAreFoundAtTheirLayer() throws {
    let bundled = try #require(BundledModel.all.first { $0.name == "digits_resnet_torchscript" })
    let model = try Model(path: bundled.file)
    var definition = model.definition
    let normalization = try #require(
      definition.graph.nodes.last { $0.operatorName == "BatchNormalization" })
    let position = try #require(
      definition.graph.initializers.firstIndex { $0.name == normalization.inputs[3] })
    let mean = definition.graph.initializers[position].tensor.converted(to: Double.self)
    definition.graph.initializers[position].tensor = Tensor(
      converting: mean.map { $0 + 0.5 }, to: .float, [mean.count])
    let comparison = try Comparison(
      model, against: Model(definition), inputs: bundled.inputs(), layers: true)
    #expect(!comparison.passed)
    let failure = try #require(comparison.firstFailure)
    let layer = try #require(
      definition.graph.nodes.firstIndex { $0.outputs.contains(failure.name) })
    let altered = try #require(
      definition.graph.nodes.firstIndex { $0.name == normalization.name })
    #expect(layer >= altered && layer <= altered + 2, "\(failure.name)")
  }
}

extension Value {
  /// A tensor as it is; a sequence of maps as a matrix with a row for each.
  fileprivate func matrix(like reference: Tensor) -> Tensor? {
    switch self {
    case .tensor(let tensor): return tensor
    case .sequence(let rows, _):
      var numbers: [Double] = []
      for row in rows {
        guard case .map(_, let values) = row else { return nil }
        numbers += values.converted(to: Double.self)
      }
      guard numbers.count == reference.elementCount else { return nil }
      return Tensor(converting: numbers, to: reference.type, reference.shape)
    default: return nil
    }
  }
}
