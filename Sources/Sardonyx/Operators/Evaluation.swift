extension Operator {
  /// Computes a node by itself, every output in memory of its own.
  ///
  /// Serves constant folding, nodes whose shapes are known only during the run, and tests.
  /// - Parameters:
  ///   - inputs: one value per input of the node, nil where left out.
  ///   - wanted: one flag per output of the node.
  /// - Returns: the wanted outputs, nil for the others.
  func evaluate(_ inputs: [Value?], wanted: [Bool], context: RunContext) throws(ModelError)
    -> [Value?]
  {
    let operands = Inputs(inputs)
    let facts = try outputs(operands.facts)
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
    try run(operands, results)
    return results.finished(texts: operands.texts)
  }
}
