import CKernels

/// Maxima or averages of windows over blocks of channels, in one or two spatial axes.
struct BlockedPooling: Sendable {
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

  func run(
    _ x: UnsafePointer<Float>, planes: Int, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let windows = unsafe BlockWindows(axes)
    let lanes = BlockLayout(for: crew.instructions).lanes
    let (inputs, outputs) = (axes.inputCount * lanes, axes.outputCount * lanes)
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let work = max(1, axes.outputCount * axes.tapCount)
    crew.performRanges(of: planes, by: max(1, (1 << 14) / work)) { range in
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

/// Numbers for each channel, in blocks: y = activation((x − mean)·scale + shift).
struct BlockedScale: Sendable {
  private let means: [Float]
  private let scales: [Float]
  private let shifts: [Float]

  init(
    mean: [Double], scale: [Double], shift: [Double], for instructions: InstructionSet = .current
  ) {
    func blocked(_ numbers: [Double]) -> [Float] {
      let layout = BlockLayout(for: instructions)
      let room = layout.blocks(numbers.count) * layout.lanes
      return numbers.map { Float($0) } + Array(repeating: 0, count: room - numbers.count)
    }
    (means, scales, shifts) = (blocked(mean), blocked(scale), blocked(shift))
  }

  /// y = activation((x − mean)·scale + shift), where x is some tensors joined along their channels,
  /// each in whole blocks; y may be x where that is one.
  /// - Parameters:
  ///   - pieces: the blocks of each tensor.
  ///   - piece: where a tensor begins.
  ///   - size: the pixels of a plane.
  func apply(
    _ pieces: [Int], images: Int, size: Int, _ activation: Activation,
    into y: UnsafeMutablePointer<Float>, on crew: Crew, piece: (Int) -> UnsafePointer<Float>
  ) {
    let lanes = BlockLayout(for: crew.instructions).lanes
    let blocks = means.count / lanes
    let planes = images * blocks
    let bounds = activation.bounds
    // Which piece each block is in, and its place there.
    let sources = pieces.enumerated().flatMap { index, blocks in
      (0..<blocks).map { (piece: index, block: $0, blocks: blocks) }
    }
    nonisolated(unsafe) let xs = unsafe pieces.indices.map { unsafe piece($0) }
    nonisolated(unsafe) let y = unsafe y
    crew.performRanges(of: planes, by: max(1, (1 << 15) / max(1, size * lanes))) { range in
      for plane in range {
        let (image, block) = plane.quotientAndRemainder(dividingBy: blocks)
        let source = sources[block]
        let from = (image * source.blocks + source.block) * size * lanes
        let place = plane * size * lanes
        unsafe means.withUnsafeBufferPointer { means in
          unsafe scales.withUnsafeBufferPointer { scales in
            unsafe shifts.withUnsafeBufferPointer { shifts in
              let first = block * lanes
              unsafe crew.instructions.kernels.normalize_block(
                size, xs[source.piece] + from, means.baseAddress! + first,
                scales.baseAddress! + first, shifts.baseAddress! + first, bounds.slope, bounds.low,
                bounds.high, y + place)
            }
          }
        }
        unsafe activation.finish(
          rows: 1, columns: size * lanes, at: y + place, step: 0, with: crew.instructions)
      }
    }
  }

  /// y = x < 0 ? x·slope : x with a slope for each of so many blocks and lanes; y may be x.
  static func bend(
    _ x: UnsafePointer<Float>, planes: Int, size: Int, by slopes: UnsafePointer<Float>,
    blocks: Int, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let lanes = BlockLayout(for: crew.instructions).lanes
    nonisolated(unsafe) let (x, y, slopes) = unsafe (x, y, slopes)
    crew.performRanges(of: planes, by: max(1, (1 << 15) / max(1, size * lanes))) { range in
      for plane in range {
        let place = plane * size * lanes
        unsafe crew.instructions.kernels.bend_block(
          size, x + place, slopes + plane % blocks * lanes, y + place)
      }
    }
  }

  /// y = x·factors, a factor for each plane and lane, repeated for each image if there are fewer.
  static func multiply(
    _ x: UnsafePointer<Float>, planes: Int, size: Int, by factors: UnsafePointer<Float>,
    planes factorPlanes: Int, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let lanes = BlockLayout(for: crew.instructions).lanes
    let zeros = [Float](repeating: 0, count: lanes)
    nonisolated(unsafe) let (x, y, factors) = unsafe (x, y, factors)
    crew.performRanges(of: planes, by: max(1, (1 << 15) / max(1, size * lanes))) { range in
      let mode = kernels_flush_denormals()
      defer { kernels_restore_denormals(mode) }
      for plane in range {
        let place = plane * size * lanes
        unsafe crew.instructions.kernels.normalize_block(
          size, x + place, zeros, factors + plane % factorPlanes * lanes, zeros, 1, -.infinity,
          .infinity, y + place)
      }
    }
  }
}
