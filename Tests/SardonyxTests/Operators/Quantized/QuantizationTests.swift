import Testing

@testable import Sardonyx

@Suite struct QuantizationTests {
  @Test func numbersRoundToNearestEvenAndSaturate() throws {
    let x = Tensor([Float(0), 1, 3, 5, 1000, -1000, .nan])
    let scale = Tensor(scalar: Float(2))
    let unsigned = try run("QuantizeLinear", [x, scale, Tensor(scalar: UInt8(128))])
    #expect(try unsigned.elements() == [UInt8(128), 128, 130, 130, 255, 0, 128])
    let signed = try run("QuantizeLinear", [x, scale, Tensor(scalar: Int8(1))])
    #expect(try signed.elements() == [Int8(1), 1, 3, 3, 127, -128, 1])
    #expect(try run("QuantizeLinear", [x, scale]).type == .uint8)
    let wide = try run("QuantizeLinear", [x, scale], ["output_dtype": .int(5)])
    #expect(try wide.elements() == [Int16(0), 0, 2, 2, 500, -500, 0])
  }

  @Test func halvesQuantizeTheSame() throws {
    for type in [ElementType.float16, .bfloat16] {
      let x = Tensor(converting: [Double(0), 1, 3, 5, 1000, -1000], to: type, [6])
      let scale = Tensor(converting: [2.0], to: type, [])
      let y = try run("QuantizeLinear", [x, scale, Tensor(scalar: Int8(1))])
      #expect(try y.elements() == [Int8(1), 1, 3, 3, 127, -128])
    }
  }

  @Test func anAxisHasAScaleForEachIndex() throws {
    let x = Tensor([Float(1), 2, 3, 4, 5, 6], [2, 3])
    let columns = try run(
      "QuantizeLinear", [x, Tensor([Float(1), 2, 3]), Tensor([UInt8(0), 10, 20])])
    #expect(try columns.elements() == [UInt8(1), 11, 21, 4, 12, 22])
    let rows = try run(
      "QuantizeLinear", [x, Tensor([Float(1), 2]), Tensor([UInt8(0), 0])], ["axis": .int(-2)])
    #expect(try rows.elements() == [UInt8(1), 2, 3, 2, 2, 3])
    let error = #expect(throws: ModelError.self) {
      try run("QuantizeLinear", [x, Tensor([Float(1), 2])])
    }
    #expect(error?.message == "shape of the scales: expected [] or [3], got [2]")
    let zeros = #expect(throws: ModelError.self) {
      try run("QuantizeLinear", [x, Tensor([Float(1), 2, 3]), Tensor([UInt8(0)])])
    }
    #expect(zeros?.message == "shape of the zero point: expected [3], that of the scale, got [1]")
  }

  @Test func blocksShareAScale() throws {
    let x = Tensor([Float(2), 4, 6, 8, 10, 12], [3, 2])
    let scale = Tensor([Float(1), 2, 10, 4], [2, 2])
    let attributes: [String: Attribute] = ["axis": .int(0), "block_size": .int(2)]
    let y = try run("QuantizeLinear", [x, scale], attributes)
    #expect(try y.elements() == [UInt8(2), 2, 6, 4, 1, 3])
    let back = try run("DequantizeLinear", [y, scale], attributes)
    #expect(try back.elements() == [Float(2), 4, 6, 8, 10, 12])
    let error = #expect(throws: ModelError.self) {
      try run("QuantizeLinear", [x, scale], ["axis": .int(0)])
    }
    #expect(
      error?.message
        == "attribute block_size: expected a positive number for scales of shape [2,2], got 0")
  }

  @Test func dequantizingUndoesIt() throws {
    let x = Tensor([UInt8(0), 128, 255], [3])
    let scale = Tensor(scalar: Float(0.5))
    let y = try run("DequantizeLinear", [x, scale, Tensor(scalar: UInt8(128))])
    #expect(try y.elements() == [Float(-64), 0, 63.5])
    let signed = try run("DequantizeLinear", [Tensor([Int8(-128), 4], [2]), scale])
    #expect(try signed.elements() == [Float(-64), 2])
    let sums = try run(
      "DequantizeLinear", [Tensor([Int32(1 << 24 + 1)]), Tensor(scalar: Float(1))])
    #expect(try sums.elements() == [Float(1 << 24)])
    let half = try run("DequantizeLinear", [x, scale], ["output_dtype": .int(10)])
    #expect(half.type == .float16)
    #expect(half.converted(to: Float.self) == [0, 64, 127.5])
  }

  @Test func smallFloatsAndNibblesAreTargetsToo() throws {
    let x = Tensor([Float(1), 3.3, 1e9, -7])
    let scale = Tensor(scalar: Float(1))
    let zero = Tensor(zeros: .float8e4m3fn, [])
    let y = try run("QuantizeLinear", [x, scale, zero])
    #expect(y.converted(to: Float.self) == [1, 3.25, 448, -7])
    let nibbles = try run("QuantizeLinear", [x, scale, Tensor(zeros: .int4, [])])
    #expect(nibbles.converted(to: Int64.self) == [1, 3, 7, -7])
    let back = try run("DequantizeLinear", [nibbles, scale])
    #expect(try back.elements() == [Float(1), 3, 7, -7])
    let fours = try run("QuantizeLinear", [x, scale, Tensor(zeros: .float4e2m1, [])])
    #expect(fours.converted(to: Float.self) == [1, 3, 6, -6])
  }

  @Test func theRangeIsFoundDuringTheRun() throws {
    let x = Value.tensor(Tensor([Float(0), 2, -3, -2.5, 1.34, 0.5]))
    let y = try run("DynamicQuantizeLinear", [x], outputs: 3).map { $0!.tensor! }
    #expect(try y[0].elements() == [UInt8(153), 255, 0, 26, 221, 179])
    #expect(try y[1].elements() == [Float(5) / 255])
    #expect(try y[2].elements() == [UInt8(153)])
    let zeros = try run("DynamicQuantizeLinear", [.tensor(Tensor([Float(0)]))], outputs: 3)
    #expect(try zeros[1]!.tensor!.elements() == [Float(1)])
  }

  @Test(arguments: [-Float.infinity, .infinity])
  func anInfiniteRangeHasItsZeroAtZero(_ number: Float) throws {
    let x = Value.tensor(Tensor([number, 2, 3]))
    let y = try run("DynamicQuantizeLinear", [x], outputs: 3).map { $0!.tensor! }
    #expect(try y[0].elements() == [UInt8(0), 0, 0])
    #expect(try y[1].elements() == [Float.infinity])
    #expect(try y[2].elements() == [UInt8(0)])
  }
}
