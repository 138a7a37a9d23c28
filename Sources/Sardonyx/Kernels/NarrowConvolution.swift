import CKernels

/// The weights and bias of a convolution, or of a transposed one phase by phase, that makes few channels
/// in each group: its lanes are places of a plane.
///
/// Over blocks of channels a convolution to one channel computes a whole vector of them. 32 channels at
/// 256×256 to 3 with 7×7 taps took 15.9 ms so (Zen 5, AVX-512, one thread).
struct NarrowFilter: Sendable {
  /// The most channels that a group makes: a quarter of a vector's, from where on blocks are as fast.
  static func mostOutputs(_ layout: BlockLayout) -> Int {
    min(Int(NARROW_OUTPUTS), layout.lanes / 4)
  }

  /// What one phase of a transposed convolution, or the whole of a convolution, multiplies with.
  struct Phase: Sendable {
    /// Where in the kernel its taps begin.
    let place: (row: Int, column: Int)
    let kernel: (rows: Int, columns: Int)
    /// [group][input channel][tap][output channel].
    fileprivate let weights: [Float]
  }

  let groups: Int
  /// Channels that a group sees, and makes.
  let inputChannels: Int
  let outputChannels: Int
  fileprivate private(set) var phases: [Phase] = []
  fileprivate let biases: [Float]

  /// - Parameter weights: [M, C / groups, taps].
  init(
    _ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, groups: Int, inputChannels: Int,
    outputChannels: Int, kernel: (rows: Int, columns: Int)
  ) {
    unsafe self.init(bias, groups, inputChannels, outputChannels)
    phases = [unsafe phase(weights, place: (0, 0), kernel)]
  }

  /// - Parameter weights: [C, M / groups, taps].
  init(
    transposing weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, groups: Int,
    inputChannels: Int, outputChannels: Int, kernel: (rows: Int, columns: Int),
    strides: (rows: Int, columns: Int)
  ) {
    unsafe self.init(bias, groups, inputChannels, outputChannels)
    phases = unsafe TransposedPhase.all(
      weights, groups: groups, inputChannels: inputChannels, outputChannels: outputChannels,
      kernel: kernel, strides: strides
    ).map { unsafe phase($0.weights, place: $0.place, $0.kernel) }
  }

  private init(
    _ bias: UnsafePointer<Float>?, _ groups: Int, _ inputChannels: Int, _ outputChannels: Int
  ) {
    precondition(outputChannels <= groups * Int(NARROW_OUTPUTS))
    self.groups = groups
    self.inputChannels = inputChannels / groups
    self.outputChannels = outputChannels / groups
    biases = (0..<outputChannels).map { unsafe bias?[$0] ?? 0 }

  }

  private func phase(
    _ weights: UnsafePointer<Float>, place: (row: Int, column: Int),
    _ kernel: (rows: Int, columns: Int)
  ) -> Phase {
    let depth = inputChannels * kernel.rows * kernel.columns
    let packed = (0..<groups * depth * outputChannels).map { index in
      let (group, rest) = index.quotientAndRemainder(dividingBy: depth * outputChannels)
      let (k, m) = rest.quotientAndRemainder(dividingBy: outputChannels)
      return unsafe weights[(group * outputChannels + m) * depth + k]
    }
    return Phase(place: place, kernel: kernel, weights: packed)
  }
}

extension ConvolutionShape {
  /// Whether ``NarrowConvolution`` is the way: few outputs, places enough to fill vectors, and more than
  /// one tap to pay for bringing the input into planes.
  func isNarrow(_ layout: BlockLayout) -> Bool {
    groups == 1 && (1...2).contains(input.count) && strides.allSatisfy { $0 == 1 } && taps > 1
      && outputChannels <= NarrowFilter.mostOutputs(layout)
      && (output.contains(0) || output.elementCount >= 64)
  }
}

/// A convolution to few channels, or a transposed one, prepared for one shape: it reads blocks of
/// channels or planes, and writes planes.
///
/// It goes through the image in strips of rows. A strip's input is brought into planes with borders of
/// zeros, where each tap of each channel is the same row of numbers at another place.
struct NarrowConvolution: Sendable {
  /// One axis of a phase: output i reads inputs i - pad + tap·gap, and is number first + i·stride of all.
  fileprivate struct Axis {
    let count: Int
    let first: Int
    let pad: Int
    let taps: Int
    let gap: Int
  }

  /// A phase along both axes, and where in a strip its terms begin.
  private struct Phase: Sendable {
    let rows: Axis
    let columns: Axis
    let weights: [Float]
    var places: [Int32] = []
  }

  private let filter: NarrowFilter
  /// The layout of the input; nil for planes.
  private let layout: BlockLayout?
  private let batch: Int
  private let input: (rows: Int, columns: Int)
  private let output: (rows: Int, columns: Int)
  private let strides: (rows: Int, columns: Int)
  /// Those whose outputs lie in the same rows, together.
  private var phases: [[Phase]]
  /// Zeros before the input, and the rows that a strip needs beyond its own.
  private let border: (rows: Int, columns: Int)
  private let moreRows: Int
  /// Numbers of a row of a strip.
  private let width: Int
  /// Rows of a strip: such as stay in the second-level cache, and no more than leave strips for some threads.
  private let stripRows: Int

  /// - Parameter shape: that of a convolution with steps of 1, in one or two axes.
  init(_ shape: ConvolutionShape, _ filter: NarrowFilter, layout: BlockLayout?) {
    let (output, pads) = (shape.output.asPlane, shape.padsBegin.asPlane(filler: 0))
    let gaps = shape.dilations.asPlane
    let kernel = filter.phases[0].kernel
    let phase = Phase(
      rows: Axis(count: output.rows, first: 0, pad: pads.rows, taps: kernel.rows, gap: gaps.rows),
      columns: Axis(
        count: output.columns, first: 0, pad: pads.columns, taps: kernel.columns, gap: gaps.columns),
      weights: filter.phases[0].weights)
    self.init(
      filter, layout, batch: shape.batch, input: shape.input.asPlane, output: output,
      strides: (1, 1), [phase])
  }

  /// - Parameter extents: those of a transposed convolution, whose axes are those of the one it transposes.
  init(
    transposing extents: ConvolutionExtents, _ filter: NarrowFilter, layout: BlockLayout?
  ) {
    let column = extents.axes[extents.axes.count - 1]
    let row =
      extents.axes.dropLast().last
      ?? WindowAxis(input: 1, output: 1, kernel: 1, stride: 1, dilation: 1)
    let phases = filter.phases.map { phase in
      Phase(
        rows: Axis(row, place: phase.place.row, taps: phase.kernel.rows),
        columns: Axis(column, place: phase.place.column, taps: phase.kernel.columns),
        weights: phase.weights)
    }
    self.init(
      filter, layout, batch: extents.batch, input: (row.output, column.output),
      output: (row.input, column.input), strides: (row.stride, column.stride), phases)
  }

  private init(
    _ filter: NarrowFilter, _ layout: BlockLayout?, batch: Int, input: (rows: Int, columns: Int),
    output: (rows: Int, columns: Int), strides: (rows: Int, columns: Int), _ phases: [Phase]
  ) {
    self.filter = filter
    self.layout = layout
    self.batch = batch
    self.input = input
    self.output = output
    self.strides = strides
    let phases = phases.filter { $0.rows.count > 0 && $0.columns.count > 0 }
    let border = (
      rows: phases.map(\.rows.pad).reduce(0, max), columns: phases.map(\.columns.pad).reduce(0, max)
    )
    self.border = border
    let channels = filter.groups * filter.inputChannels
    let moreRows = phases.map { border.rows + $0.rows.reach }.reduce(0, max)
    let width = phases.map { border.columns + $0.columns.count + $0.columns.reach }.reduce(0, max)
    let rows = phases.map(\.rows.count).reduce(0, max)
    let fitting = Caches.level2 / 2 / MemoryLayout<Float>.stride / max(1, channels * width)
    let stripRows = max(2, min((rows + 3) / 4, fitting - moreRows))
    (self.moreRows, self.width, self.stripRows) = (moreRows, width, stripRows)
    let plane = (stripRows + moreRows) * width
    let placed = phases.map { phase in
      var phase = phase
      for channel in 0..<filter.inputChannels {
        for u in 0..<phase.rows.taps {
          for v in 0..<phase.columns.taps {
            let row = border.rows - phase.rows.pad + u * phase.rows.gap
            let column = border.columns - phase.columns.pad + v * phase.columns.gap
            phase.places.append(Int32(channel * plane + row * width + column))
          }
        }
      }
      return phase
    }
    self.phases = Dictionary(grouping: placed, by: \.rows.first)
      .sorted { $0.key < $1.key }.map { $0.value.sorted { $0.columns.first < $1.columns.first } }
  }

  private var planeSize: Int { (stripRows + moreRows) * width }
  private var channels: Int { filter.groups * filter.inputChannels }

  func run(
    _ x: UnsafePointer<Float>, _ activation: Activation, into y: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    let rows = phases.joined().map(\.rows.count).reduce(0, max)
    guard batch > 0, rows > 0 else { return }
    let strips = (rows + stripRows - 1) / stripRows
    // Whole vectors are read and written beyond the last number.
    let slack = 2 * BlockLayout(for: crew.instructions).lanes
    let step = stripRows * width + slack
    let columnPhases = phases.map(\.count).reduce(0, max)
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.perform(batch * strips) { chunk in
      let (image, strip) = chunk.quotientAndRemainder(dividingBy: strips)
      let first = strip * stripRows
      let room = channels * planeSize + slack
      unsafe crew.scratch.withFloats(room + columnPhases * filter.outputChannels * step) { source in
        let sums = unsafe source + room
        let mode = kernels_flush_denormals()
        defer { kernels_restore_denormals(mode) }
        let inputBlocks = layout.map { $0.blocks(channels) * $0.lanes } ?? channels
        unsafe fill(
          source, rows: first - border.rows,
          from: x + image * inputBlocks * input.rows * input.columns,
          crew.instructions)
        for group in 0..<filter.groups {
          let planes =
            unsafe y + (image * filter.groups + group) * filter.outputChannels * output.rows
            * output.columns
          for together in phases {
            unsafe multiply(
              source, group, together, first, activation, sums, step, into: planes,
              crew.instructions)
          }
        }
      }
    }
  }

  /// Brings rows of the input from `first` on into planes with borders.
  private func fill(
    _ target: UnsafeMutablePointer<Float>, rows first: Int, from x: UnsafePointer<Float>,
    _ instructions: InstructionSet
  ) {
    let columns = min(input.columns, width - border.columns)
    let lanes = layout?.lanes ?? 1
    for row in 0..<stripRows + moreRows {
      let source = first + row
      let isInside = (0..<input.rows).contains(source)
      for channel in stride(from: 0, to: channels, by: lanes) {
        let count = min(lanes, channels - channel)
        let start = unsafe target + channel * planeSize + row * width
        for lane in 0..<count {
          let line = unsafe start + lane * planeSize
          unsafe line.update(repeating: 0, count: isInside ? border.columns : width)
          guard isInside else { continue }
          unsafe (line + border.columns + columns).update(
            repeating: 0, count: width - border.columns - columns)
        }
        guard isInside, columns > 0 else { continue }
        let from = unsafe x + (channel * input.rows + source * lanes) * input.columns
        let to = unsafe start + border.columns
        if lanes == 1 {
          unsafe to.update(from: from, count: columns)
        } else {
          unsafe instructions.kernels.transpose_4_bytes(
            columns, count, from, lanes, to, planeSize)
        }
      }
    }
  }

  /// Computes what a group makes of a strip in the phases of the same rows.
  private func multiply(
    _ source: UnsafePointer<Float>, _ group: Int, _ together: [Phase], _ first: Int,
    _ activation: Activation, _ sums: UnsafeMutablePointer<Float>, _ step: Int,
    into planes: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    let rows = min(stripRows, together[0].rows.count - first)
    guard rows > 0 else { return }
    let outputs = filter.outputChannels
    for (index, phase) in together.enumerated() {
      let depth = phase.places.count
      let columns = (rows - 1) * width + phase.columns.count
      let result = unsafe sums + index * outputs * step
      unsafe phase.places.withUnsafeBufferPointer { places in
        unsafe phase.weights.withUnsafeBufferPointer { weights in
          unsafe filter.biases.withUnsafeBufferPointer { biases in
            var sum = unsafe NarrowSums(
              outputs: outputs, columns: columns, depth: depth,
              weights: weights.baseAddress! + group * depth * outputs,
              x: source + group * filter.inputChannels * planeSize, places: places.baseAddress!,
              bias: biases.baseAddress! + group * outputs, y: result, y_step: step)
            unsafe instructions.kernels.sum_narrow(&sum)
          }
        }
      }
      for output in 0..<outputs {
        unsafe activation.apply(columns, at: result + output * step, with: instructions)
      }
    }
    for output in 0..<outputs {
      for row in 0..<rows {
        let place =
          (output * self.output.rows + together[0].rows.first + (first + row) * strides.rows)
        unsafe store(
          sums + output * step + row * width, from: together, phaseStep: outputs * step,
          into: planes + place * self.output.columns, instructions)
      }
    }
  }

  /// Puts together a row of outputs.
  private func store(
    _ sums: UnsafePointer<Float>, from phases: [Phase], phaseStep: Int,
    into y: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    if strides.columns == 1 {
      return unsafe y.update(from: sums, count: phases[0].columns.count)
    }
    var done = 0
    if strides.columns == 2, phases.count == 2 {
      done = min(phases[0].columns.count, phases[1].columns.count)
      unsafe instructions.kernels.weave(done, sums, sums + phaseStep, y)
    }
    for (index, phase) in phases.enumerated() {
      for column in stride(from: done, to: phase.columns.count, by: 1) {
        unsafe y[phase.columns.first + column * strides.columns] =
          unsafe sums[index * phaseStep + column]
      }
    }
  }
}

extension NarrowConvolution.Axis {
  fileprivate init(_ axis: WindowAxis, place: Int, taps: Int) {
    let phase = PhaseAxis(axis, place: place, taps: taps)
    self.init(
      count: phase.count, first: phase.firstOutput, pad: phase.padBefore, taps: taps, gap: 1)
  }

  /// Inputs that the last tap sees beyond the first one's, from where the input begins for output 0.
  fileprivate var reach: Int { (taps - 1) * gap - pad }
}
