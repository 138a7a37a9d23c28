extension Planner {
  /// Computes attention that exporters spell out, or give as an operator, in one pass over its scores,
  /// which reads queries, keys and values where they lie before Transpose, Split, Slice and their like.
  static let fuseAttention = Pass(name: "fuse attention") { graph throws(ModelError) in
    guard graph.nodes.contains(where: { ["Softmax", "Attention"].contains($0.operatorName) }) else {
      return
    }
    var fusion = AttentionFusion(graph)
    for position in graph.nodes.indices { fusion.fuse(at: position) }
    graph = fusion.graph
  }
}

private struct AttentionFusion {
  var graph: Graph
  private let readers: Readers
  private let producers: [Int?]
  private let facts: [SymbolicShapes.Known]

  init(_ graph: Graph) {
    self.graph = graph
    readers = graph.readers()
    producers = graph.producers()
    facts = self.graph.symbolicShapes().facts
  }

  /// Fuses the attention whose Softmax, or which itself, stands at `position`, if one does.
  mutating func fuse(at position: Int) {
    guard graph.nodes[position].domain.isEmpty else { return }
    switch graph.nodes[position].operatorName {
    case "Softmax": fuseSoftmax(position)
    case "Attention": fuseOperator(position)
    default: return
    }
  }

  /// What an attention reads.
  private struct Parts {
    var query: Graph.ValueID
    var key: Graph.ValueID
    /// Whether `key` is size×keys.
    var keyIsTransposed: Bool
    var value: Graph.ValueID
    var mask: (value: Graph.ValueID, meaning: ViewedAttention.Mask.Meaning)?
    var scale = Scale()
    var isCausal = false
    var hiddenGivesZero = false
  }

  /// A constant and values of one element that something is multiplied by or divided by.
  private struct Scale {
    var factor: Float = 1
    var values: [(id: Graph.ValueID, isDivisor: Bool)] = []
  }

  // MARK: - Forms of attention

  /// Softmax(Q·Kᵀ·scale + mask)·V, the scale wherever it stands; or with scores that a Where replaces.
  private mutating func fuseSoftmax(_ position: Int) {
    let softmax = graph.nodes[position]
    guard var scores = softmax.inputs[0], let shape = shape(scores), isAlongLastAxis(softmax),
      let weights = softmax.outputs[0], let last = soleReader(of: weights, "MatMul"),
      graph.nodes[last].inputs[0] == weights, let value = graph.nodes[last].inputs[1],
      let result = graph.nodes[last].outputs[0]
    else { return }
    var parts = Parts(query: 0, key: 0, keyIsTransposed: true, value: value)
    if let sum = maker(of: scores, "Add"), let (product, term) = scoresAndMask(sum, shape) {
      (scores, parts.mask) = (product, (term, .terms))
    } else if let choice = maker(of: scores, "Where"),
      let (product, condition, meaning) = scoresAndFlags(choice, shape)
    {
      (scores, parts.mask) = (product, (condition, meaning))
    }
    scores = unscaled(scores, &parts.scale)
    guard let product = maker(of: scores, "MatMul"), let query = graph.nodes[product].inputs[0],
      let key = graph.nodes[product].inputs[1]
    else { return }
    (parts.query, parts.key) = (query, key)
    replace(last, result, parts)
  }

  /// The operator, where it does nothing else.
  private mutating func fuseOperator(_ position: Int) {
    let node = graph.nodes[position]
    let others = ["softcap", "qk_matmul_output_mode", "softmax_precision"]
    guard node.attributes.keys.allSatisfy({ (["is_causal", "scale"] + others).contains($0) }),
      node.attributes.float("softcap") ?? 0 == 0,
      (3...4).contains(node.inputs.count), node.outputs.dropFirst().allSatisfy({ $0 == nil }),
      let query = node.inputs[0], let key = node.inputs[1], let value = node.inputs[2],
      let result = node.outputs[0], let shape = self.shape(query), let keyShape = self.shape(key),
      shape.count == 4, keyShape.count == 4, case .known(let size) = shape[3],
      shape[0] == keyShape[0], shape[1] == keyShape[1]
    else { return }
    let mask = node.hasInput(3) ? node.inputs[3] : nil
    if let mask {
      guard let maskShape = self.shape(mask), maskShape.last == keyShape[2],
        broadcasts(maskShape, to: [shape[0], shape[1], shape[2], keyShape[2]])
      else { return }
    }
    let scale = node.attributes.float("scale") ?? Float(1 / Double(size).squareRoot())
    replace(
      position, result,
      Parts(
        query: query, key: key, keyIsTransposed: false, value: value,
        mask: mask.map { ($0, .terms) }, scale: Scale(factor: scale),
        isCausal: node.attributes.int("is_causal") == 1, hiddenGivesZero: true))
  }

  private func isAlongLastAxis(_ softmax: Node) -> Bool {
    guard let rank = softmax.inputs[0].flatMap({ shape($0)?.count }) else { return false }
    let axis = softmax.attributes.int("axis") ?? (softmax.operatorSet < 13 ? 1 : -1)
    return axis == -1 || axis == rank - 1
  }

  /// The sum's term that is a product, perhaps scaled, and the other, which does not enlarge it.
  private func scoresAndMask(_ sum: Int, _ shape: [Dimension])
    -> (scores: Graph.ValueID, mask: Graph.ValueID)?
  {
    let inputs = graph.nodes[sum].inputs
    guard inputs.count == 2, let first = inputs[0], let second = inputs[1] else { return nil }
    for (scores, mask) in [(first, second), (second, first)] {
      var ignored = Scale()
      guard maker(of: unscaled(scores, &ignored), "MatMul") != nil,
        let maskShape = self.shape(mask), self.shape(scores) == shape,
        broadcasts(maskShape, to: shape)
      else { continue }
      return (scores, mask)
    }
    return nil
  }

  /// A choice between the scores and a constant by flags that do not enlarge them.
  private func scoresAndFlags(_ choice: Int, _ shape: [Dimension])
    -> (scores: Graph.ValueID, flags: Graph.ValueID, ViewedAttention.Mask.Meaning)?
  {
    let inputs = graph.nodes[choice].inputs
    guard let flags = inputs[0], let yes = inputs[1], let no = inputs[2],
      let flagsShape = facts[flags].shape, !flagsShape.contains(.unknown),
      broadcasts(flagsShape, to: shape)
    else { return nil }
    if let score = graph.scalar(yes), self.shape(no) == shape {
      return (no, flags, .flags(hiding: true, score: score))
    }
    if let score = graph.scalar(no), self.shape(yes) == shape {
      return (yes, flags, .flags(hiding: false, score: score))
    }
    return nil
  }

  private func broadcasts(_ small: [Dimension], to large: [Dimension]) -> Bool {
    small.count <= large.count
      && zip(small.reversed(), large.reversed()).allSatisfy { $0 == .known(1) || $0 == $1 }
  }

  // MARK: - Values and their makers

  /// The dimensions of a tensor of single precision, none of them unknown.
  private func shape(_ id: Graph.ValueID) -> [Dimension]? {
    guard facts[id].type == .tensor(.float), let shape = facts[id].shape,
      !shape.contains(.unknown)
    else { return nil }
    return shape
  }

  /// The node of an operator that makes a value nobody else reads.
  private func maker(of id: Graph.ValueID, _ operatorName: String) -> Int? {
    guard let position = producers[id], graph.nodes[position].operatorName == operatorName,
      graph.nodes[position].domain.isEmpty, readers[id].count == 1, !graph.outputs.contains(id)
    else { return nil }
    return position
  }

  /// The node of an operator that alone reads a value.
  private func soleReader(of id: Graph.ValueID, _ operatorName: String) -> Int? {
    guard readers[id].count == 1, !graph.outputs.contains(id),
      graph.nodes[readers[id][0]].operatorName == operatorName,
      graph.nodes[readers[id][0]].domain.isEmpty
    else { return nil }
    return readers[id][0]
  }

  /// What a value was before it was multiplied by single numbers, which `scale` takes up.
  private func unscaled(_ id: Graph.ValueID, _ scale: inout Scale) -> Graph.ValueID {
    for name in ["Mul", "Div"] {
      guard let position = maker(of: id, name), let first = graph.nodes[position].inputs[0],
        let second = graph.nodes[position].inputs[1]
      else { continue }
      let isDivisor = name == "Div"
      for (operand, number) in [(first, second), (second, first)].prefix(isDivisor ? 1 : 2) {
        guard shape(operand) == shape(id), isNumber(number) else { continue }
        if let number = graph.scalar(number) {
          scale.factor = isDivisor ? scale.factor / number : scale.factor * number
        } else {
          scale.values.append((number, isDivisor))
        }
        return unscaled(operand, &scale)
      }
    }
    return id
  }

  /// Whether a value is a single number of single precision.
  private func isNumber(_ id: Graph.ValueID) -> Bool {
    guard let shape = shape(id) else { return false }
    return shape.count <= 1 && shape.allSatisfy { $0 == .known(1) }
  }

  // MARK: - Rearrangements

  /// The value that rearrangements before `id` begin with, and these.
  private struct Source {
    var value: Graph.ValueID
    var steps: [(node: Int, implementation: any Viewing, output: Int)] = []
  }

  /// - Parameter scale: takes up what the value is multiplied by on the way; nil where that may not be.
  private func source(of id: Graph.ValueID, _ scale: inout Scale?) -> Source {
    var source = Source(value: id)
    while true {
      if var taken = scale {
        source.value = unscaled(source.value, &taken)
        scale = taken
      }
      guard let position = producers[source.value], graph.nodes[position].domain.isEmpty,
        let implementation = graph.nodes[position].implementation as? any Viewing,
        let input = graph.nodes[position].inputs.first ?? nil, shape(input) != nil,
        let output = graph.nodes[position].outputs.firstIndex(of: source.value)
      else { return source }
      source.steps.insert((position, implementation, output), at: 0)
      source.value = input
    }
  }

  // MARK: - Replacing

  private mutating func replace(_ position: Int, _ result: Graph.ValueID, _ parts: Parts) {
    guard let ranks = ranks(parts) else { return }
    var inputs: [Graph.ValueID?] = []
    // Queries and keys may be scaled instead of their product.
    var scale: Scale? = parts.scale
    var none: Scale?
    func place(_ id: Graph.ValueID) -> Int {
      if let index = inputs.firstIndex(of: id) { return index }
      inputs.append(id)
      return inputs.count - 1
    }
    func factor(_ id: Graph.ValueID, _ scale: inout Scale?) -> ViewedAttention.Factor {
      let source = self.source(of: id, &scale)
      return ViewedAttention.Factor(
        input: place(source.value),
        steps: source.steps.map { step in
          ViewedAttention.Factor.Step(
            implementation: step.implementation,
            inputs: graph.nodes[step.node].inputs.dropFirst().map { $0.map(place) },
            output: step.output)
        })
    }
    let query = factor(parts.query, &scale)
    var key = factor(parts.key, &scale)
    let value = factor(parts.value, &none)
    if parts.keyIsTransposed {
      let order = Array(0..<ranks - 2) + [ranks - 1, ranks - 2]
      key = ViewedAttention.Factor(
        input: key.input,
        steps: key.steps + [.init(implementation: Transpose(order), inputs: [], output: 0)])
    }
    var (last, output, permutation) = (position, result, Array(0..<ranks))
    if let next = soleReader(of: result, "Transpose"),
      let order = (graph.nodes[next].implementation as? Transpose)?.permutation,
      order.sorted() == permutation, order.last == ranks - 1,
      let made = graph.nodes[next].outputs[0]
    {
      (last, output, permutation) = (next, made, order)
    }
    let mask = parts.mask.map { ViewedAttention.Mask(input: place($0.value), meaning: $0.meaning) }
    let factors = scale ?? parts.scale
    let attention = ViewedAttention(
      query: query, key: key, value: value,
      scale: .init(
        factor: factors.factor, inputs: factors.values.map { (place($0.id), $0.isDivisor) }),
      isCausal: parts.isCausal, mask: mask, hiddenGivesZero: parts.hiddenGivesZero,
      permutation: permutation)
    let node = graph.nodes[position]
    graph.note("fuse attention", .done, node, "computed with the nodes before it in one pass")
    graph.nodes[position].outputs = []
    graph.nodes[last] = Node(
      name: node.name, operatorName: "Attention", domain: "sardonyx", operatorSet: 1,
      inputs: inputs, outputs: [output], attributes: [:],
      implementation: attention)
  }

  /// The rank that the factors have in common, where what they make has the shape of all.
  private func ranks(_ parts: Parts) -> Int? {
    guard let query = shape(parts.query), let key = shape(parts.key),
      let value = shape(parts.value),
      (2...4).contains(query.count), key.count == query.count, value.count == query.count,
      query.dropLast(2) == key.dropLast(2), query.dropLast(2) == value.dropLast(2)
    else { return nil }
    return query.count
  }
}
