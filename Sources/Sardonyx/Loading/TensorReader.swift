internal import COnnx

/// Reads tensors: raw data where it lies in the file, typed fields, external data, sparse tensors.
final class TensorReader {
  /// Bytes that all sparse tensors of a file together may take when dense.
  static let sparseByteLimit = 1 << 30

  private let file: ModelFile
  private let external: ExternalData
  private var sparseBytes = 0

  init(_ file: ModelFile, folder: String?) {
    self.file = file
    external = ExternalData(folder: folder, model: file.path)
  }

  func tensor(_ proto: Onnx__TensorProto) throws(ModelError) -> Tensor {
    let name = unsafe text(proto.name)
    do throws(ModelError) {
      return unsafe try elements(proto)
    } catch {
      var named = error
      named.message = "tensor \"\(name)\": \(error.message)"
      throw named
    }
  }

  private func elements(_ proto: Onnx__TensorProto) throws(ModelError) -> Tensor {
    let type = try elementType(unsafe proto.data_type)
    let shape = unsafe numbers(proto.n_dims, proto.dims).map(Int.init)
    guard let count = shape.checkedElementCount, count <= Int.max / 16 else {
      throw .unexpected(
        "the shape", expected: "extents whose product is a number of elements",
        got: "[\(shape.joined)]", code: .malformed)
    }
    if unsafe proto.data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL {
      let entries = unsafe dictionary(proto.n_external_data, proto.external_data)
      let (block, range) = try external.block(entries, byteCount: type.fileByteCount(count))
      return try Tensor(file: block, range, type, shape)
    }
    if let segment = unsafe proto.segment {
      let range = unsafe Int(segment.pointee.begin)..<Int(segment.pointee.end)
      return try Tensor(file: file.storage, range, type, shape)
    }
    if type == .string {
      let strings = unsafe texts(proto.n_string_data, proto.string_data)
      guard strings.count == count else {
        throw .unexpected(
          "data of string[\(shape.joined)]", expected: "\(count) strings",
          got: "\(strings.count)", code: .malformed)
      }
      return Tensor(strings: strings, shape)
    }
    let block = unsafe typedData(proto, type)
    guard block.byteCount > 0 || count == 0 else {
      throw ModelError(
        .malformed, "no data for \(type)[\(shape.joined)]",
        hint: "the weights of this file were left out, or lie in another file")
    }
    return try Tensor(file: block, 0..<block.byteCount, type, shape)
  }

  /// The elements of a typed field as they would lie in `raw_data`.
  private func typedData(_ proto: Onnx__TensorProto, _ type: ElementType) -> Storage {
    switch type.typedField {
    case .float: unsafe Tensor(numbers(proto.n_float_data, proto.float_data)).storage
    case .double: unsafe Tensor(numbers(proto.n_double_data, proto.double_data)).storage
    case .int64: unsafe Tensor(numbers(proto.n_int64_data, proto.int64_data)).storage
    case .uint64 where type == .uint32:
      unsafe Tensor(
        numbers(proto.n_uint64_data, proto.uint64_data).map { UInt32(truncatingIfNeeded: $0) }
      ).storage
    case .uint64: unsafe Tensor(numbers(proto.n_uint64_data, proto.uint64_data)).storage
    // Other types of less than 8 bits are packed in this field too.
    case .int32 where type.fileBitCount == 6:
      unsafe Tensor(
        packed(
          numbers(proto.n_int32_data, proto.int32_data).map { UInt8(truncatingIfNeeded: $0) }, type)
      ).storage
    case .int32:
      unsafe narrowed(numbers(proto.n_int32_data, proto.int32_data), byteCount: type.byteCount)
    case .string: preconditionFailure("strings have no bytes")
    }
  }

  /// Numbers of `int32_data` cut to the bytes of their type.
  private func narrowed(_ numbers: [Int32], byteCount: Int) -> Storage {
    switch byteCount {
    case 1: Tensor(numbers.map { UInt8(truncatingIfNeeded: $0) }).storage
    case 2: Tensor(numbers.map { UInt16(truncatingIfNeeded: $0) }).storage
    default: Tensor(numbers).storage
    }
  }

  // MARK: - Sparse tensors

  /// A sparse tensor made dense.
  ///
  /// `indices` is [count], into the flattened tensor, or [count, rank].
  func sparse(_ proto: Onnx__SparseTensorProto) throws(ModelError) -> (name: String, tensor: Tensor)
  {
    guard let valuesProto = unsafe proto.values else {
      throw ModelError(.malformed, "a sparse tensor has no values")
    }
    let name = unsafe text(valuesProto.pointee.name)
    let values = unsafe try tensor(valuesProto.pointee)
    let shape = unsafe numbers(proto.n_dims, proto.dims).map(Int.init)
    func fault(_ subject: String, _ expected: String, _ got: String) -> ModelError {
      .unexpected(
        "sparse tensor \"\(name)\": \(subject)", expected: expected, got: got, code: .malformed)
    }
    guard values.type != .string, values.shape.count == 1 else {
      throw fault("the values", "numbers along one axis", "\(Fact(values))")
    }
    let width = values.type.byteCount
    guard let count = shape.checkedElementCount,
      count <= (Self.sparseByteLimit - sparseBytes) / width
    else {
      throw ModelError(
        .limit,
        "sparse tensor \"\(name)\": expected at most \(Self.sparseByteLimit) bytes in all when "
          + "dense, got \(values.type)[\(shape.joined)]")
    }
    sparseBytes += count * width
    let positions = unsafe try self.positions(proto, shape, fault)
    guard positions.count == values.elementCount else {
      throw fault("indices", "\(values.elementCount)", "\(positions.count)")
    }
    guard positions.allSatisfy({ 0..<count ~= $0 }) else {
      throw fault("indices", "positions inside [\(shape.joined)]", "one outside")
    }
    let dense = Tensor(zeros: values.type, shape)
    for (index, position) in positions.enumerated() {
      unsafe dense.storage.base.advanced(by: position * width).copyMemory(
        from: values.bytes + index * width, byteCount: width)
    }
    return (name, dense)
  }

  /// Where each value goes in the flattened dense tensor; a position outside is negative.
  private func positions(
    _ proto: Onnx__SparseTensorProto, _ shape: Shape,
    _ fault: (String, String, String) -> ModelError
  ) throws(ModelError) -> [Int] {
    guard let indicesProto = unsafe proto.indices else {
      throw fault("indices", "a tensor", "none")
    }
    let indices = unsafe try tensor(indicesProto.pointee)
    guard indices.type == .int64 else { throw fault("indices", "int64", "\(indices.type)") }
    let numbers = indices.array(of: Int64.self).map(Int.init)
    switch indices.shape.count {
    case 1: return numbers
    case 2 where indices.shape[1] == shape.count:
      let strides = shape.strides
      return (0..<indices.shape[0]).map { row in
        let coordinates = numbers[(row * shape.count)..<((row + 1) * shape.count)]
        guard zip(coordinates, shape).allSatisfy({ 0..<$1 ~= $0 }) else { return -1 }
        return zip(coordinates, strides).reduce(0) { $0 + $1.0 * $1.1 }
      }
    default:
      throw fault("indices", "[count] or [count,\(shape.count)]", "\(Fact(indices))")
    }
  }
}

/// The element type of a number in a file.
func elementType(_ number: Int32) throws(ModelError) -> ElementType {
  if let type = ElementType(rawValue: number) { return type }
  let got = number == 0 ? "none" : "number \(number)"
  throw .unexpected(
    "element type", expected: "one that this build knows", got: got, code: .unsupported)
}
