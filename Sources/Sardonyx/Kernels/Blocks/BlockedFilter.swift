import CKernels

/// How a convolution over blocks of channels is computed.
///
/// The choice depends on sizes alone, never on the machine, so that results do not.
enum BlockedAlgorithm: Hashable, Sendable {
  /// Sums over channels and taps, for each pixel and vector of output channels.
  case product
  /// The same with the input in planes, for the few channels that a network begins with.
  case planar
  /// Winograd's F(m×m, 3×3).
  case winograd(outputs: Int)
  /// Every channel for itself.
  case depthwise

  /// - Parameters:
  ///   - shape: its input extents may be 0 where they are not known.
  ///   - winograd: whether Winograd's algorithm, whose error is about twice that of plain sums, may be
  ///     chosen.
  /// - Returns: nil for what is better left to planes.
  static func choose(
    _ shape: ConvolutionShape, readsPlanes: Bool, winograd: Bool, _ layout: BlockLayout
  ) -> BlockedAlgorithm? {
    if shape.groups > 1 {
      guard shape.isDepthwise, shape.outputChannels == shape.inputChannels, !readsPlanes else {
        return nil
      }
      return .depthwise
    }
    if readsPlanes { return .planar }
    guard winograd, shape.kernel == [3, 3], shape.strides == [1, 1], shape.dilations == [1, 1],
      shape.inputChannels >= 16, shape.outputChannels >= 16,
      zip(shape.padsBegin, shape.padsEnd).allSatisfy({ max($0, $1) <= 1 })
    else { return .product }
    let candidates: [BlockedAlgorithm] = [
      .winograd(outputs: 4), .winograd(outputs: 2), .product,
    ]
    return candidates.min {
      $0.time(shape.output, lanes: layout.lanes) < $1.time(shape.output, lanes: layout.lanes)
    }
  }

  /// Nanoseconds for a pair of channels with 3×3 taps: a weight is read from memory, where a network's
  /// weights come from in each run, and multiplied once for each tile.
  ///
  /// Microseconds as measured, with weights from memory: 256 channels at 14×14 take 917 (m = 4) and 724
  /// (m = 2) by vectors of 16 floats, 1051 and 1359 by vectors of 8; 512 at 7×7 take 2642 and 1561, and
  /// 2700 and 1859.
  private func time(_ output: [Int], lanes: Int) -> Double {
    let (readPerWeight, multiplyAdd) = (0.36, 0.2 / Double(lanes))
    let (weights, step) =
      switch self {
      case .winograd(let m): ((m + 2) * (m + 2), m)
      case .product, .planar, .depthwise: (9, 1)
      }
    // An extent that is not known is taken for a large one.
    let tiles = output.map { $0 > 0 ? ($0 + step - 1) / step : 64 / step }.elementCount
    return Double(weights) * max(readPerWeight, Double(tiles) * multiplyAdd)
  }
}

extension BlockedAlgorithm: CustomStringConvertible {
  var description: String {
    switch self {
    case .product: "product"
    case .planar: "product of planes"
    case .winograd(let m): "Winograd F(\(m)×\(m), 3×3)"
    case .depthwise: "depthwise"
    }
  }
}

/// The weights [M, C / groups, taps] and bias of a convolution in the order in which the kernels over
/// blocks read them.
struct BlockedFilter: Sendable {
  let algorithm: BlockedAlgorithm
  let inputChannels: Int
  let outputChannels: Int
  let taps: Int
  let layout: BlockLayout
  /// Pixels of a tile that the kernels keep in registers.
  let tilePixels: Int
  /// Vectors of output channels in a panel; the last panel may have fewer.
  let panelVectors: Int
  private let memory: AlignedMemory
  private let biases: AlignedMemory?

  init(
    _ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, _ shape: ConvolutionShape,
    _ algorithm: BlockedAlgorithm, for instructions: InstructionSet = .current
  ) {
    self.algorithm = algorithm
    layout = BlockLayout(for: instructions)
    tilePixels = unsafe instructions.kernels.tile_rows
    inputChannels = shape.inputChannels
    outputChannels = shape.outputChannels
    taps = shape.taps
    panelVectors = unsafe instructions.kernels.tile_columns / layout.lanes
    let outputs = layout.blocks(outputChannels) * layout.lanes
    memory = AlignedMemory(
      byteCount: Self.count(shape, algorithm, outputs: outputs) * MemoryLayout<Float>.stride)
    biases = unsafe bias.map { _ in AlignedMemory(byteCount: outputs * MemoryLayout<Float>.stride) }
    if let bias = unsafe bias, let biases {
      unsafe biases.floats.update(repeating: 0, count: outputs)
      unsafe biases.floats.update(from: bias, count: outputChannels)
    }
    switch algorithm {
    case .product, .planar: unsafe packProduct(weights, instructions)
    case .winograd(let m): unsafe packWinograd(weights, m, instructions)
    case .depthwise: unsafe packDepthwise(weights, instructions)
    }
  }

  private static func count(
    _ shape: ConvolutionShape, _ algorithm: BlockedAlgorithm, outputs: Int
  ) -> Int {
    switch algorithm {
    case .product, .planar: outputs * shape.inputChannels * shape.taps
    case .winograd(let m): outputs * shape.inputChannels * (m + 2) * (m + 2)
    case .depthwise: outputs * shape.taps
    }
  }

  var start: UnsafePointer<Float> { unsafe UnsafePointer(memory.floats) }
  var bias: UnsafePointer<Float>? { unsafe biases.map { unsafe UnsafePointer($0.floats) } }
  /// Blocks of output channels.
  var outputBlocks: Int { layout.blocks(outputChannels) }
  var panels: Int { (outputBlocks + panelVectors - 1) / panelVectors }

  /// The vectors of output channels of a panel.
  func vectors(of panel: Int) -> Range<Int> {
    panel * panelVectors..<min((panel + 1) * panelVectors, outputBlocks)
  }

  // MARK: Products

  /// A stretch of a sum: some runs of neighbouring input channels, one for each block and tap.
  struct Stretch: Sendable {
    /// Runs of whole blocks come first.
    let runs: Range<Int>
    let fullRuns: Int
    /// The depth before it, and its own.
    let firstDepth: Int
    let depth: Int
  }

  /// Channels in a run, and in the runs of the last block.
  var run: Int { algorithm == .planar ? 1 : min(layout.lanes, inputChannels) }
  var shortRun: Int { algorithm == .planar ? 1 : inputChannels - (inputBlocks - 1) * layout.lanes }
  private var inputBlocks: Int {
    algorithm == .planar ? inputChannels : layout.blocks(inputChannels)
  }
  var runs: Int { inputBlocks * taps }
  private var fullRuns: Int { shortRun == run ? runs : (inputBlocks - 1) * taps }

  /// Runs summed in registers before they are added to what came before: 128 numbers, whose sums
  /// then lose no more than those of a library that sums in blocks of that size, and whose weights for
  /// two vectors fit the first cache. Winograd's last transform magnifies what its sums lose: of 64
  /// channels, F(4×4) loses 6.5e-7 (root mean square, of outputs with a deviation of 1) by one sum of
  /// 64, and 2.7e-7 by exact ones.
  var pass: Int {
    switch algorithm {
    case .planar: 128
    case .winograd: max(1, 32 / layout.lanes)
    case .product, .depthwise: max(1, 128 / layout.lanes)
    }
  }

  /// The depth in parts whose input, for as many pixels as are computed at a time, fills half of the
  /// second-level cache.
  var stretches: [Stretch] {
    let pixels = 32 * tilePixels
    let passDepth = pass * (algorithm == .planar ? 1 : layout.lanes)
    let most = max(1, Caches.level2 / 2 / (MemoryLayout<Float>.stride * pixels) / passDepth) * pass
    return stride(from: 0, to: runs, by: most).map { first in
      let end = min(first + most, runs)
      let full = max(0, min(fullRuns, end) - first)
      let before = min(first, fullRuns) * run + max(0, first - fullRuns) * shortRun
      return Stretch(
        runs: first..<end, fullRuns: full, firstDepth: before,
        depth: full * run + (end - first - full) * shortRun)
    }
  }

  /// Where the weights of a panel begin in a stretch: stretch by stretch, panel by panel, [depth]
  /// [vectors][lanes].
  func place(of panel: Int, in stretch: Stretch) -> Int {
    (stretch.firstDepth * outputBlocks + panel * panelVectors * stretch.depth) * layout.lanes
  }

  private func packProduct(_ weights: UnsafePointer<Float>, _ instructions: InstructionSet) {
    let rowLength = inputChannels * taps
    for stretch in stretches {
      for panel in 0..<panels {
        let vectors = vectors(of: panel)
        let first = vectors.lowerBound * layout.lanes
        let width = vectors.count * layout.lanes
        var target = unsafe memory.floats + place(of: panel, in: stretch)
        let lanes = min(width, outputChannels - first)
        if algorithm == .planar || taps == 1 {
          unsafe instructions.kernels.pack_panels(
            stretch.depth, lanes, width, weights + (first * rowLength + stretch.firstDepth),
            rowLength, 1, target, width * stretch.depth)
          continue
        }
        for index in stretch.runs {
          let depth = index - stretch.runs.lowerBound < stretch.fullRuns ? run : shortRun
          let source = first * rowLength + index / taps * run * taps + index % taps
          unsafe instructions.kernels.pack_panels(
            depth, lanes, width, weights + source, rowLength, taps, target, width * depth)
          unsafe target += width * depth
        }
      }
    }
  }

  // MARK: Winograd

  /// From the weights of one point to those of the next: panel by panel, [channel][vectors][lanes].
  var pointStep: Int { inputChannels * outputBlocks * layout.lanes }

  private func packWinograd(
    _ weights: UnsafePointer<Float>, _ m: Int, _ instructions: InstructionSet
  ) {
    for panel in 0..<panels {
      let vectors = vectors(of: panel)
      for vector in vectors {
        let first = vector * layout.lanes
        let place =
          vectors.lowerBound * inputChannels * layout.lanes
          + (vector - vectors.lowerBound) * layout.lanes
        unsafe instructions.kernels.spread_weights(
          m, inputChannels, min(layout.lanes, outputChannels - first),
          weights + first * inputChannels * 9, inputChannels * 9, memory.floats + place, pointStep,
          vectors.count * layout.lanes)
      }
    }
  }

  // MARK: Depthwise

  private func packDepthwise(_ weights: UnsafePointer<Float>, _ instructions: InstructionSet) {
    unsafe instructions.kernels.pack_panels(
      taps, outputChannels, layout.lanes, weights, taps, 1, memory.floats, taps * layout.lanes)
  }
}
