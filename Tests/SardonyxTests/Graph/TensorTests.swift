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

  @Test func elementsAreLentAndCopiedOut() throws {
    let tensor = Tensor([1, 2, 3] as [Float])
    let sum = try tensor.withElements(of: Float.self) { elements in
      elements.indices.reduce(Float(0)) { $0 + elements[$1] }
    }
    #expect(sum == 6)
    var target = [Float](repeating: 0, count: 3)
    var span = target.mutableSpan
    try tensor.copyElements(to: &span)
    #expect(target == [1, 2, 3])
    let type = #expect(throws: ModelError.self) {
      try tensor.withElements(of: Double.self) { $0.count }
    }
    #expect(type?.message == "element type: expected float, got double")
    var short = [Float](repeating: 0, count: 2)
    let count = #expect(throws: ModelError.self) {
      var span = short.mutableSpan
      try tensor.copyElements(to: &span)
    }
    #expect(count?.message == "elements of the target: expected 3, got 2")
    #expect(short == [0, 0])
  }

  @Test func rowsAreTakenAndJoined() throws {
    let tensor = counting(3, 2)
    #expect(try tensor.rows(1..<3).floats == [2, 3, 4, 5])
    #expect(try Tensor(joining: [tensor.rows(2..<3), tensor]).shape == [4, 2])
    let texts = try Tensor(
      joining: [Tensor(strings: ["a"], [1]), Tensor(strings: ["b", "c"], [2])])
    #expect(try texts.strings() == ["a", "b", "c"])
    #expect(
      message { try tensor.rows(2..<4) } == "rows of a tensor: expected some of [3,2], got 2 to 4")
    #expect(
      message { try Tensor(joining: [tensor, counting(3)]) }
        == "tensors to join: expected float[…,2] each, got float[3]")
  }
}
