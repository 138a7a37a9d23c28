import Sardonyx

/// What the header of a NumPy array file says: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
struct NPYHeader {
  /// How elements lie in the file.
  enum Kind {
    case plain(ElementType)
    /// UTF-32 of a fixed length.
    case unicode
    /// Bytes of a fixed length.
    case ascii
  }

  private(set) var type = Kind.plain(.float)
  /// Bytes of an element.
  private(set) var itemSize = 0
  private(set) var isFortran = false
  private(set) var shape: Shape = []
  /// Where the elements start.
  let dataOffset: Int

  /// - Throws: ``ModelError``: malformed, or unsupported for kinds of elements that ONNX lacks.
  init(_ bytes: [UInt8]) throws(ModelError) {
    guard NPY.isNPY(bytes), bytes.count >= 12, (1...3).contains(bytes[6]) else {
      throw Self.malformed("its first bytes")
    }
    let isShort = bytes[6] == 1
    let start = isShort ? 10 : 12
    let length = (8..<start).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    guard length <= bytes.count - start else { throw Self.malformed("its header is truncated") }
    dataOffset = start + length
    var literal = PythonLiteral(bytes[start..<dataOffset])
    guard case .dictionary(let entries)? = literal.value() else {
      throw Self.malformed("its header is no dictionary")
    }
    guard case .boolean(let isFortran)? = entries["fortran_order"],
      case .tuple(let extents)? = entries["shape"]
    else { throw Self.malformed("its header lacks fortran_order or shape") }
    self.isFortran = isFortran
    shape = extents
    guard case .text(let description)? = entries["descr"] else {
      throw ModelError(.unsupported, "NumPy array of records: expected one number or text each")
    }
    (type, itemSize) = try Self.elementType(description)
  }

  private static func malformed(_ what: String) -> ModelError {
    ModelError(.malformed, "NumPy array: \(what)")
  }

  private static let plainTypes: [(description: String, type: ElementType)] = [
    ("<f4", .float), ("<f8", .double), ("<f2", .float16), ("|b1", .bool), ("|i1", .int8),
    ("|u1", .uint8), ("<i2", .int16), ("<u2", .uint16), ("<i4", .int32), ("<u4", .uint32),
    ("<i8", .int64), ("<u8", .uint64), ("<c8", .complex64), ("<c16", .complex128),
  ]

  /// NumPy's name of a type, such as `<f4`.
  static func description(of type: ElementType) -> String {
    plainTypes.first { $0.type == type }?.description ?? "|V\(type.byteCount)"
  }

  private static func elementType(_ description: String) throws(ModelError) -> (Kind, Int) {
    guard let order = description.first else { throw malformed("its element type is empty") }
    let isExplicit = "<>|=".contains(order)
    let name = isExplicit ? description.dropFirst() : description[...]
    if order == ">", name.last != "1" {
      throw ModelError(
        .unsupported, "NumPy array of big-endian elements (\(description))",
        hint: "store it with array.astype(array.dtype.newbyteorder(\"<\"))")
    }
    if let plain = plainTypes.first(where: { $0.description.dropFirst() == name }) {
      return (.plain(plain.type), plain.type.byteCount)
    }
    if name.first == "U", let length = Int(name.dropFirst()), (0...1 << 24).contains(length) {
      return (.unicode, 4 * length)
    }
    if name.first == "S", let length = Int(name.dropFirst()), (0...1 << 26).contains(length) {
      return (.ascii, length)
    }
    throw ModelError(
      .unsupported, "NumPy array of elements of type \(description)",
      hint: name == "O" ? "objects are pickled; store text with array.astype(str)" : nil)
  }
}

/// Reads the few forms of Python literals that headers of NumPy arrays are made of.
private struct PythonLiteral {
  indirect enum Value {
    case text(String)
    case boolean(Bool)
    case tuple([Int])
    case dictionary([String: Value])
  }

  private var rest: ArraySlice<UInt8>
  private var depth = 0

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next value; nil where there is none that is known.
  mutating func value() -> Value? {
    // Headers nest once; a deeper one is none.
    depth += 1
    defer { depth -= 1 }
    guard depth <= 8 else { return nil }
    skipSpace()
    switch rest.first.map(Unicode.Scalar.init) {
    case "'", "\"": return text().map(Value.text)
    case "(": return tuple().map(Value.tuple)
    case "{": return dictionary().map(Value.dictionary)
    default:
      if take("True") { return .boolean(true) }
      return take("False") ? .boolean(false) : nil
    }
  }

  private mutating func text() -> String? {
    guard let quote = rest.popFirst(), let end = rest.firstIndex(of: quote) else { return nil }
    defer { rest = rest[(end + 1)...] }
    return String(decoding: rest[..<end], as: UTF8.self)
  }

  private mutating func tuple() -> [Int]? {
    var numbers: [Int] = []
    guard take("(") else { return nil }
    while !take(")") {
      skipSpace()
      let digits = rest.prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: ")") }
      // Python 2 marks long integers with an L.
      let number = String(decoding: digits, as: UTF8.self).filter { $0 != "L" && $0 != " " }
      guard let value = Int(number), value >= 0 else { return nil }
      numbers.append(value)
      rest = rest[digits.endIndex...]
      _ = take(",")
    }
    return numbers
  }

  private mutating func dictionary() -> [String: Value]? {
    var entries: [String: Value] = [:]
    guard take("{") else { return nil }
    while !take("}") {
      guard case .text(let key)? = value(), take(":") else { return nil }
      // A value of unknown form, such as a list of fields, stays out; its key then is missing.
      guard let value = value() else { return entries }
      entries[key] = value
      _ = take(",")
    }
    return entries
  }

  private mutating func take(_ text: String) -> Bool {
    skipSpace()
    guard rest.starts(with: text.utf8) else { return false }
    rest = rest.dropFirst(text.utf8.count)
    return true
  }

  private mutating func skipSpace() { rest = rest.drop { $0 == 32 || $0 == 10 || $0 == 9 } }
}
