/// A part of a transposed convolution with steps, without gaps or more step than kernel, that is a
/// convolution.
///
/// An output row sees every `stride`-th row of the kernel alone, and those of its neighbours see
/// others: each such phase is a convolution with a kernel of its own, turned around, whose outputs lie
/// `stride` apart.
struct TransposedPhase {
  /// Where in the kernel its taps begin.
  let place: (row: Int, column: Int)
  let kernel: (rows: Int, columns: Int)
  /// [M, C / groups, taps].
  let weights: [Float]

  /// The phases of weights [C, M / groups, taps], row by row.
  static func all(
    _ weights: UnsafePointer<Float>, groups: Int, inputChannels: Int, outputChannels: Int,
    kernel: (rows: Int, columns: Int), strides: (rows: Int, columns: Int)
  ) -> [TransposedPhase] {
    let (inputs, outputs) = (inputChannels / groups, outputChannels / groups)
    var phases: [TransposedPhase] = []
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
        phases.append(TransposedPhase(place: (row, column), kernel: taps, weights: turned))
      }
    }
    return phases
  }
}

/// One axis of a phase: output q·stride + place − pad is Σ over j of input q − j under tap
/// place + j·stride.
struct PhaseAxis {
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
