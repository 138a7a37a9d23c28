internal import COnnx

/// Reads tensors: raw data where it lies in the file, typed fields, external data, sparse tensors.
final class TensorReader {
  /// Bytes that all sparse tensors of a file together may take when dense: never more than the largest,
  /// beyond the least so many times those that the file has of them.
  private static let (leastSparseLimit, largestSparseLimit, sparseGrowth) = (1 << 26, 1 << 30, 100)

  private let file: ModelFile
  private let external: ExternalData
  private var sparseBytes = 0
  private var sparseSourceBytes = 0

  init(_ file: ModelFile, folder: String?) {
    self.file = file
    external = ExternalData(folder: folder, model: file.path)
  }

  func tensor(_ proto: Onnx__TensorProto) throws(ModelError) -> Tensor {
    try about("tensor \"\(unsafe text(proto.name))\"") { () throws(ModelError) in
      unsafe try elements(proto)
    }
  }

  private func elements(_ proto: Onnx__TensorProto) throws(ModelError) -> Tensor {
    let type = try elementType(unsafe proto.data_type)
    let shape = try checkedShape(unsafe numbers(proto.n_dims, proto.dims))
    let count = shape.elementCount
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

  /// The memory that a sparse tensor of so many bytes in the file may take when dense, counted with
  /// those before it.
  func reserve(sparseBytes count: Int, from source: Int) throws(ModelError) {
    sparseSourceBytes = sparseSourceBytes.saturatingSum(source)
    let allowed = min(sparseSourceBytes, Self.largestSparseLimit) * Self.sparseGrowth
    let limit = min(Self.largestSparseLimit, max(Self.leastSparseLimit, allowed))
    guard count <= limit - sparseBytes else {
      throw ModelError(
        .limit, "all sparse tensors when dense: expected at most \(limit) bytes, got more")
    }
    sparseBytes += count
  }
}

/// Runs `body` and says of its faults what they are about.
func about<Result>(_ subject: String, _ body: () throws(ModelError) -> Result) throws(ModelError)
  -> Result
{
  do throws(ModelError) {
    return try body()
  } catch {
    var fault = error
    fault.message = "\(subject): \(error.message)"
    throw fault
  }
}

/// A shape whose number of elements, and of bytes of any type, can be counted.
func checkedShape(_ dimensions: [Int64]) throws(ModelError) -> Shape {
  let shape = dimensions.map(Int.init)
  guard shape.checkedElementCount != nil else {
    throw .unexpected(
      "the shape", expected: "extents whose product is a number of elements",
      got: "[\(shape.joined)]", code: .malformed)
  }
  return shape
}

/// The element type of a number in a file.
func elementType(_ number: Int32) throws(ModelError) -> ElementType {
  if let type = ElementType(rawValue: number) { return type }
  let got = number == 0 ? "none" : "number \(number)"
  throw .unexpected(
    "element type", expected: "one that this build knows", got: got, code: .unsupported)
}
