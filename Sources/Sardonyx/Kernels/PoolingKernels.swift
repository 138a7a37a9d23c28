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
  /// Taps that count at each output of a row.
  private let columnTaps: [Float]

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
    columnTaps = axes[last].map { Float(count($0)) }
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
      unsafe crew.scratch.withFloats(pooling.rowLength + columns) { line in
        let nothing: Float = pooling.kind == .maximum ? -.infinity : 0
        unsafe line.update(repeating: nothing, count: pooling.rowLength)
        for plane in planes {
          for (index, row) in pooling.rows.enumerated() {
            let place = (plane * pooling.rows.count + index) * columns
            unsafe pooling.pool(
              x + plane * pooling.shape.input.elementCount, row, line, into: y + place,
              with: crew.instructions)
          }
        }
      }
    }
  }

  /// Floats from the first tap of a row's first window to the last tap of its last one.
  private var rowLength: Int {
    let last = shape.input.count - 1
    return (shape.output[last] - 1) * shape.strides[last]
      + (shape.kernel[last] - 1) * shape.dilations[last] + 1
  }

  /// One row of outputs; `line` holds nothing but what a row of input overwrites, and has room for
  /// divisors behind.
  private func pool(
    _ plane: UnsafePointer<Float>, _ row: (starts: [Int], taps: Int),
    _ line: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>,
    with instructions: InstructionSet
  ) {
    let last = shape.input.count - 1
    let columns = columnTaps.count
    let pad = shape.padsBegin[last]
    let width = max(0, min(shape.input[last], rowLength - pad))
    let middle = unsafe line + min(pad, rowLength)
    let combine =
      unsafe kind == .maximum ? instructions.kernels.maximum : instructions.kernels.add
    let slide =
      unsafe kind == .maximum
      ? instructions.kernels.maximum_of_windows : instructions.kernels.sum_of_windows
    if let first = row.starts.first {
      unsafe middle.update(from: plane + first, count: width)
    } else {
      unsafe middle.update(repeating: kind == .maximum ? -.infinity : 0, count: width)
    }
    for start in row.starts.dropFirst() {
      unsafe combine(width, middle, 1, plane + start, 1, middle)
    }
    unsafe slide(columns, line, shape.strides[last], shape.kernel[last], shape.dilations[last], y)
    guard kind != .maximum else { return }
    let divisors = unsafe line + rowLength
    // A window of nothing is 0 / 1.
    unsafe instructions.kernels.affine(columns, columnTaps, divisors, Float(row.taps), 0)
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
