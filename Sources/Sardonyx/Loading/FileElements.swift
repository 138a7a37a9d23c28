/// How elements lie in a model file, where that differs from memory: shared by reader and writer.
extension ElementType {
  /// The repeated field of `TensorProto` that holds elements which are not raw.
  enum TypedField { case float, double, int32, int64, uint64, string }

  /// Complex numbers are pairs in the field of their parts; 16-bit floats and smaller types stand
  /// as bits in `int32_data`, those of 4 and 2 bits packed into bytes there.
  var typedField: TypedField {
    switch self {
    case .float, .complex64: .float
    case .double, .complex128: .double
    case .int64: .int64
    case .uint32, .uint64: .uint64
    case .string: .string
    default: .int32
    }
  }

  /// Bytes that `count` elements take in a file; the last byte may be partly used.
  func fileByteCount(_ count: Int) -> Int {
    fileBitCount < 8 ? (count * fileBitCount + 7) / 8 : count * byteCount
  }

  /// What an address must be a multiple of for the processor to read an element there.
  var memoryAlignment: Int { self == .complex64 ? 4 : Swift.min(byteCount, 8) }

  fileprivate var isSigned: Bool { self == .int4 || self == .int2 }
}

/// Spreads packed elements of less than 8 bits, the first in the lowest bits, one to a byte.
func unpacked(_ packed: [UInt8], _ type: ElementType, count: Int) -> [UInt8] {
  let bits = type.fileBitCount
  let mask = UInt8(1 << bits - 1)
  let signBit = UInt8(1 << (bits - 1))
  return (0..<count).map { index in
    let (byte, shift) = (index * bits / 8, index * bits % 8)
    var pair = UInt16(packed[byte])
    if shift + bits > 8 { pair |= UInt16(packed[byte + 1]) << 8 }
    let value = UInt8(truncatingIfNeeded: pair >> UInt16(shift)) & mask
    return type.isSigned && value & signBit != 0 ? value | ~mask : value
  }
}

/// The inverse of ``unpacked(_:_:count:)``.
func packed(_ elements: [UInt8], _ type: ElementType) -> [UInt8] {
  let bits = type.fileBitCount
  let mask = UInt8(1 << bits - 1)
  var bytes = [UInt8](repeating: 0, count: type.fileByteCount(elements.count))
  for (index, element) in elements.enumerated() {
    let (byte, shift) = (index * bits / 8, index * bits % 8)
    let pair = UInt16(element & mask) << UInt16(shift)
    bytes[byte] |= UInt8(truncatingIfNeeded: pair)
    if shift + bits > 8 { bytes[byte + 1] |= UInt8(pair >> 8) }
  }
  return bytes
}

extension Tensor {
  /// A tensor of elements that lie in a block of memory as they do in a file.
  ///
  /// The shape has been checked. Nothing is copied unless bits are to be unpacked, or bytes are no truth values.
  /// - Throws: ``ModelError`` (malformed) where the block does not have the bytes of the shape.
  init(file block: Storage, _ range: Range<Int>, _ type: ElementType, _ shape: Shape)
    throws(ModelError)
  {
    guard type != .string else { throw ModelError(.malformed, "strings are never raw data") }
    let count = shape.elementCount
    guard range.count == type.fileByteCount(count) else {
      throw .unexpected(
        "data of \(type)[\(shape.joined)]", expected: "\(type.fileByteCount(count)) bytes",
        got: "\(range.count)", code: .malformed)
    }
    let bytes = unsafe UnsafeRawBufferPointer(
      start: block.base + range.lowerBound, count: range.count)
    if type.fileBitCount < 8 {
      let elements = unsafe unpacked(Array(bytes), type, count: count)
      self = Tensor(elements, shape).reinterpreted(as: type)
    } else if unsafe type == .bool && bytes.contains(where: { $0 > 1 }) {
      self = unsafe Tensor(bytes.map { $0 != 0 }, shape)
    } else {
      let base = unsafe UnsafeRawPointer(block.base + range.lowerBound)
      let elements = unsafe Storage(
        borrowing: base, byteCount: range.count, alignment: type.memoryAlignment, owner: block)
      self.init(type, shape, storage: elements)
    }
  }
}
