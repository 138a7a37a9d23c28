/// MaxPool and AveragePool of float32 over blocks of channels, in one or two spatial axes.
struct BlockedPool: Operator {
  let window: Window
  let kind: Pooling.Kind

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axes = try window.axes(over: BlockLayout().extents(shape))
    return [Fact(.float, shape.prefix(2) + axes.outputExtents + [shape.last!])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axes = try window.axes(over: BlockLayout().extents(shape))
    BlockedPooling(kind, axes).run(
      inputs[0], planes: shape[0] * shape[1], into: outputs[0], on: outputs.context.crew)
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

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    kind.reduceColumns(
      inputs[0], outer: shape[0] * shape[1], columns: shape.last!, into: outputs[0],
      on: outputs.context.crew)
  }
}

/// BatchNormalization of float32 over blocks of channels with constant parameters, and the activation
/// behind it: y = activation((x − mean)·scale + shift).
struct BlockedNormalization: Operator {
  private let normalization: BlockedScale
  var activation = Activation.none

  init(_ normalization: ChannelNormalization) {
    self.normalization = BlockedScale(
      mean: normalization.mean, scale: normalization.scale, shift: normalization.shift)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.float, try inputs.shape(0))]
  }

  var reusableInput: Int? { 0 }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    normalization.apply(
      inputs[0], planes: shape[0] * shape[1], activation, into: outputs[0],
      on: outputs.context.crew)
  }
}
