import CKernels

/// A convolution with 3×3 taps and steps of 1 by Winograd's F(m×m, 3×3) over blocks of channels.
///
/// Tiles of (m + 2)² inputs are spread into as many factors, one matrix product for each of the
/// (m + 2)² points joins them over the channels, and what results is gathered into m² outputs a tile.
struct WinogradConvolution: Sendable {
  private let shape: ConvolutionShape
  private let filter: BlockedFilter
  private let m: Int
  private let points: Int
  private let inputBlocks: Int
  private let tileColumns: Int
  private let tilesPerImage: Int
  /// The most tiles that go through all three steps together.
  ///
  /// More write factors and products farther away than they need, fewer read the weights more often. Microseconds by 28,
  /// 49, 98 and 196 tiles, with AVX-512 and 1 MiB of level 2: 64 channels at 224×224 13065, 12844, 14018, 14392; 64 at
  /// 56×56 739, 709, 740, 735; 256 at 56×56 10903, 10191, 10247, 10832; 32 at 112×112 947, 902, 920, 1073.
  private static let mostTiles = 56
  /// Tiles that go through all three steps together.
  private let tilesAtOnce: Int
  /// Whether a part of the tiles is one thread's work, or each step is everybody's.
  private let splitsTiles: Bool

  init(_ shape: ConvolutionShape, _ filter: BlockedFilter, outputs m: Int) {
    self.shape = shape
    self.filter = filter
    self.m = m
    points = (m + 2) * (m + 2)
    inputBlocks = filter.layout.blocks(shape.inputChannels)
    let output = shape.output
    tileColumns = (output[1] + m - 1) / m
    tilesPerImage = (output[0] + m - 1) / m * tileColumns
    let tiles = shape.batch * tilesPerImage
    let weightBytes = MemoryLayout<Float>.stride * points * filter.pointStep
    splitsTiles = weightBytes <= Caches.level2
    // An even number of parts, so that two threads have the same to do.
    let parts = (tiles + Self.mostTiles - 1) / Self.mostTiles
    let evenParts = splitsTiles && parts > 1 ? parts + parts % 2 : parts
    tilesAtOnce = max(1, (tiles + evenParts - 1) / max(1, evenParts))
  }

  func run(
    _ x: UnsafePointer<Float>, _ epilogue: BlockedConvolution.Epilogue,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, epilogue) = unsafe (x, y, epilogue)
    let tiles = shape.batch * tilesPerImage
    let parts = (tiles + tilesAtOnce - 1) / tilesAtOnce
    let room = points * (factorStep + productStep)
    @Sendable func compute(_ part: Int) {
      unsafe crew.scratch.withFloats(room) { scratch in
        let first = part * tilesAtOnce
        let range = first..<min(first + tilesAtOnce, tiles)
        let products = unsafe scratch + points * factorStep
        unsafe spread(x, range, into: scratch, crew)
        unsafe multiply(scratch, range.count, into: products, crew)
        unsafe gather(products, range, epilogue, into: y, crew)
      }
    }
    if splitsTiles {
      crew.perform(parts) { compute($0) }
    } else {
      for part in 0..<parts where !crew.isCancelled { compute(part) }
    }
  }

  private var lanes: Int { filter.layout.lanes }
  // A vector more from point to point: powers of two would fall on the same places of the cache.
  private var factorStep: Int { (inputBlocks * tilesAtOnce + 1) * lanes }
  private var productStep: Int { (filter.outputBlocks * tilesAtOnce + 1) * lanes }

  private func tiles(_ range: Range<Int>, _ extents: [Int], blocks: Int) -> WinogradTiles {
    unsafe WinogradTiles(
      outputs: m, first: range.lowerBound, count: range.count, tile_columns: tileColumns,
      tiles_per_image: tilesPerImage, rows: extents[0], columns: extents[1],
      x_image: blocks * extents.elementCount * lanes, pad_top: shape.padsBegin[0],
      pad_left: shape.padsBegin[1], x: nil, v: Self.nowhere, v_point: 0, y: nil, bias: nil,
      residual: nil, slope: 1, low: -.infinity, high: .infinity)
  }

  /// Stands for an address until it is known.
  private static var nowhere: UnsafeMutablePointer<Float> {
    unsafe UnsafeMutablePointer(bitPattern: MemoryLayout<Float>.alignment)!
  }

  private func spread(
    _ x: UnsafePointer<Float>, _ range: Range<Int>, into factors: UnsafeMutablePointer<Float>,
    _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, factors) = unsafe (x, factors)
    let plane = shape.input.elementCount * lanes
    crew.perform(inputBlocks) { block in
      let mode = kernels_flush_denormals()
      defer { kernels_restore_denormals(mode) }
      var tiles = unsafe tiles(range, shape.input, blocks: inputBlocks)
      unsafe tiles.x = unsafe x + block * plane
      unsafe tiles.v = unsafe factors + block * range.count * lanes
      unsafe tiles.v_point = factorStep
      unsafe crew.instructions.kernels.spread_tiles(&tiles)
    }
  }

  private func multiply(
    _ factors: UnsafePointer<Float>, _ count: Int, into products: UnsafeMutablePointer<Float>,
    _ crew: Crew
  ) {
    nonisolated(unsafe) let (factors, products) = unsafe (factors, products)
    let offsets = (0..<inputBlocks).map { Int32($0 * count * lanes) }
    crew.perform(points) { point in
      let mode = kernels_flush_denormals()
      defer { kernels_restore_denormals(mode) }
      for panel in 0..<filter.panels {
        let vectors = filter.vectors(of: panel)
        let place = vectors.lowerBound * shape.inputChannels * lanes
        unsafe offsets.withUnsafeBufferPointer { offsets in
          var product = unsafe BlockedProduct(
            rows: 1, columns: count, vectors: vectors.count, runs: inputBlocks,
            full_runs: filter.shortRun == filter.run ? inputBlocks : inputBlocks - 1,
            run: filter.run, short_run: filter.shortRun, pass: filter.pass,
            x: factors + point * factorStep, x_row: 0, offsets: offsets.baseAddress!,
            weights: filter.start + (point * filter.pointStep + place),
            y: products + (point * productStep + vectors.lowerBound * count * lanes), y_row: 0,
            y_column: lanes, y_vector: count * lanes, x_column: lanes, is_placed: false, images: 1,
            x_image: 0,
            y_image: 0, bias: nil, residual: nil, is_first: true,
            is_last: true, slope: 1, low: -.infinity, high: .infinity, taps: 0, first_tap: 0,
            row_taps: nil, column_taps: nil)
          unsafe crew.instructions.kernels.multiply_blocks(&product)
        }
      }
    }
  }

  private func gather(
    _ products: UnsafeMutablePointer<Float>, _ range: Range<Int>,
    _ epilogue: BlockedConvolution.Epilogue, into y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    nonisolated(unsafe) let (products, y, epilogue) = unsafe (products, y, epilogue)
    let bounds = unsafe epilogue.activation.bounds
    let plane = shape.output.elementCount * lanes
    crew.perform(filter.outputBlocks) { block in
      let mode = kernels_flush_denormals()
      defer { kernels_restore_denormals(mode) }
      var tiles = unsafe tiles(range, shape.output, blocks: filter.outputBlocks)
      unsafe tiles.v = unsafe products + block * range.count * lanes
      unsafe tiles.v_point = productStep
      unsafe tiles.y = unsafe y + block * plane
      unsafe tiles.bias = filter.bias.map { unsafe $0 + block * lanes }
      unsafe tiles.residual = epilogue.residual.map { unsafe $0 + block * plane }
      unsafe (tiles.slope, tiles.low, tiles.high) = bounds
      unsafe crew.instructions.kernels.gather_tiles(&tiles)
      unsafe finish(epilogue.activation, range, y + block * plane, crew)
    }
  }

  /// Applies a function that the kernels do not know to the outputs of some tiles.
  private func finish(
    _ activation: Activation, _ range: Range<Int>, _ y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    guard activation.hasSteps else { return }
    let (rows, columns) = (shape.output[0], shape.output[1])
    for tile in range {
      let (image, place) = tile.quotientAndRemainder(dividingBy: tilesPerImage)
      let (row, column) = place.quotientAndRemainder(dividingBy: tileColumns)
      let start =
        image * filter.outputBlocks * rows * columns + row * m * columns + column * m
      unsafe activation.finish(
        rows: min(m, rows - row * m), columns: min(m, columns - column * m) * lanes,
        at: y + start * lanes, step: columns * lanes, with: crew.instructions)
    }
  }
}
