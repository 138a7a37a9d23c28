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
    var numbers = self[index].converted(to: Float.self)
    Interruption.inStretches(of: numbers.count) {
      for place in $0 { numbers[place] = (numbers[place] - zero) * scale }
    }
    return numbers
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
      saturating: numbers.interruptibleMap(cost: 4) {
        Double(($0 / parameters.scale).rounded(.toNearestOrEven)) + Double(parameters.zero)
      })
  }
}

/// The sum or the product of two quantized tensors, broadcast.
struct QLinearCombination: Operator {
  private let kernel: Binary
  /// The instructions that are known to combine such bytes plainly, if any.
  private var plainWith: InstructionSet?

  init(_ node: inout NodeReader) throws(ModelError) {
    kernel = node.operatorName == "QLinearAdd" ? .add : .multiply
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try inputs.checkScalars(1, 2, 4, 5, 6, 7)
    return [Fact(try inputs.type(0), try .broadcast([inputs.shape(0), inputs.shape(3)]))]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard
      [1, 2, 4, 5, 6, 7].allSatisfy({
        !inputs.has($0) || inputs[$0].value?.tensor?.elementCount == 1
      }), inputs.has(1), inputs.has(4), inputs.has(6), let zero = inputs[2].value?.tensor,
      zero.type.isByte
    else { return }
    let known = inputs.known
    // Zero points have the type of what they belong to.
    plainWith = Elementwise.plain(
      kernel, isSigned: zero.type == .int8, known.quantization(1), known.quantization(4),
      known.quantization(6))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    if inputs[0].shape == inputs[3].shape, inputs[0].type.isByte, inputs[3].type == inputs[0].type {
      return combine(inputs, outputs)
    }
    let numbers = try Broadcast([inputs[0].shape, inputs[3].shape]).combine(
      kernel, inputs.dequantized(0), inputs.dequantized(3), on: outputs.context.crew)
    outputs[0].quantize(numbers, inputs.quantization(6))
  }

  /// The same for bytes of equal shapes.
  private func combine(_ inputs: Inputs, _ outputs: Outputs) {
    unsafe Elementwise.combine(
      outputs[0].elementCount, kernel, isSigned: inputs[0].type == .int8, plainWith: plainWith,
      inputs[0].bytes.assumingMemoryBound(to: UInt8.self), inputs.quantization(1),
      inputs[3].bytes.assumingMemoryBound(to: UInt8.self), inputs.quantization(4),
      into: outputs[0].bytes.assumingMemoryBound(to: UInt8.self), inputs.quantization(6),
      on: outputs.context.crew)
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
      let numbers = inputs.dequantized(0).interruptibleMap(cost: 20) {
        Float(function.real(Double($0)))
      }
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
    let planeSize = inputs[0].elementCount / max(1, outputs[0].elementCount)
    // Beyond that a sum might not fit 32 bits.
    if !hasChannelsLast, inputs[0].type.isByte, (1..<1 << 23).contains(planeSize) {
      return average(inputs, planeSize, outputs)
    }
    // The product of a byte and a scale is exact in double, so that rounding it is all that happens.
    let (scale, zero) = inputs.quantization(1)
    let x = inputs[0].mapped(to: .float) { _, numbers in
      for place in numbers.indices {
        numbers[place] = (numbers[place] - Double(zero)) * Double(scale)
      }
    }
    let block = AxisBlock(x.shape, axes: spatialAxes(x.shape))
    outputs[0].quantize(
      block.reduce(.mean, x, on: outputs.context.crew), inputs.quantization(3))
  }

  /// The means of planes of bytes, from their exact sums.
  private func average(_ inputs: Inputs, _ size: Int, _ outputs: Outputs) {
    let crew = outputs.context.crew
    let isSigned = inputs[0].type == .int8
    let (x, y) = (inputs.quantization(1), inputs.quantization(3))
    let scale = Double(x.scale) / Double(size)
    let shift = Double(size) * (Double(x.zero) + (isSigned ? 128 : 0))
    nonisolated(unsafe) let source = unsafe inputs[0].bytes.assumingMemoryBound(to: UInt8.self)
    nonisolated(unsafe) let result = unsafe outputs[0].bytes
    let atOnce = max(1, min(1 << 10, (1 << 20) / size))
    crew.performRanges(of: outputs[0].elementCount, by: atOnce) { range in
      unsafe crew.scratch.withFloats(2 * atOnce) { means in
        let sums = unsafe UnsafeMutableRawPointer(means + atOnce).assumingMemoryBound(
          to: Int32.self)
        unsafe crew.instructions.sumRows(
          range.count, size, source + range.lowerBound * size, isSigned: isSigned, into: sums)
        for place in 0..<range.count {
          unsafe means[place] = Float((Double(sums[place]) - shift) * scale)
        }
        unsafe crew.instructions.quantize(
          range.count, means, scale: y.scale, divides: true, zero: Int32(y.zero),
          isSigned: isSigned, into: result + range.lowerBound)
      }
    }
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
  /// B, where it is constant.
  private var packed: PackedBytes?

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

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard let b = inputs[3].value?.tensor, let zero = inputs[5].value?.tensor,
      b.shape.count == 2, b.type.isByte, b.elementCount > 0
    else { return }
    let (k, n) = transposesB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    guard k <= PackedBytes.largestDepth, [1, n].contains(zero.elementCount) else { return }
    packed = unsafe PackedBytes(
      depth: k, columns: n, from: b.bytes, isSigned: b.type == .int8,
      depthStep: transposesB ? 1 : n, columnStep: transposesB ? k : 1,
      zeroPoints: zero.converted(to: Int64.self).map(Int32.init(truncatingIfNeeded:)))
  }

  /// The product quantized anew by kernels, where C is a number for each column, for all, or none.
  /// - Returns: false where that is left to others.
  private func quantize(_ inputs: Inputs, _ zeros: [Int32], _ outputs: Outputs, rows: Int) -> Bool {
    guard let packed, inputs[0].type.isByte, inputs.has(7), outputs[0].type.isByte else {
      return false
    }
    let (c, n) = (inputs.tensor(6), packed.columns)
    guard
      c.map({ $0.elementCount == 1 || $0.elementCount == n && $0.shape.last == n }) ?? true
    else { return false }
    let bias = c?.converted(to: Int64.self) ?? [0]
    guard bias.allSatisfy({ PackedBytes.fits($0, depth: packed.depth) }) else { return false }
    let (scales, y) = (inputs[4].converted(to: Float.self), inputs.quantization(7))
    unsafe packed.quantize(
      PackedBytes.Matrix(
        start: inputs[0].bytes.assumingMemoryBound(to: UInt8.self), rows: rows,
        isTransposed: transposesA, isSigned: inputs[0].type == .int8, zeroPoints: zeros),
      bias: bias.map { Int32($0) }, scale: alpha * inputs.quantization(1).scale, scales: scales,
      into: outputs[0].bytes, y, isSigned: outputs[0].type == .int8, on: outputs.context.crew)
    return true
  }

  /// Σ (a - zero point)·(b - zero point), row by row.
  private func products(
    _ a: Tensor, _ b: Tensor, _ zeros: (a: [Int32], b: [Int32]), _ m: Int, _ n: Int, _ k: Int,
    on crew: Crew
  ) -> [Int32] {
    guard let packed, a.type.isByte else {
      return IntegerFactor.products(
        IntegerFactor(a, .left, lanes: m, depth: k, zeroPoints: zeros.a, isTransposed: transposesA),
        IntegerFactor(
          b, .right, lanes: n, depth: k, zeroPoints: zeros.b, isTransposed: transposesB),
        [(0, 0)], rows: m, columns: n, on: crew)
    }
    return unsafe [Int32](unsafeUninitializedCapacity: m * n) { buffer, count in
      count = m * n
      guard let start = buffer.baseAddress else { return }
      unsafe packed.multiply(
        PackedBytes.Matrix(
          start: a.bytes.assumingMemoryBound(to: UInt8.self), rows: m, isTransposed: transposesA,
          isSigned: a.type == .int8, zeroPoints: zeros.a), into: start, on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (a, b) = (inputs[0], inputs[3])
    let (m, n, k) = try sizes(a.shape, b.shape)
    func zeros(_ index: Int) -> [Int32] {
      inputs[index].converted(to: Int64.self).map(Int32.init(truncatingIfNeeded:))
    }
    if quantize(inputs, zeros(2), outputs, rows: m) { return }
    var sums = products(a, b, (zeros(2), zeros(5)), m, n, k, on: outputs.context.crew)
      .interruptibleMap(cost: 2) { Int64($0) }
    try Interruption.check()
    if let c = inputs.tensor(6) {
      sums = try Broadcast([[m, n], c.shape]).combine(sums, c.converted(), &+)
      try Interruption.check()
    }
    let aScale = inputs[1].converted(to: Float.self)[0]
    let bScales = inputs[4].converted(to: Float.self)
    let numbers = sums.indices.interruptibleMap(cost: 4) { place in
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
