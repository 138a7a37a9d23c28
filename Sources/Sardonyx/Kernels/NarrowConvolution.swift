import CKernels

/// The weights and bias of a convolution, or of a transposed one phase by phase, that makes few channels
/// in each group: its lanes are places of a plane.
///
/// Over blocks of channels a convolution to one channel computes a whole vector of them. 32 channels at
/// 256×256 to 3 with 7×7 taps took 15.9 ms so (Zen 5, AVX-512, one thread).
struct NarrowFilter: Sendable {
  /// The most channels that a group makes.
  ///
  /// 32 channels at 128×128 to 8 with 3×3 taps take 0.35 ms so and 0.75 over blocks of 16 channels; to 6
  /// they take 0.5 and 0.8 over blocks of 8, to 8 as long (Zen 5, one thread).
  static func mostOutputs(_ layout: BlockLayout) -> Int {
    min(Int(NARROW_OUTPUTS), layout.lanes * 3 / 4)
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
  /// Whether ``NarrowConvolution`` is the way: few outputs in each group, not one for each input, and
  /// places enough to fill vectors. Of groups at 14×14, blocks of what goes together are as fast.
  ///
  /// Few planes to half a block or more are not: 3 at 224×224 to 8 at half of that take 117 µs so, and 59 to go
  /// from planes into blocks; over blocks a network that begins with it takes 0.85 ms instead of 0.97 (AVX-512).
  /// - Parameter readsPlanes: whether the input is in planes that the kernels over blocks read, too.
  func isNarrow(_ layout: BlockLayout, readsPlanes: Bool) -> Bool {
    (1...2).contains(input.count) && strides.allSatisfy { $0 <= 4 }
      && !(readsPlanes && 2 * outputChannels >= layout.lanes)
      && !(isDepthwise && outputChannels == inputChannels)
      && outputChannels <= groups * NarrowFilter.mostOutputs(layout)
      && (output.contains(0) || output.elementCount >= (groups == 1 ? 32 : 256))
  }
}

/// A convolution to few channels in each group, or a transposed one, prepared for one shape.
///
/// It goes through the image in strips of rows, and of columns where a row is long. A strip's input is
/// brought into planes with borders of zeros, where each tap of each channel is the same row of numbers
/// at another place.
struct NarrowConvolution: Sendable {
  /// The layouts of the input and of the output; nil for planes.
  struct Layouts: Sendable {
    var input: BlockLayout?
    var output: BlockLayout?
  }

  /// One axis of a phase: output i reads inputs i·step - pad + tap·gap, and is number first + i·stride of all.
  fileprivate struct Axis {
    let count: Int
    let first: Int
    let pad: Int
    let taps: Int
    let gap: Int
    let step: Int

    /// How far a tap's inputs lie from the border's first number, in steps and the rest.
    func place(_ tap: Int, behind border: Int) -> (step: Int, rest: Int) {
      let place = border - pad + tap * gap
      return (place / step, place % step)
    }

    /// Steps that its taps reach beyond the outputs' own.
    func reach(behind border: Int) -> Int { place(taps - 1, behind: border).step }
  }

  /// A phase along both axes, and where in a strip the terms of a group begin.
  private struct Phase: Sendable {
    let rows: Axis
    let columns: Axis
    let weights: [Float]
    var places: [Int32] = []
  }

  private let filter: NarrowFilter
  private let layouts: Layouts
  private let batch: Int
  private let input: (rows: Int, columns: Int)
  private let output: (rows: Int, columns: Int)
  /// Those whose outputs lie in the same rows, together.
  private let phases: [[Phase]]
  /// Distances of neighbouring outputs of a phase, and of their inputs.
  private let strides: (rows: Int, columns: Int)
  private let steps: (rows: Int, columns: Int)
  /// Zeros before the input.
  private let border: (rows: Int, columns: Int)
  /// Groups that are computed together: such as make whole blocks.
  private let partGroups: Int
  /// Outputs of a phase in a strip, and what it needs of the input beyond as many steps.
  private let strip: (rows: Int, columns: Int)
  private let reach: (rows: Int, columns: Int)

  /// - Parameter shape: that of a convolution in one or two axes.
  init(_ shape: ConvolutionShape, _ filter: NarrowFilter, _ layouts: Layouts) {
    let (output, pads) = (shape.output.asPlane, shape.padsBegin.asPlane(filler: 0))
    let (gaps, steps) = (shape.dilations.asPlane, shape.strides.asPlane)
    let kernel = filter.phases[0].kernel
    let phase = Phase(
      rows: Axis(
        count: output.rows, first: 0, pad: pads.rows, taps: kernel.rows, gap: gaps.rows,
        step: steps.rows),
      columns: Axis(
        count: output.columns, first: 0, pad: pads.columns, taps: kernel.columns,
        gap: gaps.columns, step: steps.columns),
      weights: filter.phases[0].weights)
    self.init(
      filter, layouts, batch: shape.batch, input: shape.input.asPlane, output: output,
      strides: (1, 1), steps: steps, [phase])
  }

  /// - Parameter extents: those of a transposed convolution, whose axes are those of the one it transposes.
  init(transposing extents: ConvolutionExtents, _ filter: NarrowFilter, _ layouts: Layouts) {
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
      filter, layouts, batch: extents.batch, input: (row.output, column.output),
      output: (row.input, column.input), strides: (row.stride, column.stride), steps: (1, 1),
      phases)
  }

  private init(
    _ filter: NarrowFilter, _ layouts: Layouts, batch: Int, input: (rows: Int, columns: Int),
    output: (rows: Int, columns: Int), strides: (rows: Int, columns: Int),
    steps: (rows: Int, columns: Int), _ phases: [Phase]
  ) {
    self.filter = filter
    self.layouts = layouts
    self.batch = batch
    self.input = input
    self.output = output
    self.strides = strides
    self.steps = steps
    let phases = phases.filter { $0.rows.count > 0 && $0.columns.count > 0 }
    let border = (
      rows: phases.map(\.rows.pad).reduce(0, max),
      columns: phases.map(\.columns.pad).reduce(0, max)
    )
    self.border = border
    partGroups = filter.groupsTogether(layouts)
    reach = (
      phases.map { $0.rows.reach(behind: border.rows) }.reduce(0, max),
      phases.map { $0.columns.reach(behind: border.columns) }.reduce(0, max)
    )
    let counts = (
      rows: phases.map(\.rows.count).reduce(0, max),
      columns: phases.map(\.columns.count).reduce(0, max)
    )
    strip = Self.strip(
      of: counts, reach: reach, parts: batch * filter.groups / partGroups,
      most: Caches.level2 / 2 / MemoryLayout<Float>.stride
        / (partGroups * filter.inputChannels * steps.rows * steps.columns))
    let width = strip.columns + reach.columns
    let plane = (strip.rows + reach.rows) * width
    let placed = phases.map { phase in
      var phase = phase
      for channel in 0..<filter.inputChannels {
        for u in 0..<phase.rows.taps {
          let row = phase.rows.place(u, behind: border.rows)
          for v in 0..<phase.columns.taps {
            let column = phase.columns.place(v, behind: border.columns)
            let index = (channel * steps.rows + row.rest) * steps.columns + column.rest
            phase.places.append(Int32(index * plane + row.step * width + column.step))
          }
        }
      }
      return phase
    }
    self.phases = Dictionary(grouping: placed, by: \.rows.first)
      .sorted { $0.key < $1.key }.map { $0.value.sorted { $0.columns.first < $1.columns.first } }
  }

  /// - Parameter most: numbers of a channel that the second-level cache has room for.
  private static func strip(
    of counts: (rows: Int, columns: Int), reach: (rows: Int, columns: Int), parts: Int, most: Int
  ) -> (rows: Int, columns: Int) {
    // Enough strips for some threads, but none too short for whole tiles.
    let (threads, tile) = (4, 128)
    func share(_ count: Int) -> Int { (count * parts + threads - 1) / threads }
    if counts.rows == 1 {
      let fitting = most / (1 + reach.rows) - reach.columns
      return (1, min(counts.columns, max(min(share(counts.columns), fitting), tile)))
    }
    let columns = min(counts.columns, max(most / (2 + reach.rows) - reach.columns, tile))
    let fitting = most / (columns + reach.columns) - reach.rows
    return (
      min(counts.rows, max(2, min(max(share(counts.rows), tile / columns), fitting))), columns
    )
  }

  /// Numbers of a row of a strip, of those with the same rest by the steps, and of a channel.
  private var width: Int { strip.columns + reach.columns }
  private var planeSize: Int { (strip.rows + reach.rows) * width }
  private var channelSize: Int { steps.rows * steps.columns * planeSize }
  /// Channels that are read and made together.
  private var partInputs: Int { partGroups * filter.inputChannels }
  private var partOutputs: Int { partGroups * filter.outputChannels }

  func run(
    _ x: UnsafePointer<Float>, _ activation: Activation, into y: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    let rows = phases.joined().map(\.rows.count).reduce(0, max)
    let columns = phases.joined().map(\.columns.count).reduce(0, max)
    guard batch > 0, rows > 0 else { return }
    let parts = filter.groups / partGroups
    let strips = (
      rows: (rows + strip.rows - 1) / strip.rows,
      columns: (columns + strip.columns - 1) / strip.columns
    )
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.perform(batch * parts * strips.rows * strips.columns) { chunk in
      let (rest, column) = chunk.quotientAndRemainder(dividingBy: strips.columns)
      let (index, row) = rest.quotientAndRemainder(dividingBy: strips.rows)
      let part = Part(
        image: index / parts, group: index % parts * partGroups, row: row * strip.rows,
        column: column * strip.columns)
      unsafe run(x, part, activation, into: y, crew)
    }
  }

  /// Some groups of a strip of an image, which begins with an output of each phase.
  private struct Part {
    let image: Int
    let group: Int
    let row: Int
    let column: Int
  }

  private func run(
    _ x: UnsafePointer<Float>, _ part: Part, _ activation: Activation,
    into y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    // Whole vectors are read and written beyond the last number.
    let slack = 2 * BlockLayout(for: crew.instructions).lanes
    let room = partInputs * channelSize + slack
    let step = strip.rows * width + slack
    let columnPhases = phases.map(\.count).reduce(0, max)
    unsafe crew.scratch.withFloats(room + columnPhases * partOutputs * step) { source in
      let mode = kernels_flush_denormals()
      defer { kernels_restore_denormals(mode) }
      unsafe fill(source, part, from: x, crew.instructions)
      let sums = unsafe Sums(start: source + room, step: step, phaseStep: partOutputs * step)
      for together in phases {
        unsafe finish(together, of: source, part, activation, sums, into: y, crew.instructions)
      }
    }
  }

  /// What has been summed for a strip: a row of numbers for each phase and output channel.
  @unsafe private struct Sums {
    let start: UnsafeMutablePointer<Float>
    let step: Int
    let phaseStep: Int
  }

  /// Brings the rows of the input that a strip sees into planes with borders.
  private func fill(
    _ target: UnsafeMutablePointer<Float>, _ part: Part, from x: UnsafePointer<Float>,
    _ instructions: InstructionSet
  ) {
    let lanes = layouts.input?.lanes ?? 1
    let channels = layouts.input.map { $0.blocks(filter.groups * filter.inputChannels) * lanes }
    let image = part.image * (channels ?? filter.groups * filter.inputChannels)
    let firstChannel = image + part.group * filter.inputChannels
    let source = unsafe x + firstChannel * input.rows * input.columns
    let firstColumn = part.column * steps.columns - border.columns
    for row in 0..<(strip.rows + reach.rows) * steps.rows {
      let place = part.row * steps.rows - border.rows + row
      for rest in 0..<steps.columns {
        let plane = row % steps.rows * steps.columns + rest
        let start = unsafe target + plane * planeSize + row / steps.rows * width
        // The first column beyond the border, and how many there are.
        let before = max(0, -firstColumn - rest)
        let begin = min(width, (before + steps.columns - 1) / steps.columns)
        let column = firstColumn + begin * steps.columns + rest
        let left = max(0, (input.columns - column + steps.columns - 1) / steps.columns)
        let count = (0..<input.rows).contains(place) ? min(width - begin, left) : 0
        for channel in 0..<partInputs {
          let line = unsafe start + channel * channelSize
          unsafe line.update(repeating: 0, count: count > 0 ? begin : width)
          if count > 0 {
            unsafe (line + begin + count).update(repeating: 0, count: width - begin - count)
          }
        }
        guard count > 0 else { continue }
        for channel in stride(from: 0, to: partInputs, by: lanes) {
          let from =
            unsafe source + channel * input.rows * input.columns
            + (place * input.columns + column) * lanes
          let to = unsafe start + channel * channelSize + begin
          if lanes == 1 {
            for index in 0..<count { unsafe to[index] = unsafe from[index * steps.columns] }
          } else {
            unsafe instructions.kernels.transpose_4_bytes(
              count, min(lanes, partInputs - channel), from, lanes * steps.columns, to, channelSize)
          }
        }
      }
    }
  }

  /// Computes a strip of the phases of the same rows, and writes it.
  private func finish(
    _ together: [Phase], of source: UnsafePointer<Float>, _ part: Part, _ activation: Activation,
    _ sums: Sums, into y: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    let rows = min(strip.rows, together[0].rows.count - part.row)
    guard rows > 0 else { return }
    let counts = together.map { max(0, min(strip.columns, $0.columns.count - part.column)) }
    for (index, phase) in together.enumerated() where counts[index] > 0 {
      let columns = (rows - 1) * width + counts[index]
      let result = unsafe sums.start + index * sums.phaseStep
      for group in 0..<partGroups {
        unsafe sum(
          phase, part.group + group, columns,
          source + group * filter.inputChannels * channelSize,
          into: result + group * filter.outputChannels * sums.step, sums.step, instructions)
      }
      for output in 0..<partOutputs {
        unsafe activation.apply(columns, at: result + output * sums.step, with: instructions)
      }
    }
    let channels = filter.groups * filter.outputChannels
    let firstChannel = part.group * filter.outputChannels
    let size = output.rows * output.columns
    for row in 0..<rows {
      let place =
        (together[0].rows.first + (part.row + row) * strides.rows) * output.columns
        + part.column * strides.columns
      let line = unsafe sums.start + row * width
      if let layout = layouts.output {
        let image = unsafe y + part.image * layout.blocks(channels) * layout.lanes * size
        for channel in stride(from: 0, to: partOutputs, by: layout.lanes) {
          unsafe instructions.kernels.transpose_4_bytes(
            min(layout.lanes, partOutputs - channel), counts[0], line + channel * sums.step,
            sums.step, image + (firstChannel + channel) * size + place * layout.lanes, layout.lanes)
        }
      } else {
        let image = unsafe y + (part.image * channels + firstChannel) * size
        for channel in 0..<partOutputs {
          unsafe weave(
            together, counts, line + channel * sums.step, sums.phaseStep,
            into: image + channel * size + place, instructions)
        }
      }
    }
  }

  private func sum(
    _ phase: Phase, _ group: Int, _ columns: Int, _ source: UnsafePointer<Float>,
    into result: UnsafeMutablePointer<Float>, _ step: Int, _ instructions: InstructionSet
  ) {
    let (depth, outputs) = (phase.places.count, filter.outputChannels)
    unsafe phase.places.withUnsafeBufferPointer { places in
      unsafe phase.weights.withUnsafeBufferPointer { weights in
        unsafe filter.biases.withUnsafeBufferPointer { biases in
          var sums = unsafe NarrowSums(
            outputs: outputs, columns: columns, depth: depth,
            weights: weights.baseAddress! + group * depth * outputs, x: source,
            places: places.baseAddress!, bias: biases.baseAddress! + group * outputs, y: result,
            y_step: step)
          unsafe instructions.kernels.sum_narrow(&sums)
        }
      }
    }
  }

  /// Puts together a row of outputs in a plane.
  private func weave(
    _ phases: [Phase], _ counts: [Int], _ sums: UnsafePointer<Float>, _ phaseStep: Int,
    into y: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    if strides.columns == 1 {
      return unsafe y.update(from: sums, count: counts[0])
    }
    var done = 0
    if strides.columns == 2, phases.count == 2 {
      done = min(counts[0], counts[1])
      unsafe instructions.kernels.weave(done, sums, sums + phaseStep, y)
    }
    for (index, phase) in phases.enumerated() {
      for column in stride(from: done, to: counts[index], by: 1) {
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
      count: phase.count, first: phase.firstOutput, pad: phase.padBefore, taps: taps, gap: 1,
      step: 1)
  }
}

extension NarrowFilter {
  /// As many groups as see and make whole blocks together, or else all.
  fileprivate func groupsTogether(_ layouts: NarrowConvolution.Layouts) -> Int {
    (1..<groups).first { count in
      groups % count == 0
        && (layouts.input.map { count * inputChannels % $0.lanes == 0 } ?? true)
        && (layouts.output.map { count * outputChannels % $0.lanes == 0 } ?? true)
    } ?? groups
  }
}
