/// What is done to the numbers of an image before a model sees them: (x / divisor − mean) / deviation, per
/// channel.
public struct InputNormalization: Sendable {
  /// Divides the numbers first, such as 255 for bytes.
  public var divisor = 1.0
  /// Subtracted then: one for all channels, or one per channel; empty for none.
  public var mean: [Double] = []
  /// Divides them at last, likewise.
  public var deviation: [Double] = []

  /// Nothing at all.
  public init() {}

  /// Whether nothing is done.
  public var isNone: Bool { divisor == 1 && mean.isEmpty && deviation.isEmpty }
}

extension Model {
  /// The model with the normalisation of its image input inside, as a BatchNormalization that folding then
  /// takes into the weights which read it.
  /// - Throws: ``ModelError`` (mismatch) where the model has no input of floating-point images with a known number
  ///   of channels on axis 1, or the numbers given are not as many.
  public func normalizing(_ normalization: InputNormalization) throws(ModelError) -> Model {
    guard !normalization.isNone else { return self }
    let candidates = definition.graph.inputs.filter { input in
      guard !definition.graph.initializers.contains(where: { $0.name == input.name }),
        let type = input.type?.elementType, [.float, .double, .float16].contains(type),
        let shape = input.shape, shape.count > 2, case .known = shape[1]
      else { return false }
      return true
    }
    guard candidates.count == 1, let input = candidates.first,
      let type = input.type?.elementType, case .known(let channels)? = input.shape?[1]
    else {
      throw ModelError(
        .mismatch,
        "the normalisation of the input: expected one floating-point input of images with a known "
          + "number of channels on axis 1, got \(candidates.count)")
    }
    func spread(_ numbers: [Double], _ standard: Double, _ name: String) throws(ModelError)
      -> [Double]
    {
      switch numbers.count {
      case 0: return Array(repeating: standard, count: channels)
      case 1: return Array(repeating: numbers[0], count: channels)
      case channels: return numbers
      default:
        throw .unexpected(
          "\(name) of input \"\(input.name)\"",
          expected: channels == 1 ? "one number" : "1 or \(channels) numbers",
          got: "\(numbers.count)")
      }
    }
    let mean = try spread(normalization.mean, 0, "means")
    let deviation = try spread(normalization.deviation, 1, "deviations")
    let divisor = normalization.divisor
    let parts: [(String, [Double])] = [
      ("scale", deviation.map { 1 / ($0 * divisor) }), ("B", mean.map { _ in 0 }),
      ("mean", mean.map { $0 * divisor }), ("var", mean.map { _ in 1 }),
    ]
    return try Model(definition.normalizing(input.name, type, parts))
  }
}

extension ModelDefinition {
  fileprivate func normalizing(
    _ input: String, _ type: ElementType, _ parts: [(name: String, numbers: [Double])]
  ) throws(ModelError) -> ModelDefinition {
    var definition = self
    var taken = graph.definedNames.union(graph.readNames)
    let output = unique(input + "_normalized", &taken)
    var node = NodeDefinition(
      name: unique("normalize_" + input, &taken), operatorName: "BatchNormalization",
      inputs: [input], outputs: [output], attributes: ["epsilon": .float(0)])
    if operatorSets["", default: 9] < 7 { node.attributes["is_test"] = .int(1) }
    for (name, numbers) in parts {
      let constant = unique("\(input)_\(name)", &taken)
      definition.graph.initializers.append(
        (constant, Tensor(converting: numbers, to: type, [numbers.count])))
      node.inputs.append(constant)
    }
    for index in definition.graph.nodes.indices {
      let reader = definition.graph.nodes[index]
      if let body = reader.bodies.first(where: { $0.graph.capturedNames.contains(input) }) {
        throw ModelError(
          .unsupported,
          "\(reader.label) reads \"\(input)\" in its graph \"\(body.attribute)\"",
          hint: "normalise the input before it is given")
      }
      definition.graph.nodes[index].inputs = reader.inputs.map { $0 == input ? output : $0 }
    }
    definition.graph.nodes.insert(node, at: 0)
    return definition
  }
}
