/// The type of a graph's value as ONNX's `TypeProto` states it, without its shape.
public enum ValueType: Sendable, Hashable, CustomStringConvertible {
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
}
