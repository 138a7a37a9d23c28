/// The type of a tensor's elements; raw values are those of ONNX's `TensorProto.DataType`.
///
/// In memory every element takes whole bytes: types of less than 8 bits take one byte each
/// (the integers sign-extended), whatever their packing in the file.
public enum ElementType: Int32, Sendable, Hashable, CaseIterable {
  /// 32 bits, IEEE 754.
  case float = 1
  /// Integers from 0 to 255.
  case uint8 = 2
  /// Integers from -128 to 127.
  case int8 = 3
  /// Integers of 16 bits from 0 on.
  case uint16 = 4
  /// Integers of 16 bits with a sign.
  case int16 = 5
  /// Integers of 32 bits with a sign.
  case int32 = 6
  /// Integers of 64 bits with a sign.
  case int64 = 7
  /// Texts in UTF-8.
  case string = 8
  /// Truth values, a byte each: 0 or 1.
  case bool = 9
  /// 16 bits, IEEE 754.
  case float16 = 10
  /// 64 bits, IEEE 754.
  case double = 11
  /// Integers of 32 bits from 0 on.
  case uint32 = 12
  /// Integers of 64 bits from 0 on.
  case uint64 = 13
  /// Complex numbers, each two of ``float``.
  case complex64 = 14
  /// Complex numbers, each two of ``double``.
  case complex128 = 15
  /// The upper 16 bits of ``float``.
  case bfloat16 = 16
  /// 8 bits, 4 of them the exponent; NaN, no infinity.
  case float8e4m3fn = 17
  /// 8 bits, 4 of them the exponent; NaN, no infinity, no negative zero.
  case float8e4m3fnuz = 18
  /// 8 bits, 5 of them the exponent; NaN and infinity.
  case float8e5m2 = 19
  /// 8 bits, 5 of them the exponent; NaN, no infinity, no negative zero.
  case float8e5m2fnuz = 20
  /// Integers from 0 to 15.
  case uint4 = 21
  /// Integers from -8 to 7.
  case int4 = 22
  /// 4 bits, 2 of them the exponent; finite.
  case float4e2m1 = 23
  /// Powers of two from 2⁻¹²⁷ to 2¹²⁷, and NaN.
  case float8e8m0 = 24
  /// Integers from 0 to 3.
  case uint2 = 25
  /// Integers from -2 to 1.
  case int2 = 26
  /// 6 bits, 2 of them the exponent; finite.
  case float6e2m3 = 27
  /// 6 bits, 3 of them the exponent; finite.
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
