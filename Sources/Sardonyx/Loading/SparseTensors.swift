internal import COnnx

extension TensorReader {
  /// A sparse tensor made dense.
  func sparse(_ proto: Onnx__SparseTensorProto) throws(ModelError) -> (name: String, tensor: Tensor)
  {
    guard let valuesProto = unsafe proto.values, let indicesProto = unsafe proto.indices else {
      throw ModelError(.malformed, "a sparse tensor: expected values and indices, got none")
    }
    let name = unsafe text(valuesProto.pointee.name)
    let dense = try about("sparse tensor \"\(name)\"") { () throws(ModelError) in
      let shape = try checkedShape(unsafe numbers(proto.n_dims, proto.dims))
      let values = unsafe try tensor(valuesProto.pointee)
      let indices = unsafe try tensor(indicesProto.pointee)
      try reserve(
        sparseBytes: shape.elementCount * values.type.byteCount,
        from: values.byteCount + indices.byteCount)
      return try Tensor(values, at: indices, shape)
    }
    return (name, dense)
  }
}

extension Tensor {
  /// Zeros of the given shape, but for `values` [count] at `indices`.
  ///
  /// Indices are [count], into the flattened tensor, or [count, rank].
  fileprivate init(_ values: Tensor, at indices: Tensor, _ shape: Shape) throws(ModelError) {
    func fault(_ subject: String, expected: String, got: Tensor) -> ModelError {
      .unexpected(subject, expected: expected, got: "\(Fact(got))", code: .malformed)
    }
    guard values.type != .string, values.shape.count == 1 else {
      throw fault("values", expected: "numbers along one axis", got: values)
    }
    let count = values.elementCount
    guard indices.type == .int64, [[count], [count, shape.count]].contains(indices.shape) else {
      throw fault(
        "indices", expected: "int64[\(count)] or int64[\(count),\(shape.count)]", got: indices)
    }
    let numbers = indices.array(of: Int64.self).map(Int.init)
    // Flattened, the tensor has one axis.
    let axes = indices.shape.count == 1 ? [shape.elementCount] : shape
    let strides = axes.strides
    let width = values.type.byteCount
    self.init(zeros: values.type, shape)
    for index in 0..<count {
      let coordinates = numbers[(index * axes.count)..<((index + 1) * axes.count)]
      guard zip(coordinates, axes).allSatisfy({ 0..<$1 ~= $0 }) else {
        throw .unexpected(
          "indices", expected: "positions inside [\(shape.joined)]",
          got: "[\(Array(coordinates).joined)]", code: .malformed)
      }
      let position = zip(coordinates, strides).reduce(0) { $0 + $1.0 * $1.1 }
      unsafe storage.base.advanced(by: position * width).copyMemory(
        from: values.bytes + index * width, byteCount: width)
    }
  }
}
