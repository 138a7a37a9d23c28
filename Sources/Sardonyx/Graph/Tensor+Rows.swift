extension Tensor {
  /// Some neighbouring indices of the first axis, in the same memory.
  /// - Parameter range: among those that the axis has.
  /// - Throws: ``ModelError`` (mismatch) where the tensor has no axis, or not these indices.
  public func rows(_ range: Range<Int>) throws(ModelError) -> Tensor {
    guard let extent = shape.first, range.lowerBound >= 0, range.upperBound <= extent else {
      throw .unexpected(
        "rows of a tensor", expected: "some of [\(shape.joined)]",
        got: "\(range.lowerBound) to \(range.upperBound)")
    }
    let size = Shape(shape.dropFirst()).elementCount
    return part(range.lowerBound * size..<range.upperBound * size)
      .reshaped([range.count] + shape.dropFirst())
  }

  /// Tensors one after the other along the first axis.
  /// - Parameter tensors: at least one, of one type and of shapes that agree from the second axis on.
  /// - Throws: ``ModelError`` (mismatch) where they are not.
  public init(joining tensors: [Tensor]) throws(ModelError) {
    guard let first = tensors.first, !first.shape.isEmpty else {
      throw .unexpected("tensors to join", expected: "at least one with an axis", got: "none")
    }
    let inner = Shape(first.shape.dropFirst())
    for tensor in tensors {
      guard tensor.type == first.type, tensor.shape.count == first.shape.count,
        Shape(tensor.shape.dropFirst()) == inner
      else {
        throw .unexpected(
          "tensors to join", expected: "\(first.type)[…,\(inner.joined)] each",
          got: "\(tensor.type)[\(tensor.shape.joined)]")
      }
    }
    let shape = [tensors.reduce(0) { $0 + $1.shape[0] }] + inner
    var texts = TextPools.none
    let storage = Storage(byteCount: tensors.reduce(0) { $0 + $1.byteCount })
    var offset = 0
    for tensor in tensors {
      texts.formUnion(tensor.texts)
      unsafe (storage.base + offset).copyMemory(from: tensor.bytes, byteCount: tensor.byteCount)
      offset += tensor.byteCount
    }
    self.init(first.type, shape, storage: storage, texts: texts)
  }
}
