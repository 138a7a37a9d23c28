/// ONNX Runtime's operators on quantized tensors, each with a scale and a zero point per tensor.
let microsoftQuantization: OperatorFamily = [
  "DequantizeLinear": DequantizeLinear.init,
  "DynamicQuantizeLSTM": DynamicQuantizeLSTM.init,
  "QGemm": QGemm.init,
  "QLinearAdd": QLinearCombination.init,
  "QLinearGlobalAveragePool": QLinearGlobalAveragePool.init,
  "QLinearLeakyRelu": QLinearFunction.init,
  "QLinearMul": QLinearCombination.init,
  "QLinearSigmoid": QLinearFunction.init,
  "QuantizeLinear": QuantizeLinear.init,
]

extension Inputs {
  /// (x - zero point)·scale, where scale and zero point are the inputs behind x.
  fileprivate func dequantized(_ index: Int) -> [Float] {
    let (scale, zero) = quantization(index + 1)
    return self[index].converted(to: Float.self).map { ($0 - zero) * scale }
  }

  /// A scale and the zero point behind it.
  fileprivate func quantization(_ index: Int) -> (scale: Float, zero: Float) {
    (
      self[index].converted(to: Float.self)[0],
      tensor(index + 1)?.converted(to: Float.self)[0] ?? 0
    )
  }
}

extension Facts {
  /// Checks that scales and zero points are one number each.
  fileprivate func checkScalars(_ indices: Int...) throws(ModelError) {
    for index in indices where has(index) {
      let shape = try shape(index)
      guard shape.elementCount == 1 else {
        throw .unexpected("input \(index)", expected: "a scalar", got: "[\(shape.joined)]")
      }
    }
  }
}

extension Destination {
  /// Stores saturate(round(number / scale) + zero point).
  fileprivate func quantize(_ numbers: [Float], _ parameters: (scale: Float, zero: Float)) {
    store(
      saturating: numbers.map {
        Double(($0 / parameters.scale).rounded(.toNearestOrEven)) + Double(parameters.zero)
      })
  }
}

/// The sum or the product of two quantized tensors, broadcast.
struct QLinearCombination: Operator {
  private let kernel: Binary

  init(_ node: inout NodeReader) throws(ModelError) {
    kernel = node.operatorName == "QLinearAdd" ? .add : .multiply
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try inputs.checkScalars(1, 2, 4, 5, 6, 7)
    return [Fact(try inputs.type(0), try .broadcast([inputs.shape(0), inputs.shape(3)]))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    if inputs[0].shape == inputs[3].shape, inputs[0].type.isByte, inputs[3].type == inputs[0].type {
      return combine(inputs, outputs)
    }
    let numbers = try Broadcast([inputs[0].shape, inputs[3].shape]).combine(
      kernel, inputs.dequantized(0), inputs.dequantized(3), on: outputs.context.crew)
    outputs[0].quantize(numbers, inputs.quantization(6))
  }

  /// The same for bytes of equal shapes, some at a time.
  private func combine(_ inputs: Inputs, _ outputs: Outputs) {
    let crew = outputs.context.crew
    let isSigned = inputs[0].type == .int8
    let (a, b, y) = (inputs.quantization(1), inputs.quantization(4), inputs.quantization(6))
    nonisolated(unsafe) let (left, right) = unsafe (inputs[0].bytes, inputs[3].bytes)
    nonisolated(unsafe) let result = unsafe outputs[0].bytes
    let (operation, instructions) = (kernel, crew.instructions)
    let atOnce = 1 << 12
    crew.performRanges(of: outputs[0].elementCount, by: atOnce) { range in
      unsafe crew.scratch.withFloats(2 * atOnce) { x in
        let (first, count) = (range.lowerBound, range.count)
        unsafe instructions.dequantize(
          count, left + first, isSigned: isSigned, scale: a.scale, zero: Int32(a.zero), into: x)
        unsafe instructions.dequantize(
          count, right + first, isSigned: isSigned, scale: b.scale, zero: Int32(b.zero),
          into: x + atOnce)
        unsafe operation.kernel(of: instructions)(count, x, 1, x + atOnce, 1, x)
        unsafe instructions.quantize(
          count, x, scale: y.scale, divides: true, zero: Int32(y.zero), isSigned: isSigned,
          into: result + first)
      }
    }
  }
}

/// A function of each element of a quantized tensor.
struct QLinearFunction: Operator {
  private let function: UnaryFunction

  init(_ node: inout NodeReader) throws(ModelError) {
    function =
      node.operatorName == "QLinearSigmoid"
      ? .sigmoid : .leakyRelu(alpha: try node.float("alpha", default: 0.01))
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try inputs.checkScalars(1, 2, 3, 4)
    return [Fact(try inputs.type(0), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    guard inputs[0].type.isByte else {
      let numbers = inputs.dequantized(0).map { Float(function.real(Double($0))) }
      return outputs[0].quantize(numbers, inputs.quantization(3))
    }
    // Of each byte once.
    let (scale, zero) = inputs.quantization(1)
    let isSigned = inputs[0].type == .int8
    let table = Destination(
      outputs[0].type, [256], storage: Storage(byteCount: 256))
    table.quantize(
      (0..<256).map { byte in
        let number = isSigned ? Float(Int8(truncatingIfNeeded: byte)) : Float(byte)
        return Float(function.real(Double((number - zero) * scale)))
      }, inputs.quantization(3))
    nonisolated(unsafe) let results = unsafe table.bytes.assumingMemoryBound(to: UInt8.self)
    nonisolated(unsafe) let (x, y) = unsafe (
      inputs[0].bytes.assumingMemoryBound(to: UInt8.self),
      outputs[0].bytes.assumingMemoryBound(to: UInt8.self)
    )
    outputs.context.crew.performRanges(of: outputs[0].elementCount, by: 1 << 15) { range in
      for place in range { unsafe y[place] = unsafe results[Int(x[place])] }
    }
  }
}

/// The mean of each channel of a quantized tensor.
struct QLinearGlobalAveragePool: Operator {
  private let hasChannelsLast: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    hasChannelsLast = try node.bool("channels_last")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try inputs.checkScalars(1, 2, 3, 4)
    var shape = try inputs.shape(0)
    guard shape.count >= 3 else {
      throw .unexpected("rank of X", expected: "at least 3", got: "\(shape.count)")
    }
    for axis in spatialAxes(shape) { shape[axis] = 1 }
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let x = Tensor(inputs.dequantized(0), inputs[0].shape)
    let block = AxisBlock(x.shape, axes: spatialAxes(x.shape))
    outputs[0].quantize(
      block.reduce(.mean, x, on: outputs.context.crew), inputs.quantization(3))
  }

  private func spatialAxes(_ shape: Shape) -> Range<Int> {
    hasChannelsLast ? 1..<shape.count - 1 : 2..<shape.count
  }
}

/// alpha·A·B + C of quantized matrices, C in 32-bit integers at the scale of the product; quantized
/// anew where y_scale is given, else in single precision.
struct QGemm: Operator {
  private let alpha: Float
  private let transposesA: Bool
  private let transposesB: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    alpha = try node.float("alpha", default: 1)
    transposesA = try node.bool("transA")
    transposesB = try node.bool("transB")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (m, n, _) = try sizes(inputs.shape(0), inputs.shape(3))
    try inputs.checkScalars(1, 2, 7, 8)
    for index in 4...5 where try ![1, n].contains(inputs.shape(index).elementCount) {
      throw .unexpected(
        "input \(index)", expected: "1 or \(n) numbers", got: "[\(try inputs.shape(index).joined)]")
    }
    if inputs.has(6), try Shape.broadcast([[m, n], inputs.shape(6)]) != [m, n] {
      throw .unexpected(
        "C", expected: "a shape that broadcasts to [\(m),\(n)]",
        got: "[\(try inputs.shape(6).joined)]")
    }
    let type = inputs.has(8) ? try inputs.type(8) : inputs.has(7) ? try inputs.type(0) : .float
    return [Fact(type, [m, n])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (a, b) = (inputs[0], inputs[3])
    let (m, n, k) = try sizes(a.shape, b.shape)
    func zeros(_ index: Int) -> [Int32] {
      inputs[index].converted(to: Int64.self).map(Int32.init(truncatingIfNeeded:))
    }
    var sums = IntegerFactor.products(
      IntegerFactor(a, .left, lanes: m, depth: k, zeroPoints: zeros(2), isTransposed: transposesA),
      IntegerFactor(b, .right, lanes: n, depth: k, zeroPoints: zeros(5), isTransposed: transposesB),
      [(0, 0)], rows: m, columns: n, on: outputs.context.crew
    ).interruptibleMap(cost: 2) { Int64($0) }
    try Interruption.check()
    if let c = inputs.tensor(6) {
      sums = try Broadcast([[m, n], c.shape]).combine(sums, c.converted(), &+)
      try Interruption.check()
    }
    let aScale = inputs[1].converted(to: Float.self)[0]
    let bScales = inputs[4].converted(to: Float.self)
    let numbers = sums.indices.map { place in
      Float(sums[place]) * (alpha * aScale * bScales[bScales.count > 1 ? place % n : 0])
    }
    if inputs.has(7) {
      outputs[0].quantize(numbers, inputs.quantization(7))
    } else {
      outputs[0].store(numbers)
    }
  }

  private func sizes(_ a: Shape, _ b: Shape) throws(ModelError) -> (m: Int, n: Int, k: Int) {
    guard a.count == 2, b.count == 2 else {
      throw .unexpected("ranks of A and B", expected: "2", got: "\(a.count) and \(b.count)")
    }
    let (m, k) = transposesA ? (a[1], a[0]) : (a[0], a[1])
    let (rows, n) = transposesB ? (b[1], b[0]) : (b[0], b[1])
    guard rows == k else { throw .unexpected("rows of B", expected: "\(k)", got: "\(rows)") }
    return (m, n, k)
  }
}

/// An LSTM whose weights are 8-bit integers, directions×inputs×(gates·hidden), and whose products
/// see X and the states as uint8: X with one range over all of it, the states with one at each step
/// over the sequences that go on.
struct DynamicQuantizeLSTM: Operator {
  private var network: Recurrence
  private var weights: [Value]?

  init(_ node: inout NodeReader) throws(ModelError) {
    network = try Recurrence(&node, .lstm).quantized
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try checkWeights(inputs)
    var facts = (0..<8).map { inputs.has($0) ? inputs[$0] : nil }
    for index in 1...2 {
      let shape = try inputs.shape(index)
      facts[index] = Fact(.float, [shape[0], shape[2], shape[1]])
    }
    return try network.outputs(inputs.replaced(by: facts))
  }

  /// Checks the ranks of W and R, and that each direction, or each of its columns, has a scale.
  private func checkWeights(_ inputs: Facts) throws(ModelError) {
    for index in 1...2 {
      let shape = try inputs.shape(index)
      let scales = index == 1 ? 8 : 10
      guard shape.count == 3 else {
        throw .unexpected("rank of input \(index)", expected: "3", got: "\(shape.count)")
      }
      for parameter in scales...scales + 1 {
        let count = try inputs.shape(parameter).elementCount
        guard count == shape[0] || count == shape[0] &* shape[2] else {
          throw .unexpected(
            "input \(parameter)", expected: "\(shape[0]) numbers or \(shape[0] &* shape[2])",
            got: "\(count)")
        }
      }
    }
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    let constants = [1, 2, 8, 9, 10, 11].compactMap { inputs[$0].value?.tensor }
    guard constants.count == 6 else { return }
    try checkWeights(inputs)
    let widened = Self.widened(constants)
    weights = widened
    try network.prepare(
      inputs.replaced(
        by: [inputs[0]] + widened.map { Fact($0) }
          + (3..<8).map { inputs.has($0) ? inputs[$0] : nil }))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let weights = weights ?? Self.widened([1, 2, 8, 9, 10, 11].map { inputs[$0] })
    try network.run(
      inputs.replaced(by: [inputs.value(0)] + weights + (3..<8).map { inputs.value($0) }), outputs)
  }

  /// W and R as an LSTM takes them, from W, R and the scale and zero point of each.
  private static func widened(_ tensors: [Tensor]) -> [Value] {
    [
      .tensor(widened(tensors[0], scale: tensors[2], zeroPoint: tensors[3])),
      .tensor(widened(tensors[1], scale: tensors[4], zeroPoint: tensors[5])),
    ]
  }

  private static func widened(_ tensor: Tensor, scale: Tensor, zeroPoint: Tensor) -> Tensor {
    let (directions, rows, columns) = (tensor.shape[0], tensor.shape[1], tensor.shape[2])
    let numbers = tensor.converted(to: Float.self)
    let (scales, zeros) = (scale.converted(to: Float.self), zeroPoint.converted(to: Float.self))
    var result = [Float](zerosUntilDue: numbers.count)
    for direction in 0..<directions {
      for column in 0..<columns {
        let lane = direction * columns + column
        let factor = scales[scales.count == directions ? direction : lane]
        let zero = zeros[zeros.count == directions ? direction : lane]
        for row in 0..<rows {
          let number = numbers[(direction * rows + row) * columns + column]
          result[lane * rows + row] = (number - zero) * factor
        }
      }
    }
    return Tensor(result, [directions, columns, rows])
  }
}
