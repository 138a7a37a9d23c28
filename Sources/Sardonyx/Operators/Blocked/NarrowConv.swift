/// Conv of float32 to few channels in each group, in one or two spatial axes, put in by a pass.
///
/// Inputs are those of ``Conv``: X in blocks of channels (``BlockLayout``), or in planes where
/// `readsPlanes`; W and B as in the file, both constants. The output is in planes, or in blocks where
/// `makesBlocks`.
struct NarrowConv: Operator {
  let conv: Conv
  let readsPlanes: Bool
  let makesBlocks: Bool
  private var filter: NarrowFilter?

  init(_ conv: Conv, readsPlanes: Bool, makesBlocks: Bool) {
    self.conv = conv
    self.readsPlanes = readsPlanes
    self.makesBlocks = makesBlocks
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try extents(inputs).outputShape
    return [Fact(.float, makesBlocks ? BlockLayout().blocked(shape) : shape)]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    filter = NarrowFilter(
      try inputs.tensor(1), bias: inputs.has(2) ? try inputs.tensor(2) : nil, groups: conv.group)
  }

  /// Weights and bias are packed.
  func reads(_ index: Int) -> Bool { index != 1 && index != 2 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    // The shapes of a body are asked for before its weights are packed.
    guard let filter else { return nil }
    let extents = try extents(inputs)
    guard extents.paddingIsModest, extents.countsFitBlocks else { return nil }
    let convolution = NarrowConvolution(
      ConvolutionShape(extents), filter,
      .init(
        input: readsPlanes ? nil : BlockLayout(), output: makesBlocks ? BlockLayout() : nil))
    let activation = conv.activation
    return { addresses, crew in
      unsafe convolution.run(addresses.input(0), activation, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    let extents = try extents(inputs.facts)
    let x =
      readsPlanes ? inputs[0] : BlockLayout().unblocked(inputs[0], channels: extents.inputChannels)
    var y: [Float] = correlate(
      x.converted(), inputs[1].converted(), bias: inputs.tensor(2)?.converted(), extents)
    conv.activation.apply(to: &y)
    guard makesBlocks else { return outputs[0].store(y) }
    BlockLayout().block(
      Tensor(y, extents.outputShape), into: outputs[0], on: outputs.context.crew)
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    try conv.extents(
      inputs.withPlanes(readsPlanes, channels: try inputs.shape(1)[1] * conv.group))
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let shape = try? extents(inputs).outputShape, let w = try? inputs.shape(1) else {
      return 0
    }
    return shape.elementCount * w.dropFirst().reduce(1, *)
  }

  var method: String? {
    "few sums, \(readsPlanes ? "planes" : "blocks") to \(makesBlocks ? "blocks" : "planes")"
  }
}

/// ConvTranspose of float32 to few channels, without dilations, put in by a pass.
///
/// Inputs are those of ``ConvTranspose``, X in blocks or in planes where `readsPlanes`, W and B
/// constants; the output is in planes.
struct NarrowConvTranspose: Operator {
  let transpose: ConvTranspose
  let readsPlanes: Bool
  private var filter: NarrowFilter?

  init(_ transpose: ConvTranspose, readsPlanes: Bool) {
    self.transpose = transpose
    self.readsPlanes = readsPlanes
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try extents(inputs)
    return [Fact(.float, [extents.batch, extents.outputChannels] + extents.axes.map(\.input))]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    let weights = try inputs.tensor(1)
    filter = NarrowFilter(
      transposing: weights, bias: inputs.has(2) ? try inputs.tensor(2) : nil,
      groups: transpose.group,
      strides: transpose.window.strides(axisCount: weights.shape.count - 2))
  }

  /// Weights and bias are packed.
  func reads(_ index: Int) -> Bool { index != 1 && index != 2 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    // The shapes of a body are asked for before its weights are packed.
    guard let filter else { return nil }
    let convolution = NarrowConvolution(
      transposing: try extents(inputs), filter, .init(input: readsPlanes ? nil : BlockLayout()))
    let activation = transpose.activation
    return { addresses, crew in
      unsafe convolution.run(addresses.input(0), activation, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    try transpose.extents(inputs.withPlanes(readsPlanes, channels: try inputs.shape(1)[0]))
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let extents = try? extents(inputs), let w = try? inputs.shape(1) else { return 0 }
    return extents.batch * extents.axes.outputCount * w.reduce(1, *)
  }

  var method: String? { "few sums, \(readsPlanes ? "planes" : "blocks") to planes" }
}

extension Facts {
  /// The same with X in planes, which may be in blocks.
  fileprivate func withPlanes(_ isInPlanes: Bool, channels: Int) throws(ModelError) -> Facts {
    if isInPlanes { return self }
    let plain = BlockLayout().plain(try shape(0), channels: channels)
    return replaced(by: [Fact(.float, plain)] + from(1))
  }
}
