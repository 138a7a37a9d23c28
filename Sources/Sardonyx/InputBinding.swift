/// The values a caller gave, in the order of a graph's inputs.
///
/// Axes under one symbolic name may differ in extent: exporters write "?", "None" or a name used
/// before for axes that have nothing to do with one another, and the operators know best.
struct InputBinding {
  private(set) var values: [Value?] = []
  private let graph: Graph

  /// - Parameter declared: the graph of the file, which knows inputs that `graph` takes as constants.
  /// - Throws: ``ModelError`` (mismatch) for an unknown or missing name.
  init(
    _ given: [String: Value], _ graph: Graph, of declared: Graph? = nil
  ) throws(ModelError) {
    self.graph = graph
    values.reserveCapacity(graph.inputs.count)
    var count = 0
    for id in graph.inputs {
      let value = given[graph.values[id].name]
      if value != nil { count += 1 }
      values.append(value ?? graph.defaults[id].map(Value.tensor))
    }
    if count < given.count { try Self.checkNames(given, declared ?? graph) }
    for (id, value) in zip(graph.inputs, values) where value == nil {
      throw ModelError(
        .mismatch, "input \"\(graph.values[id].name)\" is missing",
        hint: "the model wants \(Self.describe(graph.values[id]))")
    }
  }

  /// What is known of the values, which are checked against the inputs.
  /// - Throws: ``ModelError`` (mismatch) for a wrong type, rank or extent.
  func checkedFacts() throws(ModelError) -> [Fact] {
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

  private func check(_ value: Value, _ record: Graph.ValueRecord) throws(ModelError) {
    guard let type = record.type else { return }
    if case .optional(let inner) = type, value.type == inner { return }
    guard value.type == type else {
      throw .unexpected(
        "type", expected: type.elementType.map { "\($0)" } ?? "\(type)",
        got: value.type.elementType.map { "\($0)" } ?? "\(value.type)")
    }
    guard let shape = value.tensor?.shape, let declared = record.shape else { return }
    let fits = zip(shape, declared).allSatisfy { extent, dimension in
      if case .known(let known) = dimension { known == extent } else { true }
    }
    guard shape.count == declared.count, fits else {
      throw .unexpected("shape", expected: Self.describe(declared), got: "[\(shape.joined)]")
    }
  }

  /// An error of a run with these values, whose hint tells of axes that the model declares as equal
  /// and that are not.
  func explain(_ error: ModelError) -> ModelError {
    guard error.code == .mismatch || error.code == .invalid,
      let difference = unequalAxes
    else { return error }
    var error = error
    error.hint = (error.hint.map { $0 + "; " } ?? "") + difference
    return error
  }

  private var unequalAxes: String? {
    for (name, axes) in graph.sharedSymbols {
      let shapes = axes.map { values[$0.input]?.tensor?.shape ?? [] }
      let extents = zip(axes, shapes).map { $0.axis < $1.count ? $1[$0.axis] : 0 }
      guard let other = extents.firstIndex(where: { $0 != extents[0] }) else { continue }
      func words(_ index: Int) -> String { graph.words(axes[index]) }
      return "the model declares \(words(0)) and \(words(other)) as equal (\(name)), and they are "
        + "\(extents[0]) and \(extents[other])"
    }
    return nil
  }

  private static func describe(_ record: Graph.ValueRecord) -> String {
    let type = record.type.map { $0.elementType.map { "\($0)" } ?? "\($0)" } ?? "a value"
    return "\"\(record.name)\" as \(type)\(record.shape.map(describe) ?? "")"
  }

  private static func describe(_ shape: [Dimension]) -> String {
    "[\(shape.map(\.description).joined(separator: ","))]"
  }
}

/// An axis of one of a graph's inputs, both by their positions.
struct InputAxis: Sendable {
  let input: Int
  let axis: Int
}

extension Graph {
  /// The symbolic names that several axes of the inputs are declared under, with these axes.
  var sharedSymbols: [(name: String, axes: [InputAxis])] {
    inputSymbols.map { symbol in
      var axes: [InputAxis] = []
      for (input, id) in inputs.enumerated() {
        for (axis, dimension) in (values[id].shape ?? []).enumerated() {
          if case .symbol(symbol) = dimension { axes.append(InputAxis(input: input, axis: axis)) }
        }
      }
      return (symbol, axes)
    }.filter { $0.axes.count > 1 }
  }

  /// `axis 0 of "x"`.
  func words(_ axis: InputAxis) -> String {
    "axis \(axis.axis) of \"\(values[inputs[axis.input]].name)\""
  }
}
