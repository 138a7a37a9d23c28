import Testing

@testable import Sardonyx

@Suite struct ComparisonsTests {
  @Test(arguments: [
    ("Equal", [true, false, false, false]), ("Less", [false, true, false, false]),
    ("LessOrEqual", [true, true, false, false]), ("Greater", [false, false, true, false]),
    ("GreaterOrEqual", [true, false, true, false]),
  ])
  func notANumberComparesWithNothing(name: String, expected: [Bool]) throws {
    let x = Tensor([Float(1), 1, 2, .nan])
    let y = Tensor([Float(1), 2, 1, .nan])
    #expect(try run(name, [x, y]).elements() == expected)
  }

  @Test func integersCompareExactly() throws {
    let x = Tensor([Int64.max, Int64.max - 1])
    #expect(try run("Equal", [x, Tensor(scalar: Int64.max)]).elements() == [true, false])
    let u = Tensor([UInt64.max, 1])
    #expect(try run("Greater", [u, Tensor(scalar: UInt64(1))]).elements() == [true, false])
    #expect(
      try run("Equal", [Tensor([true, false]), Tensor([true, true])]).elements() == [true, false])
  }

  @Test func textsAreEqualOrNot() throws {
    let x = Tensor(strings: ["a", "b", ""], [3])
    let y = Tensor(strings: ["a", "c", ""], [3])
    #expect(try run("Equal", [x, y]).elements() == [true, false, true])
  }

  @Test func specialNumbersAreFound() throws {
    let x = Tensor([Float(1), .infinity, -.infinity, .nan])
    #expect(try run("IsNaN", [x]).elements() == [false, false, false, true])
    #expect(try run("IsInf", [x]).elements() == [false, true, true, false])
    #expect(
      try run("IsInf", [x], ["detect_negative": .int(0)]).elements() == [false, true, false, false])
    #expect(
      try run("IsInf", [x], ["detect_positive": .int(0)]).elements() == [false, false, true, false])
  }

  @Test func choicesBroadcastAndKeepAnyType() throws {
    let condition = Tensor([true, false], [2, 1])
    let chosen = try run(
      "Where", [condition, Tensor([Float(1), 2, 3]), Tensor(scalar: Float(-0.0))])
    #expect(chosen.shape == [2, 3])
    #expect(try chosen.elements() == [Float(1), 2, 3, 0, 0, 0])
    let texts = try run(
      "Where",
      [condition.reshaped([2]), Tensor(strings: ["x", "y"], [2]), Tensor(strings: ["z"], [])])
    #expect(try texts.strings() == ["x", "z"])
    let bytes = try run("Where", [condition, Tensor([Int8(1)]), Tensor([Int8(2)])])
    #expect(try bytes.elements() == [Int8(1), 2])
  }
}
