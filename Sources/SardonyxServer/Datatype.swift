#if Server
  import Sardonyx

  extension ElementType {
    /// What the protocol calls the type; nil where it has no such type.
    var datatype: String? {
      switch self {
      case .bool: "BOOL"
      case .uint8: "UINT8"
      case .uint16: "UINT16"
      case .uint32: "UINT32"
      case .uint64: "UINT64"
      case .int8: "INT8"
      case .int16: "INT16"
      case .int32: "INT32"
      case .int64: "INT64"
      case .float16: "FP16"
      case .float: "FP32"
      case .double: "FP64"
      case .bfloat16: "BF16"
      case .string: "BYTES"
      default: nil
      }
    }

    /// The type that the protocol calls so.
    /// - Throws: ``ModelError`` (malformed).
    init(datatype: String, of input: String) throws(ModelError) {
      guard let type = Self.allCases.first(where: { $0.datatype == datatype }) else {
        throw .unexpected(
          "datatype of input \"\(input)\"",
          expected: "one of \(Self.allCases.compactMap(\.datatype).joined(separator: ", "))",
          got: "\"\(datatype)\"", code: .malformed)
      }
      self = type
    }
  }

  extension Tensor {
    /// A tensor from the `data` of a request.
    init(_ type: ElementType, _ shape: Shape, json data: JSONText) throws(ModelError) {
      func integers<T: Element & FixedWidthInteger>(_: T.Type) throws(ModelError) -> Tensor {
        try Tensor(data.integers(of: T.self), shape: shape)
      }
      switch type {
      case .bool: self = try Tensor(data.bools(), shape: shape)
      case .uint8: self = try integers(UInt8.self)
      case .uint16: self = try integers(UInt16.self)
      case .uint32: self = try integers(UInt32.self)
      case .uint64: self = try integers(UInt64.self)
      case .int8: self = try integers(Int8.self)
      case .int16: self = try integers(Int16.self)
      case .int32: self = try integers(Int32.self)
      case .int64: self = try integers(Int64.self)
      case .float: self = try Tensor(data.fractions(of: Float.self), shape: shape)
      case .double: self = try Tensor(data.fractions(of: Double.self), shape: shape)
      case .string: self = try Tensor(strings: data.strings(), shape: shape)
      default:
        // Of the types above, a double holds each of the numbers.
        self = try Tensor(data.fractions(of: Double.self), shape: shape).converted(to: type)
      }
    }

    /// A tensor from the bytes behind the header of a request: texts each behind their length.
    init(_ type: ElementType, _ shape: Shape, binary bytes: ArraySlice<UInt8>) throws(ModelError) {
      guard type == .string else {
        self = try Tensor(type, shape, bytes: Array(bytes))
        return
      }
      var texts: [String] = []
      var rest = bytes
      while !rest.isEmpty {
        let length = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard rest.count >= 4, rest.count - 4 >= length else {
          throw .unexpected(
            "text \(texts.count) of BYTES", expected: "4 bytes of length and as many bytes of text",
            got: "\(rest.count) bytes", code: .malformed)
        }
        texts.append(String(decoding: rest.dropFirst(4).prefix(length), as: UTF8.self))
        rest = rest.dropFirst(4 + length)
      }
      self = try Tensor(strings: texts, shape: shape)
    }

    /// The elements as an array of JSON, row after row.
    func jsonText() throws(ModelError) -> String {
      func list(_ elements: some Sequence<String>) -> String {
        "[" + elements.joined(separator: ",") + "]"
      }
      func integers<T: Element & FixedWidthInteger>(_: T.Type) throws(ModelError) -> String {
        list(try elements(of: T.self).lazy.map { String($0) })
      }
      func fractions<T: BinaryFloatingPoint & LosslessStringConvertible>(_ elements: [T]) -> String
      {
        list(elements.lazy.map { JSON.number($0).line })
      }
      switch type {
      case .bool: return list(try elements(of: Bool.self).lazy.map { $0 ? "true" : "false" })
      case .uint8: return try integers(UInt8.self)
      case .uint16: return try integers(UInt16.self)
      case .uint32: return try integers(UInt32.self)
      case .uint64: return try integers(UInt64.self)
      case .int8: return try integers(Int8.self)
      case .int16: return try integers(Int16.self)
      case .int32: return try integers(Int32.self)
      case .int64: return try integers(Int64.self)
      case .float: return fractions(try elements(of: Float.self))
      case .string: return list(try strings().lazy.map { JSON.string($0).line })
      default: return fractions(try numbers())
      }
    }

    /// The elements as bytes: texts each behind their length.
    func binary() throws(ModelError) -> [UInt8] {
      guard type == .string else { return rawBytes }
      var bytes: [UInt8] = []
      for text in try strings() {
        let length = UInt32(text.utf8.count)
        for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: length >> (8 * byte))) }
        bytes += text.utf8
      }
      return bytes
    }
  }
#endif
