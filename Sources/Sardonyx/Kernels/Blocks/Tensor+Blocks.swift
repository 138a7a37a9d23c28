extension BlockedFilter {
  /// Packs single-precision weights and bias.
  init(
    _ weights: Tensor, bias: Tensor?, _ shape: ConvolutionShape, _ algorithm: BlockedAlgorithm
  ) {
    unsafe self.init(
      weights.pointer(as: Float.self), bias: bias.map { unsafe $0.pointer(as: Float.self) }, shape,
      algorithm)
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
