import CKernels

/// Maxima or averages of windows over blocks of channels, in one or two spatial axes.
struct BlockedPooling {
  private let kind: Pooling.Kind
  private let axes: [WindowAxis]
  /// Taps that count for each row and column of outputs; averages alone.
  private let taps: (rows: [Float], columns: [Float])

  init(_ kind: Pooling.Kind, _ axes: [WindowAxis]) {
    self.kind = kind
    self.axes = axes
    guard case .average(let countsPadding) = kind else {
      taps = ([], [])
      return
    }
    // A window of nothing has the mean 0.
    let counts = axes.map { axis in
      (0..<axis.output).map { place in
        Float(max(1, countsPadding ? axis.paddedTapCount(of: place) : axis.taps(of: place).count))
      }
    }
    taps = (counts.count > 1 ? counts[0] : [1], counts[counts.count - 1])
  }

  func run(_ x: Tensor, planes: Int, into y: Destination, on crew: Crew) {
    let windows = unsafe BlockWindows(axes)
    let lanes = BlockLayout(for: crew.instructions).lanes
    let (inputs, outputs) = (axes.inputCount * lanes, axes.outputCount * lanes)
    nonisolated(unsafe) let (x, y) = unsafe (x.pointer(as: Float.self), y.pointer(as: Float.self))
    let work = max(1, axes.outputCount * axes.tapCount)
    crew.performRanges(of: planes, by: max(1, (1 << 16) / work)) { range in
      unsafe taps.rows.withUnsafeBufferPointer { rows in
        unsafe taps.columns.withUnsafeBufferPointer { columns in
          for plane in range {
            var windows = unsafe windows
            unsafe windows.x = unsafe x + plane * inputs
            unsafe windows.y = unsafe y + plane * outputs
            unsafe windows.row_taps = rows.baseAddress
            unsafe windows.column_taps = columns.baseAddress
            let kernels = unsafe crew.instructions.kernels
            unsafe kind == .maximum
              ? kernels.maximum_of_block(&windows) : kernels.average_of_block(&windows)
          }
        }
      }
    }
  }
}

extension BlockWindows {
  init(_ axes: [WindowAxis]) {
    unsafe self.init(
      input: axes.map(\.input), output: axes.map(\.output), kernel: axes.map(\.kernel),
      strides: axes.map(\.stride), dilations: axes.map(\.dilation), pads: axes.map(\.padBefore))
  }
}

extension ReductionKernel {
  /// Reduces each column of `outer` single-precision matrices with so many columns.
  func reduceColumns(_ x: Tensor, outer: Int, columns: Int, into y: Destination, on crew: Crew) {
    unsafe Self.reduce(
      self, outer: outer, count: x.elementCount / max(1, outer * columns), inner: columns,
      x.pointer(as: Float.self), into: y.pointer(as: Float.self), on: crew)
  }
}

/// Numbers for each channel, in blocks: y = activation((x − mean)·scale + shift).
struct BlockedScale: Sendable {
  private let means: [Float]
  private let scales: [Float]
  private let shifts: [Float]

  init(mean: [Double], scale: [Double], shift: [Double]) {
    func blocked(_ numbers: [Double]) -> [Float] {
      let layout = BlockLayout()
      let room = layout.blocks(numbers.count) * layout.lanes
      return numbers.map { Float($0) } + Array(repeating: 0, count: room - numbers.count)
    }
    (means, scales, shifts) = (blocked(mean), blocked(scale), blocked(shift))
  }

  /// - Parameter planes: images times blocks; y may be x.
  func apply(
    _ x: Tensor, planes: Int, _ activation: Activation, into y: Destination, on crew: Crew
  ) {
    let lanes = BlockLayout(for: crew.instructions).lanes
    let size = x.elementCount / max(1, planes * lanes)
    let blocks = means.count / lanes
    let bounds = activation.bounds
    nonisolated(unsafe) let (x, y) = unsafe (x.pointer(as: Float.self), y.pointer(as: Float.self))
    crew.performRanges(of: planes, by: max(1, (1 << 15) / max(1, size * lanes))) { range in
      for plane in range {
        let (first, place) = (plane % blocks * lanes, plane * size * lanes)
        unsafe means.withUnsafeBufferPointer { means in
          unsafe scales.withUnsafeBufferPointer { scales in
            unsafe shifts.withUnsafeBufferPointer { shifts in
              unsafe crew.instructions.kernels.normalize_block(
                size, x + place, means.baseAddress! + first, scales.baseAddress! + first,
                shifts.baseAddress! + first, bounds.slope, bounds.low, bounds.high, y + place)
            }
          }
        }
        unsafe activation.finish(
          rows: 1, columns: size * lanes, at: y + place, step: 0, with: crew.instructions)
      }
    }
  }
}
