import Testing

@testable import Sardonyx

@Suite struct CastingTests {
  private func cast(
    _ x: Tensor, to type: ElementType, _ attributes: [String: Attribute] = [:]
  ) throws -> Tensor {
    try run("Cast", [x], attributes.merging(["to": .int(Int(type.rawValue))]) { $1 })
  }

  @Test func realsBecomeIntegersTowardZero() throws {
    let x = Tensor([Float(-1.9), 1.9, 300, -0.0, .nan])
    #expect(try cast(x, to: .int32).elements() == [Int32(-1), 1, 300, 0, 0])
    #expect(try cast(x, to: .uint8).elements() == [UInt8(255), 1, 44, 0, 0])
    #expect(try cast(x, to: .bool).elements() == [true, true, true, false, true])
    #expect(try cast(x, to: .int4).converted(to: Int64.self) == [-1, 1, -4, 0, 0])
  }

  @Test func integersWrapAndRealsRound() throws {
    let x = Tensor([Int64(200), -1, 1 << 24 + 1, .max])
    #expect(try cast(x, to: .int8).elements() == [Int8(-56), -1, 1, -1])
    #expect(try cast(x, to: .uint64).elements() == [UInt64(200), .max, 1 << 24 + 1, 1 << 63 - 1])
    #expect(try cast(x, to: .float).elements() == [Float(200), -1, 0x1p24, 0x1p63])
    let rounding = Tensor([Int64(0x4000_0040_0000_0001)])
    #expect(try cast(rounding, to: .float).elements() == [Float(0x1.000002p62)])
    #expect(
      try cast(Tensor([70000.0, 1e-9]), to: .float16).converted(to: Double.self) == [.infinity, 0])
    #expect(try cast(Tensor([true, false]), to: .double).elements() == [1.0, 0])
    #expect(try cast(Tensor([1.1]), to: .bfloat16).converted(to: Double.self) == [1.1015625])
  }

  @Test(arguments: [
    (ElementType.float8e4m3fn, 448.0, Double.nan), (.float8e4m3fnuz, 240, .nan),
    (.float8e5m2, 57344, .infinity), (.float8e5m2fnuz, 57344, .nan),
  ])
  func eightBitFloatsSaturateUnlessToldNotTo(type: ElementType, largest: Double, beyond: Double)
    throws
  {
    let x = Tensor([Float(1e6), -.infinity, .nan, 0.3])
    let saturated = try cast(x, to: type).converted(to: Double.self)
    #expect(saturated[0...1] == [largest, -largest] && saturated[2].isNaN)
    let open = try cast(x, to: type, ["saturate": .int(0)]).converted(to: Double.self)
    #expect(open[0] == beyond || open[0].isNaN && beyond.isNaN)
    #expect(open[3] == saturated[3])
  }

  @Test func narrowFloatsKeepWithinTheirRange() throws {
    let x = Tensor([Float(1e9), -.infinity, .nan, 3.3, -0.05])
    #expect(try cast(x, to: .float6e2m3).converted(to: Double.self) == [7.5, -7.5, 0, 3.25, 0])
    #expect(try cast(x, to: .float6e3m2).converted(to: Double.self) == [28, -28, 0, 3.5, -0.0625])
    #expect(try cast(x, to: .float4e2m1).converted(to: Double.self) == [6, -6, 0, 3, 0])
  }

  @Test func powersOfTwoRoundAsAsked() throws {
    let x = Tensor([Float(1), 1.5, 3.1, 0x1p127 * 1.5, 0])
    func bits(_ attributes: [String: Attribute]) throws -> [UInt8] {
      try cast(x, to: .float8e8m0, attributes).reinterpreted(as: .uint8).elements()
    }
    #expect(try bits([:]) == [127, 128, 129, 254, 0])
    #expect(try bits(["round_mode": .string("down")]) == [127, 127, 128, 254, 0])
    #expect(try bits(["round_mode": .string("nearest")]) == [127, 128, 129, 254, 0])
    #expect(try bits(["saturate": .int(0)]) == [127, 128, 129, 255, 0])
  }

  @Test func textsAreNumbersWithoutRegardToLocale() throws {
    let x = Tensor(strings: ["3.5", "-1e-3", "+INF", "NaN", " 7", "1E8"], [6])
    let y = try cast(x, to: .float).elements(of: Float.self)
    #expect(y[0...2] == [3.5, -0.001, .infinity] && y[3].isNaN && y[4...] == [7, 1e8])
    let z = try cast(Tensor(strings: ["9007199254740993", "-2.7"], [2]), to: .int64)
    #expect(try z.elements() == [Int64(9_007_199_254_740_993), -2])
    #expect(try cast(Tensor(strings: ["2"], [1]), to: .float16).converted(to: Float.self) == [2])
    let error = #expect(throws: ModelError.self) {
      try cast(Tensor(strings: ["Hello"], [1]), to: .float)
    }
    #expect(error?.message == "a text to cast to float: expected a number, got \"Hello\"")
  }

  @Test func numbersBecomePlainDecimals() throws {
    let x = Tensor([Float(314.15926), 100, -0.5, 1e-5, 1e10, .nan, .infinity, -.infinity])
    #expect(
      try cast(x, to: .string).strings()
        == ["314.15927", "100.0", "-0.5", "0.00001", "10000000000.0", "NaN", "INF", "-INF"])
    #expect(
      try cast(Tensor([1.5e-7, 1.25e22]), to: .string).strings() == [
        "0.00000015", "12500000000000000000000.0",
      ])
    let halves = Tensor(converting: [Float(0.1), 65504, -9.99, 0, 1], to: .float16, [5])
    #expect(try cast(halves, to: .string).strings() == ["0.1", "65500.0", "-9.99", "0.0", "1.0"])
    #expect(try cast(Tensor([Int8(-5), 7]), to: .string).strings() == ["-5", "7"])
    #expect(try cast(Tensor([UInt64.max]), to: .string).strings() == ["18446744073709551615"])
    #expect(try cast(Tensor([true, false]), to: .string).strings() == ["True", "False"])
    #expect(try cast(Tensor(strings: ["a"], [1]), to: .string).strings() == ["a"])
  }

  @Test func theFirstVersionNamesTheType() throws {
    let y = try run("Cast", opset: 5, [Tensor([Float(2.5)])], ["to": .string("INT64")])
    #expect(try y.elements() == [Int64(2)])
    let error = #expect(throws: ModelError.self) {
      try run("Cast", opset: 5, [Tensor([Float(2.5)])], ["to": .string("INT65")])
    }
    #expect(error?.message == "attribute to: expected the name of an element type, got INT65")
  }

  @Test func anotherTensorMayGiveTheType() throws {
    let y = try run("CastLike", [Tensor([Float(2.5)]), Tensor([Int32(0)])])
    #expect(try y.elements() == [Int32(2)])
  }

  @Test func bitsMayBeReadAsAnotherType() throws {
    func bits(_ x: Tensor, _ type: ElementType) throws -> Tensor {
      try run("BitCast", [x], ["to": .int(Int(type.rawValue))])
    }
    #expect(try bits(Tensor([Float(1)]), .uint32).elements() == [UInt32(0x3F80_0000)])
    #expect(try bits(Tensor([UInt8(255)]), .int8).elements() == [Int8(-1)])
    #expect(try bits(Tensor([true]), .uint8).elements() == [UInt8(1)])
    let nibble = Tensor(converting: [Int64(15), 7], to: .uint4, [2])
    let signed = try bits(nibble, .int4)
    #expect(signed.converted(to: Int64.self) == [-1, 7])
    #expect(try bits(signed, .uint4).converted(to: Int64.self) == [15, 7])
    #expect(try bits(signed, .float4e2m1).converted(to: Double.self) == [-6, 6])
    let error = #expect(throws: ModelError.self) { try bits(Tensor([Float(1)]), .int8) }
    #expect(error?.message == "attribute to: expected a type as wide as float, got int8")
  }

  /// What a plan runs against what an operator alone does.
  @Test(arguments: [ElementType.float, .double, .int32, .int64, .uint8, .bool, .float16])
  func plansConvertAsTheOperatorDoes(type: ElementType) throws {
    let numbers: [Double] = [
      0, -0.0, 1, -1, 1.5, -2.75, 255, 256, 1e10, -1e10, 1e30, -1e30, .nan, .infinity, -.infinity,
      0x1p24 + 1, 3,
    ]
    let x =
      type.isInteger || type == .bool
      ? Tensor(
        converting: [0, 1, -1, 200, -300, 1 << 24 + 1, 1 << 40, .min, .max] as [Int64], to: type,
        [9])
      : Tensor(converting: numbers, to: type, [numbers.count])
    for target in [ElementType.float, .double, .int32, .int64, .bool, .uint8, .float16] {
      let graph = graph(
        [declared("X", type, x.shape)],
        [node("Cast", ["X"], ["Y"], ["to": .int(Int(target.rawValue))])],
        [declared("Y", target, nil)])
      let planned = try Session(model(graph)).run(["X": .tensor(x)])["Y"]!.tensor!
      let alone = try run("Cast", [x], ["to": .int(Int(target.rawValue))])
      #expect(planned.rawBytes == alone.rawBytes, "\(type) to \(target)")
    }
  }
}
