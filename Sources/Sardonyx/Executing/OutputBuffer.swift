/// Memory of the caller's for one output of a run.
@safe struct OutputBuffer: @unchecked Sendable {
  /// The output's name.
  let name: String
  private let memory: UnsafeMutableRawBufferPointer
  /// What the caller takes the elements for, if it said so.
  private let type: ElementType?

  /// - Parameter memory: is to stay, and to be nobody else's, until the run has ended.
  init(name: String, _ memory: UnsafeMutableRawBufferPointer, of type: ElementType? = nil) {
    self.name = name
    unsafe self.memory = memory
    self.type = type
  }

  /// The memory as that of a value; nil where the value does not fit there, or what it is is not known.
  func storage(for fact: Fact?) -> Storage? {
    guard let base = unsafe memory.baseAddress, let byteCount = fact?.byteCount,
      let type = fact?.elementType, type != .string, unsafe byteCount <= memory.count,
      Int(bitPattern: base) % type.byteCount == 0
    else { return nil }
    return unsafe Storage(
      borrowing: UnsafeRawPointer(base), byteCount: byteCount, owner: CallersMemory.shared)
  }

  /// Sees to it that a value lies at the front of the memory.
  /// - Throws: ``ModelError`` (mismatch) where it cannot.
  func take(_ value: Value) throws(ModelError) -> (type: ElementType, shape: Shape) {
    guard let tensor = value.tensor, tensor.type != .string else {
      throw .unexpected(
        "output \"\(name)\" in memory of the caller's", expected: "a tensor of numbers",
        got: "\(Fact(value))")
    }
    if let type, type != tensor.type {
      throw .unexpected(
        "element type of output \"\(name)\"", expected: "\(type)", got: "\(tensor.type)")
    }
    guard unsafe tensor.byteCount <= memory.count else {
      throw .unexpected(
        "memory for output \"\(name)\", \(Fact(value))",
        expected: "at least \(tensor.byteCount) bytes",
        got: unsafe "\(memory.count)")
    }
    if let base = unsafe memory.baseAddress, tensor.byteCount > 0, unsafe tensor.bytes != base {
      unsafe base.copyMemory(from: tensor.bytes, byteCount: tensor.byteCount)
    }
    return (tensor.type, tensor.shape)
  }
}

/// Stands for an owner whom the caller of a run keeps alive.
private final class CallersMemory: Sendable {
  static let shared = CallersMemory()
}
