internal import COnnx

/// Unpacks a message of a file and lends it, with its raw data left in the file.
///
/// - Parameter initialize: the generated initialiser of the message, which knows its schema.
@safe func withMessage<Message, Result>(
  of file: ModelFile, _ initialize: (UnsafeMutablePointer<Message>?) -> Void,
  _ body: (Message) throws(ModelError) -> Result
) throws(ModelError) -> Result {
  let schema = unsafe messageSchema(initialize)
  let message = unsafe try unpack(file, schema)
  defer { unsafe protobuf_c_message_free_unpacked(message, nil) }
  return unsafe try body(UnsafeRawPointer(message).load(as: Message.self))
}

private func unpack(_ file: ModelFile, _ schema: WireFormat.Descriptor) throws(ModelError)
  -> UnsafeMutablePointer<ProtobufCMessage>
{
  do throws(ModelError) {
    let slim = unsafe try WireFormat.slim(
      UnsafeRawBufferPointer(start: file.storage.base, count: file.byteCount), schema)
    if let message = unsafe protobuf_c_message_unpack(schema, nil, slim.count, slim) {
      return unsafe message
    }
    throw ModelError(.malformed, "protobuf-c cannot unpack the message")
  } catch {
    var hinted = error
    if error.code == .malformed { hinted.hint = file.appearance }
    throw hinted
  }
}

/// The schema of a generated message, which its initialiser knows.
func messageSchema<Message>(_ initialize: (UnsafeMutablePointer<Message>?) -> Void)
  -> WireFormat.Descriptor
{
  let blank = UnsafeMutablePointer<Message>.allocate(capacity: 1)
  defer { unsafe blank.deallocate() }
  unsafe initialize(blank)
  return unsafe UnsafeRawPointer(blank).load(as: ProtobufCMessage.self).descriptor
}

// MARK: - Fields of the generated structs

/// A text field; protobuf-c ends it with a zero byte.
func text(_ field: UnsafePointer<CChar>?) -> String {
  guard let field = unsafe field else { return "" }
  return unsafe String(cString: field)
}

/// A repeated text field.
func texts(_ count: Int, _ field: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> [String] {
  (0..<count).map { unsafe text(field![$0]) }
}

/// A field of bytes that hold text; what is not UTF-8 is replaced.
func text(_ field: ProtobufCBinaryData) -> String {
  unsafe String(
    decoding: UnsafeBufferPointer(start: field.data, count: field.len), as: UTF8.self)
}

/// A repeated field of bytes that hold text.
func texts(_ count: Int, _ field: UnsafeMutablePointer<ProtobufCBinaryData>?) -> [String] {
  unsafe UnsafeBufferPointer(start: field, count: count).map { unsafe text($0) }
}

/// A repeated field of numbers.
func numbers<T>(_ count: Int, _ field: UnsafeMutablePointer<T>?) -> [T] {
  unsafe Array(UnsafeBufferPointer(start: field, count: count))
}

/// A repeated field of messages.
func messages<Message>(
  _ count: Int, _ field: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?
) -> [Message] {
  (0..<count).map { unsafe field![$0]!.pointee }
}
