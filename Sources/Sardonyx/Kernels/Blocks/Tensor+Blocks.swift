extension BlockedFilter {
  /// Packs single-precision weights and bias.
  init(
    _ weights: Tensor, bias: Tensor?, _ shape: ConvolutionShape, _ algorithm: BlockedAlgorithm,
    outputs: Int? = nil
  ) {
    self.init(
      PackingSource(weights), bias: bias.map { PackingSource($0) }, shape, algorithm,
      outputs: outputs)
  }
}

extension BlockedTransposedFilter {
  /// Packs single-precision weights [C, M / groups, spatial…] and bias.
  init(_ weights: Tensor, bias: Tensor?, groups: Int, strides: [Int]) {
    let kernel = Array(weights.shape.dropFirst(2))
    unsafe self.init(
      weights.pointer(as: Float.self), bias: bias.map { unsafe $0.pointer(as: Float.self) },
      groups: groups, inputChannels: weights.shape[0], outputChannels: weights.shape[1] * groups,
      kernel: kernel.asPlane, strides: strides.asPlane)
  }
}

extension NarrowFilter {
  /// Packs single-precision weights [M, C / groups, spatial…] and bias.
  init(_ weights: Tensor, bias: Tensor?, groups: Int) {
    unsafe self.init(
      weights.pointer(as: Float.self), bias: bias.map { unsafe $0.pointer(as: Float.self) },
      groups: groups, inputChannels: weights.shape[1] * groups, outputChannels: weights.shape[0],
      kernel: Array(weights.shape.dropFirst(2)).asPlane)
  }

  /// Packs those of a transposed convolution, [C, M / groups, spatial…].
  init(transposing weights: Tensor, bias: Tensor?, groups: Int, strides: [Int]) {
    unsafe self.init(
      transposing: weights.pointer(as: Float.self),
      bias: bias.map { unsafe $0.pointer(as: Float.self) }, groups: groups,
      inputChannels: weights.shape[0], outputChannels: weights.shape[1] * groups,
      kernel: Array(weights.shape.dropFirst(2)).asPlane, strides: strides.asPlane)
  }
}

extension BlockedConvolution {
  /// The same for tensors.
  func run(
    _ x: Tensor, residual: Tensor?, _ activation: Activation, into y: Destination, on crew: Crew
  ) {
    let epilogue = unsafe Epilogue(
      residual: residual.map { unsafe $0.pointer(as: Float.self) }, activation: activation)
    unsafe run(x.pointer(as: Float.self), epilogue, into: y.pointer(as: Float.self), on: crew)
  }
}

extension Activation {
  /// Applies it to single-precision numbers in place.
  func apply(to y: Destination, on crew: Crew) {
    guard self != .none else { return }
    nonisolated(unsafe) let start = unsafe y.pointer(as: Float.self)
    crew.performRanges(of: y.elementCount, by: 1 << 15) { range in
      unsafe apply(range.count, at: start + range.lowerBound, with: crew.instructions)
    }
  }
}
