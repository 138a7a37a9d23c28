import Testing

@testable import Sardonyx

@Suite struct BorrowingTests {
  private final class Owner: Sendable {}

  private func borrow(
    _ bytes: [UInt8], _ type: ElementType, _ shape: Shape, offset: Int = 0,
    _ body: (_ tensor: Tensor, _ liesThere: Bool) throws -> Void
  ) throws {
    let block = UnsafeMutableRawBufferPointer.allocate(
      byteCount: bytes.count + offset, alignment: 64)
    defer { unsafe block.deallocate() }
    let memory = unsafe UnsafeMutableRawBufferPointer(rebasing: block[offset...])
    unsafe memory.copyBytes(from: bytes)
    let tensor = try unsafe Tensor(
      borrowing: UnsafeRawBufferPointer(memory), as: type, shape: shape, owner: Owner())
    try unsafe body(tensor, tensor.bytes == UnsafeRawPointer(memory.baseAddress!))
  }

  @Test func elementsAreReadWhereTheyLie() throws {
    try borrow(Tensor([1, 2] as [Float]).rawBytes, .float, [2]) { tensor, liesThere in
      #expect(liesThere)
      #expect(tensor.array(of: Float.self) == [1, 2])
    }
  }

  @Test func elementsThatAreNotAlignedAreCopied() throws {
    try borrow(Tensor([1, 2] as [Float]).rawBytes, .float, [2], offset: 2) {
      tensor, liesThere in
      #expect(!liesThere)
      #expect(tensor.array(of: Float.self) == [1, 2])
    }
  }

  @Test(
    "Bytes that an element cannot have become what they stand for",
    arguments: [
      (ElementType.bool, [0, 1, 2, 255], [0, 1, 1, 1]),
      (.int4, [0x0F, 0xF7, 0xF8, 0x88], [0xFF, 7, 0xF8, 0xF8]),
      (.uint4, [0xFF, 0x13, 0, 9], [0xF, 3, 0, 9]), (.int2, [2, 1, 7, 0], [0xFE, 1, 0xFF, 0]),
      (.uint2, [7, 1, 4, 3], [3, 1, 0, 3]), (.float4e2m1, [0x1F, 1, 2, 3], [0xF, 1, 2, 3]),
      (.float6e3m2, [0xFF, 1, 2, 3], [0x3F, 1, 2, 3]), (.uint8, [255, 2, 1, 0], [255, 2, 1, 0]),
    ] as [(ElementType, [UInt8], [UInt8])])
  func bytesAreMadeWhole(type: ElementType, bytes: [UInt8], whole: [UInt8]) throws {
    try borrow(bytes, type, [4]) { tensor, liesThere in
      #expect(tensor.rawBytes == whole)
      #expect(liesThere == (bytes == whole))
    }
  }

  @Test func aWrongCountAndTextsAreRefused() throws {
    let count = #expect(throws: ModelError.self) { try borrow([1, 2, 3], .float, [1]) { _, _ in } }
    #expect(
      count?.message == "bytes of a tensor: expected as many as float[1] takes, got 3")
    #expect(throws: ModelError.self) {
      try borrow([0, 0, 0, 0, 0, 0, 0, 0], .string, [1]) { _, _ in }
    }
    #expect(throws: ModelError.self) { try borrow([], .uint8, [-1]) { _, _ in } }
  }

  @Test func valuesComeApartFromWhatTheyShare() throws {
    let (lent, own) = (Tensor([1, 2, 3] as [Float]), Tensor([4] as [Float]))
    let value = Value.sequence(
      [.tensor(lent.part(1..<3)), .tensor(own)], of: .tensor(.float))
    guard case .sequence(let parts, _) = value.apart(from: [.tensor(lent)]) else {
      Issue.record("no sequence")
      return
    }
    #expect(parts[0].tensor?.storage !== lent.storage)
    #expect(parts[0].tensor?.array(of: Float.self) == [2, 3])
    #expect(parts[1].tensor?.storage === own.storage)
  }

  @Test func typesAreReadAsTheyAreSpelled() {
    let types: [ValueType] = [
      .tensor(.float), .sparseTensor(.int64), .sequence(.tensor(.string)),
      .optional(.sequence(.tensor(.float16))),
      .sequence(.map(key: .int64, value: .tensor(.float))),
    ]
    for type in types { #expect(ValueType(type.description) == type) }
    for text in ["", "float", "tensor(flat)", "seq(float)", "tensor(float", "map(int64)"] {
      #expect(ValueType(text) == nil)
    }
  }
}
