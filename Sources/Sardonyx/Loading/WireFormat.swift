internal import COnnx

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// One walk over the wire format of a message, before protobuf-c unpacks it.
///
/// protobuf-c recurses without a limit and copies every block of bytes. The walk bounds depth and
/// lengths, and writes a slim copy of the message in which each `raw_data` of a tensor has become a
/// `segment` (a field ONNX defines and nobody uses) that says where the bytes lie in the file.
/// Fields that the schema does not know, and those without use for inference, are left out.
///
/// Source: protobuf's "Encoding"; ONNX's schema is read from what protoc-c generated.
@safe struct WireFormat {
  /// How deep messages may lie in one another, which is protobuf's own limit; a graph in a graph
  /// takes three levels.
  static let depthLimit = 100
  /// How many messages a file may hold; protobuf-c makes hundreds of bytes of two.
  static let messageLimit = 1 << 24
  /// Both protobuf and protobuf-c refuse longer messages.
  private static let byteLimit = Int(Int32.max)
  /// Lengths in the slim copy take this many bytes, so that they can be filled in afterwards.
  private static let lengthWidth = 5

  typealias Descriptor = UnsafePointer<ProtobufCMessageDescriptor>
  private typealias Field = UnsafePointer<ProtobufCFieldDescriptor>

  private let bytes: UnsafeRawBufferPointer
  private var slim: [UInt8] = []
  /// The message-typed fields that lead to where the walk is.
  private var path: [Step] = []
  private var messageCount = 0
  /// Where the walk is.
  private var position = 0

  /// One field on the way down.
  @safe private struct Step {
    let field: Field
    /// Where the message that holds the field starts.
    let parentStart: Int
    /// Where the field starts.
    let start: Int
  }

  private init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }

  /// The slim copy of a message of the given schema.
  /// - Throws: ``ModelError`` (malformed, limit) with the field and the offset of the fault.
  static func slim(_ bytes: UnsafeRawBufferPointer, _ schema: Descriptor) throws(ModelError)
    -> [UInt8]
  {
    var walk = unsafe WireFormat(bytes)
    unsafe try walk.message(0..<bytes.count, schema)
    guard walk.slim.count <= byteLimit else {
      throw .unexpected(
        "the model without its raw data", expected: "at most \(byteLimit) bytes",
        got: "\(walk.slim.count)", code: .limit)
    }
    return walk.slim
  }

  // MARK: - Messages

  private mutating func message(_ range: Range<Int>, _ schema: Descriptor) throws(ModelError) {
    position = range.lowerBound
    while position < range.upperBound {
      let start = position
      let tag = try varint(before: range.upperBound)
      guard let wireType = WireType(rawValue: UInt8(tag & 7)), (1...0x1FFF_FFFF) ~= tag >> 3 else {
        throw fault(start, "the tag of a field", expected: "one of protobuf", got: "\(tag)")
      }
      let content = try content(wireType, before: range.upperBound)
      let known = unsafe protobuf_c_message_descriptor_get_field(schema, UInt32(tag >> 3))
      guard let field = unsafe known else { continue }
      guard unsafe wireType.fits(field.pointee) else {
        let name = unsafe String(cString: field.pointee.name)
        throw fault(
          start, "the wire type of \(name)", expected: "that of its kind",
          got: "\(wireType.rawValue)")
      }
      switch unsafe role(of: field.pointee) {
      case .useless: break
      case .plain: append(start..<position)
      case .rawData: appendSegment(content)
      case .message:
        unsafe path.append(
          Step(field: field, parentStart: range.lowerBound, start: start))
        unsafe try nested(
          start, content,
          field.pointee.descriptor.assumingMemoryBound(
            to: ProtobufCMessageDescriptor.self))
        path.removeLast()
      }
    }
  }

  /// Copies the field that starts at `start`, whose content is a message.
  private mutating func nested(_ start: Int, _ content: Range<Int>, _ schema: Descriptor)
    throws(ModelError)
  {
    guard path.count <= Self.depthLimit else {
      throw fault(
        start, "nesting", expected: "at most \(Self.depthLimit) messages in one another",
        got: "more", code: .limit)
    }
    messageCount += 1
    guard messageCount <= Self.messageLimit else {
      throw fault(
        start, "the file", expected: "at most \(Self.messageLimit) messages", got: "more",
        code: .limit)
    }
    let end = position
    position = start
    _ = try varint(before: end)
    append(start..<position)
    let length = slim.count
    slim.append(contentsOf: [UInt8](repeating: 0, count: Self.lengthWidth))
    unsafe try message(content, schema)
    var rest = slim.count - length - Self.lengthWidth
    for index in length..<(length + Self.lengthWidth) {
      slim[index] = UInt8(rest & 0x7F) | 0x80
      rest >>= 7
    }
    slim[length + Self.lengthWidth - 1] &= 0x7F
    position = end
  }

  /// What becomes of a field in the slim copy.
  private enum Role { case plain, message, rawData, useless }

  private func role(of field: ProtobufCFieldDescriptor) -> Role {
    switch unsafe field.type {
    case PROTOBUF_C_TYPE_MESSAGE:
      unsafe field.isNamed("training_info") || field.isNamed("segment") ? .useless : .message
    case PROTOBUF_C_TYPE_BYTES: unsafe field.isNamed("raw_data") ? .rawData : .plain
    default: .plain
    }
  }

  private mutating func append(_ range: Range<Int>) {
    unsafe slim.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  /// Writes `TensorProto.segment` (field 3) with `begin` (1) and `end` (2) for a range of the file.
  private mutating func appendSegment(_ range: Range<Int>) {
    var segment = WireBytes()
    segment.append(tag: 1, .varint)
    segment.append(varint: UInt64(range.lowerBound))
    segment.append(tag: 2, .varint)
    segment.append(varint: UInt64(range.upperBound))
    var field = WireBytes()
    field.append(tag: 3, .lengthDelimited)
    field.append(varint: UInt64(segment.bytes.count))
    slim.append(contentsOf: field.bytes)
    slim.append(contentsOf: segment.bytes)
  }

  // MARK: - Primitives

  /// Reads a base-128 number of at most ten bytes.
  private mutating func varint(before end: Int) throws(ModelError) -> UInt64 {
    let start = position
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < end else {
        throw fault(start, "a number", expected: "its end", got: "the end of the message")
      }
      let byte = unsafe bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
    }
    throw fault(start, "a number", expected: "at most 10 bytes", got: "more")
  }

  /// Steps over the content of a field; that of a length-delimited one is returned.
  private mutating func content(_ type: WireType, before end: Int) throws(ModelError)
    -> Range<Int>
  {
    let start = position
    var length: UInt64
    switch type {
    case .varint:
      _ = try varint(before: end)
      return start..<position
    case .fixed64: length = 8
    case .fixed32: length = 4
    case .lengthDelimited: length = try varint(before: end)
    }
    guard length <= UInt64(end - position) else {
      throw fault(
        start, "the length of a field", expected: "at most \(end - position) bytes",
        got: "\(length)")
    }
    position += Int(length)
    return (position - Int(length))..<position
  }

  // MARK: - Faults

  private func fault(
    _ offset: Int, _ subject: String, expected: String, got: String,
    code: ModelError.Code = .malformed
  ) -> ModelError {
    let place = path.isEmpty ? "" : "\(pathText), "
    return .unexpected(
      "\(place)byte \(offset): \(subject)", expected: expected, got: got, code: code)
  }

  /// The fields down to here, such as `graph.node[3].attribute[0].t`.
  private var pathText: String {
    path.map { step in
      let name = unsafe String(cString: step.field.pointee.name)
      guard unsafe step.field.pointee.label == PROTOBUF_C_LABEL_REPEATED else { return name }
      return unsafe "\(name)[\(occurrences(of: step.field.pointee.id, step))]"
    }.joined(separator: ".")
  }

  /// How many fields of this number stand before a step's, in a range the walk has accepted.
  private func occurrences(of number: UInt32, _ step: Step) -> Int {
    var walk = unsafe WireFormat(bytes)
    walk.position = step.parentStart
    var count = 0
    while walk.position < step.start {
      guard let tag = try? walk.varint(before: step.start),
        let type = WireType(rawValue: UInt8(tag & 7)),
        (try? walk.content(type, before: step.start)) != nil
      else { break }
      if tag >> 3 == number { count += 1 }
    }
    return count
  }
}

extension ProtobufCFieldDescriptor {
  fileprivate func isNamed(_ name: StaticString) -> Bool {
    unsafe strcmp(self.name, name.utf8Start) == 0
  }
}

extension WireType {
  /// Whether a field may come in this wire type; lists of numbers come packed or one by one.
  fileprivate func fits(_ field: ProtobufCFieldDescriptor) -> Bool {
    let single: WireType =
      switch unsafe field.type {
      case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: .lengthDelimited
      case PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: .fixed32
      case PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: .fixed64
      default: .varint
      }
    let isPacked = unsafe field.label == PROTOBUF_C_LABEL_REPEATED && self == .lengthDelimited
    return self == single || isPacked
  }
}
