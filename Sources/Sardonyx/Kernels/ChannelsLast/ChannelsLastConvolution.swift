import CKernels

/// The weights of a convolution of unsigned bytes whose channels come last.
struct ChannelsLastFilter: Sendable {
  fileprivate enum Form: Sendable {
    /// The right factor of products for each group.
    case factors([PackedBytes])
    /// As ``DepthwiseBytes`` has them, four vectors of channels at a time in the first so many.
    case words(AlignedMemory, wideChannels: Int)
  }

  fileprivate let form: Form
  /// Whether the taps of a row of the kernel, with all their channels, are one run.
  fileprivate let joinsTaps: Bool
  fileprivate let instructions: InstructionSet
  /// Of each output channel, Σ weights.
  private let sums: [Int32]

  /// - Parameter weights: int8, [M, C / groups, taps], of zero point 0.
  /// - Returns: nil for convolutions that the kernels do not do: three axes, sums that might leave 32
  ///   bits, groups of few channels that are not depthwise.
  init?(_ weights: Tensor, _ shape: ConvolutionShape, for instructions: InstructionSet = .current) {
    guard Self.takes(shape) else { return nil }
    let (m, taps) = (shape.outputChannels, shape.taps)
    let depth = shape.inputChannels / shape.groups
    self.instructions = instructions
    let numbers = unsafe weights.bytes.assumingMemoryBound(to: Int8.self)
    sums = (0..<m).map { channel in
      (0..<depth * taps).reduce(0) { sum, place in
        unsafe sum + Int32(numbers[channel * depth * taps + place])
      }
    }
    if shape.isByteDepthwise {
      joinsTaps = true
      form = unsafe Self.words(numbers, shape, instructions)
      return
    }
    let columns = shape.kernel.asPlane.columns
    joinsTaps = shape.groups == 1 && (columns == 1 || shape.dilations.asPlane.columns == 1)
    let runs = joinsTaps ? taps / columns : taps
    // [M, taps, C / groups].
    let turned = AlignedMemory(byteCount: weights.elementCount)
    for output in 0..<m {
      unsafe instructions.kernels.transpose_bytes(
        depth, taps, weights.bytes + output * depth * taps, taps,
        turned.start + output * depth * taps, depth)
    }
    let (columnsOfGroup, run) = (m / shape.groups, depth * taps / runs)
    form = .factors(
      (0..<shape.groups).map { group in
        unsafe PackedBytes(
          runs: runs, depth: run, columns: columnsOfGroup,
          from: turned.start + group * columnsOfGroup * depth * taps, isSigned: true,
          runStep: run, depthStep: 1, columnStep: depth * taps, zeroPoints: [0],
          for: instructions)
      })
  }

  /// Whether there is a kernel for a convolution.
  static func takes(_ shape: ConvolutionShape) -> Bool {
    let (depth, span) = (
      shape.inputChannels / max(1, shape.groups),
      (shape.kernel.asPlane.columns - 1) * shape.dilations.asPlane.columns + 1
    )
    guard (1...2).contains(shape.kernel.count), shape.outputChannels % shape.groups == 0,
      shape.outputChannels > 0, depth * shape.taps > 0,
      depth * shape.taps <= PackedBytes.largestDepth
    else { return false }
    if shape.isByteDepthwise { return span <= largestSpan }
    return shape.groups == 1 || depth >= leastGroup
  }

  /// Columns that a row of a depthwise kernel may span.
  private static let largestSpan = 64
  /// Channels of a group for which a product is worth its call.
  private static let leastGroup = 4

  /// What the zero point of the input adds to the sums of a channel.
  func shift(_ channel: Int, zero: Int32) -> Int32 { 0 &- zero &* sums[channel] }

  /// Where the numbers of each channel stand, and the words of its taps with them.
  fileprivate func places(_ channels: Int) -> [Int] {
    guard case .words(_, let wide) = form else { return Array(0..<channels) }
    return Self.places(channels, wideChannels: wide, instructions)
  }

  private static func places(
    _ channels: Int, wideChannels: Int, _ instructions: InstructionSet
  ) -> [Int] {
    let lanes = unsafe instructions.kernels.lanes
    return (0..<channels).map { channel in
      guard channel < wideChannels else { return channel }
      let place = channel % (4 * lanes)
      return channel - place + place % 4 * lanes + place / 4
    }
  }

  private static func words(
    _ weights: UnsafePointer<Int8>, _ shape: ConvolutionShape, _ instructions: InstructionSet
  ) -> Form {
    let lanes = unsafe instructions.kernels.lanes
    let (kernel, channels) = (shape.kernel.asPlane, shape.outputChannels)
    let groups = (kernel.rows + 3) / 4
    // A rest of one or two vectors is quicker by itself.
    let wide =
      channels / (4 * lanes) * 4 * lanes + (channels % (4 * lanes) > 2 * lanes ? 4 * lanes : 0)
    let count = (max(wide, channels) + lanes - 1) / lanes * lanes * groups * kernel.columns * 4
    let memory = WeightArena.take(count)
    let words = unsafe memory.start.assumingMemoryBound(to: Int8.self)
    unsafe words.update(repeating: 0, count: count)
    let places = places(channels, wideChannels: wide, instructions)
    for (channel, place) in places.enumerated() {
      let width = channel < wide ? 4 * lanes : lanes
      for row in 0..<kernel.rows {
        for column in 0..<kernel.columns {
          let word =
            place / width * width * groups * kernel.columns
            + (row / 4 * kernel.columns + column) * width + place % width
          unsafe words[4 * word + row % 4] =
            weights[channel * shape.taps + row * kernel.columns + column]
        }
      }
    }
    return .words(memory, wideChannels: wide)
  }
}

extension ConvolutionShape {
  /// Whether every output channel sees the input channel of its number alone.
  fileprivate var isByteDepthwise: Bool { isDepthwise && outputChannels == inputChannels }
}

/// A convolution of unsigned bytes whose channels come last, prepared for one shape.
///
/// Each chunk of outputs copies what it sees of the input with the padding around it, unless it sees
/// every byte once, and multiplies it where it then lies.
struct ChannelsLastConvolution: Sendable {
  private let filter: ChannelsLastFilter
  private let epilogue: ByteEpilogue
  private let batch: Int
  private let channels: Int
  private let outputChannels: Int
  private let inputZero: UInt8
  private let input: (rows: Int, columns: Int)
  private let output: (rows: Int, columns: Int)
  private let pads: (rows: Int, columns: Int)
  private let kernel: (rows: Int, columns: Int)
  private let strides: (rows: Int, columns: Int)
  private let dilations: (rows: Int, columns: Int)
  /// Bytes of a row of the input with its padding.
  private let line: Int
  /// Rows of outputs of a chunk, and images, of which there is more than one where all rows are in a chunk.
  private let band: Int
  private let imagesAtOnce: Int
  /// Where what each output of a chunk sees begins.
  private let places: [Int32]
  /// Where the runs of a window begin behind that.
  private let runs: [Int32]
  /// Whether outputs are rows of a product with the input as it lies.
  private let readsInput: Bool

  /// - Parameter epilogue: with the bias of the channels among its shifts; what the zero point adds is
  ///   added here.
  /// - Returns: nil where a chunk would be too large for places of 32 bits.
  init?(
    _ shape: ConvolutionShape, _ filter: ChannelsLastFilter, inputZero: UInt8,
    _ epilogue: ByteEpilogue
  ) {
    self.filter = filter
    self.inputZero = inputZero
    var shifted = epilogue
    for channel in 0..<shape.outputChannels {
      shifted.shifts[channel] &+= filter.shift(channel, zero: Int32(inputZero))
    }
    self.epilogue = shifted.placed(
      filter.places(shape.outputChannels), for: filter.instructions)
    (batch, channels, outputChannels) = (shape.batch, shape.inputChannels, shape.outputChannels)
    let channels = shape.inputChannels
    (input, output) = (shape.input.asPlane, shape.output.asPlane)
    pads = shape.padsBegin.asPlane(filler: 0)
    (kernel, strides, dilations) = (
      shape.kernel.asPlane, shape.strides.asPlane, shape.dilations.asPlane
    )
    readsInput = shape.isPointwise && shape.groups == 1 && channels % 4 == 0
    let (output, kernel, strides, dilations) = (output, kernel, strides, dilations)
    let line = readsInput ? input.columns * channels : shape.padded.asPlane.columns * channels
    self.line = line
    let outputs = output.rows * output.columns
    let span = (kernel.rows - 1) * dilations.rows + 1
    if outputs <= Self.leastOutputs {
      band = output.rows
      imagesAtOnce = max(1, min(batch, Self.leastOutputs / max(1, outputs)))
    } else {
      let least = (Self.leastOutputs - 1) / output.columns + 1
      let byMemory = (Self.bytesOfChunk / max(1, line) - span) / strides.rows + 1
      let byOutputs = Self.mostOutputs / output.columns
      band = min(output.rows, max(least, min(byMemory, byOutputs)))
      imagesAtOnce = 1
    }
    let size = readsInput ? outputs * channels : ((band - 1) * strides.rows + span) * line
    guard imagesAtOnce * size < Int(Int32.max) else { return nil }
    var places: [Int32] = []
    places.reserveCapacity(imagesAtOnce * band * output.columns)
    for image in 0..<imagesAtOnce {
      for row in 0..<band {
        for column in 0..<output.columns {
          places.append(
            Int32(image * size + row * strides.rows * line + column * strides.columns * channels))
        }
      }
    }
    self.places = places
    runs = (0..<kernel.rows).flatMap { row in
      (0..<(filter.joinsTaps ? 1 : kernel.columns)).map { column in
        Int32(row * dilations.rows * line + column * dilations.columns * channels)
      }
    }
  }

  /// Outputs of a chunk: few enough for what they see to stay in the second cache, enough to read the
  /// weights for.
  private static let leastOutputs = 48
  private static let mostOutputs = 480
  private static let bytesOfChunk = 1 << 16

  func run(_ x: UnsafePointer<UInt8>, into y: UnsafeMutablePointer<UInt8>, on crew: Crew) {
    let outputs = output.rows * output.columns
    guard batch > 0, outputs > 0 else { return }
    let bands = (output.rows + band - 1) / band
    let groups = (batch + imagesAtOnce - 1) / imagesAtOnce
    let panels = filter.panels
    let parts = min(panels, max(1, 2 * crew.threads / (groups * bands)))
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.perform(groups * bands * parts) { chunk in
      let (place, part) = chunk.quotientAndRemainder(dividingBy: parts)
      let (group, index) = place.quotientAndRemainder(dividingBy: bands)
      let images = group * imagesAtOnce..<min(batch, (group + 1) * imagesAtOnce)
      let rows = index * band..<min(output.rows, (index + 1) * band)
      let columns = panels * part / parts..<panels * (part + 1) / parts
      let target =
        unsafe y + (images.lowerBound * outputs + rows.lowerBound * output.columns)
        * outputChannels
      if readsInput {
        let first = images.lowerBound * outputs + rows.lowerBound * output.columns
        return unsafe compute(x + first * channels, images, rows, columns, into: target)
      }
      let size = seenRows(rows).count * line
      // Whole words and vectors are read beyond the last window.
      unsafe crew.scratch.withBytes(images.count * size + 64) { room in
        let source = unsafe room.assumingMemoryBound(to: UInt8.self)
        for (place, image) in images.enumerated() {
          unsafe layOut(x, image, rows, into: source + place * size)
        }
        unsafe compute(source, images, rows, columns, into: target)
      }
    }
  }

  /// The rows of the padded input that some rows of outputs see.
  private func seenRows(_ rows: Range<Int>) -> Range<Int> {
    let first = rows.lowerBound * strides.rows
    return first..<first + (rows.count - 1) * strides.rows + (kernel.rows - 1) * dilations.rows + 1
  }

  private func layOut(
    _ x: UnsafePointer<UInt8>, _ image: Int, _ rows: Range<Int>,
    into y: UnsafeMutablePointer<UInt8>
  ) {
    let bytes = input.columns * channels
    let before = pads.columns * channels
    for (place, row) in seenRows(rows).enumerated() {
      let to = unsafe y + place * line
      let from = row - pads.rows
      guard (0..<input.rows).contains(from) else {
        unsafe to.update(repeating: inputZero, count: line)
        continue
      }
      unsafe to.update(repeating: inputZero, count: before)
      unsafe (to + before).update(
        from: x + (image * input.rows + from) * bytes, count: min(bytes, line - before))
      if line > before + bytes {
        unsafe (to + before + bytes).update(repeating: inputZero, count: line - before - bytes)
      }
    }
  }

  /// Some rows of outputs of some images, in some panels of columns.
  private func compute(
    _ source: UnsafePointer<UInt8>, _ images: Range<Int>, _ rows: Range<Int>,
    _ panels: Range<Int>, into y: UnsafeMutablePointer<UInt8>
  ) {
    unsafe epilogue.withRounding { rounding in
      switch filter.form {
      case .words(let weights, let wide):
        let size = seenRows(rows).count * line
        for place in 0..<images.count {
          unsafe correlate(
            source + place * size, weights, wide, rows, rounding,
            into: y + place * rows.count * output.columns * outputChannels)
        }
      case .factors(let factors):
        unsafe multiply(
          source, factors, count: images.count * rows.count * output.columns, panels, rounding,
          into: y)
      }
    }
  }

  private func correlate(
    _ source: UnsafePointer<UInt8>, _ weights: AlignedMemory, _ wide: Int, _ rows: Range<Int>,
    _ rounding: ByteRounding, into y: UnsafeMutablePointer<UInt8>
  ) {
    var rounding = unsafe rounding
    unsafe withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>.self, capacity: kernel.rows) {
      starts in
      for row in 0..<rows.count {
        for tap in 0..<kernel.rows {
          unsafe starts.initializeElement(
            at: tap, to: source + (row * strides.rows + tap * dilations.rows) * line)
        }
        unsafe withUnsafePointer(to: &rounding) { rounding in
          var product = unsafe DepthwiseBytes(
            channels: channels, outputs: output.columns, kernel_rows: kernel.rows,
            kernel_columns: kernel.columns, stride: strides.columns,
            dilation: dilations.columns, rows: UnsafePointer(starts.baseAddress!),
            weights: weights.start.assumingMemoryBound(to: Int8.self), wide_channels: wide,
            rounding: rounding,
            y: y + row * output.columns * channels)
          unsafe filter.instructions.kernels.correlate_depthwise_bytes(&product)
        }
      }
    }
  }

  private func multiply(
    _ source: UnsafePointer<UInt8>, _ factors: [PackedBytes], count: Int, _ panels: Range<Int>,
    _ rounding: ByteRounding, into y: UnsafeMutablePointer<UInt8>
  ) {
    let (depth, width) = (channels / factors.count, outputChannels / factors.count)
    unsafe places.withUnsafeBufferPointer { places in
      unsafe runs.withUnsafeBufferPointer { runs in
        for (group, factor) in factors.enumerated() {
          let columns =
            factors.count > 1
            ? 0..<factor.width
            : factor.columns(ofPanel: panels.lowerBound)
              .lowerBound..<factor.columns(ofPanel: panels.upperBound - 1).upperBound
          let rows = unsafe PackedBytes.Rows(
            start: source + group * depth, step: channels,
            places: readsInput ? nil : places.baseAddress, runs: runs.baseAddress, zero: 0)
          unsafe factor.round(
            rows, count: count, rounding.from(group * width), into: y + group * width,
            step: outputChannels, columns: columns)
        }
      }
    }
  }
}

extension ChannelsLastFilter {
  /// The panels of output channels that threads may divide.
  fileprivate var panels: Int {
    if case .factors(let factors) = form, factors.count == 1 { factors[0].panels } else { 1 }
  }
}
