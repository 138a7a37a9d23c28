/// Conv of float32 over blocks of channels (``BlockLayout``), put in by a pass.
///
/// Inputs are those of ``Conv``: X in blocks, or in planes where `readsPlanes`; W and B as in the
/// file, both constants; a residual in blocks. The output is in blocks.
struct BlockedConv: Operator {
  let conv: Conv
  let algorithm: BlockedAlgorithm
  private var filter: BlockedFilter?
  private let convolutions = ShapeCache<ConvolutionShape, BlockedConvolution>()

  init(_ conv: Conv, _ algorithm: BlockedAlgorithm) {
    self.conv = conv
    self.algorithm = algorithm
  }

  var readsPlanes: Bool { algorithm == .planar }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.float, BlockLayout().blocked(try extents(inputs).outputShape))]
  }

  /// The residual, which is read where the output is written.
  var reusableInput: Int? { conv.addsResidual ? 3 : nil }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    let weights = try inputs.tensor(1)
    let bias = inputs.has(2) ? try inputs.tensor(2) : nil
    filter = BlockedFilter(
      weights, bias: bias, ConvolutionShape(weights: weights.shape, groups: conv.group), algorithm)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard let filter else { preconditionFailure("a convolution over blocks was not prepared") }
    let shape = ConvolutionShape(try extents(inputs.facts))
    convolutions.value(for: shape) { BlockedConvolution(shape, filter) }.run(
      inputs[0], residual: conv.addsResidual ? inputs[3] : nil, conv.activation, into: outputs[0],
      on: outputs.context.crew)
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    let x = try inputs.shape(0)
    let w = try inputs.shape(1)
    let channels = w[1] * conv.group
    let plain = readsPlanes ? x : BlockLayout().plain(x, channels: channels)
    return try conv.extents(Facts([Fact(.float, plain)] + inputs.from(1)))
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let extents = try? extents(inputs), let w = try? inputs.shape(1) else { return 0 }
    return extents.outputShape.elementCount * w.dropFirst().reduce(1, *)
  }
}

/// Brings [N, C, spatial…] into blocks of channels.
struct BlockChannels: Operator {
  /// C, as the reader of the result expects it.
  let channels: Int

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 3 else {
      throw .unexpected("rank of X", expected: "at least 3", got: "\(shape.count)")
    }
    guard shape[1] == channels else {
      throw .unexpected("channels of X", expected: "\(channels)", got: "\(shape[1])")
    }
    return [Fact(.float, BlockLayout().blocked(shape))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    BlockLayout().block(inputs[0], into: outputs[0], on: outputs.context.crew)
  }
}

/// Brings blocks of channels into [N, C, spatial…].
struct UnblockChannels: Operator {
  let channels: Int

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.float, BlockLayout().plain(try inputs.shape(0), channels: channels))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    BlockLayout().unblock(inputs[0], into: outputs[0], on: outputs.context.crew)
  }
}
