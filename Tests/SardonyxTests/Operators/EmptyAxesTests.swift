import Foundation
import Testing

@testable import Sardonyx

/// An axis without elements makes the others free for a file to declare as long as it likes: operators
/// must not walk them, nor take memory by them.
@Suite struct EmptyAxesTests {
  /// Milliseconds of processor time: far more than it takes not to walk, far less than to walk.
  private static let tolerance = 250.0

  /// Cases tried of each operator.
  private static let casesOfEach = 4

  @Test func extentsBesideAnEmptyAxisCostNothing() throws {
    var tried: [String: Int] = [:]
    var (slow, emptied) = ([String](), 0)
    for testCase in BackendCase.onnx + BackendCase.recorded {
      guard let model = try? Model(path: testCase.model),
        let given = try? testCase.inputs(of: model)
      else { continue }
      for node in model.graph.nodes {
        let key = "\(node.domain):\(node.operatorName)"
        guard tried[key, default: 0] < Self.casesOfEach, node.implementation.bodies.isEmpty,
          let inputs = node.inputValues(model.graph, given)
        else { continue }
        tried[key, default: 0] += 1
        for change in Self.changes(of: inputs) {
          guard let changed = change.values(inputs) else { continue }
          let (milliseconds, isEmpty) = try Self.run(node, changed)
          emptied += isEmpty ? 1 : 0
          if milliseconds > Self.tolerance, isEmpty {
            let shapes = changed.map { $0?.tensor.map { "[\($0.shape.joined)]" } ?? "-" }
            slow.append("\(testCase.name): \(key) \(shapes) \(Int(milliseconds)) ms")
            // One that walks does so again and again.
            tried[key] = .max - 1
            break
          }
        }
      }
    }
    #expect(slow.isEmpty, "\(slow.joined(separator: "\n"))")
    #expect(tried.count > 150 && emptied > 1000, "\(tried.count) operators, \(emptied) runs")
  }

  /// Asks a node all that a plan and a run ask.
  private static func run(_ node: Node, _ inputs: [Value?]) throws -> (Double, isEmpty: Bool) {
    var node = node
    let began = processorTime()
    let crew = Crew(threads: 1, deadline: .now + .milliseconds(400))
    let context = RunContext(crew: crew, memoryLimit: 1 << 24)
    var isEmpty = true
    crew.asCurrent {
      guard let facts = try? node.facts(inputs.map { $0.map { Fact($0) } }) else { return }
      try? node.implementation.makeReady(facts)
      if let outputs = try? node.implementation.describe(facts) {
        isEmpty = outputs.allSatisfy { $0.shape?.contains(0) ?? true }
        // A plan asks for no computation of what is done.
        let wanted = outputs.map { _ in true }
        if !node.implementation.isDone(outputs, wanted: wanted) {
          _ = try? node.implementation.computation(facts, outputs)
        }
      }
      if let results = try? node.evaluate(inputs, context: context) {
        isEmpty = results.allSatisfy { $0?.tensor?.elementCount ?? 0 == 0 }
      }
    }
    return (Double(processorTime() - began) / 1e6, isEmpty)
  }

  private static func processorTime() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  /// Other extents for those of the same number, in all inputs alike, so that they still fit each other.
  private struct Change {
    let extents: [Int: Int]
    /// Whether numbers in small integer inputs, which may be extents, change with them.
    let changesNumbers: Bool

    /// - Returns: nil where an input would take memory.
    func values(_ inputs: [Value?]) -> [Value?]? {
      var values: [Value?] = []
      for input in inputs {
        guard let tensor = input?.tensor else {
          values.append(input)
          continue
        }
        let shape = tensor.shape.map { extents[$0] ?? $0 }
        guard let count = shape.checkedElementCount, count < 1 << 16 else { return nil }
        if shape == tensor.shape {
          let isSmall = tensor.type == .int64 && tensor.elementCount <= 8
          guard changesNumbers, isSmall else {
            values.append(input)
            continue
          }
          let numbers = tensor.converted(to: Int64.self).map {
            extents[Int($0)].map(Int64.init) ?? $0
          }
          values.append(.tensor(Tensor(numbers, shape)))
        } else {
          values.append(.tensor(Tensor(zeros: tensor.type, shape)))
        }
      }
      return values
    }
  }

  private static func changes(of inputs: [Value?]) -> [Change] {
    let extents = Set(inputs.flatMap { $0?.tensor?.shape ?? [] }).sorted()
    var changes: [Change] = []
    for empty in extents {
      for long in extents where long != empty {
        for changesNumbers in [false, true] {
          changes.append(
            Change(extents: [empty: 0, long: 1 << 30], changesNumbers: changesNumbers))
        }
      }
      var all = Dictionary(uniqueKeysWithValues: extents.map { ($0, 1 << 28) })
      all[empty] = 0
      changes.append(Change(extents: all, changesNumbers: false))
      changes.append(Change(extents: all, changesNumbers: true))
    }
    return changes
  }
}
