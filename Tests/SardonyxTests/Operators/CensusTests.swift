import Foundation
import Testing

@testable import Sardonyx

/// For every operator, version and type that its schema allows: it is run or refused, never more.
@Suite(.enabled(if: !BackendCase.onnx.isEmpty)) struct CensusTests {
  @Test func everyTypeThatASchemaAllowsIsComputedOrRefused() throws {
    var met: [String: Int] = [:]
    var covered: Set<String> = []
    for testCase in BackendCase.onnx + BackendCase.recorded {
      guard let model = try? Model(path: testCase.model),
        let given = try? testCase.inputs(of: model)
      else { continue }
      let graph = model.graph
      for node in graph.nodes {
        guard
          let schema = Schema.find(
            node.operatorName, domain: node.domain, operatorSet: node.operatorSet),
          let inputs = node.inputValues(graph, given)
        else { continue }
        covered.insert("\(node.domain):\(node.operatorName)-\(schema.since)")
        for variable in [nil] + schema.constraints.keys.sorted().map(Optional.some) {
          let types = variable.map { ElementType.allCases(in: schema.constraints[$0]!) } ?? [.float]
          for type in types {
            let key = "\(schema.label) \(variable ?? "-")=\(type)"
            // Some shapes and attributes of each are enough.
            met[key, default: 0] += 1
            guard met[key]! <= 6 else { continue }
            let changed = inputs.enumerated().map { position, value in
              guard let variable, schema.variable(at: position) == variable else { return value }
              return value.map { $0.filled(with: type) }
            }
            census(node, changed, key)
          }
        }
      }
    }
    #expect(covered.count > 500, "operators and versions met: \(covered.count)")
  }

  /// Runs a node with all its outputs and with each alone, its inputs known beforehand and not.
  private func census(_ node: Node, _ inputs: [Value?], _ key: String) {
    for kept in [nil] + node.outputs.indices.map(Optional.some) {
      var node = node
      if let kept {
        guard node.outputs.count > 1 else { continue }
        for index in node.outputs.indices where index != kept { node.outputs[index] = nil }
      }
      for isPrepared in [false, true] {
        if isPrepared {
          let facts = inputs.enumerated().map { index, value in
            value.map { index == 0 ? Fact(type: $0.type) : Fact($0) }
          }
          guard let checked = try? node.facts(facts),
            (try? node.implementation.prepare(checked)) != nil
          else { continue }
        }
        let context = RunContext(
          crew: Crew(threads: 1, deadline: .now + .seconds(2)), memoryLimit: 1 << 28)
        trace("\(key) kept \(kept ?? -1) prepared \(isPrepared)")
        _ = try? node.evaluate(inputs, context: context)
      }
    }
  }

  /// Where SARDONYX_TRACE is set, the last line tells who trapped.
  private func trace(_ text: String) {
    guard ProcessInfo.processInfo.environment["SARDONYX_TRACE"] != nil else { return }
    FileHandle.standardError.write(Data("census \(text)\n".utf8))
  }
}

extension Schema {
  /// The type variable of the input at a position.
  fileprivate func variable(at position: Int) -> Substring? {
    guard let last = inputs.indices.last else { return nil }
    return inputs[min(position, last)].variable
  }
}

extension ElementType {
  /// Those that a variable allows, alone or as elements of sequences and optionals.
  fileprivate static func allCases(in types: TypeSet) -> [ElementType] {
    allCases.filter { type in
      let tensor = ValueType.tensor(type)
      return [tensor, .sequence(tensor), .optional(tensor), .optional(.sequence(tensor))]
        .contains(where: types.contains)
    }
  }
}

extension Node {
  /// The inputs, where the model's inputs and constants are all of them.
  func inputValues(_ graph: Graph, _ given: [String: Value]) -> [Value?]? {
    var values: [Value?] = []
    for id in inputs {
      guard let id else {
        values.append(nil)
        continue
      }
      let record = graph.values[id]
      guard
        let value = given[record.name] ?? record.constant.map(Value.tensor)
          ?? graph.defaults[id].map(Value.tensor)
      else { return nil }
      values.append(value)
    }
    return values
  }
}

extension Value {
  /// Numbers of about the same values as elements of another type.
  fileprivate func filled(with type: ElementType) -> Value {
    switch self {
    case .tensor(let tensor): return .tensor(tensor.filled(with: type))
    case .sequence(let elements, let element):
      return .sequence(
        elements.map { $0.filled(with: type) },
        of: element.elementType == nil ? element : .tensor(type))
    case .optional(let value, let element):
      return .optional(
        value?.filled(with: type), of: element.elementType == nil ? element : .tensor(type))
    case .map: return self
    }
  }
}

extension Tensor {
  fileprivate func filled(with type: ElementType) -> Tensor {
    if type == self.type { return self }
    if type == .string {
      return Tensor(strings: (0..<elementCount).map { "\($0 % 3)" }, shape)
    }
    let numbers =
      self.type.computed == nil
      ? (0..<elementCount).map { Double($0 % 3) } : converted(to: Double.self)
    switch type {
    case .complex64:
      let parts = numbers.flatMap { [Float($0), Float(1)] }
      return Tensor(.complex64, shape, storage: Tensor(parts).storage)
    case .complex128:
      return Tensor(.complex128, shape, storage: Tensor(numbers.flatMap { [$0, 1] }).storage)
    default: return Tensor(converting: numbers, to: type, shape)
    }
  }
}
