/// The scale and the zero point of unsigned bytes; those of signed ones are 128 more in the file.
struct ByteScale: Sendable, Equatable {
  let scale: Float
  let zero: Int32
}

/// The order in which values of quantized networks are kept: [N, C, spatial…] as unsigned bytes
/// [N, spatial…, C].
enum ChannelsLast {
  static func ordered(_ shape: Shape) -> Shape { [shape[0]] + shape.dropFirst(2) + [shape[1]] }

  /// The shape [N, C, spatial…] of a tensor with its channels last.
  static func plain(_ shape: Shape) -> Shape {
    [shape[0], shape[shape.count - 1]] + shape.dropFirst().dropLast()
  }

  /// A tensor with its channels last in the order and with the type that it has in the file.
  static func plain(_ x: Tensor, isSigned: Bool) -> Tensor {
    let shape = plain(x.shape)
    let y = Destination(
      isSigned ? .int8 : .uint8, shape, storage: Storage(byteCount: shape.elementCount))
    unsafe ByteReorder.channelsFirst(
      shape, isSigned: isSigned, x.bytes.assumingMemoryBound(to: UInt8.self),
      into: y.bytes.assumingMemoryBound(to: UInt8.self), on: Crew(threads: 1))
    return y.tensor(texts: .none)
  }
}

/// Conv of bytes that stand for numbers, with its channels last, into bytes that stand for numbers.
///
/// Inputs are X and W, int8 of zero point 0 in the file's order and constant. Sums are exact; what
/// becomes of them, bias and activation included, the epilogue tells.
struct ChannelsLastConv: Operator {
  let window: Window
  let group: Int
  let inputZero: UInt8
  let epilogue: ByteEpilogue
  private var filter: ChannelsLastFilter?

  init(window: Window, group: Int, inputZero: UInt8, _ epilogue: ByteEpilogue) {
    (self.window, self.group) = (window, group)
    (self.inputZero, self.epilogue) = (inputZero, epilogue)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.uint8, ChannelsLast.ordered(try extents(inputs).outputShape))]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    let weights = try inputs.tensor(1)
    let axisCount = weights.shape.count - 2
    let shape = ConvolutionShape(
      weights: weights.shape, groups: group, strides: window.strides(axisCount: axisCount),
      dilations: window.dilations(axisCount: axisCount))
    filter = ChannelsLastFilter(weights, shape)
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let extents = try extents(inputs)
    guard extents.paddingIsModest, let filter,
      let convolution = ChannelsLastConvolution(
        ConvolutionShape(extents), filter, inputZero: inputZero, epilogue)
    else { return nil }
    return { addresses, crew in
      unsafe convolution.run(addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    runPlainly(inputs, outputs, try extents(inputs.facts))
  }

  /// The specification that the kernels are compared with; sums in double are exact.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ extents: ConvolutionExtents) {
    let (channels, places) = (extents.inputChannels, extents.axes.inputCount)
    let bytes = inputs[0].array(of: UInt8.self)
    let x = (0..<bytes.count).interruptibleMap(cost: 8) { place in
      let (image, rest) = place.quotientAndRemainder(dividingBy: channels * places)
      let (channel, spot) = rest.quotientAndRemainder(dividingBy: places)
      return Double(bytes[(image * places + spot) * channels + channel]) - Double(inputZero)
    }
    let sums = correlate(x, inputs[1].converted(to: Double.self), bias: nil, extents)
    let (m, count) = (extents.outputChannels, extents.axes.outputCount)
    let y = (0..<sums.count).interruptibleMap(cost: 16) { place in
      let (image, rest) = place.quotientAndRemainder(dividingBy: m * count)
      let (spot, channel) = rest.quotientAndRemainder(dividingBy: m)
      return epilogue.byte(of: sums[(image * m + channel) * count + spot], channel)
    }
    outputs[0].store(elements: y)
  }

  func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    let (x, w) = (ChannelsLast.plain(try inputs.shape(0)), try inputs.shape(1))
    try checkRanks(x, w)
    try checkGroups(x, w, group)
    let axes = try window.axes(over: Array(x.dropFirst(2)), kernel: Array(w.dropFirst(2)))
    return ConvolutionExtents(
      batch: x[0], inputChannels: x[1], outputChannels: w[0], group: group, axes: axes)
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let extents = try? extents(inputs), let w = try? inputs.shape(1) else { return 0 }
    return extents.outputShape.elementCount * w.dropFirst().reduce(1, *)
  }

  var method: String? { "bytes, channels last" }
}

extension ByteEpilogue {
  /// What becomes of the exact sum of a channel.
  fileprivate func byte(of sum: Double, _ channel: Int) -> UInt8 {
    let number = Float(sum + Double(shifts[channel])) * scales[channel] + (addends?[channel] ?? 0)
    let integer = Double(number.rounded(.toNearestOrEven)) + Double(zero)
    return UInt8(min(max(integer, Double(low)), Double(high)))
  }
}

/// alpha·A·B + C of bytes that stand for numbers, B of them constant, into such bytes: rows with their
/// columns last as they are.
///
/// Inputs are A, [rows…, K], and B, int8 [N, K] of zero point 0.
struct ChannelsLastProduct: Operator {
  private let inputZero: UInt8
  private let epilogue: ByteEpilogue
  private var filter: ChannelsLastFilter?

  init(inputZero: UInt8, _ epilogue: ByteEpilogue) {
    (self.inputZero, self.epilogue) = (inputZero, epilogue)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (a, b) = (try inputs.shape(0), try inputs.shape(1))
    guard let depth = a.last, depth == b[1] else {
      throw .unexpected("columns of A", expected: "\(b[1])", got: "\(a.last ?? 0)")
    }
    return [Fact(.uint8, a.dropLast() + [b[0]])]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    let b = try inputs.tensor(1)
    filter = ChannelsLastFilter(
      b, ConvolutionShape(weights: b.shape + [1], groups: 1, strides: [1], dilations: [1]))
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (a, b) = (try inputs.shape(0), try inputs.shape(1))
    let shape = ConvolutionShape(
      batch: 1, groups: 1, inputChannels: b[1], outputChannels: b[0],
      input: [a.dropLast().reduce(1, *)], kernel: [1], strides: [1], dilations: [1],
      padsBegin: [0], padsEnd: [0])
    guard let filter,
      let convolution = ChannelsLastConvolution(shape, filter, inputZero: inputZero, epilogue)
    else { return nil }
    return { addresses, crew in
      unsafe convolution.run(addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    let (a, b) = (inputs[0].converted(to: Double.self), inputs[1].converted(to: Double.self))
    let (depth, columns) = (inputs[1].shape[1], inputs[1].shape[0])
    let y = (0..<outputs[0].elementCount).interruptibleMap(cost: 2 * depth + 16) { place in
      let (row, column) = place.quotientAndRemainder(dividingBy: columns)
      let sum = (0..<depth).reduce(0.0) {
        $0 + (a[row * depth + $1] - Double(inputZero)) * b[column * depth + $1]
      }
      return epilogue.byte(of: sum, column)
    }
    outputs[0].store(elements: y)
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let a = try? inputs.shape(0), let b = try? inputs.shape(1) else { return 0 }
    return a.elementCount * b[0]
  }

  var method: String? { "bytes" }
}
