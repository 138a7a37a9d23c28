/// Operators of ai.onnx.ml that turn labels into other labels or into columns.
let labelEncodings: OperatorFamily = [
  "CategoryMapper": CategoryMapper.init,
  "LabelEncoder": makeLabelEncoder,
  "OneHotEncoder": OneHotEncoder.init,
]

/// A table from labels of one type to labels of another, with a value for all that are not in it.
private struct LabelTable: Sendable {
  let positions: [Labels.Key: Int]
  /// The last is for labels that are not in the table.
  let values: Labels
  let valueType: ElementType

  init(_ keys: Labels, values: Labels, as type: ElementType? = nil) {
    positions = keys.positions
    self.values = values
    valueType = type ?? values.elementType
  }

  func look(_ tensor: Tensor) throws(ModelError) -> Value {
    let fallback = values.count - 1
    let found = try Labels(tensor).keys.interruptibleMap(cost: 100) { positions[$0] ?? fallback }
    try Interruption.check()
    return .tensor(try values.choose(found, as: valueType, tensor.shape))
  }
}

/// Maps texts to integers and integers to texts, by two parallel lists.
///
/// LabelEncoder-1 is the same with the positions 0, 1, … for integers.
struct CategoryMapper: Operator {
  private let toIntegers: LabelTable
  private let toTexts: LabelTable

  init(_ node: inout NodeReader) throws(ModelError) {
    let isEncoder = node.operatorName == "LabelEncoder"
    let texts = try node.strings(isEncoder ? "classes_strings" : "cats_strings") ?? []
    let integers =
      isEncoder ? Array(texts.indices) : try node.ints("cats_int64s", within: NodeReader.any) ?? []
    guard texts.count == integers.count else {
      throw node.invalid(
        "cats_int64s", expected: "as many as the \(texts.count) cats_strings", got: integers.count)
    }
    let numbers = integers.map(Int64.init)
    let otherNumber = Int64(try node.int("default_int64", default: -1, within: NodeReader.any))
    let otherText = try node.string("default_string", default: "_Unused")
    toIntegers = LabelTable(.texts(texts), values: .integers(numbers + [otherNumber]))
    toTexts = LabelTable(.integers(numbers), values: .texts(texts + [otherText]))
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    [Fact(try facts.type(0) == .string ? .int64 : .string, try facts.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    outputs.set(0, try (inputs[0].type == .string ? toIntegers : toTexts).look(inputs[0]))
  }
}

/// LabelEncoder-1 has one list for both directions, later versions have keys and values.
private func makeLabelEncoder(_ node: inout NodeReader) throws(ModelError) -> any Operator {
  node.version == 1 ? try CategoryMapper(&node) : try LabelEncoder(&node)
}

/// Maps labels of one type to labels of any type.
struct LabelEncoder: Operator {
  private let table: LabelTable
  private let keyType: ElementType

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let (keys, keyType) = try node.labels("keys") else { throw node.missing("keys_*") }
    guard let (values, valueType) = try node.labels("values") else {
      throw node.missing("values_*")
    }
    guard keys.count == values.count else {
      throw node.invalid(
        "values_*", expected: "as many as the \(keys.count) keys", got: values.count)
    }
    let fallback = try node.defaultLabel(valueType)
    table = LabelTable(keys, values: values.appending(fallback), as: valueType)
    self.keyType = keyType
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    guard try facts.type(0) == keyType else {
      throw .unexpected("type of X", expected: "\(keyType)", got: "\(try facts.type(0))")
    }
    return [Fact(table.valueType, try facts.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    outputs.set(0, try table.look(inputs[0]))
  }
}

extension Labels {
  /// These labels and one more, which must be of the same kind.
  fileprivate func appending(_ label: Labels) -> Labels {
    switch (self, label) {
    case (.texts(let all), .texts(let more)): .texts(all + more)
    case (.integers(let all), .integers(let more)): .integers(all + more)
    case (.reals(let all), .reals(let more)): .reals(all + more)
    default: preconditionFailure("labels of two kinds")
    }
  }
}

extension NodeReader {
  /// The attribute `…_strings`, `…_int64s`, `…_floats` or `…_tensor` that is given.
  fileprivate mutating func labels(_ prefix: String) throws(ModelError) -> (Labels, ElementType)? {
    var found: [(Labels, ElementType)] = []
    if let texts = try strings(prefix + "_strings") { found.append((.texts(texts), .string)) }
    if let integers = try ints(prefix + "_int64s") {
      found.append((.integers(integers.map(Int64.init)), .int64))
    }
    if let reals = try floats(prefix + "_floats") {
      found.append((.reals(reals.map { Double($0) }), .float))
    }
    if let tensor = try tensor(prefix + "_tensor") {
      found.append((try Labels(tensor), tensor.type))
    }
    // Some exporters write the lists that they do not use as empty ones.
    let given = found.filter { $0.0.count > 0 }
    guard given.count < 2 else {
      throw invalid(prefix + "_*", expected: "one list", got: "\(given.count)")
    }
    return given.first ?? found.first
  }

  /// The label for inputs that are no key, of the type of the values.
  fileprivate mutating func defaultLabel(_ type: ElementType) throws(ModelError) -> Labels {
    let text = try string("default_string", default: "_Unused")
    let integer = Int64(try int("default_int64", default: -1))
    let real = Double(try float("default_float", default: -0.0))
    if let tensor = try tensor("default_tensor") {
      guard tensor.elementCount == 1, tensor.type == type else {
        throw invalid(
          "default_tensor", expected: "one element of type \(type)",
          got: "\(tensor.elementCount) of type \(tensor.type)")
      }
      return try Labels(tensor)
    }
    if type == .string { return .texts([text]) }
    return type.isFloatingPoint ? .reals([real]) : .integers([integer])
  }
}

/// A row of zeros with a 1 at the label's category.
struct OneHotEncoder: Operator {
  private let positions: [Labels.Key: Int]
  private let width: Int
  private let hasTexts: Bool
  private let allowsUnknown: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    let categories = try Labels(
      &node, texts: "cats_strings", integers: "cats_int64s", of: "categories")
    hasTexts = categories.elementType == .string
    positions = categories.positions
    width = categories.count
    allowsUnknown = try node.bool("zeros", default: true)
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let type = try facts.type(0)
    guard (type == .string) == hasTexts else {
      throw .unexpected(
        "type of X", expected: hasTexts ? "string" : "a number, as the categories", got: "\(type)")
    }
    return [Fact(.float, try facts.shape(0) + [width])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    // Numbers of other types are cast to integers.
    let labels: Labels =
      hasTexts ? try Labels(inputs[0]) : .integers(inputs[0].converted(asPlaces: false))
    try Interruption.check()
    var result = [Float](zerosUntilDue: outputs[0].elementCount)
    var interruption = Interruption()
    for (index, key) in labels.keys.enumerated() {
      if interruption.isDue(after: 100) { return }
      if let position = positions[key] {
        result[index * width + position] = 1
      } else if !allowsUnknown {
        throw .unexpected("element \(index) of X", expected: "one of the categories", got: "\(key)")
      }
    }
    outputs[0].store(result)
  }
}
