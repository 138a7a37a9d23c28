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
      if readsPlanes { return nil }
      if shape.isDepthwise, shape.outputChannels == shape.inputChannels { return .depthwise }
      let together = BlockedFilter.groupsTogether(
        shape.groups, inputChannels: shape.inputChannels, outputChannels: shape.outputChannels,
        layout)
      return together == nil ? nil : .product
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
///
/// Groups of channels that do not fill whole blocks are taken together until they do, with zeros for
/// what one group does not see of another: what is said of a group means such a union.
struct BlockedFilter: Sendable {
  let algorithm: BlockedAlgorithm
  /// Channels that a group sees, and makes.
  let inputChannels: Int
  let outputChannels: Int
  let groups: Int
  let kernel: (rows: Int, columns: Int)
  let layout: BlockLayout
  /// Pixels of a tile that the kernels keep in registers.
  let tilePixels: Int
  /// Vectors of output channels in a panel; the last panel may have fewer.
  let panelVectors: Int
  /// Taps that go together in planes: the most that divide a row and are no more than a pass.
  private let rowTaps: Int
  /// The depth in parts whose input, for as many pixels as are computed at a time, fills half of the
  /// second-level cache.
  private(set) var stretches: [Stretch] = []
  private let memory: AlignedMemory
  private let biases: AlignedMemory?

  /// - Parameter outputs: places of all images together, where they are known and the shape does not tell.
  init(
    _ weights: PackingSource, bias: PackingSource?, _ shape: ConvolutionShape,
    _ algorithm: BlockedAlgorithm, outputs: Int? = nil, for instructions: InstructionSet = .current
  ) {
    self.algorithm = algorithm
    layout = BlockLayout(for: instructions)
    tilePixels = unsafe instructions.kernels.tile_rows
    let union = Self.groupsTogether(
      shape.groups, inputChannels: shape.inputChannels, outputChannels: shape.outputChannels,
      layout)
    let together = algorithm == .depthwise ? shape.groups : union ?? shape.groups
    groups = shape.groups / together
    inputChannels = shape.inputChannels / groups
    outputChannels = shape.outputChannels / groups
    kernel = shape.kernel.asPlane
    let tapsAdjoin = shape.dilations.asPlane.columns == 1
    rowTaps = tapsAdjoin ? kernel.columns.largestDivisor(atMost: 128) : 1
    panelVectors = unsafe instructions.kernels.tile_columns / layout.lanes
    let channels = layout.blocks(shape.outputChannels) * layout.lanes
    memory = WeightArena.take(
      Self.count(algorithm, inputs: inputChannels, outputs: channels, taps: shape.taps)
        * MemoryLayout<Float>.stride)
    biases = bias.map { _ in WeightArena.take(channels * MemoryLayout<Float>.stride) }
    if let bias, let biases {
      unsafe biases.floats.update(repeating: 0, count: channels)
      unsafe bias.withNumbers(0..<shape.outputChannels) { numbers in
        unsafe biases.floats.update(from: numbers, count: shape.outputChannels)
      }
    }
    switch algorithm {
    case .product, .planar:
      stretches = depthInStretches(
        outputs: outputs ?? shape.batch * shape.output.elementCount, strides: shape.strides)
      for group in 0..<groups { pack(group, weights, together, instructions) }
    case .winograd(let m): packWinograd(weights, m, instructions)
    case .depthwise: packDepthwise(weights, instructions)
    }
  }

  /// The same of numbers in memory.
  init(
    _ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?, _ shape: ConvolutionShape,
    _ algorithm: BlockedAlgorithm, for instructions: InstructionSet = .current
  ) {
    unsafe self.init(
      PackingSource(weights), bias: bias.map { unsafe PackingSource($0) }, shape, algorithm,
      for: instructions)
  }

  private static func count(_ algorithm: BlockedAlgorithm, inputs: Int, outputs: Int, taps: Int)
    -> Int
  {
    switch algorithm {
    case .product, .planar: outputs * inputs * taps
    case .winograd(let m): outputs * inputs * (m + 2) * (m + 2)
    case .depthwise: outputs * taps
    }
  }

  /// How many groups see and make whole blocks of channels together; all of them where none do but they are
  /// few, whose zeros cost less than leaving the blocks: two transposed convolutions, of 8 to 12 channels in
  /// four groups and of 12 to 6 in two, took 77 µs so and 398 plainly. nil where neither holds.
  static func groupsTogether(
    _ groups: Int, inputChannels: Int, outputChannels: Int, _ layout: BlockLayout
  ) -> Int? {
    if groups == 1 { return 1 }
    let channels = [inputChannels / groups, outputChannels / groups]
    let whole = (1...layout.lanes).first { count in
      groups % count == 0 && channels.allSatisfy { count * $0 % layout.lanes == 0 }
    }
    return whole
      ?? (groups <= 4 || max(inputChannels, outputChannels) <= 2 * layout.lanes ? groups : nil)
  }

  var start: UnsafePointer<Float> { unsafe UnsafePointer(memory.floats) }
  var bias: UnsafePointer<Float>? { unsafe biases.map { unsafe UnsafePointer($0.floats) } }
  private var taps: Int { kernel.rows * kernel.columns }
  /// Blocks of output channels, of a group and of all.
  private var groupBlocks: Int { layout.blocks(outputChannels) }
  var outputBlocks: Int { groups * groupBlocks }
  private var groupPanels: Int { (groupBlocks + panelVectors - 1) / panelVectors }
  var panels: Int { groups * groupPanels }

  /// The vectors of output channels of a panel.
  func vectors(of panel: Int) -> Range<Int> {
    let (group, index) = panel.quotientAndRemainder(dividingBy: groupPanels)
    let first = group * groupBlocks
    return first + index * panelVectors..<first + min((index + 1) * panelVectors, groupBlocks)
  }

  /// The first block of input channels that a panel sees.
  func firstInputBlock(of panel: Int) -> Int { panel / groupPanels * inputBlocks }

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

  /// Numbers that adjoin in the input and in the weights: a block's channels, of which the last block
  /// may have fewer, or taps in a row of a plane.
  var run: Int { algorithm == .planar ? rowTaps : min(layout.lanes, inputChannels) }
  var shortRun: Int {
    algorithm == .planar ? rowTaps : inputChannels - (inputBlocks - 1) * layout.lanes
  }
  private var inputBlocks: Int { layout.blocks(inputChannels) }
  var runs: Int { algorithm == .planar ? inputChannels * taps / rowTaps : inputBlocks * taps }
  private var fullRuns: Int { shortRun == run ? runs : (inputBlocks - 1) * taps }

  /// Where a run begins: its plane or block of the input (of a group), and its first tap, where a row
  /// of the kernel has so many columns.
  func place(ofRun index: Int, columns: Int) -> (plane: Int, row: Int, column: Int) {
    let tap = algorithm == .planar ? index * rowTaps : index
    return (tap / taps, tap % taps / columns, tap % columns)
  }

  /// Runs summed in registers before they are added to what came before: 128 numbers, whose sums
  /// then lose no more than those of a library that sums in blocks of that size, and whose weights for
  /// two vectors fit the first cache. Winograd's last transform magnifies what its sums lose: of 64
  /// channels, F(4×4) loses 6.5e-7 (root mean square, of outputs with a deviation of 1) by one sum of
  /// 64, and 2.7e-7 by exact ones.
  var pass: Int {
    if case .winograd = algorithm { return max(1, 64 / layout.lanes) }
    return max(1, 128 / run)
  }

  private func depthInStretches(outputs: Int, strides: [Int]) -> [Stretch] {
    // Outputs that are not known are taken for many. Taps see mostly the same inputs. The weights of a panel
    // then adjoin: 512 channels at 7×7 with 3×3 taps took two threads 616 µs by 18 stretches, and take 501 by
    // one (Zen 5, AVX-512; one takes 977).
    let pixels = min(outputs > 0 ? outputs : .max, Areas.mostTiles * tilePixels)
    let inputs = pixels * min(strides.elementCount, taps)
    let bytesPerBlock = MemoryLayout<Float>.stride * max(1, inputs * run)
    let most = max(1, Caches.level2 / 2 * taps / bytesPerBlock / pass) * pass
    return stride(from: 0, to: runs, by: most).map { first in
      let end = min(first + most, runs)
      let full = max(0, min(fullRuns, end) - first)
      let before = min(first, fullRuns) * run + max(0, first - fullRuns) * shortRun
      return Stretch(
        runs: first..<end, fullRuns: full, firstDepth: before,
        depth: full * run + (end - first - full) * shortRun)
    }
  }

  /// Where the weights of a panel begin in a stretch: group by group, stretch by stretch, panel by
  /// panel, [depth][vectors][lanes].
  func place(of panel: Int, in stretch: Stretch) -> Int {
    let (group, index) = panel.quotientAndRemainder(dividingBy: groupPanels)
    let before = group * inputChannels * taps + stretch.firstDepth
    return (before * groupBlocks + index * panelVectors * stretch.depth) * layout.lanes
  }

  /// Packs what a group sees; `together` groups of the file are one.
  private func pack(
    _ group: Int, _ weights: PackingSource, _ together: Int, _ instructions: InstructionSet
  ) {
    let count = outputChannels * inputChannels * taps
    guard together > 1 else {
      return packProduct(group, weights, first: group * count, instructions)
    }
    let rowLength = inputChannels / together * taps
    let rows = outputChannels / together
    var union = [Float](repeating: 0, count: count)
    unsafe union.withUnsafeMutableBufferPointer { union in
      let union = union.baseAddress!
      let first = group * outputChannels * rowLength
      unsafe weights.withNumbers(first..<first + outputChannels * rowLength) { numbers in
        for row in 0..<outputChannels {
          let place = (row * together + row / rows) * rowLength
          unsafe (union + place).update(from: numbers + row * rowLength, count: rowLength)
        }
      }
      unsafe packProduct(group, PackingSource(union), first: 0, instructions)
    }
  }

  /// - Parameter first: where the weights of the group begin.
  private func packProduct(
    _ group: Int, _ weights: PackingSource, first: Int, _ instructions: InstructionSet
  ) {
    let rowLength = inputChannels * taps
    let stretches = stretches
    PackingSource.perform(groupPanels) { index in
      let panel = group * groupPanels + index
      let vectors = vectors(of: panel)
      let row = (vectors.lowerBound - group * groupBlocks) * layout.lanes
      let width = vectors.count * layout.lanes
      let lanes = min(width, outputChannels - row)
      let range = first + row * rowLength..<first + (row + lanes) * rowLength
      unsafe weights.withNumbers(range) { rows in
        for stretch in stretches {
          unsafe pack(
            stretch, rows, lanes: lanes, width: width,
            into: memory.floats + place(of: panel, in: stretch), instructions)
        }
      }
      weights.letGo(range)
    }
  }

  /// Packs the weights of a panel, which are rows of the file, for a stretch of the sum.
  private func pack(
    _ stretch: Stretch, _ rows: UnsafePointer<Float>, lanes: Int, width: Int,
    into target: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    let rowLength = inputChannels * taps
    guard taps > 1, algorithm != .planar else {
      return unsafe instructions.kernels.pack_panels(
        stretch.depth, lanes, width, rows + stretch.firstDepth, rowLength, 1, target,
        width * stretch.depth)
    }
    var target = unsafe target
    for index in stretch.runs {
      let depth = index - stretch.runs.lowerBound < stretch.fullRuns ? run : shortRun
      let place = place(ofRun: index, columns: kernel.columns)
      let source = place.plane * run * taps + place.row * kernel.columns + place.column
      unsafe instructions.kernels.pack_panels(
        depth, lanes, width, rows + source, rowLength, taps, target, width * depth)
      unsafe target += width * depth
    }
  }

  // MARK: Winograd

  /// From the weights of one point to those of the next: panel by panel, [channel][vectors][lanes].
  var pointStep: Int { inputChannels * outputBlocks * layout.lanes }

  private func packWinograd(_ weights: PackingSource, _ m: Int, _ instructions: InstructionSet) {
    let rowLength = inputChannels * 9
    PackingSource.perform(panels) { panel in
      let vectors = vectors(of: panel)
      let first = vectors.lowerBound * layout.lanes
      let lanes = min(vectors.count * layout.lanes, outputChannels - first)
      let range = first * rowLength..<(first + lanes) * rowLength
      unsafe weights.withNumbers(range) { rows in
        unsafe instructions.kernels.spread_weights(
          m, inputChannels, lanes, vectors.count, rows, rowLength,
          memory.floats + first * inputChannels, pointStep)
      }
      weights.letGo(range)
    }
  }

  // MARK: Depthwise

  private func packDepthwise(_ weights: PackingSource, _ instructions: InstructionSet) {
    unsafe weights.withNumbers(0..<outputChannels * taps) { numbers in
      unsafe instructions.kernels.pack_panels(
        taps, outputChannels, layout.lanes, numbers, taps, 1, memory.floats, taps * layout.lanes)
    }
  }
}
