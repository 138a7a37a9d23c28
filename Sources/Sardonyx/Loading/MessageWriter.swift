internal import COnnx

/// A message being written, whose fields are named as in ONNX's schema.
///
/// Numbers and kinds of fields are those of the generated schema; a name it lacks, or a value that
/// does not fit, is a fault of the program. Elements of tensors are referred to, never copied.
@safe struct MessageWriter {
  /// What is written one after the other.
  enum Piece {
    case bytes(WireBytes)
    /// The elements as they lie in memory.
    case elements(Tensor)
  }

  private let schema: WireFormat.Descriptor
  private(set) var pieces: [Piece] = []
  private(set) var byteCount = 0
  /// The bytes behind the last piece.
  private var tail = WireBytes()

  /// A message of the schema that its generated initialiser knows.
  init<Message>(_ initialize: (UnsafeMutablePointer<Message>?) -> Void) {
    unsafe schema = messageSchema(initialize)
  }

  private init(schema: WireFormat.Descriptor) { unsafe self.schema = schema }

  // MARK: - Fields

  mutating func put(_ name: String, _ number: Int64) {
    begin(name, .varint) { $0.append(varint: UInt64(bitPattern: number)) }
  }

  mutating func put(_ name: String, _ number: Int) { put(name, Int64(number)) }

  mutating func put(_ name: String, _ number: Float) {
    begin(name, .fixed32) { $0.append(littleEndian: number.bitPattern) }
  }

  mutating func put(_ name: String, _ text: String) {
    begin(name, .lengthDelimited) {
      $0.append(varint: UInt64(text.utf8.count))
      $0.append(text.utf8)
    }
  }

  /// A text that is left out where it is empty.
  mutating func put(optional name: String, _ text: String) {
    if !text.isEmpty { put(name, text) }
  }

  mutating func put(_ name: String, bytes: [UInt8]) {
    begin(name, .lengthDelimited) {
      $0.append(varint: UInt64(bytes.count))
      $0.append(bytes)
    }
  }

  /// The elements of a tensor as a field of bytes.
  mutating func put(_ name: String, elementsOf tensor: Tensor) {
    begin(name, .lengthDelimited) { $0.append(varint: UInt64(tensor.byteCount)) }
    flush()
    pieces.append(.elements(tensor))
    byteCount += tensor.byteCount
  }

  /// A message inside this one.
  mutating func put(_ name: String, _ write: (inout MessageWriter) -> Void) {
    let descriptor = unsafe field(name).pointee.descriptor!
    var message = unsafe MessageWriter(
      schema: descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self))
    write(&message)
    message.flush()
    begin(name, .lengthDelimited) { $0.append(varint: UInt64(message.byteCount)) }
    for piece in message.pieces {
      switch piece {
      case .bytes(let bytes): tail.append(bytes.bytes)
      case .elements:
        flush()
        pieces.append(piece)
      }
    }
    byteCount += message.byteCount
  }

  private mutating func begin(
    _ name: String, _ type: WireType, _ content: (inout WireBytes) -> Void
  ) {
    let before = tail.bytes.count
    tail.append(tag: unsafe field(name).pointee.id, type)
    content(&tail)
    byteCount += tail.bytes.count - before
  }

  private func field(_ name: String) -> UnsafePointer<ProtobufCFieldDescriptor> {
    guard let field = unsafe protobuf_c_message_descriptor_get_field_by_name(schema, name) else {
      preconditionFailure("ONNX's schema has no field \(name) here")
    }
    return unsafe field
  }

  private mutating func flush() {
    guard !tail.bytes.isEmpty else { return }
    pieces.append(.bytes(tail))
    tail = WireBytes()
  }

  // MARK: - The whole

  /// Hands over the message piece by piece.
  func forEachBlock(_ body: (UnsafeRawBufferPointer) throws(ModelError) -> Void)
    throws(ModelError)
  {
    for piece in pieces + [.bytes(tail)] {
      switch piece {
      case .bytes(let bytes):
        try unsafe lend(bytes.bytes, to: body)
      case .elements(let tensor):
        try unsafe body(tensor.unalignedBytes)
      }
    }
  }

  /// The message in memory.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    try? unsafe forEachBlock { unsafe bytes.append(contentsOf: $0) }
    return bytes
  }
}

/// Lends the bytes of an array; the standard library's own form does not say what it throws.
private func lend(
  _ bytes: [UInt8], to body: (UnsafeRawBufferPointer) throws(ModelError) -> Void
) throws(ModelError) {
  var fault: ModelError?
  unsafe bytes.withUnsafeBytes { block in
    do throws(ModelError) { try unsafe body(block) } catch { fault = error }
  }
  if let fault { throw fault }
}
