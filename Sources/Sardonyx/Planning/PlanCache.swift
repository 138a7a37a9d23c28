import Synchronization

/// The plans of one graph by the types and shapes of its inputs, the least recently used dropped.
final class PlanCache: Sendable {
  private struct Key: Hashable {
    let types: [ValueType?]
    let shapes: [Shape?]
  }

  private struct Entry {
    let plan: Plan
    var lastUse: Int
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var clock = 0
  }

  /// Enough for the shapes a service meets; a plan is small beside the weights.
  private static let capacity = 32
  private let state = Mutex(State())

  /// The plan of `graph` for inputs of these types and shapes; their values play no part.
  func plan(_ graph: Graph, inputs: [Fact]) throws(ModelError) -> Plan {
    let key = Key(types: inputs.map(\.type), shapes: inputs.map(\.shape))
    let known = state.withLock { state -> Plan? in
      state.clock += 1
      state.entries[key]?.lastUse = state.clock
      return state.entries[key]?.plan
    }
    if let known { return known }
    let plan = try Plan(graph, inputs: inputs.map(\.withoutValue))
    state.withLock { state in
      if state.entries.count >= Self.capacity,
        let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
      {
        state.entries[oldest] = nil
      }
      state.entries[key] = Entry(plan: plan, lastUse: state.clock)
    }
    return plan
  }
}

extension Fact {
  /// This fact without the value, for plans that serve every value of a type and shape.
  fileprivate var withoutValue: Fact {
    var fact = self
    fact.value = nil
    return fact
  }
}

/// Arenas that are not in use, kept for the next run.
final class ArenaPool: Sendable {
  private let free = Mutex<[Storage]>([])

  /// An arena of `byteCount` bytes, which must be the same in every call.
  func take(_ byteCount: Int) -> Storage {
    free.withLock { $0.popLast() } ?? Storage(byteCount: byteCount)
  }

  func give(_ arena: Storage) { free.withLock { $0.append(arena) } }
}
