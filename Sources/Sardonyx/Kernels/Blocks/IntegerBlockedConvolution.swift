import CKernels

/// The weights and the bias of a convolution of 8-bit integers for the kernels of single precision,
/// which are exact as long as no sum of theirs needs more than the 24 bits of a float.
struct IntegerBlockedFilter: Sendable {
  let filter: BlockedFilter

  /// - Parameters:
  ///   - weights: int8 or uint8, [M, C / groups, taps].
  ///   - zeroPoints: one for all output channels, or one for each.
  ///   - bias: one number for each output channel.
  /// - Returns: nil where sums might not be exact, or the channels do not fit blocks.
  init?(
    _ weights: Tensor, zeroPoints: [Int64], bias: [Int64]?, _ shape: ConvolutionShape,
    for instructions: InstructionSet = .current
  ) {
    let layout = BlockLayout(for: instructions)
    let readsPlanes = shape.groups == 1 && shape.inputChannels < layout.lanes
    guard (1...2).contains(shape.kernel.count), weights.elementCount > 0,
      let algorithm = BlockedAlgorithm.choose(
        shape, readsPlanes: readsPlanes, winograd: false, layout)
    else { return nil }
    let depth = weights.elementCount / shape.outputChannels
    var numbers: [Float] = weights.converted(to: Float.self)
    for channel in 0..<shape.outputChannels {
      let zero = Float(zeroPoints[zeroPoints.count > 1 ? channel : 0])
      var sum = abs(Double(bias?[channel] ?? 0))
      for place in channel * depth..<(channel + 1) * depth {
        numbers[place] -= zero
        // An input is at most 255 away from its zero point.
        sum += Double(abs(numbers[place])) * 255
      }
      guard sum < 0x1p24 else { return nil }
    }
    guard let bias else {
      filter = unsafe BlockedFilter(numbers, bias: nil, shape, algorithm, for: instructions)
      return
    }
    let biases = bias.map { Float($0) }
    filter = unsafe BlockedFilter(numbers, bias: biases, shape, algorithm, for: instructions)
  }
}

/// A convolution of 8-bit integers prepared for one shape: sums of (x − zero point)·weights, and bias.
struct IntegerBlockedConvolution: QuantizedConvolution {
  private let convolution: BlockedConvolution
  private let layout: BlockLayout

  init(_ shape: ConvolutionShape, _ filter: IntegerBlockedFilter) {
    convolution = BlockedConvolution(shape, filter.filter)
    layout = filter.filter.layout
  }

  func quantize(
    _ x: UnsafePointer<UInt8>, isSigned: Bool, zeroPoint: Int32, scale: (Int) -> Float,
    resultZero: Int32, isResultSigned: Bool, into y: UnsafeMutablePointer<UInt8>, on crew: Crew
  ) {
    let (channels, size) = (convolution.shape.outputChannels, convolution.shape.output.elementCount)
    let lanes = layout.lanes
    let (low, high): (Int32, Int32) = isResultSigned ? (-128, 127) : (0, 255)
    let width = layout.blocks(channels) * lanes
    nonisolated(unsafe) let y = unsafe y
    unsafe crew.scratch.withFloats(max(1, width)) { room in
      for channel in 0..<width { unsafe room[channel] = channel < channels ? scale(channel) : 0 }
      nonisolated(unsafe) let scales = unsafe room
      unsafe run(x, isSigned: isSigned, zeroPoint: zeroPoint, on: crew) {
        image, first, count, sums in
        let kernels = unsafe crew.instructions.kernels
        unsafe crew.scratch.withBytes(size * lanes) { bytes in
          unsafe kernels.quantize_lanes(size, sums, scales + first, resultZero, low, high, bytes)
          unsafe kernels.transpose_bytes(
            size, count, bytes, lanes, y + (image * channels + first) * size, size)
        }
      }
    }
  }

  func sum(
    _ x: UnsafePointer<UInt8>, isSigned: Bool, zeroPoint: Int32,
    into y: UnsafeMutablePointer<Int32>, on crew: Crew
  ) {
    let (channels, size) = (convolution.shape.outputChannels, convolution.shape.output.elementCount)
    let lanes = layout.lanes
    nonisolated(unsafe) let y = unsafe y
    unsafe run(x, isSigned: isSigned, zeroPoint: zeroPoint, on: crew) { image, first, count, sums in
      unsafe crew.scratch.withFloats(count * size) { rows in
        unsafe crew.instructions.kernels.transpose_4_bytes(size, count, sums, lanes, rows, size)
        unsafe crew.instructions.narrow(
          count * size, rows, into: y + (image * channels + first) * size)
      }
    }
  }

  /// Calls `body` with the sums of some output channels of an image, [output][lane], in some order.
  private func run(
    _ x: UnsafeRawPointer, isSigned: Bool, zeroPoint: Int32, on crew: Crew,
    _ body:
      @escaping @Sendable (_ image: Int, _ first: Int, _ count: Int, UnsafePointer<Float>) -> Void
  ) {
    let shape = convolution.shape
    let (input, output) = (shape.input.elementCount, shape.output.elementCount)
    guard shape.batch > 0, output > 0 else { return }
    let readsPlanes = convolution.filter.algorithm == .planar
    let planes = readsPlanes ? shape.inputChannels : layout.blocks(shape.inputChannels)
    let outputBlocks = layout.blocks(shape.outputChannels)
    let lanes = layout.lanes
    let sourceSize = shape.batch * planes * input * (readsPlanes ? 1 : lanes)
    unsafe crew.scratch.withFloats(sourceSize) { source in
      unsafe widen(
        x, isSigned, zeroPoint, planes: planes, channelsAtOnce: readsPlanes ? 1 : lanes,
        into: source, crew)
      unsafe crew.scratch.withFloats(shape.batch * outputBlocks * output * lanes) { sums in
        unsafe convolution.run(source, BlockedConvolution.Epilogue(), into: sums, on: crew)
        nonisolated(unsafe) let sums = unsafe sums
        crew.perform(shape.batch * outputBlocks) { index in
          let (image, block) = index.quotientAndRemainder(dividingBy: outputBlocks)
          let count = min(lanes, shape.outputChannels - block * lanes)
          unsafe body(image, block * lanes, count, sums + index * output * lanes)
        }
      }
    }
  }

  /// The differences from the zero point, in planes or in blocks.
  private func widen(
    _ x: UnsafeRawPointer, _ isSigned: Bool, _ zeroPoint: Int32, planes: Int, channelsAtOnce: Int,
    into source: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, source) = unsafe (x, source)
    let shape = convolution.shape
    let size = shape.input.elementCount
    crew.perform(shape.batch * planes) { index in
      let (image, plane) = index.quotientAndRemainder(dividingBy: planes)
      let first = plane * channelsAtOnce
      let count = min(channelsAtOnce, shape.inputChannels - first)
      let from = unsafe x + (image * shape.inputChannels + first) * size
      let to = unsafe source + index * channelsAtOnce * size
      if channelsAtOnce == 1 {
        return unsafe crew.instructions.dequantize(
          size, from, isSigned: isSigned, zero: zeroPoint, into: to)
      }
      // Channels that fill up the block stand for 0.
      unsafe crew.scratch.withBytes(size * channelsAtOnce) { turned in
        if count < channelsAtOnce {
          unsafe turned.initializeMemory(
            as: UInt8.self, repeating: UInt8(truncatingIfNeeded: zeroPoint),
            count: size * channelsAtOnce)
        }
        unsafe crew.instructions.kernels.transpose_bytes(
          count, size, from, size, turned, channelsAtOnce)
        unsafe crew.instructions.dequantize(
          size * channelsAtOnce, turned, isSigned: isSigned, zero: zeroPoint, into: to)
      }
    }
  }
}
