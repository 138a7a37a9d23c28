public import Sardonyx

/// NumPy's file of one array.
///
/// Source: numpy.lib.format. Versions 1 to 3, little-endian, C and Fortran order; `<U` and `|S` are
/// strings. Element types that NumPy lacks are written as the narrowest one that holds them.
public enum NPY {
  private static let largestEmptyCount = 1 << 20
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  /// Whether bytes begin as an array file does.
  public static func isNPY(_ bytes: [UInt8]) -> Bool { bytes.starts(with: magic) }

  /// The array of a file's bytes.
  /// - Throws: ``ModelError``: malformed, or unsupported for big-endian, object and record arrays.
  public static func read(_ bytes: [UInt8]) throws(ModelError) -> Tensor {
    let header = try NPYHeader(bytes)
    let data = bytes.dropFirst(header.dataOffset)
    guard let size = elementCount(header.shape + [header.itemSize]), size <= data.count
    else {
      throw ModelError(
        .malformed,
        "data of the array: expected [\(list(header.shape))] elements of \(header.itemSize) bytes, "
          + "got \(data.count) bytes")
    }
    // Elements of no bytes could be any number of them.
    guard header.itemSize > 0 || header.shape.reduce(1, *) <= largestEmptyCount else {
      throw ModelError(
        .limit,
        "elements of no bytes: expected at most \(largestEmptyCount), got [\(list(header.shape))]")
    }
    var elements = Array(data.prefix(size))
    if header.isFortran { elements = rowMajor(elements, header.shape, header.itemSize) }
    switch header.type {
    case .plain(let type): return try Tensor(type, header.shape, bytes: elements)
    case .unicode: return try strings(elements, header, unicode)
    case .ascii: return try strings(elements, header, ascii)
    }
  }

  /// Column-major elements in row-major order.
  private static func rowMajor(_ bytes: [UInt8], _ shape: Shape, _ size: Int) -> [UInt8] {
    var strides: [Int] = []
    var stride = size
    for extent in shape {
      strides.append(stride)
      stride *= extent
    }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = [Int](repeating: 0, count: shape.count)
    while result.count < bytes.count {
      let offset = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
      result += bytes[offset..<offset + size]
      for axis in shape.indices.reversed() {
        index[axis] += 1
        if index[axis] < shape[axis] { break }
        index[axis] = 0
      }
    }
    return result
  }

  private static func strings(
    _ bytes: [UInt8], _ header: NPYHeader, _ decode: (ArraySlice<UInt8>) -> String
  ) throws(ModelError) -> Tensor {
    let size = header.itemSize
    let count = header.shape.reduce(1, *)
    let texts = (0..<count).map { decode(bytes[$0 * size..<($0 + 1) * size]) }
    return try Tensor(strings: texts, shape: header.shape)
  }

  /// UTF-32, padded with zeros.
  private static func unicode(_ bytes: ArraySlice<UInt8>) -> String {
    var text = String.UnicodeScalarView()
    for first in stride(from: bytes.startIndex, to: bytes.endIndex, by: 4) {
      let value = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[first + $1]) << UInt32(8 * $1) }
      text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
    }
    while text.last == "\0" { text.removeLast() }
    return String(text)
  }

  private static func ascii(_ bytes: ArraySlice<UInt8>) -> String {
    var rest = bytes
    while rest.last == 0 { rest.removeLast() }
    return String(decoding: rest, as: UTF8.self)
  }

  // MARK: - Writing

  /// A file's bytes of a tensor; element types that NumPy lacks are stored as ``standIn(for:)`` tells.
  /// - Throws: ``ModelError`` (mismatch) where elements cannot be converted.
  public static func write(_ tensor: Tensor) throws(ModelError) -> [UInt8] {
    if tensor.type == .string { return try writeStrings(tensor) }
    let stored = try tensor.converted(to: standIn(for: tensor.type))
    return header(NPYHeader.description(of: stored.type), stored.shape) + stored.rawBytes
  }

  /// The type that an array file holds elements of `type` as.
  public static func standIn(for type: ElementType) -> ElementType {
    switch type {
    case .bfloat16, .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz, .float8e8m0,
      .float6e2m3, .float6e3m2, .float4e2m1:
      .float
    case .int4, .int2: .int8
    case .uint4, .uint2: .uint8
    default: type
    }
  }

  private static func writeStrings(_ tensor: Tensor) throws(ModelError) -> [UInt8] {
    let texts = try tensor.strings().map { Array($0.unicodeScalars) }
    let length = max(1, texts.map(\.count).max() ?? 1)
    var bytes = header("<U\(length)", tensor.shape)
    for text in texts {
      for index in 0..<length {
        let value = index < text.count ? text[index].value : 0
        for shift in stride(from: 0, to: 32, by: 8) {
          bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift)))
        }
      }
    }
    return bytes
  }

  /// Magic, version 1 (2 where the dictionary is longer than that can tell), and the dictionary
  /// padded so that the data starts at a multiple of 64.
  private static func header(_ type: String, _ shape: Shape) -> [UInt8] {
    let extents = shape.count == 1 ? "\(shape[0])," : list(shape)
    var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(extents)), }"
    let isLong = text.utf8.count > 65000
    let prefix = magic.count + (isLong ? 6 : 4)
    text += String(repeating: " ", count: 63 - (prefix + text.utf8.count) % 64) + "\n"
    let length = text.utf8.count
    let digits = (0..<(isLong ? 4 : 2)).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    return magic + [isLong ? 2 : 1, 0] + digits + Array(text.utf8)
  }

  private static func list(_ shape: Shape) -> String {
    shape.map(String.init).joined(separator: ", ")
  }
}

/// The product of all extents, or nil where it overflows.
package func elementCount(_ shape: Shape) -> Int? {
  var count = 1
  for extent in shape {
    let (product, overflow) = count.multipliedReportingOverflow(by: extent)
    guard !overflow else { return nil }
    count = product
  }
  return count
}

extension Tensor {
  /// This tensor, or, where an input's element type is one that NumPy lacks, the stand-in's elements
  /// converted back.
  /// - Parameter definition: the input; nil for none.
  /// - Throws: ``ModelError`` (mismatch) where elements cannot be converted.
  public func adapted(to definition: ValueDefinition?) throws(ModelError) -> Tensor {
    guard let wanted = definition?.type?.elementType, wanted != type,
      NPY.standIn(for: wanted) == type
    else { return self }
    return try converted(to: wanted)
  }
}
