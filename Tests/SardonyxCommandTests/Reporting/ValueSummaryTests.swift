import Testing

@testable import Sardonyx
@testable import SardonyxCommand

/// Values as people and programs are shown them.
@Suite struct ValueSummaryTests {
  @Test("The ends of every integer type are shown as they are")
  func integersAreExact() throws {
    func summary<T: Element & FixedWidthInteger>(_: T.Type) -> String {
      Value.tensor(Tensor([T.min, T.max], [2])).summary()
    }
    func expected<T: FixedWidthInteger>(_: T.Type) -> String { "\n  \(T.min), \(T.max)" }
    #expect(summary(Int8.self).hasSuffix(expected(Int8.self)))
    #expect(summary(Int16.self).hasSuffix(expected(Int16.self)))
    #expect(summary(Int32.self).hasSuffix(expected(Int32.self)))
    #expect(summary(Int64.self).hasSuffix(expected(Int64.self)))
    #expect(summary(UInt8.self).hasSuffix(expected(UInt8.self)))
    #expect(summary(UInt16.self).hasSuffix(expected(UInt16.self)))
    #expect(summary(UInt32.self).hasSuffix(expected(UInt32.self)))
    #expect(summary(UInt64.self).hasSuffix(expected(UInt64.self)))
    #expect(Value.tensor(Tensor(scalar: Int64.max - 1)).summary().hasSuffix("\n  \(Int64.max - 1)"))
  }

  @Test("Whatever the bits are, every type has a summary and JSON", arguments: ElementType.allCases)
  func allBitsAreShown(_ type: ElementType) throws {
    guard type != .string else { return }
    for bits in [0x00, 0x7F, 0x80, 0xFF, 0xF8] as [UInt8] {
      // Elements of less than a byte hold no more than they may.
      let byte = type.fileBitCount < 8 ? bits & (1 << type.fileBitCount - 1) : bits
      let storage = Storage(byteCount: 12 * type.byteCount)
      unsafe storage.base.initializeMemory(
        as: UInt8.self, repeating: type == .bool ? byte & 1 : byte, count: storage.byteCount)
      let value = Value.tensor(Tensor(type, [3, 4], storage: storage))
      #expect(value.summary().hasPrefix("\(type)[3,4]"))
      #expect(value.summary().hasSuffix(", …"))
      #expect(!value.json.description.isEmpty)
    }
  }
}
