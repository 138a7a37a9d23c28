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

  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end.
  init(_ kind: Kind, _ shape: PoolingShape) throws(ModelError) {
    self.kind = kind
    self.shape = shape
    let last = shape.input.count - 1
    let countsPadding = kind == .average(countsPadding: true)
    func count(_ axis: WindowAxis, _ output: Int) -> Int {
      countsPadding ? axis.paddedTapCount(of: output) : axis.taps(of: output).count
    }
    let columns = shape.axis(last)
    let columnTaps = Interruption.map(columns.output, cost: 10) { Float(count(columns, $0)) }
    self.columnTaps = columnTaps
    sameTaps = columnTaps.allSatisfy { $0 == columnTaps[0] } ? columnTaps.first : nil
    let steps = shape.input.strides
    var rows: [(starts: [Int], taps: Int)] = [([0], 1)]
    var interruption = Interruption()
    let claim = Interruption.claim()
    for number in 0..<last {
      let axis = shape.axis(number)
      let outer = rows
      rows = []
      for row in outer {
        for output in 0..<axis.output {
          let taps = axis.taps(of: output)
          let startCount = row.starts.count * taps.count
          claim?.expect(startCount * MemoryLayout<Int>.stride)
          if interruption.isDue(after: 4 &* startCount &+ 100) { try Interruption.check() }
          let first = axis.start(of: output)
          let starts = row.starts.flatMap { start in
            taps.map { start + (first + $0 * axis.dilation) * steps[number] }
          }
          rows.append((starts, row.taps * count(axis, output)))
        }
      }
    }
    self.rows = rows
    try Interruption.check()
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
        var interruption = Interruption(of: crew)
        for plane in planes {
          for first in stride(from: 0, to: pooling.rows.count, by: together) {
            let rows = first..<min(first + together, pooling.rows.count)
            let place = (plane * pooling.rows.count + first) * columns
            unsafe pooling.pool(
              x + plane * pooling.shape.input.elementCount, rows, lines, into: y + place,
              with: crew.instructions, &interruption)
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
    into y: UnsafeMutablePointer<Float>, with instructions: InstructionSet,
    _ interruption: inout Interruption
  ) {
    let last = shape.input.count - 1
    let columns = columnTaps.count
    let (together, pitch) = self.lines
    for (index, row) in rows[range].enumerated() {
      unsafe gather(plane, row.starts, into: lines + index * pitch, instructions, &interruption)
    }
    let slide =
      unsafe kind == .maximum
      ? instructions.kernels.maximum_of_windows : instructions.kernels.sum_of_windows
    let (count, step, taps) = (range.count * columns, shape.strides[last], shape.kernel[last])
    let windows = max(1, Self.tapsAtOnce / taps)
    for first in stride(from: 0, to: count, by: windows) {
      let part = min(windows, count - first)
      if interruption.isDue(after: part &* taps / 4) { return }
      unsafe slide(part, lines + first * step, step, taps, shape.dilations[last], y + first)
    }
    guard kind != .maximum, !interruption.isDue(after: count) else { return }
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

  /// Taps, and floats of a line, that are gone along before the next look at the clock.
  private static let tapsAtOnce = 1 << 22
  private static let floatsAtOnce = 1 << 14

  /// Makes one line of the rows of input that a row of windows meets.
  private func gather(
    _ plane: UnsafePointer<Float>, _ starts: [Int], into line: UnsafeMutablePointer<Float>,
    _ instructions: InstructionSet, _ interruption: inout Interruption
  ) {
    let last = shape.input.count - 1
    let pad = shape.padsBegin[last]
    let width = max(0, min(shape.input[last], rowLength - pad))
    let middle = unsafe line + min(pad, rowLength)
    let combine =
      unsafe kind == .maximum ? instructions.kernels.maximum : instructions.kernels.add
    for first in stride(from: 0, to: width, by: Self.floatsAtOnce) {
      let count = min(Self.floatsAtOnce, width - first)
      if interruption.isDue(after: count) { return }
      let (from, to) = unsafe (plane + first, middle + first)
      switch starts.count {
      case 0: unsafe to.update(repeating: kind == .maximum ? -.infinity : 0, count: count)
      case 1: unsafe to.update(from: from + starts[0], count: count)
      default:
        unsafe combine(count, from + starts[0], 1, from + starts[1], 1, to)
        for start in starts.dropFirst(2) {
          if interruption.isDue(after: count / 4 &+ 4) { return }
          unsafe combine(count, to, 1, from + start, 1, to)
        }
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
  /// How windows slide along an axis.
  fileprivate func axis(_ axis: Int) -> WindowAxis {
    WindowAxis(
      input: input[axis], output: output[axis], kernel: kernel[axis], stride: strides[axis],
      dilation: dilations[axis], padBefore: padsBegin[axis], padAfter: padsEnd[axis])
  }
}
