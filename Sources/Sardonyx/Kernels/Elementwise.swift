import CKernels

/// Functions applied element by element, each cut into chunks that crew members take.
///
/// `map` is for one input, `combine` for two rows of one length (or a row and a number),
/// `combineRows` for what a broadcast leaves: rows whose starts are listed. A result may lie where
/// an input lies.
enum Elementwise {
  /// Elements in a chunk: some tens of microseconds of work.
  private static let chunk = 1 << 15

  /// y[i] = function(x[i]) for i < count.
  static func map(
    _ function: Unary, _ count: Int, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, alpha: Float = 0, beta: Float = 0, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernel = unsafe function.kernel(of: crew.instructions)
    crew.performRanges(of: count, by: chunk) { range in
      unsafe kernel(range.count, x + range.lowerBound, y + range.lowerBound, alpha, beta)
    }
  }

  /// z[i] = function(x[i·xStep], y[i·yStep]) for i < count, where a step is 0 or 1.
  static func combine(
    _ function: Binary, _ count: Int, _ x: UnsafePointer<Float>, step xStep: Int = 1,
    _ y: UnsafePointer<Float>, step yStep: Int = 1, into z: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, z) = unsafe (x, y, z)
    let kernel = unsafe function.kernel(of: crew.instructions)
    crew.performRanges(of: count, by: chunk) { range in
      let first = range.lowerBound
      unsafe kernel(range.count, x + first * xStep, xStep, y + first * yStep, yStep, z + first)
    }
  }

  /// Row r of z, at z + r·count, is made of the rows at x + starts(r).x and y + starts(r).y.
  static func combineRows(
    _ function: Binary, rows: Int, _ count: Int, _ x: UnsafePointer<Float>, step xStep: Int,
    _ y: UnsafePointer<Float>, step yStep: Int, into z: UnsafeMutablePointer<Float>, on crew: Crew,
    starts: @Sendable (Int) -> (x: Int, y: Int)
  ) {
    nonisolated(unsafe) let (x, y, z) = unsafe (x, y, z)
    let kernel = unsafe function.kernel(of: crew.instructions)
    crew.performRanges(of: rows, by: max(1, chunk / max(1, count))) { range in
      for row in range {
        let start = starts(row)
        unsafe kernel(count, x + start.x, xStep, y + start.y, yStep, z + row * count)
      }
    }
  }

  /// y = x·scale + shift for each channel of [outer, channels, inner], then relu if asked:
  /// BatchNormalization.
  static func scaleShift(
    outer: Int, channels: Int, inner: Int, _ x: UnsafePointer<Float>,
    scale: UnsafePointer<Float>, shift: UnsafePointer<Float>, relu: Bool = false,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, scale, shift) = unsafe (x, y, scale, shift)
    let instructions = crew.instructions
    let low: Float = relu ? 0 : -.infinity
    if inner == 1 {
      let part = max(1, min(channels, chunk))
      let parts = (channels + part - 1) / part
      crew.performRanges(of: outer * parts, by: chunk / part) { range in
        for index in range {
          let (row, first) = (index / parts, index % parts * part)
          let place = row * channels + first
          unsafe instructions.kernels.scale_shift(
            min(part, channels - first), x + place, scale + first, shift + first, low, y + place)
        }
      }
      return
    }
    crew.performRanges(of: outer * channels, by: max(1, chunk / max(1, inner))) { planes in
      for plane in planes {
        let (place, channel) = (plane * inner, plane % channels)
        unsafe instructions.kernels.affine(
          inner, x + place, y + place, scale[channel], shift[channel])
        if relu { unsafe instructions.kernels.relu(inner, y + place, y + place, 0, 0) }
      }
    }
  }
}

extension Crew {
  /// Calls `body` with ranges of at most `length` that make up 0 ..< count.
  func performRanges(
    of count: Int, by length: Int, _ body: @Sendable (Range<Int>) -> Void
  ) {
    perform((count + length - 1) / length) { chunk in
      body(chunk * length..<min((chunk + 1) * length, count))
    }
  }
}
