extension Model {
  /// The same model with every floating-point number of single precision and less in double: what results
  /// are judged by.
  /// - Throws: ``ModelError``: unsupported where an operator has no numbers of double precision.
  func inDouble() throws(ModelError) -> Model {
    var definition = definition
    definition.graph = definition.graph.inDouble
    definition.operatorSets[DerivativeWriter.domain] = 1
    for index in definition.functions.indices {
      definition.functions[index].nodes =
        definition.functions[index].nodes.flatMap { $0.narrowed + [$0.inDouble] }
      definition.functions[index].attributeDefaults =
        definition.functions[index].attributeDefaults.mapValues(\.inDouble)
    }
    return try Model(definition)
  }
}

extension ElementType {
  /// Whether it is a floating-point type that double takes the place of.
  fileprivate var isWidened: Bool { self == .float || self == .float16 || self == .bfloat16 }
}

extension Tensor {
  /// Its numbers in double, where they are of a smaller floating-point type.
  var inDouble: Tensor {
    type.isWidened ? Tensor(converting: converted(to: Double.self), to: .double, shape) : self
  }
}

extension Value {
  /// Its numbers in double, where they are of a smaller floating-point type.
  var inDouble: Value {
    switch self {
    case .tensor(let tensor): .tensor(tensor.inDouble)
    case .sequence(let elements, let type):
      .sequence(elements.map(\.inDouble), of: type.inDouble)
    case .optional(let value, let type): .optional(value?.inDouble, of: type.inDouble)
    case .map(let keys, let values): .map(keys: keys, values: values.inDouble)
    }
  }
}

extension ValueType {
  fileprivate var inDouble: ValueType {
    switch self {
    case .tensor(let type): type.isWidened ? .tensor(.double) : self
    case .sequence(let element): .sequence(element.inDouble)
    case .optional(let element): .optional(element.inDouble)
    default: self
    }
  }
}

extension ValueDefinition {
  fileprivate var inDouble: ValueDefinition {
    ValueDefinition(name: name, type: type?.inDouble, shape: shape)
  }
}

extension GraphDefinition {
  fileprivate var inDouble: GraphDefinition {
    var graph = self
    graph.inputs = inputs.map(\.inDouble)
    graph.outputs = outputs.map(\.inDouble)
    graph.values = values.map(\.inDouble)
    graph.initializers = initializers.map { ($0.name, $0.tensor.inDouble) }
    graph.nodes = nodes.flatMap { $0.narrowed + [$0.inDouble] }
    return graph
  }
}

extension Attribute {
  fileprivate var inDouble: Attribute {
    switch self {
    case .tensor(let tensor): .tensor(tensor.inDouble)
    case .graph(let graph): .graph(graph.inDouble)
    case .graphs(let graphs): .graphs(graphs.map(\.inDouble))
    case .type(let type, let shape): .type(type.inDouble, shape: shape)
    default: self
    }
  }
}

extension NodeDefinition {
  /// The inputs that have to stay in single precision: the scales of a Resize or an Upsample.
  private var narrowInputs: [Int] {
    guard domain.isEmpty else { return [] }
    switch operatorName {
    case "Upsample": return inputs.count > 1 ? [1] : []
    case "Resize":
      let place = inputs.count > 2 ? 2 : 1
      return inputs.count > place && !inputs[place].isEmpty ? [place] : []
    default: return []
    }
  }

  private func narrowName(_ index: Int) -> String {
    "\(inputs[index]) for \(outputs.first ?? name), single"
  }

  /// The nodes that make those inputs.
  fileprivate var narrowed: [NodeDefinition] {
    narrowInputs.map { index in
      NodeDefinition(
        name: "", operatorName: "Cast", domain: "", inputs: [inputs[index]],
        outputs: [narrowName(index)], attributes: ["to": .int(1)])
    }
  }

  fileprivate var inDouble: NodeDefinition {
    var node = self
    node.attributes = attributes.mapValues(\.inDouble)
    guard domain.isEmpty else { return node }
    for index in narrowInputs { node.inputs[index] = narrowName(index) }
    switch operatorName {
    case "Cast": node.widenType("to")
    case "EyeLike", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike":
      node.widenType("dtype")
    case "ConstantOfShape" where attributes["value"] == nil:
      node.attributes["value"] = .tensor(Tensor([0.0], [1]))
    case "Constant":
      if case .float(let number)? = attributes["value_float"] {
        node.attributes = ["value": .tensor(Tensor(scalar: Double(number)))]
      } else if case .floats(let numbers)? = attributes["value_floats"] {
        node.attributes = ["value": .tensor(Tensor(numbers.map { Double($0) }, [numbers.count]))]
      }
    case "DequantizeLinear", "QuantizeLinear":
      node.domain = DerivativeWriter.domain
      if operatorName == "DequantizeLinear" { node.attributes["output_dtype"] = nil }
      node.attributes["precision"] = nil
    default: break
    }
    return node
  }

  private mutating func widenType(_ name: String) {
    // 1, 10 and 16 are float, float16 and bfloat16; 11 is double.
    guard let type = attributes.int(name), [1, 10, 16].contains(type) else { return }
    attributes[name] = .int(11)
  }
}
