/// MaxPool and AveragePool of float32 over blocks of channels, in one or two spatial axes.
struct BlockedPool: Operator {
  let window: Window
  let kind: Pooling.Kind

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axes = try window.axes(over: BlockLayout().extents(shape))
    return [Fact(.float, shape.prefix(2) + axes.outputExtents + [shape.last!])]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let (kind, axes) = (kind, try window.axes(over: BlockLayout().extents(shape)))
    return { addresses, crew in
      unsafe BlockedPooling(kind, axes).run(
        addresses.input(0), planes: shape[0] * shape[1], into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// GlobalAveragePool and GlobalMaxPool of float32 over blocks of channels.
struct BlockedGlobalPool: Operator {
  let kind: ReductionKernel

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let ones = BlockLayout().extents(shape).map { _ in 1 }
    return [Fact(.float, shape.prefix(2) + ones + [shape.last!])]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (layout, shape, kind) = (BlockLayout(), try inputs.shape(0), kind)
    return { addresses, crew in
      unsafe ReductionKernel.reduce(
        kind, outer: shape[0] * shape[1], count: layout.extents(shape).elementCount,
        inner: layout.lanes, addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// BatchNormalization of float32 over blocks of channels with constant parameters, and the activation
/// behind it: Y = activation((X − mean)·scale + shift).
///
/// X may come in pieces that a Concat would have joined along the channels, all but the last of whole
/// blocks.
struct BlockedNormalization: Operator {
  private let scale: BlockedScale
  private let activation: Activation

  init(_ normalization: ChannelNormalization, _ activation: Activation) {
    scale = BlockedScale(
      mean: normalization.mean, scale: normalization.scale, shift: normalization.shift)
    self.activation = activation
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shapes = try (0..<inputs.count).map { index throws(ModelError) in try inputs.shape(index) }
    return [Fact(.float, try Shape.joined(shapes, along: 1))]
  }

  var reusableInput: Int? { 0 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let blocks = try (0..<inputs.count).map { index throws(ModelError) in
      try inputs.shape(index)[1]
    }
    let (size, scale, activation) = (
      BlockLayout().extents(shape).elementCount, scale, activation
    )
    return { addresses, crew in
      unsafe scale.apply(
        blocks, images: shape[0], size: size, activation, into: addresses.output(), on: crew
      ) { unsafe addresses.input($0) }
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// PRelu of float32 over blocks of channels with one slope for each channel, input 1, which is in blocks too.
struct BlockedPRelu: Operator {
  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.float, try inputs.shape(0))]
  }

  var reusableInput: Int? { 0 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let size = BlockLayout().extents(shape).elementCount
    return { addresses, crew in
      unsafe BlockedScale.bend(
        addresses.input(0), planes: shape[0] * shape[1], size: size, by: addresses.input(1),
        blocks: shape[1], into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}
