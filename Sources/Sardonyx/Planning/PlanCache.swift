import Synchronization

/// The plans of one graph by the types and shapes of its inputs, the least recently used dropped.
final class PlanCache: Sendable {
  /// Enough for the shapes a service meets; a plan is small beside the weights.
  private static let capacity = 32
  /// The most recently used first.
  private let plans = Mutex<[Plan]>([])

  /// The plan for values of these types and shapes, if there is one.
  func plan(for values: [Value?]) -> Plan? { find { $0.fits(values) } }

  /// The plan of `graph` for inputs of these types and shapes; their values play no part.
  func plan(
    _ graph: Graph, inputs: [Fact], telling activity: Activity? = nil
  ) throws(ModelError) -> Plan {
    let known = find { plan in
      zip(plan.inputs, inputs).allSatisfy { $0.type == $1.type && $0.shape == $1.shape }
    }
    if let known { return known }
    let plan = try Plan(graph, inputs: inputs.map(\.withoutValue), telling: activity)
    plans.withLock { plans in
      if plans.count >= Self.capacity { plans.removeLast() }
      plans.insert(plan, at: 0)
    }
    return plan
  }

  private func find(_ isWanted: (Plan) -> Bool) -> Plan? {
    plans.withLock { plans in
      guard let index = plans.firstIndex(where: isWanted) else { return nil }
      if index > 0 { plans.insert(plans.remove(at: index), at: 0) }
      return plans[0]
    }
  }
}

extension Fact {
  /// This fact without the value, for plans that serve every value of a type and shape.
  var withoutValue: Fact {
    var fact = self
    fact.value = nil
    return fact
  }
}
