/// Conv of float32 over blocks of channels (``BlockLayout``), put in by a pass.
///
/// Inputs are those of ``Conv``: X in blocks, or in planes where `readsPlanes`; W and B as in the
/// file, both constants; a residual in blocks. The output is in blocks.
struct BlockedConv: Operator {
  let conv: Conv
  let algorithm: BlockedAlgorithm
  /// The spatial axes along which there is something to do, one or two: all others have extent 1, as
  /// far as could be told before a run.
  let axes: [Int]
  /// Images, and output places of each, as far as could be told before a run.
  private let batch: Int
  let outputPlaces: Int?
  private var filter: BlockedFilter?

  init(_ conv: Conv, _ algorithm: BlockedAlgorithm, axes: [Int], batch: Int, outputPlaces: Int?) {
    self.conv = conv
    self.algorithm = algorithm
    self.axes = axes
    self.batch = batch
    self.outputPlaces = outputPlaces
  }

  var readsPlanes: Bool { algorithm == .planar }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = BlockLayout().blocked(try extents(inputs).outputShape)
    if conv.addsResidual { try inputs.checkResidual(3, .float, shape) }
    return [Fact(.float, shape)]
  }

  /// The residual, which is read where the output is written.
  var reusableInput: Int? { conv.addsResidual ? 3 : nil }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    let weights = try inputs.tensor(1)
    let bias = inputs.has(2) ? try inputs.tensor(2) : nil
    let axisCount = weights.shape.count - 2
    let shape = ConvolutionShape(
      weights: weights.shape, groups: conv.group,
      strides: conv.window.strides(axisCount: axisCount),
      dilations: conv.window.dilations(axisCount: axisCount))
    filter = BlockedFilter(
      weights, bias: bias, shape.keeping(axes), algorithm,
      outputs: outputPlaces.map { batch * $0 })
  }

  /// Weights and bias are packed.
  func reads(_ index: Int) -> Bool { index != 1 && index != 2 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard let link = try link(inputs) else { return nil }
    let convolution = BlockedConvolution(link.shape, link.filter)
    let (addsResidual, activation) = (conv.addsResidual, conv.activation)
    return { addresses, crew in
      let epilogue = unsafe BlockedConvolution.Epilogue(
        residual: addsResidual ? addresses.input(3) : nil, activation: activation)
      unsafe convolution.run(addresses.input(0), epilogue, into: addresses.output(), on: crew)
    }
  }

  /// What is computed; nil for padding that no copy should be made of.
  func link(_ inputs: Facts) throws(ModelError) -> ConvolutionChain.Link? {
    // The shapes of a body are asked for before its weights are packed.
    guard let filter else { return nil }
    let extents = try extents(inputs)
    guard extents.paddingIsModest, extents.countsFitBlocks,
      let shape = kept(ConvolutionShape(extents))
    else { return nil }
    return ConvolutionChain.Link(shape: shape, filter: filter, activation: conv.activation)
  }

  /// The sizes without the axes that were left out of the filter; with them where there is more along
  /// them after all, as far as the filter goes with that.
  private func kept(_ shape: ConvolutionShape) -> ConvolutionShape? {
    if Set(axes).isSuperset(of: shape.trueAxes) { return shape.keeping(axes) }
    return shape.input.count <= 2 && !readsPlanes ? shape : nil
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    runPlainly(inputs, outputs, try extents(inputs.facts))
  }

  /// The same by the plain convolution, for padding that no copy should be made of.
  private func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ extents: ConvolutionExtents) {
    let layout = BlockLayout()
    let x =
      readsPlanes ? inputs[0] : layout.unblocked(inputs[0], channels: extents.inputChannels)
    var y: [Float] = correlate(
      x.converted(), inputs[1].converted(), bias: inputs.tensor(2)?.converted(), extents)
    if conv.addsResidual {
      let residual = layout.unblocked(inputs[3], channels: extents.outputChannels)
      add(residual.converted(), to: &y)
    }
    conv.activation.apply(to: &y)
    layout.block(Tensor(y, extents.outputShape), into: outputs[0], on: outputs.context.crew)
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    let x = try inputs.shape(0)
    let w = try inputs.shape(1)
    let channels = w[1] * conv.group
    let plain = readsPlanes ? x : BlockLayout().plain(x, channels: channels)
    return try conv.extents(inputs.replaced(by: [Fact(.float, plain)] + inputs.from(1)))
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let extents = try? extents(inputs), let w = try? inputs.shape(1) else { return 0 }
    return extents.outputShape.elementCount * w.dropFirst().reduce(1, *)
  }

  var method: String? { "\(algorithm), blocks of \(BlockLayout().lanes)" }
}

/// ConvTranspose of float32 over blocks of channels, without dilations.
///
/// Inputs are those of ``ConvTranspose``, X in blocks, W and B constants; the output is in blocks.
struct BlockedConvTranspose: Operator {
  let transpose: ConvTranspose
  private var filter: BlockedTransposedFilter?

  init(_ transpose: ConvTranspose) { self.transpose = transpose }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try extents(inputs)
    let shape = [extents.batch, extents.outputChannels] + extents.axes.map(\.input)
    return [Fact(.float, BlockLayout().blocked(shape))]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    let weights = try inputs.tensor(1)
    filter = BlockedTransposedFilter(
      weights, bias: inputs.has(2) ? try inputs.tensor(2) : nil,
      groups: transpose.group,
      strides: transpose.window.strides(axisCount: weights.shape.count - 2))
  }

  /// Weights and bias are packed.
  func reads(_ index: Int) -> Bool { index != 1 && index != 2 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    // The shapes of a body are asked for before its weights are packed.
    guard let filter else { return nil }
    let convolution = BlockedTransposedConvolution(try extents(inputs), filter)
    let activation = transpose.activation
    return { addresses, crew in
      unsafe convolution.run(addresses.input(0), activation, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let extents = try? extents(inputs), let w = try? inputs.shape(1) else { return 0 }
    return extents.batch * extents.axes.outputCount * w.reduce(1, *)
  }

  var method: String? { "products, blocks of \(BlockLayout().lanes)" }

  private func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    let plain = BlockLayout().plain(try inputs.shape(0), channels: try inputs.shape(1)[0])
    return try transpose.extents(inputs.replaced(by: [Fact(.float, plain)] + inputs.from(1)))
  }
}

/// x·s with a number s for each image and channel: squeeze and excitation, over blocks of channels.
struct BlockedScaling: Operator {
  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (x, s) = (try inputs.shape(0), try inputs.shape(1))
    guard s.count == x.count, s[1] == x[1], s.dropFirst(2).dropLast().allSatisfy({ $0 == 1 }),
      s[0] == x[0] || s[0] == 1
    else {
      throw .unexpected(
        "shape of the factors", expected: "[\(x[0]),\(x[1]),1,…,\(x.last!)]",
        got: "[\(s.joined)]")
    }
    return [Fact(.float, x)]
  }

  var reusableInput: Int? { 0 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (x, s) = (try inputs.shape(0), try inputs.shape(1))
    let (planes, factorPlanes) = (x[0] * x[1], s[0] * s[1])
    let size = BlockLayout().extents(x).elementCount
    return { addresses, crew in
      unsafe BlockedScale.multiply(
        addresses.input(0), planes: planes, size: size, by: addresses.input(1),
        planes: factorPlanes, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
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

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (layout, shape) = (BlockLayout(), try inputs.shape(0))
    return { addresses, crew in
      unsafe layout.block(shape, addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// Brings blocks of channels into [N, C, spatial…].
struct UnblockChannels: Operator {
  let channels: Int

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.float, BlockLayout().plain(try inputs.shape(0), channels: channels))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let layout = BlockLayout()
    let shape = layout.plain(try inputs.shape(0), channels: channels)
    return { addresses, crew in
      unsafe layout.unblock(shape, addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}
