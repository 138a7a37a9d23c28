import CKernels

/// The weights [C, M / groups, taps] of a transposed convolution for blocks of channels, phase by phase.
struct BlockedTransposedFilter: Sendable {
  /// A phase's place along each axis, its kernel and its weights.
  struct Phase: Sendable {
    let place: (row: Int, column: Int)
    let kernel: (rows: Int, columns: Int)
    let filter: BlockedFilter
  }

  let phases: [Phase]

  init(
    _ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, groups: Int, inputChannels: Int,
    outputChannels: Int, kernel: (rows: Int, columns: Int), strides: (rows: Int, columns: Int)
  ) {
    phases = unsafe TransposedPhase.all(
      weights, groups: groups, inputChannels: inputChannels, outputChannels: outputChannels,
      kernel: kernel, strides: strides
    ).map { phase in
      let shape = ConvolutionShape(
        batch: 0, groups: groups, inputChannels: inputChannels, outputChannels: outputChannels,
        input: [0, 0], kernel: [phase.kernel.rows, phase.kernel.columns], strides: [1, 1],
        dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0])
      return Phase(
        place: phase.place, kernel: phase.kernel,
        filter: unsafe BlockedFilter(phase.weights, bias: bias, shape, .product))
    }
  }
}

/// A transposed convolution over blocks of channels prepared for one shape.
struct BlockedTransposedConvolution: Sendable {
  private let phases: [BlockedConvolution]

  /// - Parameter axes: those of the convolution it transposes.
  init(_ extents: ConvolutionExtents, _ filter: BlockedTransposedFilter) {
    let axes = (extents.axes.dropLast().last, extents.axes[extents.axes.count - 1])
    let row = axes.0 ?? WindowAxis(input: 1, output: 1, kernel: 1, stride: 1, dilation: 1)
    phases = filter.phases.compactMap { phase in
      let rows = PhaseAxis(row, place: phase.place.row, taps: phase.kernel.rows)
      let columns = PhaseAxis(axes.1, place: phase.place.column, taps: phase.kernel.columns)
      guard rows.count > 0, columns.count > 0 else { return nil }
      let shape = ConvolutionShape(
        batch: extents.batch, groups: extents.group, inputChannels: extents.inputChannels,
        outputChannels: extents.outputChannels, input: [row.output, axes.1.output],
        kernel: [phase.kernel.rows, phase.kernel.columns], strides: [1, 1], dilations: [1, 1],
        padsBegin: [rows.padBefore, columns.padBefore], padsEnd: [rows.padAfter, columns.padAfter])
      return BlockedConvolution(
        shape, phase.filter,
        spread: .init(
          first: (rows.firstOutput, columns.firstOutput), strides: (row.stride, axes.1.stride),
          extents: (row.input, axes.1.input)))
    }
  }

  func run(
    _ x: UnsafePointer<Float>, _ activation: Activation, into y: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    let epilogue = unsafe BlockedConvolution.Epilogue(activation: activation)
    for phase in phases { unsafe phase.run(x, epilogue, into: y, on: crew) }
  }
}
