import Sardonyx

/// What a C handle points to; the C side holds one reference, taken by ``retained`` and given back by
/// ``release(_:)``.
class Handle: @unchecked Sendable {
  /// A new handle.
  var retained: OpaquePointer { unsafe OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  /// What a handle points to; nil for NULL.
  static func borrowed(_ handle: OpaquePointer?) -> Self? {
    guard let handle = unsafe handle else { return nil }
    return unsafe Unmanaged<Self>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
  }

  /// The same for what must not be NULL.
  /// - Throws: ``ModelError`` (mismatch) for NULL.
  static func given(_ handle: OpaquePointer?, _ argument: String) throws(ModelError) -> Self {
    guard let object = unsafe borrowed(handle) else { throw missing(argument) }
    return object
  }

  /// Gives the C side's reference back.
  static func release(_ handle: OpaquePointer?) {
    guard let handle = unsafe handle else { return }
    unsafe Unmanaged<Self>.fromOpaque(UnsafeRawPointer(handle)).release()
  }
}

/// An argument that is NULL.
func missing(_ argument: String) -> ModelError {
  ModelError(.mismatch, "\(argument): expected something, got NULL")
}

/// Memory that C reads as long as its handle lives: texts that end with a zero, and arrays.
@safe final class CMemory {
  private var blocks: [UnsafeMutableRawPointer] = unsafe []

  deinit {
    for index in unsafe blocks.indices {
      unsafe blocks[index].deallocate()
    }
  }

  /// A text with a zero behind it.
  func text(_ text: String) -> UnsafePointer<CChar> {
    let bytes = Array(text.utf8)
    let block = unsafe allocate(bytes.count + 1, CChar.self)
    for (index, byte) in bytes.enumerated() { unsafe block[index] = CChar(bitPattern: byte) }
    unsafe block[bytes.count] = 0
    return unsafe UnsafePointer(block)
  }

  /// The same; NULL for nil.
  func text(_ text: String?) -> UnsafePointer<CChar>? {
    guard let text else { return nil }
    return unsafe self.text(text)
  }

  /// An array.
  func array<T>(_ elements: [T]) -> UnsafePointer<T> {
    let block = unsafe allocate(elements.count, T.self)
    for (index, element) in elements.enumerated() {
      unsafe (block + index).initialize(to: element)
    }
    return unsafe UnsafePointer(block)
  }

  private func allocate<T>(_ count: Int, _: T.Type) -> UnsafeMutablePointer<T> {
    let block = UnsafeMutablePointer<T>.allocate(capacity: max(count, 1))
    unsafe blocks.append(UnsafeMutableRawPointer(block))
    return unsafe block
  }
}

/// Calls `body`, and tells C what it throws.
/// - Parameter error: set to a new handle for an error, unless NULL.
func attempt(
  _ error: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(ModelError) -> Void
) -> Int32 {
  do throws(ModelError) {
    try body()
    return 0
  } catch let fault {
    if let error = unsafe error { unsafe error.pointee = ErrorHandle(fault).retained }
    return fault.code.number
  }
}

/// A place for a result.
/// - Throws: ``ModelError`` (mismatch) for NULL.
func place<T>(_ pointer: UnsafeMutablePointer<T>?, _ argument: String) throws(ModelError)
  -> UnsafeMutablePointer<T>
{
  guard let pointer = unsafe pointer else { throw missing(argument) }
  return unsafe pointer
}

/// A text of the caller's.
/// - Throws: ``ModelError`` (mismatch) for NULL.
func text(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws(ModelError) -> String {
  guard let pointer = unsafe pointer else { throw missing(argument) }
  return unsafe String(cString: pointer)
}

/// An array of the caller's.
/// - Throws: ``ModelError`` (mismatch) for NULL with a count.
func array<T>(_ pointer: UnsafePointer<T>?, _ count: Int, _ argument: String) throws(ModelError)
  -> UnsafeBufferPointer<T>
{
  guard count >= 0, unsafe pointer != nil || count == 0 else { throw missing(argument) }
  return unsafe UnsafeBufferPointer(start: pointer, count: count)
}

/// Names of the caller's.
/// - Throws: ``ModelError`` (mismatch) for NULL, and for a name that is NULL.
func names(
  _ pointer: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ argument: String
) throws(ModelError) -> [String] {
  var names: [String] = []
  let pointers = try unsafe array(pointer, count, argument)
  for index in pointers.indices {
    names.append(try unsafe text(pointers[index], "\(argument)[\(index)]"))
  }
  return names
}

/// The options of a structure whose caller may know fewer members than are known here; those are 0.
/// - Parameter blank: a structure of zeros.
/// - Throws: ``ModelError`` (mismatch) where the size is none.
func options<T>(_ pointer: UnsafePointer<T>?, _ blank: T, _ argument: String) throws(ModelError)
  -> T
{
  var options = blank
  guard let pointer = unsafe pointer else { return options }
  let size = unsafe UnsafeRawPointer(pointer).loadUnaligned(as: Int.self)
  guard size >= MemoryLayout<Int>.size, size <= 1 << 16 else {
    throw ModelError(
      .mismatch, "\(argument): expected its size as first member, got \(size)")
  }
  unsafe withUnsafeMutableBytes(of: &options) { bytes in
    unsafe bytes.baseAddress!.copyMemory(
      from: UnsafeRawPointer(pointer), byteCount: min(size, bytes.count))
  }
  return options
}

/// Writes a structure to a place whose owner may know fewer members than are known here.
/// - Returns: whether there was anything to write, and a place with room for it.
func fill<T>(_ pointer: UnsafeMutablePointer<T>?, _ structure: T?) -> Bool {
  guard let pointer = unsafe pointer, let structure else { return false }
  let size = unsafe UnsafeRawPointer(pointer).loadUnaligned(as: Int.self)
  guard size >= MemoryLayout<Int>.size, size <= 1 << 16 else { return false }
  let known = min(size, MemoryLayout<T>.size)
  let head = MemoryLayout<Int>.size
  unsafe withUnsafeBytes(of: structure) { bytes in
    let target = UnsafeMutableRawPointer(pointer)
    unsafe target.advanced(by: head).copyMemory(
      from: bytes.baseAddress! + head, byteCount: known - head)
    // Members that only a later version knows.
    unsafe target.advanced(by: known).initializeMemory(
      as: UInt8.self, repeating: 0, count: size - known)
  }
  return true
}

extension Array {
  /// The element of this position; nil where there is none.
  subscript(at index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
