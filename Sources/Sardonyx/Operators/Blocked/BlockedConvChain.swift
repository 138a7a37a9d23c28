/// Conv of what another Conv has made, over blocks of channels, put in by a pass: rows of one go on to the next while they
/// are in the cache (``ConvolutionChain``).
///
/// Inputs are X as the first reads it, then W and B of each, and the residual of the last.
struct BlockedConvChain: Operator {
  private var links: [BlockedConv]
  /// As errors name the nodes.
  private let labels: [String]

  /// - Parameter links: each with the label of its node; none but the last adds a residual.
  init(_ links: [(conv: BlockedConv, label: String)]) {
    self.links = links.map(\.conv)
    labels = links.map(\.label)
  }

  private var residual: Int? { links.last!.conv.addsResidual ? 1 + 2 * links.count : nil }

  /// The inputs of a link, given its X.
  private func own<Input>(_ index: Int, _ x: Input, _ inputs: (Int) -> Input) -> [Input] {
    let parameters = [x, inputs(1 + 2 * index), inputs(2 + 2 * index)]
    guard index == links.count - 1, let residual else { return parameters }
    return parameters + [inputs(residual)]
  }

  /// What each link is given.
  private func facts(_ inputs: Facts) throws(ModelError) -> [Facts] {
    var (all, x): ([Facts], Fact?) = ([], inputs[0])
    for (index, link) in links.enumerated() {
      let own = inputs.replaced(by: own(index, x) { inputs.has($0) ? inputs[$0] : nil })
      all.append(own)
      guard index < links.count - 1 else { break }
      do throws(ModelError) { x = try link.outputs(own)[0] } catch {
        throw error.at(node: labels[index])
      }
    }
    return all
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try links.last!.outputs(facts(inputs).last!)
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    for index in links.indices {
      try links[index].prepare(
        inputs.replaced(by: own(index, .unknown) { inputs.has($0) ? inputs[$0] : nil }))
    }
  }

  /// Weights and biases are packed.
  func reads(_ index: Int) -> Bool { index == 0 || index == residual }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    var parts: [ConvolutionChain.Link] = []
    for (link, facts) in zip(links, try facts(inputs)) {
      guard let part = try link.link(facts) else { return nil }
      parts.append(part)
    }
    guard let chain = ConvolutionChain(parts) else { return nil }
    return { [residual] addresses, crew in
      unsafe chain.run(
        addresses.input(0), residual: residual.map { unsafe addresses.input($0) },
        into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    var x = inputs.value(0)
    for (index, link) in links.enumerated() {
      let own = inputs.replaced(by: own(index, x, inputs.value))
      if index == links.count - 1 {
        try link.run(own, outputs)
      } else {
        x = try link.evaluate(own, wanted: [true], context: outputs.context)[0]
      }
    }
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let facts = try? facts(inputs) else { return 0 }
    return zip(links, facts).reduce(0) { $0 + $1.0.multiplyAdds($1.1, outputs) }
  }

  var method: String? {
    links.map(\.algorithm.description).joined(separator: ", ")
      + " row by row, blocks of \(BlockLayout().lanes)"
  }
}
