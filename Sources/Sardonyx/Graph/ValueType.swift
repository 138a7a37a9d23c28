/// The type of a graph's value as ONNX's `TypeProto` states it, without its shape.
public enum ValueType: Sendable, Hashable, LosslessStringConvertible {
  /// A dense array.
  case tensor(ElementType)
  /// An array of which few elements are stored.
  case sparseTensor(ElementType)
  /// A list of values of one type.
  indirect case sequence(ValueType)
  /// A value that may be missing.
  indirect case optional(ValueType)
  /// Values by key, an integer or a text.
  indirect case map(key: ElementType, value: ValueType)

  /// The element type of a dense tensor, else nil.
  public var elementType: ElementType? {
    if case .tensor(let type) = self { type } else { nil }
  }

  /// The spelling of ONNX's specification, such as `seq(tensor(float))`.
  public var description: String {
    switch self {
    case .tensor(let type): "tensor(\(type))"
    case .sparseTensor(let type): "sparse_tensor(\(type))"
    case .sequence(let element): "seq(\(element))"
    case .optional(let element): "optional(\(element))"
    case .map(let key, let value): "map(\(key),\(value))"
    }
  }

  /// The type that ``description`` spells like this; nil where there is none.
  public init?(_ description: String) {
    func part(_ name: String) -> Substring? {
      guard description.hasPrefix(name + "("), description.hasSuffix(")") else { return nil }
      return description.dropFirst(name.count + 1).dropLast()
    }
    func inner(_ text: Substring) -> ValueType? { ValueType(String(text)) }
    if let type = part("tensor").flatMap({ ElementType(name: $0) }) {
      self = .tensor(type)
    } else if let type = part("sparse_tensor").flatMap({ ElementType(name: $0) }) {
      self = .sparseTensor(type)
    } else if let element = part("seq").flatMap(inner) {
      self = .sequence(element)
    } else if let element = part("optional").flatMap(inner) {
      self = .optional(element)
    } else if let parts = part("map")?.split(separator: ",", maxSplits: 1), parts.count == 2,
      let key = ElementType(name: parts[0]), let value = inner(parts[1])
    {
      self = .map(key: key, value: value)
    } else {
      return nil
    }
  }
}
