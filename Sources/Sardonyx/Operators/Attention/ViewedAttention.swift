/// softmax(Q·Kᵀ·scale + mask)·V of float32, put in by a pass for the nodes that spell it out.
///
/// Q, K and V are read where they lie in larger tensors, through the rearrangements that made them. Inputs
/// are in any order; ``Factor/input`` and ``mask`` tell which is which. Q is batch×heads×queries×size, K
/// batch×heads×keys×size and V batch×heads×keys×size', their first two axes broadcast against each other
/// or missing. The output is batch×heads×queries×size', its axes in another order where there is one.
struct ViewedAttention: Operator {
  /// A tensor behind some rearrangements.
  struct Factor: Sendable {
    /// A rearrangement, and which inputs of the node are its own from the second on.
    struct Step: Sendable {
      let implementation: any Viewing
      let inputs: [Int?]
      let output: Int
    }

    let input: Int
    let steps: [Step]
  }

  let query: Factor
  let key: Factor
  let value: Factor
  let scale: Scale
  let isCausal: Bool
  let mask: Mask?
  /// Whether a query that the mask hides all keys from gives 0, and not what softmax makes of it.
  let hiddenGivesZero: Bool
  /// Axis i of the output is axis `permutation[i]` of what is computed.
  let permutation: [Int]

  /// A number times, or through, those that some inputs hold.
  struct Scale: Sendable {
    var factor: Float = 1
    var inputs: [(index: Int, isDivisor: Bool)] = []
  }

  /// The input that changes the scores.
  struct Mask: Sendable {
    enum Meaning: Sendable {
      /// Numbers that are added.
      case terms
      /// Flags: where one is `flag`, the score is this number.
      case flags(hiding: Bool, score: Float)
    }

    var input: Int
    let meaning: Meaning
  }

  /// The extents that the tensors have in common, and the tensors with them.
  private struct Sizes {
    /// Before the last two axes.
    let outer: Shape
    let queries: Int
    let keys: Int
    let size: Int
    let valueSize: Int

    var result: Shape { outer + [queries, valueSize] }

    init(_ query: Shape, _ key: Shape, _ value: Shape, _ mask: Shape?) throws(ModelError) {
      guard [query, key, value].allSatisfy({ (2...4).contains($0.count) }), query.last == key.last,
        key[key.count - 2] == value[value.count - 2]
      else {
        throw .unexpected(
          "shapes of Q, K and V", expected: "matrices that can be multiplied",
          got: "[\(query.joined)], [\(key.joined)] and [\(value.joined)]")
      }
      (queries, keys) = (query[query.count - 2], key[key.count - 2])
      (size, valueSize) = (query[query.count - 1], value[value.count - 1])
      outer = try Shape.broadcast(
        [query, key, value].map { $0.dropLast(2) } + (mask.map { [$0.dropLast(2)] } ?? []))
      if let mask, !mask.suffix(2).map({ $0 }).broadcasts(to: [queries, keys]) {
        throw .unexpected(
          "shape of the mask", expected: "one that broadcasts to [\(queries), \(keys)]",
          got: "[\(mask.joined)]")
      }
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try sizes(inputs).result
    return [Fact(.float, permutation.map { shape[$0] })]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    // A scale that depends on data is left to `run`.
    guard (try? scale(inputs)) != nil, let query = try region(query, inputs),
      let key = try region(key, inputs),
      let value = try region(value, inputs)
    else { return nil }
    return try kernel(query, key, value, inputs).map { kernel in
      let (places, mask) = ([self.query.input, self.key.input, self.value.input], mask?.input)
      return { addresses, crew in
        unsafe kernel.run(
          AttentionKernel.Operands(
            query: addresses.input(places[0]), key: addresses.input(places[1]),
            value: addresses.input(places[2]),
            mask: mask.map { unsafe UnsafeRawPointer(addresses.input($0) as UnsafePointer<UInt8>) },
            pastKey: nil, pastValue: nil, validLengths: nil, result: addresses.output(),
            presentKey: nil, presentValue: nil),
          on: crew)
      }
    }
  }

  /// Rearranges by copying where no view does.
  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    var tensors: [Value?] = []
    let plain = ViewedAttention(
      query: Factor(input: 0, steps: []), key: Factor(input: 1, steps: []),
      value: Factor(input: 2, steps: []), scale: Scale(factor: try scale(inputs.facts)),
      isCausal: isCausal, mask: mask.map { Mask(input: 3, meaning: $0.meaning) },
      hiddenGivesZero: hiddenGivesZero, permutation: permutation)
    for factor in [query, key, value] {
      tensors.append(.tensor(try rearranged(factor, inputs, outputs.context)))
    }
    if let mask { tensors.append(inputs.value(mask.input)) }
    guard try plain.compute(inputs.replaced(by: tensors), outputs) else {
      preconditionFailure("an attention over whole tensors was not computed")
    }
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let sizes = try? sizes(inputs) else { return 0 }
    return sizes.outer.elementCount &* sizes.queries &* sizes.keys
      &* (sizes.size &+ sizes.valueSize)
  }

  var method: String? { "in one pass" }

  private func kernel(_ query: Region, _ key: Region, _ value: Region, _ inputs: Facts)
    throws(ModelError) -> AttentionKernel?
  {
    let sizes = try sizes(inputs)
    let maskShape = try maskShape(inputs)
    let outer = Array(repeating: 1, count: 4 - sizes.result.count) + sizes.outer
    func layout(_ length: Int, _ size: Int) -> HeadLayout {
      HeadLayout(batch: outer[0], heads: outer[1], length: length, size: size, isPacked: false)
    }
    func steps(_ region: Region) -> AttentionKernel.Steps {
      AttentionKernel.Steps(region.broadcast(to: outer + region.extents.suffix(2)))
    }
    let extents = try AttentionExtents(
      query: layout(sizes.queries, sizes.size), key: layout(sizes.keys, sizes.size),
      value: layout(sizes.keys, sizes.valueSize))
    var (hidesByFlag, hiding, score) = (false, false, -Float.infinity)
    if case .flags(let flag, let hidden)? = mask?.meaning {
      (hidesByFlag, hiding, score) = (true, flag, hidden)
    }
    var kernel = AttentionKernel(
      extents: extents, scale: try scale(inputs),
      visibility: KeyVisibility(extents: extents, isCausal: isCausal, window: (-1, -1)),
      maskShape: maskShape.map { Array(repeating: 1, count: 4 - $0.count) + $0 },
      maskIsBool: hidesByFlag)
    (kernel.hidingFlag, kernel.hiddenScore) = (hiding, score)
    kernel.hiddenGivesZero = hiddenGivesZero
    var result = Region(permutation.map { sizes.result[$0] })
    result = result.permuted(permutation.indices.map { permutation.firstIndex(of: $0)! })
    (kernel.query, kernel.key, kernel.value) = (steps(query), steps(key), steps(value))
    kernel.result = steps(result)
    return kernel.result?.element == 1 || sizes.valueSize == 1 ? kernel : nil
  }

  private func sizes(_ inputs: Facts) throws(ModelError) -> Sizes {
    try Sizes(
      shape(query, inputs), shape(key, inputs), shape(value, inputs),
      maskShape(inputs))
  }

  private func maskShape(_ inputs: Facts) throws(ModelError) -> Shape? {
    guard let mask else { return nil }
    return try inputs.shape(mask.input)
  }

  private func scale(_ inputs: Facts) throws(ModelError) -> Float {
    var scale = scale.factor
    for (index, isDivisor) in self.scale.inputs {
      let number = Float(try inputs.numbers(index)[0])
      if isDivisor { scale /= number } else { scale *= number }
    }
    return scale
  }

  // MARK: - Rearrangements

  private func facts(_ step: Factor.Step, _ shape: Shape, _ inputs: Facts) -> Facts {
    inputs.replaced(
      by: [Fact(.float, shape)]
        + step.inputs.map { $0.flatMap { inputs.has($0) ? inputs[$0] : nil } })
  }

  private func shape(_ factor: Factor, _ inputs: Facts) throws(ModelError) -> Shape {
    var shape = try inputs.shape(factor.input)
    for step in factor.steps {
      let facts = facts(step, shape, inputs)
      guard let next = try step.implementation.describe(facts)[step.output].shape else {
        throw ModelError(.undetermined, "shape of a factor of an attention")
      }
      shape = next
    }
    return shape
  }

  /// Where the elements of a factor lie; nil where no view leads there.
  private func region(_ factor: Factor, _ inputs: Facts) throws(ModelError) -> Region? {
    let shape = try inputs.shape(factor.input)
    var view = StridedView(shape)
    for step in factor.steps {
      let facts = facts(step, view.shape, inputs)
      guard let next = try step.implementation.view(step.output, of: view, facts) else {
        return nil
      }
      view = next
    }
    return view.region
  }

  private func rearranged(_ factor: Factor, _ inputs: Inputs, _ context: RunContext)
    throws(ModelError) -> Tensor
  {
    var tensor = inputs[factor.input]
    for step in factor.steps {
      let operands = inputs.replaced(
        by: [.tensor(tensor)] + step.inputs.map { $0.flatMap { inputs.value($0) } })
      let wanted = (0...step.output).map { $0 == step.output }
      let results = try step.implementation.evaluate(operands, wanted: wanted, context: context)
      guard let result = results[step.output]?.tensor else {
        preconditionFailure("a rearrangement made no tensor")
      }
      tensor = result
    }
    return tensor
  }
}
