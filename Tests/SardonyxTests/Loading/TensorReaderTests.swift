import Testing

@testable import Sardonyx

/// Reads a `TensorProto` by itself.
private func read(_ proto: [UInt8]) throws(ModelError) -> Tensor {
  try Value(protobuf: proto, as: .tensor(.float)).tensor!
}

/// A number of bytes, lowest first.
private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

/// The typed field of `TensorProto` that holds the same elements as raw data does.
private func typed(_ type: ElementType, _ raw: [UInt8]) -> [UInt8] {
  // This field holds one element of 6 bits at a place, though raw data packs them.
  let raw =
    type.fileBitCount == 6 ? unpacked(raw, type, count: raw.count * 8 / 6) : raw
  func varints(_ width: Int) -> [UInt8] {
    var bytes = WireBytes()
    for start in stride(from: 0, to: raw.count, by: width) {
      bytes.append(varint: number(raw[start..<(start + width)]))
    }
    return bytes.bytes
  }
  return switch type {
  case .float, .complex64: field(4, raw)
  case .double, .complex128: field(10, raw)
  case .int64: field(7, varints(8))
  case .uint64: field(11, varints(8))
  case .uint32: field(11, varints(4))
  default: field(5, varints(type.byteCount))
  }
}

@Suite struct TensorReaderTests {
  @Test(arguments: ElementType.allCases.filter { $0 != .string })
  func everyTypeReadsAlikeFromRawAndTypedFields(type: ElementType) throws {
    let count = 5
    let byteCount = type.fileByteCount(count)
    let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 129) }
    let raw = type == .bool ? [1, 0, 0, 1, 1] : bytes
    let fromRaw = try read(tensorProto(type, [count], field(9, raw)))
    let fromTyped = try read(tensorProto(type, [count], typed(type, raw)))
    #expect(fromRaw.type == type && fromRaw.shape == [count])
    #expect(fromRaw.memory == fromTyped.memory)
    if type.fileBitCount >= 8 { #expect(fromRaw.memory == raw) }
  }

  @Test(
    arguments: [
      (.uint4, [0x21, 0xF3], [1, 2, 3]), (.int4, [0x8F, 0x07], [0xFF, 0xF8, 7]),
      (.float4e2m1, [0x8F, 0x07], [15, 8, 7]), (.uint2, [0b11_01_10_00, 0b10], [0, 2, 1, 3, 2]),
      (.int2, [0b11_01_10_00, 0b10], [0, 0xFE, 1, 0xFF, 0xFE]),
      (.float6e2m3, [0, 242, 7, 21], [0, 8, 63, 1, 21]),
    ] as [(ElementType, [UInt8], [UInt8])])
  func smallElementsAreSpreadOneToAByte(
    type: ElementType, raw: [UInt8], expected: [UInt8]
  ) throws {
    #expect(try read(tensorProto(type, [expected.count], field(9, raw))).memory == expected)
  }

  @Test func truthValuesAreZeroOrOne() throws {
    #expect(try read(tensorProto(.bool, [3], field(9, [0, 7, 255]))).memory == [0, 1, 1])
  }

  @Test func stringsReadFromTheirField() throws {
    let proto = tensorProto(.string, [2, 1], field(6, "é") + field(6, ""))
    #expect(try read(proto).strings() == ["é", ""])
  }

  @Test(arguments: 0..<8)
  func rawDataMayBeginAtAnyByte(offset: Int) throws {
    let expected: [Double] = [1.5, -2, 1e300]
    let raw = Tensor(expected).memory
    let padding = field(12, String(repeating: "x", count: offset))
    let tensor = try read(tensorProto(.double, [3], padding + field(9, raw)))
    #expect(try tensor.elements(of: Double.self) == expected)
  }

  @Test(
    arguments: [
      (
        tensorProto(.float, [2, 3], field(9, [1, 2, 3])),
        "data of float[2,3]: expected 24 bytes, got 3"
      ),
      (tensorProto(.int4, [3], field(9, [1])), "data of int4[3]: expected 2 bytes, got 1"),
      (tensorProto(.int64, [2], field(7, [1])), "data of int64[2]: expected 16 bytes, got 8"),
      (tensorProto(.string, [2], field(6, "a")), "data of string[2]: expected 2 strings, got 1"),
      (tensorProto(.string, [1], field(9, [1])), "strings are never raw data"),
      (
        tensorProto(.float, [-1], field(9, [])),
        "the shape: expected extents whose product is a number of elements, got [-1]"
      ),
      (
        tensorProto(.float, [1 << 40, 1 << 40], field(9, [])),
        "the shape: expected extents whose product is a number of elements, "
          + "got [1099511627776,1099511627776]"
      ),
    ] as [([UInt8], String)])
  func dataThatDoesNotFitTheShapeIsMalformed(proto: [UInt8], sentence: String) {
    #expect(throws: ModelError(.malformed, "tensor \"w\": \(sentence)")) { try read(proto) }
  }

  @Test func missingDataIsToldFromWrongData() {
    #expect(
      throws: ModelError(
        .malformed, "tensor \"w\": no data for float[2]",
        hint: "the weights of this file were left out, or lie in another file")
    ) { try read(tensorProto(.float, [2], [])) }
  }

  @Test func anUnknownElementTypeIsUnsupported() {
    #expect(
      throws: ModelError(
        .unsupported,
        "tensor \"w\": element type: expected one that this build knows, got number 29")
    ) { try read(field(2, 29) + field(8, "w")) }
  }
}

@Suite struct SparseTensorTests {
  /// `SparseTensorProto` of the values 1 and 2.
  private func sparse(_ indices: [Int64], _ indexShape: Shape, _ shape: Shape) -> [UInt8] {
    field(1, tensorProto(.float, [2], field(9, Tensor([1, 2] as [Float]).memory)))
      + field(2, tensorProto(.int64, indexShape, field(9, Tensor(indices).memory)))
      + shape.flatMap { field(3, $0) }
  }

  private func read(_ proto: [UInt8]) throws(ModelError) -> Tensor {
    try Value(protobuf: proto, as: .sparseTensor(.float)).tensor!
  }

  @Test func linearIndicesCountFlattenedElements() throws {
    let tensor = try read(sparse([1, 5], [2], [2, 3]))
    #expect(tensor.shape == [2, 3])
    #expect(try tensor.elements() == [0, 1, 0, 0, 0, 2] as [Float])
  }

  @Test func rowsOfIndicesAreCoordinates() throws {
    let tensor = try read(sparse([0, 2, 1, 0], [2, 2], [2, 3]))
    #expect(try tensor.elements() == [0, 0, 1, 2, 0, 0] as [Float])
  }

  @Test func indicesOutsideAreMalformed() {
    func fault(_ got: String) -> ModelError {
      ModelError(
        .malformed,
        "sparse tensor \"w\": indices: expected positions inside [2,3], got [\(got)]")
    }
    #expect(throws: fault("6")) { try read(sparse([1, 6], [2], [2, 3])) }
    #expect(throws: fault("-1")) { try read(sparse([-1, 0], [2], [2, 3])) }
    #expect(throws: fault("0,3")) { try read(sparse([0, 3, 0, 0], [2, 2], [2, 3])) }
  }

  @Test func indicesMustBeAsManyAsValues() {
    #expect(
      throws: ModelError(
        .malformed,
        "sparse tensor \"w\": indices: expected int64[2] or int64[2,2], got int64[3]")
    ) { try read(sparse([0, 1, 2], [3], [2, 3])) }
  }

  @Test func aSmallFileMakesNoHugeTensor() {
    #expect(
      throws: ModelError(
        .limit,
        "sparse tensor \"w\": all sparse tensors when dense: expected at most 67108864 bytes, "
          + "got more")
    ) { try read(sparse([0, 1], [2], [1_000_000, 1_000_000])) }
  }
}
