import CKernels

/// A convolution of 8-bit integers with constant weights, prepared for one shape.
protocol QuantizedConvolution: Sendable {
  /// Bytes of an output: the nearest to (Σ (x - zero point)·weights + bias)·scale of its channel, half to
  /// even, + zero point.
  func quantize(
    _ x: UnsafePointer<UInt8>, isSigned: Bool, zeroPoint: Int32, scale: (Int) -> Float,
    resultZero: Int32, isResultSigned: Bool, into y: UnsafeMutablePointer<UInt8>, on crew: Crew)

  /// Σ (x - zero point)·weights in 32 bits.
  func sum(
    _ x: UnsafePointer<UInt8>, isSigned: Bool, zeroPoint: Int32,
    into y: UnsafeMutablePointer<Int32>, on crew: Crew)
}

/// The weights and the bias of a convolution of 8-bit integers for products of bytes.
struct ByteFilter: Sendable {
  fileprivate let factor: PackedBytes
  fileprivate let bias: [Int32]
  /// Whether the taps of a row of the kernel, with all their channels, are one run.
  fileprivate let joinsTaps: Bool
  fileprivate let instructions: InstructionSet

  /// - Parameters:
  ///   - weights: int8 or uint8, [M, C, taps].
  ///   - zeroPoints: one for all output channels, or one for each.
  ///   - bias: one number for each output channel.
  /// - Returns: nil for convolutions of groups or of three axes, and where sums might leave 32 bits.
  init?(
    _ weights: Tensor, zeroPoints: [Int64], bias: [Int64]?, _ shape: ConvolutionShape,
    for instructions: InstructionSet = .current
  ) {
    let (m, c, taps) = (shape.outputChannels, shape.inputChannels, shape.taps)
    guard shape.groups == 1, (1...2).contains(shape.kernel.count), weights.elementCount > 0,
      c * taps <= PackedBytes.largestDepth
    else { return nil }
    guard bias?.allSatisfy({ PackedBytes.fits($0, depth: c * taps) }) ?? true else { return nil }
    let columns = shape.kernel.last!
    joinsTaps = columns == 1 || shape.dilations.last! == 1
    let runs = joinsTaps ? taps / columns : taps
    // [M, taps, C].
    let turned = AlignedMemory(byteCount: weights.elementCount)
    for output in 0..<m {
      unsafe instructions.kernels.transpose_bytes(
        c, taps, weights.bytes + output * c * taps, taps, turned.start + output * c * taps, c)
    }
    let depth = c * taps / runs
    factor = unsafe PackedBytes(
      runs: runs, depth: depth, columns: m, from: turned.start, isSigned: weights.type == .int8,
      runStep: depth, depthStep: 1, columnStep: c * taps,
      zeroPoints: zeroPoints.map { Int32(truncatingIfNeeded: $0) }, for: instructions)
    self.bias = bias?.map { Int32($0) } ?? Array(repeating: 0, count: m)
    self.instructions = instructions
  }
}

/// A convolution of 8-bit integers prepared for one shape: Σ (x - zero point)·weights, and bias.
///
/// The input is laid out with its channels last and its padding around it; the products then read
/// what each output sees where it lies.
struct ByteConvolution: QuantizedConvolution {
  private let filter: ByteFilter
  private let batch: Int
  private let channels: Int
  private let input: (rows: Int, columns: Int)
  private let padded: (rows: Int, columns: Int)
  private let pads: (rows: Int, columns: Int)
  private let outputs: Int
  /// Images whose outputs are multiplied as one factor, because each has few.
  private let imagesAtOnce: Int
  /// Where the window of each output of such images begins.
  private let places: [Int32]
  /// Where the runs of a window begin behind that.
  private let runs: [Int32]

  /// Outputs of a chunk: their sums stay in the first cache.
  private let rowsAtOnce: Int

  /// - Returns: nil where the input is too large for places of 32 bits.
  init?(_ shape: ConvolutionShape, _ filter: ByteFilter) {
    self.filter = filter
    (batch, channels) = (shape.batch, shape.inputChannels)
    let channels = shape.inputChannels
    input = shape.input.asPlane
    let padded = shape.padded.asPlane
    self.padded = padded
    pads = shape.padsBegin.asPlane(filler: 0)
    let (output, kernel) = (shape.output.asPlane, shape.kernel.asPlane)
    let (strides, dilations) = (shape.strides.asPlane, shape.dilations.asPlane)
    outputs = output.rows * output.columns
    rowsAtOnce = min(max(8192 / filter.factor.width, 48), 480)
    imagesAtOnce = max(1, min(batch, rowsAtOnce / max(1, outputs)))
    let size = padded.rows * padded.columns * channels
    guard shape.padsBegin.allSatisfy({ $0 >= 0 }), shape.padsEnd.allSatisfy({ $0 >= 0 }),
      imagesAtOnce * size < Int(Int32.max)
    else { return nil }
    var places: [Int32] = []
    places.reserveCapacity(imagesAtOnce * outputs)
    for image in 0..<imagesAtOnce {
      for row in 0..<output.rows {
        let first = image * size + row * strides.rows * padded.columns * channels
        for column in 0..<output.columns {
          places.append(Int32(first + column * strides.columns * channels))
        }
      }
    }
    self.places = places
    runs = (0..<kernel.rows).flatMap { row in
      (0..<(filter.joinsTaps ? 1 : kernel.columns)).map { column in
        Int32((row * dilations.rows * padded.columns + column * dilations.columns) * channels)
      }
    }
  }

  /// Some outputs of all channels: `count` from output `first` of image `image` on, and on into the
  /// images behind it.
  private struct Part {
    let image: Int
    let first: Int
    let count: Int
  }

  func quantize(
    _ x: UnsafePointer<UInt8>, isSigned: Bool, zeroPoint: Int32, scale: (Int) -> Float,
    resultZero: Int32, isResultSigned: Bool, into y: UnsafeMutablePointer<UInt8>, on crew: Crew
  ) {
    let (m, width) = (filter.factor.columns, filter.factor.width)
    let (low, high): (Int32, Int32) = isResultSigned ? (-128, 127) : (0, 255)
    nonisolated(unsafe) let y = unsafe y
    unsafe crew.scratch.withFloats(2 * width) { room in
      unsafe room.update(repeating: 0, count: 2 * width)
      let added = unsafe UnsafeMutableRawPointer(room + width).assumingMemoryBound(to: Int32.self)
      let zero = isSigned ? zeroPoint + 128 : zeroPoint
      for channel in 0..<m {
        unsafe room[channel] = scale(channel)
        unsafe added[channel] =
          filter.factor.hasZeroPoints
          ? filter.bias[channel]
          : filter.factor.shift(channel, zero: zero, adding: filter.bias[channel])
      }
      nonisolated(unsafe) let (scales, shifts) = unsafe (room, added)
      unsafe run(
        x, isSigned: isSigned, zeroPoint: zero, centers: filter.factor.hasZeroPoints, on: crew
      ) { part, sums, bytes in
        var rounding = unsafe ByteRounding(
          shifts: shifts, scales: scales, addends: nil, zero: resultZero, low: low, high: high)
        unsafe filter.instructions.kernels.quantize_sums(
          part.count, m, sums, width, &rounding, bytes)
        forEachImage(part) { image, first, from, count in
          unsafe filter.instructions.kernels.transpose_bytes(
            count, m, bytes + from * m, m, y + image * m * outputs + first, outputs)
        }
      }
    }
  }

  func sum(
    _ x: UnsafePointer<UInt8>, isSigned: Bool, zeroPoint: Int32,
    into y: UnsafeMutablePointer<Int32>, on crew: Crew
  ) {
    let (m, width) = (filter.factor.columns, filter.factor.width)
    nonisolated(unsafe) let y = unsafe y
    unsafe run(
      x, isSigned: isSigned, zeroPoint: isSigned ? zeroPoint + 128 : zeroPoint, centers: true,
      on: crew
    ) { part, sums, _ in
      forEachImage(part) { image, first, from, count in
        unsafe filter.instructions.kernels.transpose_4_bytes(
          count, m, sums + from * width, width, y + image * m * outputs + first, outputs)
      }
    }
  }

  private func forEachImage(
    _ part: Part, _ body: (_ image: Int, _ first: Int, _ from: Int, _ count: Int) -> Void
  ) {
    var (image, first, done) = (part.image, part.first, 0)
    while done < part.count {
      let count = min(outputs - first, part.count - done)
      body(image, first, done, count)
      done += count
      (image, first) = (image + 1, 0)
    }
  }

  /// Calls `body` with the sums of all parts, rows of the factor's width, and room for as many bytes.
  private func run(
    _ x: UnsafePointer<UInt8>, isSigned: Bool, zeroPoint: Int32, centers: Bool, on crew: Crew,
    _ body:
      @escaping @Sendable (Part, UnsafeMutablePointer<Int32>, _ room: UnsafeMutableRawPointer) ->
      Void
  ) {
    guard batch > 0, outputs > 0 else { return }
    let size = padded.rows * padded.columns * channels
    // A word may be read beyond the last window.
    unsafe crew.scratch.withBytes(batch * size + 4) { source in
      let source = unsafe source.assumingMemoryBound(to: UInt8.self)
      unsafe layOut(
        x, flip: isSigned ? 0x80 : 0, padding: UInt8(truncatingIfNeeded: zeroPoint), into: source,
        crew)
      nonisolated(unsafe) let from = unsafe source
      let groups = (batch + imagesAtOnce - 1) / imagesAtOnce
      let blocks = (places.count + rowsAtOnce - 1) / rowsAtOnce
      let width = filter.factor.width
      crew.perform(groups * blocks) { chunk in
        let (group, block) = chunk.quotientAndRemainder(dividingBy: blocks)
        let image = group * imagesAtOnce
        let first = block * rowsAtOnce
        let count = min(
          rowsAtOnce, min(imagesAtOnce, batch - image) * outputs - first)
        guard count > 0 else { return }
        unsafe crew.scratch.withBytes(5 * count * width) { room in
          let sums = unsafe room.assumingMemoryBound(to: Int32.self)
          unsafe places.withUnsafeBufferPointer { places in
            unsafe runs.withUnsafeBufferPointer { runs in
              let rows = unsafe PackedBytes.Rows(
                start: from + image * size, places: places.baseAddress, runs: runs.baseAddress,
                zero: zeroPoint)
              unsafe filter.factor.multiply(rows, from: first, count: count, into: sums)
              if centers {
                unsafe filter.factor.center(sums, rows, from: first, count: count)
              }
            }
          }
          let (behind, place) = first.quotientAndRemainder(dividingBy: outputs)
          unsafe body(
            Part(image: image + behind, first: place, count: count), sums, room + 4 * count * width)
        }
      }
    }
  }

  /// Each image with its channels last and its padding around it.
  private func layOut(
    _ x: UnsafePointer<UInt8>, flip: UInt8, padding: UInt8, into y: UnsafeMutablePointer<UInt8>,
    _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernels = unsafe filter.instructions.kernels
    let (rows, columns) = input
    let (line, size) = (padded.columns * channels, padded.rows * padded.columns * channels)
    let isPadded = size != rows * columns * channels
    let imageBytes = rows * columns * channels
    guard imageBytes > 0 else {
      // Nothing but padding.
      return unsafe y.update(repeating: padding, count: batch * size)
    }
    let band = max(1, min(rows, Self.bytesOfBand / max(1, columns * channels)))
    let bands = (rows + band - 1) / band
    let imagesOfBand = bands == 1 ? max(1, Self.bytesOfBand / max(1, imageBytes)) : 1
    let groups = (batch + imagesOfBand - 1) / imagesOfBand
    crew.perform(groups * bands) { chunk in
      let (group, index) = chunk.quotientAndRemainder(dividingBy: bands)
      let (first, end) = (index * band, min(rows, (index + 1) * band))
      let count = (end - first) * columns
      unsafe crew.scratch.withBytes(count * channels) { turned in
        let turned = unsafe turned.assumingMemoryBound(to: UInt8.self)
        for image in group * imagesOfBand..<min(batch, (group + 1) * imagesOfBand) {
          let planes = unsafe x + image * imageBytes + first * columns
          let target = unsafe y + image * size
          if !isPadded {
            let start = unsafe target + first * line
            unsafe kernels.transpose_bytes(channels, count, planes, rows * columns, start, channels)
            if flip != 0 { unsafe kernels.flip_bytes(count * channels, start, flip, start) }
            continue
          }
          let top = index == 0 ? 0 : first + pads.rows
          let bottom = index == bands - 1 ? padded.rows : end + pads.rows
          unsafe (target + top * line).update(repeating: padding, count: (bottom - top) * line)
          unsafe kernels.transpose_bytes(channels, count, planes, rows * columns, turned, channels)
          for row in first..<end {
            unsafe kernels.flip_bytes(
              columns * channels, turned + (row - first) * columns * channels, flip,
              target + (row + pads.rows) * line + pads.columns * channels)
          }
        }
      }
    }
  }

  /// Bytes that a chunk lays out, of as many images as it takes.
  private static let bytesOfBand = 1 << 14
}
