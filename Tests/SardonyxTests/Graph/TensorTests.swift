import Testing

@testable import Sardonyx

@Suite struct TensorTests {
  @Test func elementsComeBackAsGiven() throws {
    let tensor = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    #expect(try tensor.elements(of: Float.self) == [1, 2, 3, 4, 5, 6])
    #expect(tensor.type == .float)
  }

  @Test func aWrongCountIsToldWithTheShape() {
    let error = #expect(throws: ModelError.self) { try Tensor([1, 2] as [Int64], shape: [3]) }
    #expect(error?.message == "elements of a tensor: expected as many as [3] has, got 2")
  }

  @Test func aWrongElementTypeIsTold() {
    let error = #expect(throws: ModelError.self) {
      try Tensor([1] as [Int64], [1]).elements(of: Float.self)
    }
    #expect(error?.message == "element type: expected int64, got float")
  }

  @Test func textsSurviveOnlyThroughTheirPool() throws {
    let tensor = Tensor(strings: ["Zürich", "", "東京"], [3])
    #expect(try tensor.strings() == ["Zürich", "", "東京"])
    #expect(try Tensor(zeros: .string, [2]).strings() == ["", ""])
  }

  @Test(arguments: ElementType.allCases.filter { $0.computed != nil && $0 != .float8e8m0 })
  func smallNumbersSurviveEveryNumericType(_ type: ElementType) {
    let numbers: [Int64] = [0, 1, 1, 0]
    let tensor = Tensor(converting: numbers, to: type, [2, 2])
    let reals: [Double] = [0, 1, 1, 0]
    #expect(tensor.converted(to: Int64.self) == numbers)
    #expect(tensor.converted(to: Double.self) == reals)
  }

  @Test func integersWrapWhenStoredAndSaturateFromReals() {
    let bytes = Tensor(converting: [300, -1] as [Int64], to: .uint8, [2])
    #expect(bytes.array(of: UInt8.self) == [44, 255])
    let nibbles = Tensor(converting: [9, -9] as [Int64], to: .int4, [2])
    #expect(nibbles.reinterpreted(as: .int8).array(of: Int8.self) == [-7, 7])
    #expect(Int64(converting: Double.nan) == 0)
    #expect(Int64(converting: 1e300) == .max)
  }

  @Test func namesOfElementTypesReadBack() {
    for type in ElementType.allCases { #expect(ElementType(name: type.description) == type) }
    #expect(ElementType(name: "float33") == nil)
  }
}
