/// Convolutions of quantized tensors.
let quantizedConvolutions: OperatorFamily = [
  "ConvInteger": ConvInteger.init, "QLinearConv": QLinearConv.init,
]

/// A convolution of 8-bit integers less their zero points, in 32-bit integers that wrap.
private struct IntegerConvolution: Sendable {
  let window: Window
  let group: Int
  /// The weights of each group, packed once they are known.
  var weights: [IntegerFactor]?
  /// The weights and the bias for products of bytes.
  var bytes: ByteFilter?
  /// The same for kernels of single precision, where those are exact.
  var filter: IntegerBlockedFilter?

  init(_ node: inout NodeReader) throws(ModelError) {
    window = try Window(&node)
    group = try node.groupCount()
  }

  func extents(_ x: Shape, _ w: Shape) throws(ModelError) -> ConvolutionExtents {
    try checkRanks(x, w)
    guard let channels = w[1].multipliedExactly(by: group), x[1] == channels else {
      throw .unexpected("channels of x", expected: "\(w[1]) for each group", got: "\(x[1])")
    }
    guard w[0] % group == 0 else {
      throw .unexpected(
        "output channels of w", expected: "a multiple of \(group), the number of groups",
        got: "\(w[0])")
    }
    return ConvolutionExtents(
      batch: x[0], inputChannels: x[1], outputChannels: w[0], group: group,
      axes: try window.axes(over: Array(x.dropFirst(2)), kernel: Array(w.dropFirst(2))))
  }

  /// Packs constant weights; nothing where their shapes are at fault, which is for ``extents`` to say.
  mutating func prepare(_ w: Fact, zeroPoint: Fact?, bias: Fact? = nil) {
    guard let w = w.value?.tensor, w.shape.count > 2, w.shape[0] % group == 0 else { return }
    if let zeroPoint, zeroPoint.value == nil { return }
    let zero = zeroPoint?.value?.tensor
    let count = zero?.elementCount ?? 1
    guard count == 1 || count == w.shape[0] else { return }
    if bias == nil || bias?.value != nil {
      packFilter(w, zeroPoint: zero, bias: bias?.value?.tensor)
    }
    if bytes == nil, filter == nil { weights = Self.pack(w, group: group, zeroPoint: zero) }
  }

  private mutating func packFilter(_ w: Tensor, zeroPoint: Tensor?, bias: Tensor?) {
    guard w.type.isByte, bias.map({ $0.elementCount == w.shape[0] }) ?? true,
      let shape = ConvolutionShape(
        weights: w.shape, groups: group, window: window,
        input: w.shape.dropFirst(2).map { _ in nil })
    else { return }
    let zeros = zeroPoint?.converted(to: Int64.self) ?? [0]
    let bias = bias?.converted(to: Int64.self)
    bytes = ByteFilter(w, zeroPoints: zeros, bias: bias, shape)
    if bytes == nil { filter = IntegerBlockedFilter(w, zeroPoints: zeros, bias: bias, shape) }
  }

  /// The convolution by products of bytes or by kernels of single precision; nil where neither would be
  /// exact, or they need more room than a copy with padding should take.
  func byKernels(_ x: Shape, _ w: Shape) throws(ModelError) -> (any QuantizedConvolution)? {
    let extents = try extents(x, w)
    guard extents.paddingIsModest else { return nil }
    let shape = ConvolutionShape(extents)
    if let bytes { return ByteConvolution(shape, bytes) }
    guard let filter, extents.countsFitBlocks else { return nil }
    return IntegerBlockedConvolution(shape, filter)
  }

  /// The weights of each group as left factors, with the zero points of their output channels.
  private static func pack(_ w: Tensor, group: Int, zeroPoint: Tensor?) -> [IntegerFactor] {
    let zeros = zeroPoint?.converted(to: Int64.self).map(Int32.init(truncatingIfNeeded:)) ?? []
    let lanes = w.shape[0] / group
    let depth = w.shape.dropFirst().reduce(1, *)
    return (0..<group).map { index in
      let part = Tensor(
        w.type, [lanes, depth], storage: w.storage, byteOffset: w.byteOffset + index * lanes * depth
      )
      let own = zeros.count > 1 ? Array(zeros[index * lanes..<(index + 1) * lanes]) : zeros
      return IntegerFactor(part, .left, lanes: lanes, depth: depth, zeroPoints: own)
    }
  }

  /// The sums for N×M×spatial outputs.
  func run(_ x: Tensor, zeroPoint: Tensor?, _ w: Tensor, zeroPoint wZero: Tensor?, on crew: Crew)
    throws(ModelError) -> [Int32]
  {
    let extents = try extents(x.shape, w.shape)
    let packed = weights ?? Self.pack(w, group: group, zeroPoint: wZero)
    let zero = zeroPoint?.converted(to: Int64.self)[0] ?? 0
    let columns = extents.axes.outputCount
    let depth = extents.inputChannelsPerGroup * extents.axes.tapCount
    let bytes = x.reinterpreted(as: .uint8).array(of: UInt8.self)
    let runs = extents.axes.runs
    var sums: [Int32] = []
    for image in 0..<extents.batch {
      for (index, factor) in packed.enumerated() {
        let first =
          (image * extents.inputChannels + index * extents.inputChannelsPerGroup)
          * extents.axes.inputCount
        try Interruption.check()
        let patches = Self.patches(
          bytes, from: first, extents, runs, padding: UInt8(truncatingIfNeeded: zero))
        try Interruption.check()
        let right = IntegerFactor(
          Tensor(patches, [depth, columns]).reinterpreted(as: x.type), .right, lanes: columns,
          depth: depth, zeroPoints: [Int32(truncatingIfNeeded: zero)])
        try Interruption.check()
        let products = IntegerFactor.products(
          factor, right, [(0, 0)], rows: extents.outputChannelsPerGroup, columns: columns, on: crew)
        try Interruption.check()
        if sums.isEmpty { sums = products } else { sums += products }
      }
    }
    return sums
  }

  /// What each tap of each channel sees, taps·channels × outputs; `padding` where it sees nothing.
  private static func patches(
    _ x: [UInt8], from first: Int, _ extents: ConvolutionExtents, _ runs: [WindowRun],
    padding: UInt8
  ) -> [UInt8] {
    let axes = extents.axes
    let (columns, taps, stride) = (axes.outputCount, axes.tapCount, axes.last?.stride ?? 1)
    var patches = [UInt8](
      repeating: padding, untilDue: extents.inputChannelsPerGroup * taps * columns)
    var interruption = Interruption()
    for channel in 0..<extents.inputChannelsPerGroup {
      let plane = first + channel * axes.inputCount
      for run in runs {
        if interruption.isDue(after: 2 &* run.count &+ 4) { return patches }
        let target = (channel * taps + run.tap) * columns + run.output
        var from = plane + run.input
        for to in target..<target + run.count {
          patches[to] = x[from]
          from += stride
        }
      }
    }
    return patches
  }
}

extension Int32 {
  /// The number that a byte stands for.
  fileprivate init(byte: UnsafePointer<UInt8>, isSigned: Bool) {
    let byte = unsafe byte.pointee
    self = isSigned ? Int32(Int8(bitPattern: byte)) : Int32(byte)
  }
}

extension Int {
  fileprivate func multipliedExactly(by factor: Int) -> Int? {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }
}

/// A convolution of integers less their zero points, in 32-bit integers.
struct ConvInteger: Operator {
  private var convolution: IntegerConvolution

  init(_ node: inout NodeReader) throws(ModelError) { convolution = try IntegerConvolution(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try convolution.extents(inputs.shape(0), inputs.shape(1))
    try checkChannels(inputs, 2, "x_zero_point", 1)
    try checkChannels(inputs, 3, "w_zero_point", extents.outputChannels)
    return [Fact(.int32, extents.outputShape)]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    convolution.prepare(inputs[1], zeroPoint: inputs.has(3) ? inputs[3] : nil)
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard let kernels = try convolution.byKernels(inputs.shape(0), inputs.shape(1)) else {
      return nil
    }
    let (isSigned, hasZero) = (try inputs.type(0) == .int8, inputs.has(2))
    return { addresses, crew in
      let zero = hasZero ? unsafe Int32(byte: addresses.input(2), isSigned: isSigned) : 0
      unsafe kernels.sum(
        addresses.input(0), isSigned: isSigned, zeroPoint: zero, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    outputs[0].store(
      elements: try convolution.run(
        inputs[0], zeroPoint: inputs.tensor(2), inputs[1], zeroPoint: inputs.tensor(3),
        on: outputs.context.crew))
  }
}

/// A convolution of quantized tensors, quantized anew.
///
/// y = saturate(round((Σ (x - x zero)·(w - w zero) + B) · x scale · w scale / y scale) + y zero);
/// scale and zero point of w may differ by output channel.
struct QLinearConv: Operator {
  private var convolution: IntegerConvolution

  var window: Window { convolution.window }
  var group: Int { convolution.group }

  init(_ node: inout NodeReader) throws(ModelError) { convolution = try IntegerConvolution(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try convolution.extents(inputs.shape(0), inputs.shape(3))
    for (index, name) in [(1, "x_scale"), (2, "x_zero_point"), (6, "y_scale"), (7, "y_zero_point")]
    {
      try checkChannels(inputs, index, name, 1)
    }
    try checkChannels(inputs, 4, "w_scale", extents.outputChannels)
    try checkChannels(inputs, 5, "w_zero_point", extents.outputChannels)
    try checkBias(inputs, 8, channels: extents.outputChannels)
    return [Fact(try inputs.type(7), extents.outputShape)]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    convolution.prepare(
      inputs[3], zeroPoint: inputs[5], bias: inputs.has(8) ? inputs[8] : nil)
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard let kernels = try convolution.byKernels(inputs.shape(0), inputs.shape(3)),
      let result = outputs[0], try inputs.type(1) == .float, try inputs.type(4) == .float,
      try inputs.type(6) == .float
    else { return nil }
    let isSigned = (x: try inputs.type(0) == .int8, y: result.type == .tensor(.int8))
    let scaleStep = try inputs.shape(4).elementCount > 1 ? 1 : 0
    return { addresses, crew in
      let zero = unsafe (
        x: Int32(byte: addresses.input(2), isSigned: isSigned.x),
        y: Int32(byte: addresses.input(7), isSigned: isSigned.y)
      )
      let scale = unsafe (
        x: addresses.input(1, as: Float.self).pointee, y: addresses.input(6, as: Float.self).pointee
      )
      let scales = unsafe addresses.input(4, as: Float.self)
      unsafe kernels.quantize(
        addresses.input(0), isSigned: isSigned.x, zeroPoint: zero.x,
        scale: { unsafe scale.x * scales[$0 * scaleStep] / scale.y }, resultZero: zero.y,
        isResultSigned: isSigned.y, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    let sums = try convolution.run(
      inputs[0], zeroPoint: inputs[2], inputs[3], zeroPoint: inputs[5], on: outputs.context.crew)
    let extents = try convolution.extents(inputs[0].shape, inputs[3].shape)
    let scales = inputs[4].converted(to: Float.self)
    let ratio = (inputs[1].converted(to: Float.self)[0], inputs[6].converted(to: Float.self)[0])
    let bias = inputs.tensor(8)?.converted(to: Int64.self)
    let zero = inputs[7].converted(to: Double.self)[0]
    let columns = extents.axes.outputCount
    let numbers = sums.indices.interruptibleMap(cost: 16) { place in
      let channel = place / columns % extents.outputChannels
      let scale = ratio.0 * scales[scales.count > 1 ? channel : 0] / ratio.1
      let sum = Int64(sums[place]) + (bias?[channel] ?? 0)
      return Double((Float(sum) * scale).rounded(.toNearestOrEven)) + zero
    }
    outputs[0].store(saturating: numbers)
  }
}

/// Checks that a scale or zero point is one number or one for each channel.
private func checkChannels(_ inputs: Facts, _ index: Int, _ name: String, _ channels: Int)
  throws(ModelError)
{
  guard inputs.has(index) else { return }
  let shape = try inputs.shape(index)
  guard shape.elementCount == 1 || shape == [channels] else {
    throw .unexpected(
      "shape of \(name)", expected: channels == 1 ? "[]" : "[] or [\(channels)]",
      got: "[\(shape.joined)]")
  }
}
