import CKernels

/// The sizes of a pooling over any number of spatial axes of [planes, …].
struct PoolingShape: Hashable, Sendable {
  var planes: Int
  var input: [Int]
  /// As the operator's rounding makes it: windows may reach beyond the padding.
  var output: [Int]
  var kernel: [Int]
  var strides: [Int]
  var dilations: [Int]
  var padsBegin: [Int]
  var padsEnd: [Int]
}

/// Maxima or averages of windows of float32, prepared for one shape.
///
/// For each row of outputs the input rows that its windows meet are first made into one, and that
/// is then gone along. A global pooling is a `ReductionKernel` of [planes, size, 1].
struct Pooling: Sendable {
  enum Kind: Hashable, Sendable {
    /// NaN where the window holds one; -∞ where it holds nothing.
    case maximum
    case average(countsPadding: Bool)
  }

  let shape: PoolingShape
  let kind: Kind
  /// Input rows that the windows of each output row meet: starts within a plane, and how many taps
  /// they stand for.
  private let rows: [(starts: [Int], taps: Int)]
  /// Taps that count at each output of a row, and how many those are where they are as many at all.
  private let columnTaps: [Float]
  private let sameTaps: Float?

  init(_ kind: Kind, _ shape: PoolingShape) {
    self.kind = kind
    self.shape = shape
    let last = shape.input.count - 1
    let axes = (0...last).map { axis in
      (0..<shape.output[axis]).map { shape.window(at: $0, along: axis) }
    }
    let countsPadding = kind == .average(countsPadding: true)
    func count(_ window: PoolingShape.Window) -> Int {
      countsPadding ? window.paddedTaps : window.indices.count
    }
    let columnTaps = axes[last].map { Float(count($0)) }
    self.columnTaps = columnTaps
    sameTaps = columnTaps.allSatisfy { $0 == columnTaps[0] } ? columnTaps.first : nil
    let steps = shape.input.strides
    var rows: [(starts: [Int], taps: Int)] = [([0], 1)]
    for axis in 0..<last {
      rows = rows.flatMap { row in
        axes[axis].map { window in
          let starts = row.starts.flatMap { start in
            window.indices.map { start + $0 * steps[axis] }
          }
          return (starts, row.taps * count(window))
        }
      }
    }
    self.rows = rows
  }

  func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let pooling = self
    let columns = columnTaps.count
    let work = rows.count * (shape.kernel.elementCount * columns + 64)
    crew.performRanges(of: columns > 0 ? shape.planes : 0, by: max(1, (1 << 17) / max(1, work))) {
      planes in
      let (together, pitch) = pooling.lines
      unsafe crew.scratch.withFloats(together * pitch + columns) { lines in
        let nothing: Float = pooling.kind == .maximum ? -.infinity : 0
        unsafe lines.update(repeating: nothing, count: together * pitch)
        for plane in planes {
          for first in stride(from: 0, to: pooling.rows.count, by: together) {
            let rows = first..<min(first + together, pooling.rows.count)
            let place = (plane * pooling.rows.count + first) * columns
            unsafe pooling.pool(
              x + plane * pooling.shape.input.elementCount, rows, lines, into: y + place,
              with: crew.instructions)
          }
        }
      }
    }
  }

  /// Rows of outputs that are gone along as one, where a row's windows end before the next one's begin,
  /// and how far apart their lines are.
  private var lines: (together: Int, pitch: Int) {
    let pitch = columnTaps.count * (shape.strides.last ?? 1)
    let together = min(rows.count, (1 << 11) / max(1, pitch))
    guard rowLength <= pitch, together > 1 else { return (1, rowLength) }
    return (together, pitch)
  }

  /// Floats from the first tap of a row's first window to the last tap of its last one.
  private var rowLength: Int {
    let last = shape.input.count - 1
    return (shape.output[last] - 1) * shape.strides[last]
      + (shape.kernel[last] - 1) * shape.dilations[last] + 1
  }

  /// Some rows of outputs; their lines hold nothing but what a row of input overwrites, and have room for
  /// divisors behind.
  private func pool(
    _ plane: UnsafePointer<Float>, _ range: Range<Int>, _ lines: UnsafeMutablePointer<Float>,
    into y: UnsafeMutablePointer<Float>, with instructions: InstructionSet
  ) {
    let last = shape.input.count - 1
    let columns = columnTaps.count
    let (together, pitch) = self.lines
    for (index, row) in rows[range].enumerated() {
      unsafe gather(plane, row.starts, into: lines + index * pitch, instructions)
    }
    let slide =
      unsafe kind == .maximum
      ? instructions.kernels.maximum_of_windows : instructions.kernels.sum_of_windows
    unsafe slide(
      range.count * columns, lines, shape.strides[last], shape.kernel[last],
      shape.dilations[last], y)
    guard kind != .maximum else { return }
    // All at once, where there are as many taps everywhere.
    if let taps = sameTaps, rows[range].allSatisfy({ $0.taps == rows[range.lowerBound].taps }) {
      var divisor = max(1, taps * Float(rows[range.lowerBound].taps))
      return unsafe instructions.kernels.divide(range.count * columns, y, 1, &divisor, 0, y)
    }
    for (index, row) in rows[range].enumerated() {
      unsafe divide(
        y + index * columns, row.taps, lines + together * pitch, with: instructions)
    }
  }

  /// Makes one line of the rows of input that a row of windows meets.
  private func gather(
    _ plane: UnsafePointer<Float>, _ starts: [Int], into line: UnsafeMutablePointer<Float>,
    _ instructions: InstructionSet
  ) {
    let last = shape.input.count - 1
    let pad = shape.padsBegin[last]
    let width = max(0, min(shape.input[last], rowLength - pad))
    let middle = unsafe line + min(pad, rowLength)
    let combine =
      unsafe kind == .maximum ? instructions.kernels.maximum : instructions.kernels.add
    switch starts.count {
    case 0: unsafe middle.update(repeating: kind == .maximum ? -.infinity : 0, count: width)
    case 1: unsafe middle.update(from: plane + starts[0], count: width)
    default:
      unsafe combine(width, plane + starts[0], 1, plane + starts[1], 1, middle)
      for start in starts.dropFirst(2) {
        unsafe combine(width, middle, 1, plane + start, 1, middle)
      }
    }
  }

  /// Divides the sums of a row of windows by their taps.
  private func divide(
    _ y: UnsafeMutablePointer<Float>, _ rowTaps: Int, _ divisors: UnsafeMutablePointer<Float>,
    with instructions: InstructionSet
  ) {
    let columns = columnTaps.count
    // A window of nothing is 0 / 1.
    unsafe instructions.kernels.affine(columns, columnTaps, divisors, Float(rowTaps), 0)
    var one: Float = 1
    unsafe instructions.kernels.maximum(columns, divisors, 1, &one, 0, divisors)
    unsafe instructions.kernels.divide(columns, y, 1, divisors, 1, y)
  }
}

extension PoolingShape {
  /// The part of an axis that a window meets.
  fileprivate struct Window {
    /// Of the taps within the input.
    var indices: [Int]
    /// Taps within the input and its padding.
    var paddedTaps: Int
  }

  fileprivate func window(at output: Int, along axis: Int) -> Window {
    let window = WindowAxis(
      input: input[axis], output: self.output[axis], kernel: kernel[axis], stride: strides[axis],
      dilation: dilations[axis], padBefore: padsBegin[axis], padAfter: padsEnd[axis])
    let start = window.start(of: output)
    return Window(
      indices: window.taps(of: output).map { start + $0 * dilations[axis] },
      paddedTaps: window.paddedTapCount(of: output))
  }
}
