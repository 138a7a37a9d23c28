/// An operator that resizes axes by ``ResizeSampling``.
protocol AxisResizing: Operator {
  var sampling: ResizeSampling { get }

  /// The change of each axis of X, nil for one that stays as it is.
  func resizedAxes(_ inputs: Facts) throws(ModelError) -> [ResizedAxis?]
}

extension Resize: AxisResizing {}
extension Upsample: AxisResizing {}

/// Resize or Upsample of float32 along the spatial axes, over blocks of channels.
struct BlockedResize: Operator {
  let resize: any AxisResizing
  let channels: Int

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (shape, axes) = (try inputs.shape(0), try axes(inputs))
    return [Fact(.float, zip(shape, axes).map { $1?.output ?? $0 })]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (shape, axes) = (try inputs.shape(0), try axes(inputs))
    guard let kernel = try resize.sampling.kernel(shape, axes, picks: true) else {
      return nil
    }
    return { addresses, crew in
      unsafe kernel.run(addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    guard try !compute(inputs, outputs) else { return }
    try resize.sampling.resize(
      inputs[0], axes(inputs.facts), outputs[0], on: outputs.context.crew)
  }

  /// Those of the tensor in blocks.
  private func axes(_ inputs: Facts) throws(ModelError) -> [ResizedAxis?] {
    let plain = BlockLayout().plain(try inputs.shape(0), channels: channels)
    let axes = try resize.resizedAxes(
      inputs.replaced(by: [Fact(.float, plain)] + inputs.from(1)))
    guard axes[0] == nil, axes[1] == nil else {
      throw .unexpected(
        "what is resized", expected: "spatial axes, as the model's shapes tell",
        got: "the batch or the channels")
    }
    return axes + [nil]
  }
}
