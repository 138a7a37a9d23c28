import Foundation
import Testing

@testable import Sardonyx

@Suite("Conformance") struct ConformanceTests {
  @Test("ONNX's backend cases come out as expected", arguments: BackendCase.onnx)
  func agrees(_ testCase: BackendCase) throws {
    let isExcluded = BackendCase.exclusions[testCase.name] != nil
    let difference = try testCase.difference(comparesValues: !isExcluded)
    #expect(difference == nil)
  }

  @Test("Recorded cases come out as recorded", arguments: BackendCase.recorded)
  func agreesWithRecords(_ testCase: BackendCase) throws {
    let difference = try testCase.difference()
    #expect(difference == nil)
  }

  @Test(
    "Whole networks come out as recorded in every way to run them", arguments: BackendCase.networks)
  func networksAgree(_ testCase: BackendCase) throws {
    let model = try Model(path: testCase.model)
    let (inputs, recorded) = (try testCase.inputs(of: model), try testCase.outputs(of: model))
    #expect(recorded.count == model.outputs.count)
    for mode in [Session.BatchNormalizationMode.folded, .unfolded] {
      for threads in [1, 2] {
        for usesBlocks in [true, false] {
          var options = Session.Options()
          options.batchNormalization = mode
          options.threads = threads
          options.usesBlocks = usesBlocks
          let comparison = try Comparison(
            model, recorded: recorded, inputs: inputs, options: options)
          #expect(comparison.passed, "\(mode), \(threads), \(usesBlocks): \(comparison.outputs)")
        }
      }
    }
  }

  @Test("There are networks of many kinds") func networksAreThere() {
    #expect(BackendCase.networks.count > 12)
  }

  @Test("Exclusions name cases", .enabled(if: !BackendCase.onnx.isEmpty))
  func exclusionsAreCases() {
    let names = Set(BackendCase.onnx.map(\.name))
    #expect(BackendCase.exclusions.keys.filter { !names.contains($0) } == [])
  }

  @Test(
    "Each version of each operator is in a model of a case",
    .enabled(if: !BackendCase.onnx.isEmpty))
  func coversAllVersions() throws {
    let covered = try (BackendCase.onnx + BackendCase.recorded).reduce(into: Set<String>()) {
      $0.formUnion(try $1.operators())
    }
    let all = OperatorTable.domains.flatMap { domain in
      OperatorTable.names(domain: domain).flatMap { name in
        Schema.sinceVersions(of: name, domain: domain).map { "\(domain):\(name)-\($0)" }
      }
    }
    #expect(Set(all).subtracting(covered).sorted() == [])
  }
}

extension BackendCase {
  /// Every operator in the model, its functions and its bodies, as `domain:name-version`.
  func operators() throws -> Set<String> {
    let definition = try ModelDefinition(ModelFile(path: model), folder: folder.path)
    var found = definition.graph.nodes.operators(definition.operatorSets)
    for function in definition.functions {
      found.formUnion(
        function.nodes.operators(definition.operatorSets.merging(function.operatorSets) { $1 }))
    }
    return found
  }
}

extension [NodeDefinition] {
  fileprivate func operators(_ operatorSets: [String: Int]) -> Set<String> {
    reduce(into: []) { found, node in
      let schema = Schema.find(
        node.operatorName, domain: node.domain, operatorSet: operatorSets[node.domain] ?? 1)
      if let schema { found.insert("\(node.domain):\(node.operatorName)-\(schema.since)") }
      for attribute in node.attributes.values {
        guard case .graph(let body) = attribute else { continue }
        found.formUnion(body.nodes.operators(operatorSets))
      }
    }
  }
}
