import Testing

@testable import Sardonyx

@Suite struct MicrosoftQuantizationTests {
  private func microsoft(
    _ name: String, _ inputs: [Tensor?], _ attributes: [String: Attribute] = [:]
  ) throws -> Tensor {
    try run(name, domain: "com.microsoft", opset: 1, inputs, attributes)
  }

  private let one = Tensor(scalar: Float(1))

  @Test func sumsAndProductsBroadcast() throws {
    let a = Tensor([UInt8(4), 8], [2, 1])
    let b = Tensor([UInt8(1), 3])
    let half = Tensor(scalar: Float(0.5))
    let zero = Tensor(scalar: UInt8(2))
    let sum = try microsoft("QLinearAdd", [a, half, zero, b, one, nil, one, zero])
    #expect(sum.shape == [2, 2])
    #expect(try sum.elements() == [UInt8(4), 6, 6, 8])
    let product = try microsoft("QLinearMul", [a, half, zero, b, one, nil, one])
    #expect(try product.elements() == [UInt8(1), 3, 3, 9])
  }

  @Test func functionsGoThroughRealNumbers() throws {
    let x = Tensor([Int8(-10), 0, 10])
    let leaky = try microsoft(
      "QLinearLeakyRelu", [x, one, nil, one, nil], ["alpha": .float(0.5)])
    #expect(try leaky.elements() == [Int8(-5), 0, 10])
    let sigmoid = try microsoft(
      "QLinearSigmoid", [x, one, nil, Tensor(scalar: Float(0.0078125)), nil])
    #expect(try sigmoid.elements() == [Int8(0), 64, 127])
  }

  @Test func channelsAreAveraged() throws {
    let x = Tensor([UInt8(1), 2, 3, 4, 10, 20, 30, 40], [1, 2, 2, 2])
    let zero = Tensor(scalar: UInt8(0))
    let y = try microsoft("QLinearGlobalAveragePool", [x, one, zero, one, zero])
    #expect(y.shape == [1, 2, 1, 1])
    #expect(try y.elements() == [UInt8(2), 25])
    let last = try microsoft(
      "QLinearGlobalAveragePool", [x.reshaped([1, 2, 2, 2]), one, zero, one, zero],
      ["channels_last": .int(1)])
    #expect(try last.elements() == [UInt8(11), 16])
  }

  @Test func matricesMultiplyWithBias() throws {
    let a = Tensor([UInt8(1), 2, 3, 4], [2, 2])
    let b = Tensor([Int8(1), -1, 2, 0], [2, 2])
    let inputs: [Tensor?] = [
      a, one, Tensor(scalar: UInt8(0)), b, Tensor([Float(1), 2]), Tensor([Int8(0), 0]),
      Tensor([Int32(10), 20]),
    ]
    let plain = try microsoft("QGemm", inputs)
    #expect(try plain.elements() == [Float(15), 38, 21, 34])
    let turned = try microsoft("QGemm", inputs, ["transB": .int(1)])
    #expect(try turned.elements() == [Float(9), 44, 9, 52])
    let quantized = try microsoft(
      "QGemm", inputs + [Tensor(scalar: Float(2)), Tensor(scalar: UInt8(3))])
    #expect(try quantized.elements() == [UInt8(11), 22, 13, 20])
  }

  @Test func anLSTMSeesXAndItsStatesInEightBits() throws {
    let (input, hidden, batch) = (3, 2, 2)
    let columns = 4 * hidden
    let w = (0..<input * columns).map { Int8($0 * 5 - 60) }
    let r = (0..<hidden * columns).map { Int8(30 - $0 * 4) }
    let scale: Float = 0.01
    func widened(_ numbers: [Int8], rows: Int) -> Tensor {
      let wide = (0..<columns).flatMap { column in
        (0..<rows).map { Float(numbers[$0 * columns + column]) * scale }
      }
      return Tensor(wide, [1, columns, rows])
    }
    func rounded(_ tensor: Tensor) throws -> Tensor {
      let parts = try run("DynamicQuantizeLinear", [.tensor(tensor)], outputs: 3)
      return try run("DequantizeLinear", parts.map(\.?.tensor))
    }
    func part(_ tensor: Tensor, _ step: Int) -> Tensor {
      let count = tensor.elementCount / 3
      return tensor.part(step * count..<(step + 1) * count)
    }
    let size: [String: Attribute] = ["hidden_size": .int(hidden)]
    let x = randomTensor([3, batch, input])
    let scales = Tensor([scale])
    let zero = Tensor([Int8(0)])
    let y = try microsoft(
      "DynamicQuantizeLSTM",
      [
        x, Tensor(w, [1, input, columns]), Tensor(r, [1, hidden, columns]), nil, nil, nil, nil, nil,
        scales, zero, scales, zero,
      ], size)
    // Step by step: X rounded with one range over all of it, the states with one for each step.
    let seen = try rounded(x)
    var (h, c) = (
      Tensor(zeros: .float, [1, batch, hidden]), Tensor(zeros: .float, [1, batch, hidden])
    )
    for step in 0..<3 {
      let results = try run(
        "LSTM",
        [
          part(seen, step).reshaped([1, batch, input]), widened(w, rows: input),
          widened(r, rows: hidden), nil, nil, try rounded(h), c,
        ].map { $0.map(Value.tensor) }, size, outputs: 3)
      (h, c) = (results[1]!.tensor!, results[2]!.tensor!)
      #expect(part(y, step).isClose(to: h.floats))
    }
  }
}
