/// The values a caller gave, in the order of a graph's inputs.
struct InputBinding {
  private(set) var values: [Value?] = []
  private let graph: Graph
  /// What each symbolic dimension was first met as, and where.
  private var symbols: [String: (extent: Int, input: String)] = [:]

  /// - Throws: ``ModelError`` (mismatch) for an unknown or missing name.
  init(_ given: [String: Value], _ graph: Graph) throws(ModelError) {
    self.graph = graph
    values.reserveCapacity(graph.inputs.count)
    var count = 0
    for id in graph.inputs {
      let value = given[graph.values[id].name]
      if value != nil { count += 1 }
      values.append(value ?? graph.defaults[id].map(Value.tensor))
    }
    if count < given.count { try Self.checkNames(given, graph) }
    for (id, value) in zip(graph.inputs, values) where value == nil {
      throw ModelError(
        .mismatch, "input \"\(graph.values[id].name)\" is missing",
        hint: "the model wants \(Self.describe(graph.values[id]))")
    }
  }

  /// What is known of the values, which are checked against the inputs.
  /// - Throws: ``ModelError`` (mismatch) for a wrong type, rank or extent, or symbols that do not
  ///   agree.
  mutating func checkedFacts() throws(ModelError) -> [Fact] {
    var facts: [Fact] = []
    for case (let id, let value?) in zip(graph.inputs, values) {
      let record = graph.values[id]
      do throws(ModelError) { try check(value, record) } catch {
        throw ModelError(
          .mismatch, "input \"\(record.name)\": \(error.message)",
          hint: "the model wants \(Self.describe(record))")
      }
      facts.append(Fact(value))
    }
    return facts
  }

  private static func checkNames(_ given: [String: Value], _ graph: Graph) throws(ModelError) {
    let known = graph.inputs.map { graph.values[$0].name }
    guard let wrong = given.keys.filter({ !known.contains($0) }).min() else { return }
    let nearest = known.nearest(to: wrong).map { "did you mean \"\($0)\"? " } ?? ""
    throw ModelError(
      .mismatch, "the model has no input \"\(wrong)\"",
      hint: "\(nearest)its inputs are \(known.quotedList)")
  }

  private mutating func check(_ value: Value, _ record: Graph.ValueRecord) throws(ModelError) {
    guard let type = record.type else { return }
    if case .optional(let inner) = type, value.type == inner { return }
    guard value.type == type else {
      throw .unexpected(
        "type", expected: type.elementType.map { "\($0)" } ?? "\(type)",
        got: value.type.elementType.map { "\($0)" } ?? "\(value.type)")
    }
    guard let tensor = value.tensor, let declared = record.shape else { return }
    guard tensor.shape.count == declared.count else {
      throw .unexpected(
        "shape", expected: Self.describe(declared), got: "[\(tensor.shape.joined)]")
    }
    for (axis, dimension) in declared.enumerated() {
      try check(tensor.shape, axis, dimension, declared, record.name)
    }
  }

  private mutating func check(
    _ shape: Shape, _ axis: Int, _ dimension: Dimension, _ declared: [Dimension], _ input: String
  ) throws(ModelError) {
    switch dimension {
    case .unknown: return
    case .known(let extent):
      guard shape[axis] == extent else {
        throw .unexpected("shape", expected: Self.describe(declared), got: "[\(shape.joined)]")
      }
    case .symbol(let name):
      guard let earlier = symbols[name] else {
        symbols[name] = (shape[axis], input)
        return
      }
      guard earlier.extent == shape[axis] else {
        throw .unexpected(
          "dimension \(name) (axis \(axis))",
          expected: "\(earlier.extent) as in input \"\(earlier.input)\"", got: "\(shape[axis])")
      }
    }
  }

  private static func describe(_ record: Graph.ValueRecord) -> String {
    let type = record.type.map { $0.elementType.map { "\($0)" } ?? "\($0)" } ?? "a value"
    return "\"\(record.name)\" as \(type)\(record.shape.map(describe) ?? "")"
  }

  private static func describe(_ shape: [Dimension]) -> String {
    "[\(shape.map(\.description).joined(separator: ","))]"
  }
}
