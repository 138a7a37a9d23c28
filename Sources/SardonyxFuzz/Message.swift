/// A protobuf message as a tree that can be changed: what `onnx.proto` calls messages is parsed, all
/// else stays bytes.
struct Message {
  /// The messages of ONNX that are looked into.
  enum Kind {
    case model, graph, node, attribute, tensor, sparse, valueInfo, type, tensorType, wrapper, shape
    case dimension, function, operatorSet
  }

  enum Content {
    case varint(UInt64)
    case fixed32([UInt8])
    case fixed64([UInt8])
    case bytes([UInt8])
    indirect case message(Message)
  }

  struct Field {
    var number: UInt32
    var content: Content
  }

  let kind: Kind
  var fields: [Field] = []

  init(kind: Kind) { self.kind = kind }

  /// - Returns: nil where the bytes are no message.
  init?(_ bytes: ArraySlice<UInt8>, kind: Kind) {
    self.kind = kind
    var rest = bytes
    while !rest.isEmpty {
      guard let tag = Self.varint(&rest) else { return nil }
      let number = UInt32(truncatingIfNeeded: tag >> 3)
      switch tag & 7 {
      case 0:
        guard let value = Self.varint(&rest) else { return nil }
        fields.append(Field(number: number, content: .varint(value)))
      case 1:
        guard rest.count >= 8 else { return nil }
        fields.append(Field(number: number, content: .fixed64(Array(rest.prefix(8)))))
        rest = rest.dropFirst(8)
      case 2:
        guard let length = Self.varint(&rest), length <= rest.count else { return nil }
        let content = rest.prefix(Int(length))
        rest = rest.dropFirst(Int(length))
        if let inner = kind.inner(number), let message = Message(content, kind: inner) {
          fields.append(Field(number: number, content: .message(message)))
        } else {
          fields.append(Field(number: number, content: .bytes(Array(content))))
        }
      case 5:
        guard rest.count >= 4 else { return nil }
        fields.append(Field(number: number, content: .fixed32(Array(rest.prefix(4)))))
        rest = rest.dropFirst(4)
      default: return nil
      }
    }
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }

  /// The message in protobuf's wire format.
  var bytes: [UInt8] {
    var result: [UInt8] = []
    func append(varint value: UInt64) {
      var rest = value
      while rest >= 0x80 {
        result.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      result.append(UInt8(rest))
    }
    for field in fields {
      let tag = UInt64(field.number) << 3
      switch field.content {
      case .varint(let value):
        append(varint: tag)
        append(varint: value)
      case .fixed64(let bytes):
        append(varint: tag | 1)
        result += bytes
      case .fixed32(let bytes):
        append(varint: tag | 5)
        result += bytes
      case .bytes(let bytes):
        append(varint: tag | 2)
        append(varint: UInt64(bytes.count))
        result += bytes
      case .message(let message):
        let bytes = message.bytes
        append(varint: tag | 2)
        append(varint: UInt64(bytes.count))
        result += bytes
      }
    }
    return result
  }
}

extension Message.Kind {
  /// What a field of this message holds, if it is a message that is looked into.
  func inner(_ field: UInt32) -> Message.Kind? {
    switch (self, field) {
    case (.model, 7): .graph
    case (.model, 8), (.function, 9): .operatorSet
    case (.model, 25): .function
    case (.graph, 1), (.function, 7): .node
    case (.graph, 5): .tensor
    case (.graph, 15): .sparse
    case (.graph, 11), (.graph, 12), (.graph, 13): .valueInfo
    case (.node, 5), (.function, 11): .attribute
    case (.attribute, 5), (.attribute, 10), (.sparse, 1), (.sparse, 2): .tensor
    case (.attribute, 6), (.attribute, 11): .graph
    case (.attribute, 14), (.attribute, 15): .type
    case (.attribute, 22), (.attribute, 23): .sparse
    case (.valueInfo, 2), (.wrapper, 1): .type
    case (.type, 1), (.type, 8): .tensorType
    case (.type, 4), (.type, 9): .wrapper
    case (.tensorType, 2): .shape
    case (.shape, 1): .dimension
    default: nil
    }
  }

  /// What the number in a field means, for changes that keep it plausible.
  func isElementType(_ field: UInt32) -> Bool {
    switch (self, field) {
    case (.tensor, 2), (.tensorType, 1): true
    default: false
    }
  }

  func isName(_ field: UInt32) -> Bool {
    switch (self, field) {
    case (.node, 1), (.node, 2), (.tensor, 8), (.valueInfo, 1): true
    default: false
    }
  }
}
