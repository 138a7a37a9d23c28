import CKernels

/// Maxima or averages of windows of unsigned bytes whose channels come last, prepared for one shape.
struct ChannelsLastPooling: Sendable {
  /// What becomes of the bytes of a window.
  enum Kind: Sendable {
    case maximum
    /// The nearest integer to the sum of (byte - zero)·scale / count, half to even, + the zero point of
    /// the result, within its bounds.
    case average(countsPadding: Bool, zero: Int32, scale: Float, result: Bounds)
  }

  /// The bytes that results may be.
  struct Bounds: Sendable {
    var zero: Int32
    var low: Int32 = 0
    var high: Int32 = 255
  }

  private let kind: Kind
  private let batch: Int
  private let channels: Int
  private let axes: (rows: WindowAxis, columns: WindowAxis)

  /// - Parameter axes: one or two.
  init(_ kind: Kind, batch: Int, channels: Int, _ axes: [WindowAxis]) {
    (self.kind, self.batch, self.channels) = (kind, batch, channels)
    let single = WindowAxis(input: 1, output: 1, kernel: 1, stride: 1, dilation: 1)
    self.axes = axes.count == 2 ? (axes[0], axes[1]) : (single, axes[0])
  }

  func run(_ x: UnsafePointer<UInt8>, into y: UnsafeMutablePointer<UInt8>, on crew: Crew) {
    let (rows, columns) = axes
    let image = rows.input * columns.input * channels
    let line = columns.output * channels
    let taps = rows.kernel * columns.kernel
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let most = max(1, (1 << 17) / max(1, line * taps))
    crew.performRanges(of: line > 0 ? batch * rows.output : 0, by: most) { range in
      unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: max(1, taps)) { places in
        for index in range {
          let (number, row) = index.quotientAndRemainder(dividingBy: rows.output)
          for column in 0..<columns.output {
            var count = 0
            for down in rows.taps(of: row) {
              let start = (rows.start(of: row) + down * rows.dilation) * columns.input
              for across in columns.taps(of: column) {
                let place = start + columns.start(of: column) + across * columns.dilation
                unsafe places[count] = Int32(truncatingIfNeeded: place * channels)
                count += 1
              }
            }
            unsafe reduce(
              x + number * image, places.baseAddress!, count,
              padded: rows.paddedTapCount(of: row) * columns.paddedTapCount(of: column),
              into: y + index * line + column * channels, crew.instructions)
          }
        }
      }
    }
  }

  private func reduce(
    _ x: UnsafePointer<UInt8>, _ places: UnsafePointer<Int32>, _ count: Int, padded: Int,
    into y: UnsafeMutablePointer<UInt8>, _ instructions: InstructionSet
  ) {
    switch kind {
    case .maximum:
      // A window that sees nothing but padding has the lowest of all numbers.
      guard count > 0 else { return unsafe y.update(repeating: 0, count: channels) }
      unsafe instructions.kernels.maximum_bytes(channels, x, count, places, y)
    case .average(let countsPadding, let zero, let scale, let bounds):
      let divisor = countsPadding ? padded : count
      unsafe instructions.kernels.average_bytes(
        channels, x, count, places, 0 &- Int32(truncatingIfNeeded: count) &* zero,
        divisor > 0 ? scale / Float(divisor) : 0, bounds.zero, bounds.low, bounds.high, y)
    }
  }
}
