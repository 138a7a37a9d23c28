/// Operators between real numbers and small integers (or floats) with a scale and a zero point.
let quantization: OperatorFamily = [
  "DequantizeLinear": DequantizeLinear.init,
  "DynamicQuantizeLinear": DynamicQuantizeLinear.init,
  "QuantizeLinear": QuantizeLinear.init,
]

/// Those in double, which ONNX does not have.
let quantizationInDouble: OperatorFamily = [
  "DequantizeLinear": DequantizeLinear.init,
  "QuantizeLinear": QuantizeLinear.init,
]

/// y = saturate(round(x / scale) + zero point).
struct QuantizeLinear: Operator {
  private let axis: Int
  private let blockSize: Int
  private let saturates: Bool
  private let outputType: ElementType?
  /// What the quotient is rounded to, by default the type of the scale.
  private let precision: ElementType?

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: 1)
    blockSize = try node.int("block_size", default: 0)
    saturates = try node.bool("saturate", default: true)
    outputType = try node.optionalElementType("output_dtype")
    if let outputType, outputType.integerRange == nil, outputType.smallFloat == nil {
      throw node.invalid("output_dtype", expected: "a type to quantize to", got: outputType)
    }
    // ONNX Runtime divides in single precision.
    precision = node.domain == "com.microsoft" ? .float : try node.realType("precision")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    try checkScales(inputs, axis: axis, blockSize: blockSize)
    let type = inputs.has(2) ? try inputs.type(2) : outputType ?? .uint8
    if let outputType, outputType != type {
      throw .unexpected(
        "type of y_zero_point", expected: "\(outputType) as output_dtype tells", got: "\(type)")
    }
    return [Fact(type, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (x, scale) = (inputs[0], inputs[1])
    let scales = try QuantizationScales(
      x.shape, scales: scale.shape, axis: axis, blockSize: blockSize)
    guard let range = outputs[0].type.integerRange else {
      return try quantizeToFloats(
        x, scale, inputs.tensor(2), scales, into: outputs[0], on: outputs.context.crew)
    }
    let zeros = inputs.tensor(2)?.converted(to: Int64.self)
    let precision = precision ?? scale.type
    if precision == .float, x.type == .float, outputs[0].type.isByte {
      return scales.quantize(
        x, scale.converted(), zeros, into: outputs[0], on: outputs.context.crew)
    }
    if precision == .float, range.upperBound <= 1 << 16, x.type.computed is Float.Type {
      let quantized = quantizeInSinglePrecision(
        x.converted(), scale.converted(), zeros, scales, range)
      return outputs[0].store(quantized)
    }
    let (numbers, factors) = (x.converted(to: Double.self), scale.converted(to: Double.self))
    var result = [Int64](zerosUntilDue: numbers.count)
    scales.forEachPiece(cost: 20) { run, index in
      let zero = zeros?[index] ?? 0
      let quotients = rounded(numbers[run].map { $0 / factors[index] }, to: precision)
      for (place, quotient) in zip(run, quotients) {
        let integer: Int64 = quotient.rounded(.toNearestOrEven).saturated()
        let sum = integer.addingReportingOverflow(zero)
        result[place] = sum.overflow ? integer : sum.partialValue
        result[place] = min(max(result[place], range.lowerBound), range.upperBound)
      }
    }
    outputs[0].store(result)
  }

  /// The same where single precision does, in a loop without calls.
  private func quantizeInSinglePrecision(
    _ numbers: [Float], _ factors: [Float], _ zeros: [Int64]?, _ scales: QuantizationScales,
    _ range: ClosedRange<Int64>
  ) -> [Int64] {
    var result = [Int64](zerosUntilDue: numbers.count)
    scales.forEachPiece(cost: 2) { run, index in
      let (factor, zero) = (factors[index], zeros?[index] ?? 0)
      let (low, high) = (Float(range.lowerBound - zero), Float(range.upperBound - zero))
      for place in run {
        let quotient = numbers[place] / factor
        let bound = min(max(quotient.isNaN ? 0 : quotient, low), high)
        // A number this large leaves no room for a fraction, so adding it rounds to nearest even.
        let integer = (bound + 0x1.8p23) - 0x1.8p23
        result[place] = Int64(integer) + zero
      }
    }
    return result
  }

  private func quantizeToFloats(
    _ x: Tensor, _ scale: Tensor, _ zeroPoint: Tensor?, _ scales: QuantizationScales,
    into y: Destination, on crew: Crew
  ) throws(ModelError) {
    let factors = scale.converted(to: Double.self)
    let zeros = zeroPoint?.converted(to: Double.self)
    let precision = precision ?? scale.type
    let made = Storage(
      byteCount: x.elementCount * ElementType.double.byteCount, chargedTo: crew.account)
    let sums = unsafe made.base.assumingMemoryBound(to: Double.self)
    scales.forEachPiece(cost: 40) { run, index in
      let numbers = x.part(run).converted(to: Double.self)
      let quotients = rounded(numbers.map { $0 / factors[index] }, to: precision)
      for (place, quotient) in zip(run, quotients) {
        unsafe sums[place] = quotient + (zeros?[index] ?? 0)
      }
    }
    try Interruption.check()
    try ElementConversion(target: y.type, saturates: saturates)
      .apply(Tensor(.double, x.shape, storage: made), to: y, on: crew)
  }

  private func rounded(_ numbers: [Double], to type: ElementType) -> [Double] {
    type == .double
      ? numbers : Tensor(converting: numbers, to: type, [numbers.count]).converted()
  }
}

/// y = (x - zero point)·scale.
struct DequantizeLinear: Operator {
  private let axis: Int
  private let blockSize: Int
  private let outputType: ElementType?

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: 1)
    blockSize = try node.int("block_size", default: 0)
    outputType = try node.realType("output_dtype")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try checkScales(inputs, axis: axis, blockSize: blockSize)
    let type = if let outputType { outputType } else { try inputs.type(1) }
    return [Fact(type, try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (x, scale) = (inputs[0], inputs[1])
    let scales = try QuantizationScales(
      x.shape, scales: scale.shape, axis: axis, blockSize: blockSize)
    if scale.type == .float, outputs[0].type == .float, x.type == .int8 || x.type == .uint8 {
      return scales.dequantize(
        x, scale.converted(), inputs.tensor(2)?.converted(), into: outputs[0],
        on: outputs.context.crew)
    }
    var numbers = x.converted(to: Double.self)
    let factors = scale.converted(to: Double.self)
    let zeros = inputs.tensor(2)?.converted(to: Double.self)
    scales.forEachPiece(cost: 2) { run, index in
      let (factor, zero) = (factors[index], zeros?[index] ?? 0)
      for place in run { numbers[place] = (numbers[place] - zero) * factor }
    }
    outputs[0].store(numbers)
  }
}

extension ElementType {
  /// Whether it is one of the 8-bit integers.
  var isByte: Bool { self == .int8 || self == .uint8 }
}

/// Checks the shapes of scale and zero point, inputs 1 and 2.
private func checkScales(_ inputs: Facts, axis: Int, blockSize: Int) throws(ModelError) {
  let scale = try inputs.shape(1)
  _ = try QuantizationScales(
    inputs.shape(0), scales: scale, axis: axis, blockSize: blockSize)
  guard inputs.has(2) else { return }
  let zero = try inputs.shape(2)
  guard zero.elementCount == scale.elementCount else {
    throw .unexpected(
      "shape of the zero point", expected: "[\(scale.joined)], that of the scale",
      got: "[\(zero.joined)]")
  }
}

extension NodeReader {
  /// An attribute with the number of an element type, where 0 means none.
  fileprivate mutating func optionalElementType(_ name: String) throws(ModelError) -> ElementType? {
    guard try int(name, default: 0) != 0 else { return nil }
    return try elementType(name)
  }
}

/// Quantizes to uint8 with the scale and the zero point that suit the numbers and 0.
struct DynamicQuantizeLinear: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.uint8, try inputs.shape(0)), Fact(.float, []), Fact(.uint8, [])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let block = AxisBlock([inputs[0].elementCount], axes: 0..<1)
    let crew = outputs.context.crew
    let range = DynamicRange(
      low: block.reduce(.minimum, inputs[0], on: crew)[0],
      high: block.reduce(.maximum, inputs[0], on: crew)[0])
    if outputs.wants(0) {
      unsafe Elementwise.quantize(
        inputs[0].elementCount, inputs[0].pointer(as: Float.self), scale: range.scale,
        zero: Int32(range.zero), isSigned: false, into: outputs[0].bytes, on: crew)
    }
    if outputs.wants(1) { outputs[1].store([range.scale]) }
    if outputs.wants(2) { outputs[2].store([Int64(range.zero)]) }
  }
}

/// The scale and the zero point of uint8 that suit numbers and 0.
struct DynamicRange: Sendable {
  let scale: Float
  let zero: Float

  /// - Parameters:
  ///   - low: the least of the numbers.
  ///   - high: the greatest.
  init(low: Float, high: Float) {
    let (low, high) = (min(0, low), max(0, high))
    scale = high == low ? 1 : (high - low) / 255
    // ∞ / ∞ where a number is infinite.
    let ratio = -low / scale
    zero = ratio.isNaN ? 0 : min(max(ratio, 0), 255).rounded(.toNearestOrEven)
  }

  /// The integer of 0...255 that stands for a number.
  func integer(nearest number: Float) -> Float {
    let quotient = (number / scale).rounded(.toNearestOrEven) + zero
    return min(max(quotient.isNaN ? zero : quotient, 0), 255)
  }

  /// The number that the integer of a number stands for.
  func rounded(_ number: Float) -> Float { (integer(nearest: number) - zero) * scale }
}

extension NodeReader {
  /// The type of real numbers that an attribute names, if it does.
  fileprivate mutating func realType(_ name: String) throws(ModelError) -> ElementType? {
    let type = try optionalElementType(name)
    guard let type, ![.float, .float16, .bfloat16, .double].contains(type) else { return type }
    throw invalid(name, expected: "float, float16, bfloat16 or double", got: type)
  }
}
