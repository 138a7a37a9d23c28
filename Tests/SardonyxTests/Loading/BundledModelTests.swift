import Foundation
import FoundationEssentials
import Testing

@testable import Sardonyx

@Suite struct BundledModelTests {
  /// Paths of the models in the repository.
  private static let models: [String] = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appending(path: "../../../Models").standardizedFileURL.path
    let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".onnx") }.sorted().map { "\(root)/\($0)" }
  }()

  @Test(arguments: models)
  func aModelIsReadAsItWasWritten(path: String) throws {
    let read = try ModelDefinition(ModelFile(path: path), folder: nil)
    let bytes = try read.bytes()
    #expect(try definition(bytes).bytes() == bytes)
  }

  @Test(arguments: models)
  func aGraphIsBuiltAgainFromItsDefinition(path: String) throws {
    let model = try Model(path: path)
    let again = try Model(try model.definition.replacing(graph: model.graph))
    #expect(again.graph.nodes.map(\.label) == model.graph.nodes.map(\.label))
    #expect(again.graph.values.map(\.name).sorted() == model.graph.values.map(\.name).sorted())
    #expect(again.inputs.map(\.name) == model.inputs.map(\.name))
    #expect(again.outputs.map(\.name) == model.outputs.map(\.name))
  }

  @Test(arguments: models)
  func aModelCutOffAnywhereIsMalformed(path: String) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    for step in 0..<200 {
      do throws(ModelError) {
        _ = try definition(Array(bytes.prefix(bytes.count * step / 200)))
      } catch {
        #expect(error.code == .malformed)
      }
    }
  }
}
