extension Tensor {
  /// Lends the elements where they lie, in row-major order, without a copy.
  /// - Parameters:
  ///   - type: the tensor's element type.
  ///   - body: what reads them; the span ends with it.
  /// - Returns: what `body` returns.
  /// - Throws: ``ModelError`` (mismatch) where `T` is not the element type, or what `body` throws.
  public func withElements<T: Element, Result>(
    of type: T.Type = T.self, _ body: (Span<T>) throws -> Result
  ) throws -> Result {
    try checkType(T.self)
    let elements = unsafe UnsafeBufferPointer(start: pointer(as: T.self), count: elementCount)
    return try body(unsafe elements.span)
  }

  /// Copies the elements in row-major order into memory of the caller's.
  /// - Parameter target: as many elements as the tensor has.
  /// - Throws: ``ModelError`` (mismatch) where type or count differ; nothing is written then.
  public func copyElements<T: Element>(to target: inout MutableSpan<T>) throws(ModelError) {
    try checkType(T.self)
    guard target.count == elementCount else {
      throw .unexpected(
        "elements of the target", expected: "\(elementCount)", got: "\(target.count)")
    }
    let source = unsafe pointer(as: T.self)
    let count = elementCount
    unsafe target.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe base.update(from: source, count: count)
    }
  }

  private func checkType<T: Element>(_: T.Type) throws(ModelError) {
    guard T.elementType == type else {
      throw .unexpected("element type", expected: "\(type)", got: "\(T.elementType)")
    }
  }
}
