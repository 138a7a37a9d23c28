/// Operators of ai.onnx.ml between maps and tensors.
let dictionaries: OperatorFamily = [
  "CastMap": CastMap.init,
  "DictVectorizer": DictVectorizer.init,
  "ZipMap": ZipMap.init,
]

extension Facts {
  /// The key and value types of a map input.
  fileprivate func mapTypes(_ index: Int) throws(ModelError) -> (
    key: ElementType, value: ElementType
  ) {
    guard let type = self[index].type else {
      throw ModelError(.undetermined, "type of input \(index)")
    }
    guard case .map(let key, .tensor(let value)) = type else {
      throw .unexpected("input \(index)", expected: "a map", got: "\(type)")
    }
    return (key, value)
  }
}

extension Inputs {
  /// The keys and values of a map input.
  fileprivate func map(_ index: Int) -> (keys: Tensor, values: Tensor) {
    guard case .map(let keys, let values)? = value(index) else {
      preconditionFailure("input \(index) is not a map")
    }
    return (keys, values)
  }
}

/// The values of a map with integer keys as a row, in the order of the keys or, sparse, at them.
struct CastMap: Operator {
  enum Form: String, CaseIterable {
    case dense = "DENSE"
    case sparse = "SPARSE"
  }
  enum Target: String, CaseIterable {
    case float = "TO_FLOAT"
    case text = "TO_STRING"
    case integer = "TO_INT64"

    var elementType: ElementType {
      switch self {
      case .float: .float
      case .text: .string
      case .integer: .int64
      }
    }
  }
  private let form: Form
  private let target: Target
  private let width: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    form = try node.choice("map_form", default: .dense)
    target = try node.choice("cast_to", default: .float)
    width = try node.int("max_map", default: 1)
    guard form == .dense || width > 0 else {
      throw node.invalid("max_map", expected: "a positive length", got: width)
    }
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    [Fact(target.elementType, form == .sparse ? [1, width] : nil)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (keys, values) = inputs.map(0)
    let entries = zip(keys.converted(to: Int64.self), 0...).sorted { $0.0 < $1.0 }
    let count = form == .dense ? entries.count : width
    guard count > 0 else {
      outputs.set(0, .tensor(Tensor(zeros: target.elementType, [1, 0])))
      return
    }
    // Position of the value for each column; those without one take what comes last.
    var columns = [Int](repeating: entries.count, count: count)
    for (column, entry) in entries.enumerated() {
      guard form == .sparse else {
        columns[column] = entry.1
        continue
      }
      guard entry.0 >= 0 else {
        throw .unexpected("key of a sparse map", expected: "0 or more", got: "\(entry.0)")
      }
      if entry.0 < count { columns[Int(entry.0)] = entry.1 }
    }
    outputs.set(0, .tensor(try cast(Labels(values)).choose(columns, [1, count])))
  }

  /// The values as the target type, followed by its zero.
  private func cast(_ values: Labels) throws(ModelError) -> Labels {
    switch (target, values) {
    case (.text, .texts(let texts)): return .texts(texts + [""])
    case (.text, .reals(let reals)): return .texts(reals.map(Self.fixed) + [""])
    case (.text, .integers(let integers)): return .texts(integers.map(String.init) + [""])
    case (.float, .reals(let reals)): return .reals(reals + [0])
    case (.float, .integers(let integers)): return .reals(integers.map { Double($0) } + [0])
    case (.integer, .integers(let integers)): return .integers(integers + [0])
    case (.integer, .reals(let reals)): return .integers(reals.map { $0.saturated() } + [0])
    case (.float, .texts(let texts)): return .reals(try texts.map(parse) + [0])
    case (.integer, .texts(let texts)): return .integers(try texts.map(parse) + [0])
    }
  }

  private func parse<T: LosslessStringConvertible>(_ text: String) throws(ModelError) -> T {
    guard let number = T(text) else {
      throw .unexpected("value of the map", expected: "a number as text", got: "\"\(text)\"")
    }
    return number
  }

  /// Six digits after the point, as C++ writes a float and onnxruntime therefore does.
  private static func fixed(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    let sign = value.sign == .minus ? "-" : ""
    // A float of 2^24 or more has nothing after the point.
    guard abs(value) < 0x1p24 else { return "\(sign)\(digits(of: abs(value))).000000" }
    let millionths = Int64((abs(value) * 1e6).rounded(.toNearestOrEven))
    let fraction = String(millionths % 1_000_000)
    let zeros = String(repeating: "0", count: 6 - fraction.count)
    return "\(sign)\(millionths / 1_000_000).\(zeros)\(fraction)"
  }

  /// All digits of an integer of any size: those of its significand, doubled as often as it takes.
  private static func digits(of value: Double) -> String {
    guard value >= 0x1p63 else { return String(Int64(value)) }
    var digits = String(UInt64(value.significand * 0x1p52)).reversed().map { $0.wholeNumberValue! }
    for _ in 52..<Int(value.exponent) {
      var carry = 0
      for index in digits.indices {
        let doubled = digits[index] * 2 + carry
        digits[index] = doubled % 10
        carry = doubled / 10
      }
      if carry > 0 { digits.append(carry) }
    }
    return digits.reversed().map(String.init).joined()
  }
}

/// The values of a map as a row, each at the position of its key in the vocabulary.
struct DictVectorizer: Operator {
  private let vocabulary: Labels
  private let positions: [Labels.Key: Int]

  init(_ node: inout NodeReader) throws(ModelError) {
    vocabulary = try Labels(
      &node, texts: "string_vocabulary", integers: "int64_vocabulary", of: "keys")
    positions = vocabulary.positions
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let types = try facts.mapTypes(0)
    guard types.key == vocabulary.elementType else {
      throw .unexpected(
        "keys of X", expected: "type \(vocabulary.elementType), as the vocabulary",
        got: "\(types.key)")
    }
    return [Fact(types.value, [1, vocabulary.count])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (keys, values) = inputs.map(0)
    let known = try Labels(keys).keys.interruptibleMap(cost: 100) { positions[$0] }
    try Interruption.check()
    let shape = [1, vocabulary.count]
    // Keys that the vocabulary lacks are dropped, as in onnxruntime.
    if values.type == .string {
      var row = [String](repeating: "", count: vocabulary.count)
      for (position, text) in zip(known, try values.strings()) {
        if let position { row[position] = text }
      }
      outputs.set(0, .tensor(Tensor(strings: row, shape)))
    } else {
      store(known, values, as: try values.type.number(), outputs[0])
    }
  }

  private func store<T: Number>(
    _ known: [Int?], _ values: Tensor, as _: T.Type, _ destination: Destination
  ) {
    var row = [T](repeating: 0, count: vocabulary.count)
    for (position, number) in zip(known, values.converted(to: T.self)) {
      if let position { row[position] = number }
    }
    destination.store(row)
  }
}

/// A map of each row, from the class labels to the row's scores.
struct ZipMap: Operator {
  private let keys: Tensor

  init(_ node: inout NodeReader) throws(ModelError) {
    let labels = try Labels(
      &node, texts: "classlabels_strings", integers: "classlabels_int64s", of: "keys")
    keys = try labels.choose(Array(0..<labels.count), [labels.count])
  }

  private var mapType: ValueType { .map(key: keys.type, value: .tensor(.float)) }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    _ = try facts.rows(features: keys.elementCount)
    return [Fact(type: .sequence(mapType))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (count, width) = try FeatureRows.extents(inputs[0].shape)
    let scores = inputs[0].array(of: Float.self)
    let maps = (0..<count).map { row in
      Value.map(keys: keys, values: Tensor(Array(scores[row * width..<(row + 1) * width])))
    }
    outputs.set(0, .sequence(maps, of: mapType))
  }
}
