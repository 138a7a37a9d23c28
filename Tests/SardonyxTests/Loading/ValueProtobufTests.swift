import Testing

@testable import Sardonyx

@Suite struct ValueProtobufTests {
  private static let tensor = Value.tensor(Tensor([1, 2] as [Float]))
  private static let map = Value.map(
    keys: Tensor(strings: ["a", "b"], [2]), values: Tensor([1, 2] as [Float]))

  @Test(
    arguments: [
      tensor,
      .tensor(Tensor(strings: ["x"], [])),
      .sequence([tensor, .tensor(Tensor(scalar: 3 as Float))], of: .tensor(.float)),
      .sequence([], of: .tensor(.int64)),
      .sequence([.sequence([tensor], of: .tensor(.float))], of: .sequence(.tensor(.float))),
      .sequence([map], of: .map(key: .string, value: .tensor(.float))),
      .optional(tensor, of: .tensor(.float)),
      .optional(nil, of: .tensor(.float)),
      .optional(.sequence([tensor], of: .tensor(.float)), of: .sequence(.tensor(.float))),
      .optional(.optional(nil, of: .tensor(.bool)), of: .optional(.tensor(.bool))),
      map,
      .map(keys: Tensor([-1, 5] as [Int8]), values: Tensor(strings: ["p", "q"], [2])),
    ] as [Value])
  func everyValueIsReadAsItWasWritten(value: Value) throws {
    let bytes = value.protobuf(name: "v")
    let read = try Value(protobuf: bytes, as: value.type)
    #expect(read.type == value.type)
    #expect(read.protobuf(name: "v") == bytes)
    #expect(bytes == value.protobuf(name: "v"))
  }

  @Test func aMapWithoutAValuePerKeyIsMalformed() {
    #expect(
      throws: ModelError(.malformed, "values of a map: expected 1, one per key, got 0")
    ) {
      try Value(
        protobuf: field(2, Int(ElementType.int64.rawValue)) + field(3, [7]),
        as: .map(key: .int64, value: .tensor(.float)))
    }
  }

  @Test func theKeysOfAMapAreIntegersOrStrings() {
    #expect(
      throws: ModelError(.malformed, "keys of a map: expected integers or strings, got float")
    ) {
      try Value(
        protobuf: field(2, Int(ElementType.float.rawValue)),
        as: .map(key: .int64, value: .tensor(.float)))
    }
  }
}
