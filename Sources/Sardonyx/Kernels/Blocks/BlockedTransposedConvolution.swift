import CKernels

/// The weights [C, M / groups, taps] of a transposed convolution for blocks of channels, with steps and
/// without gaps or more step than kernel.
///
/// An output row sees every `stride`-th row of the kernel alone, and those of its neighbours see
/// others: each such phase is a convolution with a kernel of its own, turned around, whose outputs lie
/// `stride` apart.
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
    let (inputs, outputs) = (inputChannels / groups, outputChannels / groups)
    var phases: [Phase] = []
    for row in 0..<strides.rows {
      for column in 0..<strides.columns {
        let taps = (
          rows: (kernel.rows - row + strides.rows - 1) / strides.rows,
          columns: (kernel.columns - column + strides.columns - 1) / strides.columns
        )
        var turned: [Float] = []
        turned.reserveCapacity(inputs * outputChannels * taps.rows * taps.columns)
        for m in 0..<outputChannels {
          let (group, m) = m.quotientAndRemainder(dividingBy: outputs)
          for c in group * inputs..<(group + 1) * inputs {
            let plane = unsafe weights + (c * outputs + m) * kernel.rows * kernel.columns
            for u in (0..<taps.rows).reversed() {
              for v in (0..<taps.columns).reversed() {
                let place =
                  (row + u * strides.rows) * kernel.columns + column + v * strides.columns
                turned.append(unsafe plane[place])
              }
            }
          }
        }
        let shape = ConvolutionShape(
          batch: 0, groups: groups, inputChannels: inputChannels, outputChannels: outputChannels,
          input: [0, 0], kernel: [taps.rows, taps.columns], strides: [1, 1], dilations: [1, 1],
          padsBegin: [0, 0], padsEnd: [0, 0])
        phases.append(
          Phase(
            place: (row, column), kernel: taps,
            filter: unsafe BlockedFilter(turned, bias: bias, shape, .product)))
      }
    }
    self.phases = phases
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

/// One axis of a phase: output q·stride + place − pad is Σ over j of input q − j under tap
/// place + j·stride.
private struct PhaseAxis {
  let count: Int
  let firstOutput: Int
  let padBefore: Int
  let padAfter: Int

  init(_ axis: WindowAxis, place: Int, taps: Int) {
    let shift = axis.padBefore - place
    let first = shift > 0 ? (shift + axis.stride - 1) / axis.stride : -(-shift / axis.stride)
    firstOutput = first * axis.stride - shift
    count =
      firstOutput < axis.input ? (axis.input - 1 - firstOutput) / axis.stride + 1 : 0
    padBefore = taps - 1 - first
    padAfter = count - 1 + taps - axis.output - padBefore
  }
}
