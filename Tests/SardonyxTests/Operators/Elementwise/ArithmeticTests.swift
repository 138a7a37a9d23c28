import Testing

@testable import Sardonyx

@Suite struct ArithmeticTests {
  @Test(
    arguments: [
      ("Add", [4, -1, 2.5]), ("Sub", [-2, -3, 1.5]), ("Mul", [3, -2, 1]), ("Div", [1 / 3, -2, 4]),
      ("Pow", [1, -2, 1.4142135]),
    ] as [(String, [Float])])
  func numbersAreCombinedPairByPair(name: String, expected: [Float]) throws {
    let x = Tensor([Float(1), -2, 2])
    let y = Tensor([Float(3), 1, 0.5])
    #expect(try run(name, [x, y]).elements() == expected)
  }

  @Test func integersWrapAndDivideTowardZero() throws {
    let x = Tensor([Int8(127), -7, 7, -128, 5])
    #expect(
      try run("Add", [x, Tensor(scalar: Int8(1))]).elements() == [Int8(-128), -6, 8, -127, 6])
    let y = Tensor([Int8(2), 2, -2, -1, 0])
    #expect(try run("Div", [x, y]).elements() == [Int8(63), -3, -3, -128, 0])
    let large = Tensor([UInt64.max, 3])
    #expect(try run("Mul", [large, Tensor([UInt64(2), 2])]).elements() == [UInt64.max - 1, 6])
    #expect(
      try run("Sub", [Tensor([Int64.min]), Tensor([Int64(1)])]).elements() == [Int64.max])
  }

  @Test func shapesBroadcastBothWays() throws {
    let column = Tensor([Float(1), 2], [2, 1])
    let sum = try run("Add", [column, Tensor([Float(10), 20, 30])])
    #expect(sum.shape == [2, 3])
    #expect(try sum.elements() == [Float(11), 21, 31, 12, 22, 32])
    #expect(
      try run("Add", [Tensor(zeros: .float, [0, 2]), column.reshaped([1, 2])]).shape == [0, 2])
  }

  @Test func halvesRoundOnce() throws {
    let x = Tensor(converting: [Float(1), 2050, 65504], to: .float16, [3])
    let y = Tensor(converting: [Float(0.00048828125), 1, 65504], to: .float16, [3])
    #expect(try run("Add", [x, y]).converted(to: Float.self) == [1, 2052, .infinity])
  }

  @Test func beforeOperatorSet7BroadcastingIsAskedFor() throws {
    let x = Tensor([Float](repeating: 1, count: 12), [2, 3, 2])
    let y = Tensor([Float(1), 2, 3])
    let sum = try run("Add", opset: 6, [x, y], ["broadcast": .int(1), "axis": .int(1)])
    #expect(try sum.elements() == [Float(2), 2, 3, 3, 4, 4, 2, 2, 3, 3, 4, 4])
    let last = try run("Mul", opset: 6, [x, Tensor([Float(1), 2])], ["broadcast": .int(1)])
    #expect(try last.elements().prefix(2) == [Float(1), 2])
    let error = #expect(throws: ModelError.self) { try run("Add", opset: 6, [x, y]) }
    #expect(
      error?.message
        == "shapes: expected [2,3,2] for both inputs, as broadcast is 0, got [3] for the second")
    let axis = #expect(throws: ModelError.self) {
      try run("Add", opset: 6, [x, y], ["broadcast": .int(1), "axis": .int(3)])
    }
    #expect(
      axis?.message
        == "attribute axis: expected an axis of [2,3,2] from which [3] fits, got 3")
  }

  @Test func remaindersHaveTheSignOfTheDivisorOrOfTheDividend() throws {
    let x = Tensor([Int32(-7), 7, -7, 7, 3])
    let y = Tensor([Int32(3), -3, -3, 3, 0])
    #expect(try run("Mod", [x, y]).elements() == [Int32(2), -2, -1, 1, 0])
    #expect(try run("Mod", [x, y], ["fmod": .int(1)]).elements() == [Int32(-1), 1, -1, 1, 0])
    let u = Tensor([Double(-7), 7, .infinity, 5, -0.0])
    let v = Tensor([Double(3), -3, 3, .infinity, 3])
    let floored = try run("Mod", [u, v]).elements(of: Double.self)
    #expect(floored[0...1] == [2, -2] && floored[2].isNaN && floored[3...] == [5, 0])
    #expect(floored[4].sign == .plus)
    let truncated = try run("Mod", [u, v], ["fmod": .int(1)]).elements(of: Double.self)
    #expect(truncated[0...1] == [-1, 1] && truncated[2].isNaN && truncated[3] == 5)
  }

  @Test func powersMayHaveExponentsOfAnotherType() throws {
    let x = Tensor([Int32(2), -3, 2, 1])
    #expect(
      try run("Pow", [x, Tensor([Int64(10), 3, -1, -5])]).elements() == [Int32(1024), -27, 0, 1])
    #expect(try run("Pow", [x, Tensor([Float(0.5), 2, 3, 0])]).elements() == [Int32(1), 9, 8, 1])
    let square = try run("Pow", [Tensor([Float(-3), .infinity]), Tensor(scalar: Float(2))])
    #expect(try square.elements() == [Float(9), .infinity])
    let mixed = try run("Pow", [Tensor([Float(2)]), Tensor([Int64(3)])])
    #expect(try mixed.elements() == [Float(8)])
  }

  @Test func bitsAreShiftedWithinTheType() throws {
    let x = Tensor([UInt8(255), 1, 16])
    let y = Tensor([UInt8(1), 8, 2])
    #expect(
      try run("BitShift", [x, y], ["direction": .string("LEFT")]).elements() == [UInt8(254), 0, 64])
    #expect(
      try run("BitShift", [x, y], ["direction": .string("RIGHT")]).elements() == [UInt8(127), 0, 4])
    let signed = Tensor([Int8(-8), -8, 64])
    let amounts = Tensor([Int8(1), 100, 1])
    #expect(
      try run("BitShift", [signed, amounts], ["direction": .string("RIGHT")]).elements()
        == [Int8(-4), -1, 32])
    #expect(
      try run("BitShift", [signed, amounts], ["direction": .string("LEFT")]).elements()
        == [Int8(-16), 0, -128])
    let error = #expect(throws: ModelError.self) {
      try run("BitShift", [x, y], ["direction": .string("UP")])
    }
    #expect(error?.message == "attribute direction: expected LEFT or RIGHT, got UP")
  }

  @Test func bitsAndTruthsAreCombined() throws {
    let x = Tensor([UInt16(12), 10])
    let y = Tensor([UInt16(10), 6])
    #expect(try run("BitwiseAnd", [x, y]).elements() == [UInt16(8), 2])
    #expect(try run("BitwiseOr", [x, y]).elements() == [UInt16(14), 14])
    #expect(try run("BitwiseXor", [x, y]).elements() == [UInt16(6), 12])
    #expect(try run("BitwiseNot", [x]).elements() == [UInt16(65523), 65525])
    let (p, q) = (Tensor([true, true, false, false]), Tensor([true, false, true, false]))
    #expect(try run("And", [p, q]).elements() == [true, false, false, false])
    #expect(try run("Or", [p, q]).elements() == [true, true, true, false])
    #expect(try run("Xor", [p, q]).elements() == [false, true, true, false])
    #expect(try run("Not", [p]).elements() == [false, false, true, true])
  }

  @Test func anyNumberOfInputsAreFolded() throws {
    let x = Tensor([Float(1), 5, .nan], [3])
    let y = Tensor([Float(3), 2, 1], [3])
    let z = Tensor(scalar: Float(2))
    #expect(try run("Sum", [y, y, z]).elements() == [Float(8), 6, 4])
    #expect(try run("Mean", [y, y, Tensor([Float(3), 2, 1])]).elements() == [Float(3), 2, 1])
    #expect(try run("Sum", [z, y]).elements() == [Float(5), 4, 3])
    #expect(try run("Mean", [z, y, y]).elements() == [Float(8) / 3, 2, Float(4) / 3])
    #expect(try run("Max", [x]).elements(of: Float.self).prefix(2) == [1, 5])
    let largest = try run("Max", [x, y]).elements(of: Float.self)
    #expect(largest.prefix(2) == [3, 5] && largest[2].isNaN)
    let least = try run("Min", [y, x, z]).elements(of: Float.self)
    #expect(least.prefix(2) == [1, 2] && least[2].isNaN)
    let ints = [Tensor([Int8(-1), 3]), Tensor(scalar: Int8(2))]
    #expect(try run("Max", ints).elements() == [Int8(2), 3])
    #expect(throws: ModelError(.invalid, "input 1 is left out")) { try run("Max", [x, nil]) }
    #expect(try run("Min", ints.reversed()).elements() == [Int8(-1), 2])
    #expect(try run("Max", [Tensor([UInt64.max]), Tensor([UInt64(1)])]).elements() == [UInt64.max])
  }

  @Test(arguments: ["Add", "Sub", "Mul", "Div", "Max", "Min"])
  func singlePrecisionAgreesWithDouble(name: String) throws {
    let x = (0..<600).map { Float($0 % 37) * 0.37 - 5 }
    let y = (0..<20).map { Float($0) * 0.11 + 0.3 }
    for (first, second) in [
      ([30, 20], [20]), ([30, 20], [20, 1, 1]), ([5, 6, 20], [1, 1, 20]),
    ] {
      let a = [Tensor(x, first), Tensor(y, second)]
      let b = a.map { Tensor(converting: $0.converted(to: Double.self), to: .double, $0.shape) }
      for order in [[0, 1], [1, 0]] {
        let fast = try run(name, order.map { a[$0] }).elements(of: Float.self)
        let plain = try run(name, order.map { b[$0] }).elements(of: Double.self)
        #expect(fast == plain.map { Float($0) })
      }
    }
  }
}
