import Testing

@testable import Sardonyx

@Suite struct GeneratorsTests {
  @Test func constantTakesAnyOfItsAttributes() throws {
    let none: [Tensor?] = []
    #expect(try run("Constant", none, ["value_int": .int(7)]).elements() == [Int64(7)])
    #expect(try run("Constant", none, ["value_floats": .floats([1, 2])]).shape == [2])
    #expect(try run("Constant", none, ["value_strings": .strings(["é"])]).strings() == ["é"])
    #expect(try run("Constant", none, ["value": .tensor(Tensor(scalar: true))]).type == .bool)
    #expect(
      message { try run("Constant", none, ["value_int": .int(7), "value_float": .float(1)]) }
        == "attributes that give the value: expected one, got 2")
  }

  @Test func constantOfShapeRepeatsItsValue() throws {
    let shape = Tensor([Int64(2), 3])
    let zeros = try run("ConstantOfShape", [shape])
    #expect(zeros.shape == [2, 3] && zeros.type == .float)
    let words = try run(
      "ConstantOfShape", [Tensor([Int64]())], ["value": .tensor(Tensor([Int8(5)]))])
    #expect(words.shape == [] && words.type == .int8)
    #expect(try run("ConstantOfShape", [Tensor([Int64(0), 4])]).shape == [0, 4])
    #expect(
      message { try run("ConstantOfShape", [Tensor([Int64(2), -1])]) }
        == "shape: expected no negative extent, got [2,-1]")
    #expect(
      message { try run("ConstantOfShape", [Tensor([Int64.max, 2])]) }?
        .hasPrefix("shape of output 0: expected extents of at most 2147483648") == true)
  }

  @Test(arguments: [
    (0, [1, 0, 0, 0, 1, 0]), (1, [0, 1, 0, 0, 0, 1]), (-1, [0, 0, 0, 1, 0, 0]),
    (3, [0, 0, 0, 0, 0, 0]), (-2, [0, 0, 0, 0, 0, 0]), (Int.min, [0, 0, 0, 0, 0, 0]),
  ])
  func eyeHasOnesOnOneDiagonal(diagonal: Int, expected: [Int32]) throws {
    let x = Tensor([Float](repeating: 9, count: 6), [2, 3])
    let eye = try run("EyeLike", [x], ["k": .int(diagonal), "dtype": .int(6)])
    #expect(try eye.elements() == expected)
  }

  @Test func rangeStopsBeforeItsLimit() throws {
    func range<T: Element>(_ start: T, _ limit: T, _ delta: T) throws -> [T] {
      try run("Range", [Tensor(scalar: start), Tensor(scalar: limit), Tensor(scalar: delta)])
        .elements()
    }
    #expect(try range(Int64(3), 9, 3) == [3, 6])
    #expect(try range(Int32(10), 4, -2) == [10, 8, 6])
    #expect(try range(Float(0), 1, 0.25) == [0, 0.25, 0.5, 0.75])
    #expect(try range(Int16(5), 5, 1) == [])
    #expect(try range(Double(1), 0, 1) == [])
    #expect(
      message {
        try run(
          "Range", [Tensor(scalar: Float(0)), Tensor(scalar: Float(1)), Tensor(scalar: Float(0))])
      }
        == "start, limit and delta: expected a range of at most 2147483648 numbers, got 0.0, 1.0, 0.0"
    )
  }
}
