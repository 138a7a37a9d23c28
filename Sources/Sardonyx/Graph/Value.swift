/// What flows along an edge of a graph: a tensor, or one of ONNX's containers.
public enum Value: Sendable {
  /// A dense array.
  case tensor(Tensor)
  /// Elements of one type, which an empty sequence still has.
  case sequence([Value], of: ValueType)
  /// An optional; nil is ONNX's "no element".
  indirect case optional(Value?, of: ValueType)
  /// A map; `keys` is a tensor of rank 1, `values` holds as many elements.
  case map(keys: Tensor, values: Tensor)

  /// The type as ONNX has it.
  public var type: ValueType {
    switch self {
    case .tensor(let tensor): .tensor(tensor.type)
    case .sequence(_, let element): .sequence(element)
    case .optional(_, let element): .optional(element)
    case .map(let keys, let values): .map(key: keys.type, value: .tensor(values.type))
    }
  }

  /// Bytes that the elements of sequences take here, their tensors left out.
  var placesByteCount: Int {
    switch self {
    case .tensor, .map: 0
    case .optional(let value, _): value?.placesByteCount ?? 0
    // What elements hold in turn was counted where they were made.
    case .sequence(let elements, _): elements.count * MemoryLayout<Value>.stride
    }
  }

  /// The tensor, where the value is one.
  public var tensor: Tensor? {
    if case .tensor(let tensor) = self { tensor } else { nil }
  }
}
