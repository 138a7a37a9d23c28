extension Node {
  /// What the operator can be asked with, once types are checked.
  /// - Throws: ``ModelError`` (invalid).
  func facts(_ inputs: [Fact?]) throws(ModelError) -> Facts {
    Facts(inputs, try check(types: inputs.map { $0?.type }))
  }

  /// Types and shapes of the outputs.
  /// - Throws: ``ModelError``: as ``Operator/outputs(_:)`` does; invalid where the schema does not
  ///   allow a type; limit where an output is larger than can be counted.
  func outputs(_ inputs: [Fact?]) throws(ModelError) -> [Fact] {
    let facts = try implementation.describe(try facts(inputs))
    // Attributes may name any type.
    try check(made: facts.map(\.type))
    return facts
  }

  /// Computes the node by itself, every output in memory of its own.
  /// - Parameter inputs: one value per input of the node, nil where left out.
  /// - Returns: one value per output, nil for those without a name.
  func evaluate(_ inputs: [Value?], context: RunContext) throws(ModelError) -> [Value?] {
    let operands = Inputs(inputs, try check(given: inputs.map { $0?.type }))
    return try implementation.evaluate(
      operands, wanted: outputs.map { $0 != nil }, context: context)
  }
}

extension Operator {
  /// What ``outputs(_:)`` tells, after a look at the extents: whoever gets a shape from here may
  /// count its elements and multiply two of its extents.
  /// - Throws: ``ModelError``: limit where an output is larger than can be counted.
  func describe(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let facts = try outputs(inputs)
    for case (let index, let shape?) in facts.lazy.map(\.shape).enumerated()
    where shape.checkedElementCount == nil {
      throw .unexpected(
        "shape of output \(index)",
        expected: "extents of at most \(Shape.largestExtent) that make a number of elements",
        got: "[\(shape.joined)]", code: .limit)
    }
    return facts
  }

  /// Prepares constant inputs; not where one has no elements and can be read as it is, since others of
  /// its extents may be as long as a file likes.
  mutating func makeReady(_ inputs: Facts) throws(ModelError) {
    for index in 0..<inputs.count where inputs.hasEmptyValue(index) && reads(index) { return }
    try prepare(inputs)
  }

  /// Whether nothing is left to compute once the wanted outputs have their memory, as none of them has
  /// elements. No operator then walks along the axes that are not empty, whose extents cost a file
  /// nothing.
  func isDone(_ facts: [Fact], wanted: [Bool]) -> Bool {
    guard isDeterministic, bodies.isEmpty else { return false }
    return wanted.enumerated().allSatisfy { index, isWanted in
      !isWanted
        || index < facts.count && facts[index].elementType != nil
          && facts[index].shape?.contains(0) ?? false
    }
  }

  /// Computes a node by itself, every output in memory of its own.
  ///
  /// Serves constant folding, nodes whose shapes are known only during the run, and tests.
  /// - Parameter wanted: one flag per output of the node.
  /// - Returns: the wanted outputs, nil for the others.
  func evaluate(_ operands: Inputs, wanted: [Bool], context: RunContext) throws(ModelError)
    -> [Value?]
  {
    guard wanted.contains(true) else { return wanted.map { _ in nil } }
    let facts = try describe(operands.facts)
    var destinations: [Destination?] = []
    for (index, isWanted) in wanted.enumerated() {
      guard isWanted, index < facts.count, let type = facts[index].elementType,
        let shape = facts[index].shape
      else {
        destinations.append(nil)
        continue
      }
      destinations.append(
        Destination(type, shape, storage: try context.allocate(type, shape)))
    }
    let results = Outputs(destinations, wanted: wanted, context: context)
    if isDone(facts, wanted: wanted) { return results.finished(texts: .none) }
    try context.crew.asCurrent { () throws(ModelError) in try run(operands, results) }
    try context.checkCancellation()
    return results.finished(texts: operands.texts)
  }
}
