/// Walks two plans of one model together and compares values of the same name as they come, so
/// that memory stays that of the two plans and not of all layers.
struct LockStep {
  private(set) var entries: [Comparison.Entry] = []
  private let tolerance: Comparison.Tolerance
  /// Values of both plans that steps make.
  private let common: Set<String>
  /// Values of the first plan that the second has not made yet.
  private var early: [String: Value] = [:]
  /// Values of the second plan's last step that the first has not made yet.
  private var awaited: [String: (operatorName: String, value: Value)] = [:]

  init(
    _ first: Plan, _ second: Plan, _ tolerance: Comparison.Tolerance, recording: Bool
  ) {
    self.tolerance = tolerance
    common = recording ? first.madeNames.intersection(second.madeNames) : []
  }

  /// Runs both to their ends, the second being the reference.
  mutating func run(_ first: inout Executor, _ second: inout Executor) throws(ModelError) {
    while let made = try second.advance() {
      for (id, value) in made {
        let record = second.plan.graph.values[id]
        guard common.contains(record.name) else { continue }
        let operatorName = second.lastOperatorName
        if let other = early.removeValue(forKey: record.name) {
          compare(record.name, operatorName, other, value)
        } else {
          awaited[record.name] = (operatorName, value)
        }
      }
      while !awaited.isEmpty, try advanceFirst(&first) {}
    }
    while try first.advance() != nil {}
  }

  private mutating func advanceFirst(_ first: inout Executor) throws(ModelError) -> Bool {
    guard let made = try first.advance() else { return false }
    for (id, value) in made {
      let name = first.plan.graph.values[id].name
      if let (operatorName, reference) = awaited.removeValue(forKey: name) {
        compare(name, operatorName, value, reference)
      } else if common.contains(name) {
        early[name] = value.copied
      }
    }
    return true
  }

  private mutating func compare(
    _ name: String, _ operatorName: String, _ value: Value, _ reference: Value
  ) {
    entries.append(
      Comparison.Entry(name, operatorName, value, reference: reference, tolerance))
  }
}

extension Plan {
  /// Names of the values that steps make.
  fileprivate var madeNames: Set<String> {
    Set(
      steps.flatMap { step in
        graph.nodes[step.node].outputs.compactMap { id in id.map { graph.values[$0].name } }
      })
  }
}

extension Executor {
  /// The operator of the step that ran last.
  fileprivate var lastOperatorName: String {
    plan.graph.nodes[plan.steps[position - 1].node].operatorName
  }
}

extension Value {
  /// This value in memory of its own.
  fileprivate var copied: Value {
    switch self {
    case .tensor(let tensor):
      let storage = Storage(byteCount: tensor.byteCount)
      let destination = Destination(tensor.type, tensor.shape, storage: storage)
      destination.copy(tensor)
      return .tensor(destination.tensor(texts: tensor.texts))
    case .sequence(let elements, let type): return .sequence(elements.map(\.copied), of: type)
    case .optional(let value, let type): return .optional(value?.copied, of: type)
    case .map(let keys, let values): return .map(keys: keys, values: values)
    }
  }
}
