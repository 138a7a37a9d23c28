import Foundation

@testable import Sardonyx

/// A field of protobuf with a number.
func field(_ number: UInt32, _ value: Int) -> [UInt8] {
  var bytes = WireBytes()
  bytes.append(tag: number, .varint)
  bytes.append(varint: UInt64(bitPattern: Int64(value)))
  return bytes.bytes
}

/// A field of protobuf with bytes: a text, a message, packed numbers.
func field(_ number: UInt32, _ content: [UInt8]) -> [UInt8] {
  var bytes = WireBytes()
  bytes.append(tag: number, .lengthDelimited)
  bytes.append(varint: UInt64(content.count))
  bytes.append(content)
  return bytes.bytes
}

func field(_ number: UInt32, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

/// `TensorProto` named "w" whose elements stand in the given field.
func tensorProto(_ type: ElementType, _ shape: Shape, _ data: [UInt8]) -> [UInt8] {
  shape.flatMap { field(1, $0) } + field(2, Int(type.rawValue)) + field(8, "w") + data
}

/// `ModelProto` whose graph has the given content.
func modelProto(graph: [UInt8]) -> [UInt8] {
  field(1, 8) + field(7, graph) + field(8, field(2, 17))
}

func definition(_ bytes: [UInt8], folder: String? = nil) throws(ModelError) -> ModelDefinition {
  try ModelDefinition(ModelFile(bytes: bytes), folder: folder)
}

/// A folder of its own for a test, removed when the test is over.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
  }

  func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(
      atPath: "\(path)/\(name)", withDestinationPath: target)
  }

  func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(
      atPath: "\(path)/\(name)", withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension Tensor {
  /// The bytes of the elements in memory.
  var memory: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: bytes, count: byteCount)) }
}
