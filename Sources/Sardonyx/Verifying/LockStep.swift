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
  private var awaited: [String: Reference] = [:]
  /// Values that only one of the plans makes.
  let unmatched: (first: Int, second: Int)
  /// ``Reference/resolution`` of each value that is an output of the graph.
  private(set) var resolutions: [String: Double] = [:]
  /// The same of all values of the second plan that have one.
  private var inner: [Graph.ValueID: Double] = [:]

  /// Looks at each pair of values instead of comparing them: name, operator, value and reference.
  var visit: ((String, String, Value, Value) -> Void)?

  /// A value of the second plan and how it came about.
  private struct Reference {
    let operatorName: String
    let value: Value
    /// The change of the value that a change of its input by the input's own magnitude may cause.
    let resolution: Double
  }

  init(
    _ first: Plan, _ second: Plan, _ tolerance: Comparison.Tolerance, recording: Bool
  ) {
    self.tolerance = tolerance
    let (left, right) = (first.madeNames, second.madeNames)
    let shared = left.intersection(right)
    common = recording ? shared : []
    unmatched = (left.count - shared.count, right.count - shared.count)
  }

  /// Runs both to their ends, the second being the reference.
  mutating func run(_ first: inout Executor, _ second: inout Executor) throws(ModelError) {
    while true {
      // Asked before the step runs, which may overwrite its input.
      let resolution = second.reorderedByNext.map { inner[$0] ?? 0 } ?? second.nextResolution
      guard let made = try second.advance() else { break }
      for (id, value) in made {
        let record = second.plan.graph.values[id]
        let name = record.name
        if resolution > 0 { inner[id] = resolution }
        if second.plan.graph.outputs.contains(id) { resolutions[name] = resolution }
        guard common.contains(name) else { continue }
        let value = value.asWritten(record)
        let reference = Reference(
          operatorName: second.lastOperatorName, value: value, resolution: resolution)
        if let other = early.removeValue(forKey: name) {
          compare(name, other, reference)
        } else {
          awaited[name] = reference
        }
      }
      while !awaited.isEmpty, try advanceFirst(&first) {}
    }
    while try first.advance() != nil {}
  }

  private mutating func advanceFirst(_ first: inout Executor) throws(ModelError) -> Bool {
    guard let made = try first.advance() else { return false }
    for (id, value) in made {
      let record = first.plan.graph.values[id]
      let name = record.name
      guard common.contains(name) else { continue }
      let value = value.asWritten(record)
      if let reference = awaited.removeValue(forKey: name) {
        compare(name, value, reference)
      } else {
        early[name] = value.copied
      }
    }
    return true
  }

  private mutating func compare(_ name: String, _ value: Value, _ reference: Reference) {
    if let visit { return visit(name, reference.operatorName, value, reference.value) }
    entries.append(
      Comparison.Entry(
        name, reference.operatorName, value, reference: reference.value, tolerance,
        resolution: reference.resolution))
  }
}

extension Plan {
  /// Names of the values that steps make.
  fileprivate var madeNames: Set<String> {
    Set(
      steps.flatMap { step in
        graph.nodes[step.node].outputs.compactMap { id in
          id.map { graph.values[$0] }.flatMap { $0.isReordered ? nil : $0.name }
        }
      })
  }
}

extension Executor {
  /// The operator of the step that ran last.
  var lastOperatorName: String {
    plan.graph.nodes[plan.steps[position - 1].node].operatorName
  }

  /// What the next step brings into another layout, if that is all it does.
  fileprivate var reorderedByNext: Graph.ValueID? {
    guard position < plan.steps.count else { return nil }
    let node = plan.graph.nodes[plan.steps[position].node]
    return node.implementation is UnblockChannels || node.implementation is PutChannelsFirst
      ? node.inputs[0] : nil
  }

  /// For a next step whose operator squeezes its input into bounds, its steepest slope times the
  /// largest magnitude of the input: two inputs that agree relative to that make outputs that
  /// agree no better. 0 for other operators.
  var nextResolution: Double {
    guard position < plan.steps.count else { return 0 }
    let node = plan.graph.nodes[plan.steps[position].node]
    guard node.domain.isEmpty, let slope = node.steepestSlope,
      let id = node.inputs.first.flatMap({ $0 }),
      let input = value(id)?.asWritten(plan.graph.values[id]).tensor,
      input.type.isFloatingPoint
    else { return 0 }
    let numbers = input.converted(to: Double.self)
    return slope * numbers.lazy.filter(\.isFinite).map(abs).reduce(0, max)
  }
}

extension Node {
  /// The largest derivative of an operator whose outputs are bounded.
  fileprivate var steepestSlope: Double? {
    switch operatorName {
    case "Sigmoid": 0.25
    case "HardSigmoid":
      if case .float(let alpha)? = attributes["alpha"] { Double(abs(alpha)) } else { 0.2 }
    case "Tanh", "Softsign": 1
    // |∂ softmax| summed over the inputs is at most 1/2.
    case "Softmax": 0.5
    default: nil
    }
  }
}

extension Value {
  /// A value of a prepared graph in the layout and the type that it has in the file.
  func asWritten(_ record: Graph.ValueRecord) -> Value {
    guard var tensor else { return self }
    if let channels = record.blockedChannels {
      tensor = BlockLayout().unblocked(tensor, channels: channels)
    }
    if let type = record.bytesWithChannelsLast {
      tensor = ChannelsLast.plain(tensor, isSigned: type == .int8)
    }
    if let type = record.widenedType {
      tensor = Tensor(converting: tensor.converted(to: Float.self), to: type, tensor.shape)
    }
    return .tensor(tensor)
  }
}
