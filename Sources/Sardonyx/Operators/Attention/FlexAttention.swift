/// Attention whose scores and probabilities may go through graphs of the model's own.
///
/// Q is batch×heads×length×size; K and V may have fewer heads, each for a group of Q's.
struct FlexAttention: Operator {
  var bodies: [Body]
  private let scale: Float?
  private let precision: ElementType?

  init(_ node: inout NodeReader) throws(ModelError) {
    var bodies: [Body] = []
    for name in ["score_mod", "prob_mod"] where node.has(name) {
      bodies.append(try node.body(name))
    }
    self.bodies = bodies
    scale = try node.float("scale")
    precision = try node.elementType("softmax_precision")
    guard precision?.isFloatingPoint ?? true else {
      throw node.invalid(
        "softmax_precision", expected: "a floating-point type", got: precision ?? .float)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try extents(inputs).outputShape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    let type = precision ?? (inputs[0].type == .double ? .double : .float)
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let (q, k, v): ([T], [T], [T]) = (
        inputs[0].converted(), inputs[1].converted(), inputs[2].converted()
      )
      let crew = outputs.context.crew
      var scores = try extents.products(q, k, scale: scale, on: crew)
      scores = try modified(scores, "score_mod", type, extents, inputs, outputs.context)
      softmaxRows(&scores, extents.totalLength, on: crew)
      scores = try modified(scores, "prob_mod", type, extents, inputs, outputs.context)
      outputs[0].store(extents.weighted(scores, v, on: crew))
    }
    try compute(type.real)
  }

  /// The scores as the named graph returns them; unchanged where there is none.
  private func modified<T: RealNumber>(
    _ scores: [T], _ name: String, _ type: ElementType, _ extents: AttentionExtents,
    _ inputs: Inputs, _ context: RunContext
  ) throws(ModelError) -> [T] {
    guard let body = bodies.first(where: { $0.attribute == name }) else { return scores }
    let tensor = Tensor(converting: scores, to: type, extents.productShape)
    let results = try body.run([.tensor(tensor)] + inputs.from(3), context)
    guard let result = results.first?.tensor, result.shape == extents.productShape,
      result.type.computed != nil
    else {
      throw .unexpected(
        "result of \(name)", expected: "\(type)[\(extents.productShape.joined)]",
        got: results.first.map { Fact($0).description } ?? "none")
    }
    return result.converted()
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> AttentionExtents {
    for (index, name) in ["Q", "K", "V"].enumerated() {
      try checkRank(inputs.shape(index), 4, name)
    }
    return try AttentionExtents(
      query: HeadLayout("Q", inputs.shape(0), heads: nil),
      key: HeadLayout("K", inputs.shape(1), heads: nil),
      value: HeadLayout("V", inputs.shape(2), heads: nil))
  }
}
