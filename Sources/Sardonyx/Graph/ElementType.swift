/// The type of a tensor's elements; raw values are those of ONNX's `TensorProto.DataType`.
///
/// In memory every element takes whole bytes: types of less than 8 bits take one byte each
/// (the integers sign-extended), whatever their packing in the file.
public enum ElementType: Int32, Sendable, Hashable, CaseIterable {
  case float = 1
  case uint8 = 2
  case int8 = 3
  case uint16 = 4
  case int16 = 5
  case int32 = 6
  case int64 = 7
  case string = 8
  case bool = 9
  case float16 = 10
  case double = 11
  case uint32 = 12
  case uint64 = 13
  case complex64 = 14
  case complex128 = 15
  case bfloat16 = 16
  case float8e4m3fn = 17
  case float8e4m3fnuz = 18
  case float8e5m2 = 19
  case float8e5m2fnuz = 20
  case uint4 = 21
  case int4 = 22
  case float4e2m1 = 23
  case float8e8m0 = 24
  case uint2 = 25
  case int2 = 26
  case float6e2m3 = 27
  case float6e3m2 = 28

  /// Bytes one element takes in memory; a string takes the 8 bytes of a reference.
  public var byteCount: Int {
    switch self {
    case .complex128: 16
    case .double, .int64, .uint64, .complex64, .string: 8
    case .float, .int32, .uint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    default: 1
    }
  }

  /// Bits one element takes in a model file.
  public var fileBitCount: Int {
    switch self {
    case .float6e2m3, .float6e3m2: 6
    case .uint4, .int4, .float4e2m1: 4
    case .uint2, .int2: 2
    default: byteCount * 8
    }
  }

  /// Whether elements are real numbers with an exponent, of any width.
  public var isFloatingPoint: Bool {
    switch self {
    case .float, .double, .float16, .bfloat16, .float8e4m3fn, .float8e4m3fnuz, .float8e5m2,
      .float8e5m2fnuz, .float8e8m0, .float4e2m1, .float6e2m3, .float6e3m2:
      true
    default: false
    }
  }

  /// Whether elements are integers, of any width and with a sign or without.
  public var isInteger: Bool {
    switch self {
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64, .uint4, .int4, .uint2,
      .int2:
      true
    default: false
    }
  }

  /// Whether elements are complex numbers.
  public var isComplex: Bool { self == .complex64 || self == .complex128 }
}

extension ElementType: CustomStringConvertible {
  /// The name ONNX's specification writes, such as `float`, `int64` or `float8e4m3fn`.
  public var description: String { Self.names[Int(rawValue) - 1] }

  /// The type of that name, as ``description`` spells it.
  init?(name: some StringProtocol) {
    guard let index = Self.names.firstIndex(where: { $0 == name }) else { return nil }
    self.init(rawValue: Int32(index + 1))
  }

  /// In the order of the raw values, which start at 1.
  private static let names = [
    "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
    "double", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn",
    "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0",
    "uint2", "int2", "float6e2m3", "float6e3m2",
  ]
}
