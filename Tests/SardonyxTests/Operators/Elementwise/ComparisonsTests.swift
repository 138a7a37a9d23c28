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

  /// The prepared form against the relation itself, whichever side is repeated.
  @Test(arguments: [ElementType.float, .double, .int32, .int64, .uint8, .int8]) func rowsCompare(
    _ type: ElementType
  ) throws {
    let shapes: [([Int], [Int])] = [
      ([37], [37]), ([5, 37], [1]), ([1], [5, 37]), ([5, 1], [37]), ([37], [5, 1]),
      ([3, 1, 4], [2, 1]), ([2, 3, 17], [3, 1]), ([0], [1]), ([], []),
    ]
    let relations: [(String, (Double, Double) -> Bool)] = [
      ("Equal", { $0 == $1 }), ("Less", { $0 < $1 }), ("LessOrEqual", { $0 <= $1 }),
      ("Greater", { $0 > $1 }), ("GreaterOrEqual", { $0 >= $1 }),
    ]
    for (left, right) in shapes {
      func tensor(_ shape: [Int], seed: Int) -> Tensor {
        let small = numbers(shape.elementCount, seed: seed).map { (Double($0) * 3).rounded() }
        return Tensor(converting: small, to: type, shape)
      }
      let (x, y) = (tensor(left, seed: 1), tensor(right, seed: 2))
      let broadcast = try Broadcast([left, right])
      for (name, relation) in relations {
        let expected: [Bool] = broadcast.combine(
          x.converted(to: Double.self), y.converted(to: Double.self), relation)
        #expect(try run(name, [x, y]).elements() == expected, "\(name) \(left) \(right)")
      }
    }
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
