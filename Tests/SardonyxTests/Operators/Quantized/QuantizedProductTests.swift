import Testing

@testable import Sardonyx

@Suite struct QuantizedProductTests {
  @Test func integersMultiplyLessTheirZeroPoints() throws {
    let a = Tensor([UInt8(11), 7, 3, 10, 6, 2], [2, 3])
    let b = Tensor([UInt8(1), 4, 2, 5, 3, 6], [3, 2])
    let y = try run("MatMulInteger", [a, b, Tensor(scalar: UInt8(12)), Tensor(scalar: UInt8(0))])
    #expect(try y.elements() == [Int32(-38), -83, -44, -98])
    let rows = try run("MatMulInteger", [a, b, Tensor([UInt8(12), 0])])
    #expect(try rows.elements() == [Int32(-38), -83, 28, 82])
    let columns = try run(
      "MatMulInteger", [a, b, Tensor(scalar: UInt8(12)), Tensor([UInt8(0), 1])])
    #expect(try columns.elements() == [Int32(-38), -68, -44, -80])
  }

  @Test func signsMixAndBatchesBroadcast() throws {
    let a = Tensor([Int8(-128), 127, 1, 2], [2, 1, 2])
    let b = Tensor([UInt8(255), 255], [2, 1])
    let y = try run("MatMulInteger", [a, b])
    #expect(y.shape == [2, 1, 1])
    #expect(try y.elements() == [Int32(-255), 765])
    #expect(
      try run("MatMulInteger", [Tensor([Int8(1), 2]), Tensor([Int8(3), 4])]).elements() == [
        Int32(11)
      ])
    #expect(
      try run("MatMulInteger", [Tensor(zeros: .int8, [0, 2]), Tensor(zeros: .int8, [2, 3])]).shape
        == [0, 3])
  }

  /// A right factor for all batches or one for each, given as it runs or before; zero points for all
  /// rows, for the rows of a matrix, or for those of all matrices.
  @Test(arguments: [1, 3], [false, true]) func batchesMultiplyLessTheirZeroPoints(
    rightBatch: Int, isPrepared: Bool
  ) throws {
    let (batch, m, k, n) = (3, 5, 7, 4)
    let a = (0..<batch * m * k).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    let b = (0..<rightBatch * k * n).map { Int8(truncatingIfNeeded: $0 &* 59) }
    for zeroCount in [1, m, batch * m] {
      let zeros = (0..<zeroCount).map { UInt8(truncatingIfNeeded: 250 - 11 * $0) }
      let inputs = [
        Tensor(a, [batch, m, k]),
        Tensor(b, rightBatch == 1 ? [k, n] : [batch, k, n]),
        Tensor(zeros, zeroCount == batch * m ? [batch, m, 1] : [zeroCount]),
      ]
      var reader = NodeReader(
        NodeDefinition(
          operatorName: "MatMulInteger", inputs: ["a", "b", "az"], outputs: ["y"]),
        operatorSet: 10, version: 10)
      var product = try MatMulInteger(&reader)
      if isPrepared {
        try product.prepare(Facts([nil, Fact(inputs[1]), Fact(inputs[2])], .trusting()))
      }
      let y = try product.evaluate(
        Inputs(inputs.map { .tensor($0) }, .trusting()), wanted: [true], context: RunContext())[0]!
        .tensor!
      #expect(y.shape == [batch, m, n])
      let expected = (0..<batch * m * n).map { place in
        let (row, column) = (place / n, place % n)
        let right = rightBatch == 1 ? 0 : row / m * k * n
        let zero = Int32(zeros[zeroCount == 1 ? 0 : row % zeroCount])
        return (0..<k).reduce(Int32(0)) { sum, depth in
          sum + (Int32(a[row * k + depth]) - zero) * Int32(b[right + depth * n + column])
        }
      }
      #expect(try y.elements() == expected)
    }
  }

  @Test func zeroPointsHaveOneNumberOrOnePerLane() {
    let a = Tensor(zeros: .int8, [2, 3])
    let error = #expect(throws: ModelError.self) {
      try run("MatMulInteger", [a, Tensor(zeros: .int8, [3, 4]), Tensor([Int8(1), 2, 3])])
    }
    #expect(error?.message == "elements of a_zero_point: expected 1 or 2, got 3")
  }

  @Test func quantizedProductsAreQuantizedAnew() throws {
    let a = Tensor([UInt8(208), 236, 0, 238, 3, 214, 255, 29], [2, 4])
    let b = Tensor([UInt8(152), 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247], [4, 3])
    let y = try run(
      "QLinearMatMul",
      [
        a, Tensor([Float(0.0066)]), Tensor([UInt8(113)]), b, Tensor([Float(0.00705)]),
        Tensor([UInt8(114)]), Tensor([Float(0.0107)]), Tensor([UInt8(118)]),
      ])
    #expect(try y.elements() == [UInt8(168), 115, 255, 1, 66, 151])
  }

  @Test func convolutionsPadWithTheZeroPoint() throws {
    let x = Tensor([UInt8(2), 3, 4, 5, 6, 7, 8, 9, 10], [1, 1, 3, 3])
    let w = Tensor([UInt8](repeating: 1, count: 4), [1, 1, 2, 2])
    let zero = Tensor(scalar: UInt8(1))
    let y = try run("ConvInteger", [x, w, zero])
    #expect(try y.elements() == [Int32(12), 16, 24, 28])
    let padded = try run("ConvInteger", [x, w, zero], ["pads": .ints([1, 1, 1, 1])])
    #expect(
      try padded.elements() == [Int32(1), 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9])
  }

  @Test func groupsAndOutputChannelsHaveTheirOwnWeights() throws {
    let x = Tensor([Int8(1), 2, 3, 4], [1, 2, 1, 2])
    let w = Tensor([Int8(5), -3], [2, 1, 1, 1])
    let y = try run("ConvInteger", [x, w, nil, Tensor([Int8(1), -1])], ["group": .int(2)])
    #expect(try y.elements() == [Int32(4), 8, -6, -8])
    let error = #expect(throws: ModelError.self) { try run("ConvInteger", [x, w]) }
    #expect(error?.message == "channels of x: expected 1 for each group, got 2")
  }

  @Test func quantizedConvolutionsHaveBiasAndScales() throws {
    let x = Tensor([UInt8(3), 5], [1, 1, 2])
    let w = Tensor([Int8(2), -4], [2, 1, 1])
    let y = try run(
      "QLinearConv",
      [
        x, Tensor(scalar: Float(0.5)), Tensor(scalar: UInt8(1)), w, Tensor([Float(1), 0.25]),
        Tensor([Int8(0), 0]), Tensor(scalar: Float(0.5)), Tensor(scalar: UInt8(10)),
        Tensor([Int32(1), -400]),
      ])
    #expect(try y.elements() == [UInt8(15), 19, 0, 0])
  }

  @Test func prepackedWeightsGiveTheSame() throws {
    let inputs = [
      Tensor((0..<50).map { UInt8($0) }, [1, 2, 5, 5]),
      Tensor((0..<54).map { Int8($0 - 27) }, [3, 2, 3, 3]), Tensor(scalar: UInt8(7)),
      Tensor([Int8(1), 2, 3]),
    ]
    let node = NodeDefinition(
      operatorName: "ConvInteger", inputs: ["x", "w", "a", "b"], outputs: ["y"])
    var reader = NodeReader(node, operatorSet: 10, version: 10)
    var convolution = try ConvInteger(&reader)
    try convolution.prepare(
      Facts([nil] + inputs.dropFirst().map { Fact($0) }, .trusting()))
    let prepared = try convolution.evaluate(
      Inputs(inputs.map { .tensor($0) }, .trusting()), wanted: [true], context: RunContext())[0]!
      .tensor!
    let plain = try run("ConvInteger", inputs)
    #expect(try prepared.elements(of: Int32.self) == plain.elements(of: Int32.self))
  }
}
