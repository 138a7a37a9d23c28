import CKernels

/// A convolution over blocks of channels prepared for one shape: y = activation(x ∗ filter + bias +
/// residual), in one or two spatial axes.
struct BlockedConvolution: Sendable {
  let shape: ConvolutionShape
  let filter: BlockedFilter
  private let geometry: Geometry
  private let planeSteps: PlaneSteps

  /// Where the outputs of a product lie, if not densely: every `strides`-th row and column from
  /// `first` on of planes with these extents.
  struct Spread: Sendable {
    var first: (row: Int, column: Int)
    var strides: (rows: Int, columns: Int)
    var extents: (rows: Int, columns: Int)
  }

  /// Floats from a plane to the next, where planes do not adjoin: of those whose rows are kept only while
  /// they are needed.
  struct PlaneSteps: Sendable {
    var input: Int?
    var output: Int?
  }

  /// What is added to the result, and the function it goes through.
  @unsafe struct Epilogue {
    /// Laid out as the result, and may be the result.
    var residual: UnsafePointer<Float>?
    var activation = Activation.none
  }

  init(
    _ shape: ConvolutionShape, _ filter: BlockedFilter, spread: Spread? = nil,
    planeSteps: PlaneSteps = PlaneSteps()
  ) {
    self.shape = shape
    self.filter = filter
    self.planeSteps = planeSteps
    geometry = Geometry(shape, filter, spread, planeSteps)
  }

  func run(
    _ x: UnsafePointer<Float>, _ epilogue: Epilogue, into y: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    guard shape.batch > 0, shape.output.elementCount > 0 else { return }
    switch filter.algorithm {
    case .product, .planar: unsafe multiply(x, epilogue, y, crew)
    case .winograd(let m):
      let winograd = WinogradConvolution(shape, filter, outputs: m)
      unsafe winograd.run(x, epilogue, into: y, on: crew)
    case .depthwise: unsafe correlate(x, epilogue, y, crew)
    }
  }

  // MARK: Products

  private func multiply(
    _ x: UnsafePointer<Float>, _ epilogue: Epilogue, _ y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    unsafe withSource(of: x, on: crew) { source in
      unsafe multiplySource(source, epilogue, y, crew)
    }
  }

  /// Calls `body` with what the kernel reads for an input: that, or a copy with its padding.
  func withSource(
    of x: UnsafePointer<Float>, on crew: Crew, _ body: (UnsafePointer<Float>) -> Void
  ) {
    guard filter.algorithm != .depthwise, geometry.isCopied else { return unsafe body(x) }
    unsafe crew.scratch.withFloats(shape.batch * geometry.imageSize) { source in
      unsafe geometry.copy(x, into: source, batch: shape.batch, on: crew)
      unsafe body(source)
    }
  }

  private func multiplySource(
    _ source: UnsafePointer<Float>, _ epilogue: Epilogue, _ y: UnsafeMutablePointer<Float>,
    _ crew: Crew
  ) {
    nonisolated(unsafe) let (source, y, epilogue) = unsafe (source, y, epilogue)
    let grid = geometry.grid(panels: filter.panels, threads: crew.threads)
    crew.perform(grid.chunks) { chunk in
      let mode = kernels_flush_denormals()
      defer { kernels_restore_denormals(mode) }
      let (areas, panels) = grid.parts(of: chunk)
      unsafe multiply(source, epilogue, y, panels, areas.lazy.map { grid.areas[$0] }, crew)
    }
  }

  private func multiply(
    _ source: UnsafePointer<Float>, _ epilogue: Epilogue, _ y: UnsafeMutablePointer<Float>,
    _ panels: Range<Int>, _ areas: some Collection<Area>, _ crew: Crew
  ) {
    let stretches = filter.stretches
    for (index, stretch) in stretches.enumerated() {
      for panel in panels {
        for area in areas {
          unsafe multiply(
            source, epilogue, y, stretch, panel, area, crew, isFirst: index == 0,
            isLast: index == stretches.count - 1)
        }
      }
    }
    guard unsafe epilogue.activation.hasSteps else { return }
    for panel in panels {
      for area in areas { unsafe finish(epilogue.activation, y, panel, area, crew) }
    }
  }

  private func multiply(
    _ source: UnsafePointer<Float>, _ epilogue: Epilogue, _ y: UnsafeMutablePointer<Float>,
    _ stretch: BlockedFilter.Stretch, _ panel: Int, _ area: Area,
    _ crew: Crew, isFirst: Bool, isLast: Bool
  ) {
    let vectors = filter.vectors(of: panel)
    let lanes = filter.layout.lanes
    let place = geometry.place(
      of: area, image: area.images.lowerBound, vectors.lowerBound, of: filter.outputBlocks)
    let bounds = unsafe epilogue.activation.bounds
    unsafe geometry.offsets.withUnsafeBufferPointer { offsets in
      var product = unsafe BlockedProduct(
        rows: area.rows.count, columns: area.columns.count, vectors: vectors.count,
        runs: stretch.runs.count, full_runs: stretch.fullRuns, run: filter.run,
        short_run: filter.shortRun, pass: filter.pass,
        x: source
          + (geometry.start(of: area) + filter.firstInputBlock(of: panel) * geometry.planeSize),
        x_row: geometry.rowStep,
        offsets: offsets.baseAddress! + stretch.runs.lowerBound,
        weights: filter.start + filter.place(of: panel, in: stretch), y: y + place,
        y_row: geometry.outputRowStep, y_column: geometry.outputStep,
        y_vector: geometry.outputPlane, x_column: geometry.columnStep,
        is_placed: geometry.isPlaced, images: area.images.count,
        x_image: geometry.imageSize, y_image: geometry.outputPlane * filter.outputBlocks,
        bias: filter.bias.map { unsafe $0 + vectors.lowerBound * lanes },
        residual: epilogue.residual.map { unsafe $0 + place }, is_first: isFirst, is_last: isLast,
        slope: bounds.slope, low: bounds.low, high: bounds.high, taps: 0, first_tap: 0,
        row_taps: nil, column_taps: nil)
      guard let seen = geometry.seenTaps else {
        return unsafe crew.instructions.kernels.multiply_blocks(&product)
      }
      unsafe product.taps = seen.count
      unsafe product.first_tap = stretch.runs.lowerBound % seen.count
      unsafe seen.rows.withUnsafeBufferPointer { rows in
        unsafe seen.columns.withUnsafeBufferPointer { columns in
          unsafe product.row_taps = rows.baseAddress! + area.rows.lowerBound
          unsafe product.column_taps = columns.baseAddress! + area.columns.lowerBound
          unsafe crew.instructions.kernels.multiply_blocks(&product)
        }
      }
    }
  }

  /// Applies a function that the kernels do not know to what a panel made of an area.
  private func finish(
    _ activation: Activation, _ y: UnsafeMutablePointer<Float>, _ panel: Int, _ area: Area,
    _ crew: Crew
  ) {
    let lanes = filter.layout.lanes
    for image in area.images {
      for block in filter.vectors(of: panel) {
        let place = geometry.place(of: area, image: image, block, of: filter.outputBlocks)
        for row in 0..<area.rows.count {
          // Neighbours adjoin, or each is a row of its own.
          let isDense = geometry.outputStep == lanes
          unsafe activation.finish(
            rows: isDense ? 1 : area.columns.count,
            columns: isDense ? area.columns.count * lanes : lanes,
            at: y + (place + row * geometry.outputRowStep), step: geometry.outputStep,
            with: crew.instructions)
        }
      }
    }
  }

  // MARK: Depthwise

  private func correlate(
    _ x: UnsafePointer<Float>, _ epilogue: Epilogue, _ y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, epilogue) = unsafe (x, y, epilogue)
    let windows = unsafe BlockWindows(shape)
    let outputs = shape.output.elementCount
    // A chunk is some microseconds of work. Planes of several areas of a product are cut into rows, as
    // it cuts them, so that each thread reads what it has made before; smaller ones are not.
    let rows = unsafe windows.rows
    let rowWork = max(1, outputs / max(1, rows) * (shape.taps + 4))
    let isCut = outputs > 32 * filter.tilePixels && crew.threads > 1
    let rowsAtOnce = min(
      isCut ? (rows + 1) / 2 : rows, max(1, (isCut ? 1 << 14 : 1 << 20) / rowWork))
    let parts = (rows + rowsAtOnce - 1) / rowsAtOnce
    let planes = shape.batch * filter.outputBlocks
    let planesAtOnce = max(1, (1 << 14) / (rowWork * rowsAtOnce))
    let planeGroups = (planes + planesAtOnce - 1) / planesAtOnce
    crew.perform(parts * planeGroups) { chunk in
      let mode = kernels_flush_denormals()
      defer { kernels_restore_denormals(mode) }
      let (part, group) = chunk.quotientAndRemainder(dividingBy: planeGroups)
      for plane in group * planesAtOnce..<min((group + 1) * planesAtOnce, planes) {
        unsafe correlate(
          plane, part * rowsAtOnce..<min((part + 1) * rowsAtOnce, rows), windows, x, epilogue, y,
          crew)
      }
    }
  }

  /// Some rows of a block of channels, counted through the batch.
  private func correlate(
    _ plane: Int, _ rows: Range<Int>, _ windows: BlockWindows, _ x: UnsafePointer<Float>,
    _ epilogue: Epilogue, _ y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    let lanes = filter.layout.lanes
    let block = plane % filter.outputBlocks
    let place = plane * outputPlane
    let bounds = unsafe epilogue.activation.bounds
    var correlation = unsafe BlockCorrelation(
      windows: windows, taps: filter.start + block * shape.taps * lanes,
      bias: filter.bias.map { unsafe $0 + block * lanes },
      residual: epilogue.residual.map { unsafe $0 + place }, slope: bounds.slope, low: bounds.low,
      high: bounds.high)
    unsafe correlation.windows.x = unsafe x + plane * inputPlane
    unsafe correlation.windows.y = unsafe y + place
    unsafe correlation.windows.first_row = rows.lowerBound
    unsafe correlation.windows.rows = rows.count
    unsafe crew.instructions.kernels.correlate_block(&correlation)
    let rowSize = unsafe windows.columns * lanes
    unsafe epilogue.activation.finish(
      rows: 1, columns: rows.count * rowSize, at: y + (place + rows.lowerBound * rowSize), step: 0,
      with: crew.instructions)
  }

  /// Floats from a block of channels to the next, of the input and of the output.
  private var inputPlane: Int {
    planeSteps.input ?? shape.input.elementCount * filter.layout.lanes
  }
  private var outputPlane: Int {
    planeSteps.output ?? shape.output.elementCount * filter.layout.lanes
  }

  // MARK: Rows

  /// Whether outputs can be computed some rows at a time.
  var goesByRows: Bool {
    switch filter.algorithm {
    case .planar, .depthwise: true
    case .product: shape.isPointwise
    case .winograd: false
    }
  }

  /// The rows of the input that some rows of the output see; none where those see padding alone.
  func rowsSeen(by rows: Range<Int>) -> Range<Int> {
    let (pads, taps) = (shape.padsBegin.asPlane(filler: 0).rows, shape.kernel.asPlane.rows)
    let (stride, step) = (shape.strides.asPlane.rows, shape.dilations.asPlane.rows)
    let extent = shape.input.asPlane.rows
    let first = min(max(0, rows.lowerBound * stride - pads), extent)
    let end = min(extent, (rows.upperBound - 1) * stride - pads + (taps - 1) * step + 1)
    return first..<max(first, end)
  }

  /// Floats from an image to the next of what ``withSource(of:on:_:)`` gives, and of the output.
  var sourceImage: Int {
    filter.algorithm == .depthwise ? filter.outputBlocks * inputPlane : geometry.imageSize
  }
  var outputImage: Int { filter.outputBlocks * outputPlane }

  /// Computes some rows of an image, on the calling thread.
  /// - Parameters:
  ///   - source: where the image lies in what ``withSource(of:on:_:)`` gives. Row 0 need not be in memory where
  ///     no row of the output sees it; so it is with `y`.
  ///   - epilogue: its residual begins where the image's does.
  func run(
    rows: Range<Int>, _ source: UnsafePointer<Float>, _ epilogue: Epilogue,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    guard filter.algorithm == .depthwise else {
      return unsafe multiply(
        source, epilogue, y, 0..<filter.panels, geometry.areas(ofRows: rows, shape), crew)
    }
    let windows = unsafe BlockWindows(shape)
    for plane in 0..<filter.outputBlocks {
      unsafe correlate(plane, rows, windows, source, epilogue, y, crew)
    }
  }
}

extension BlockWindows {
  init(_ shape: ConvolutionShape) {
    unsafe self.init(
      input: shape.input, output: shape.output, kernel: shape.kernel, strides: shape.strides,
      dilations: shape.dilations, pads: shape.padsBegin)
  }

  /// The windows of one or two spatial axes over all rows; x and y are to be set.
  init(
    input: [Int], output: [Int], kernel: [Int], strides: [Int], dilations: [Int], pads: [Int]
  ) {
    let (input, output, taps) = (input.asPlane, output.asPlane, kernel.asPlane)
    let (strides, steps) = (strides.asPlane, dilations.asPlane)
    let pads = pads.asPlane(filler: 0)
    unsafe self.init(
      first_row: 0, rows: output.rows, columns: output.columns, x_rows: input.rows,
      x_columns: input.columns, tap_rows: taps.rows, tap_columns: taps.columns,
      row_stride: strides.rows, column_stride: strides.columns, row_step: steps.rows,
      column_step: steps.columns, pad_top: pads.rows, pad_left: pads.columns,
      x: BlockWindows.nowhere, y: UnsafeMutablePointer(mutating: BlockWindows.nowhere),
      row_taps: nil, column_taps: nil)
  }

  /// Stands for an address until it is known.
  private static var nowhere: UnsafePointer<Float> {
    unsafe UnsafePointer(bitPattern: MemoryLayout<Float>.alignment)!
  }
}

extension [Int] {
  /// One or two spatial axes as rows and columns; a single axis is a row.
  var asPlane: (rows: Int, columns: Int) { asPlane(filler: 1) }

  func asPlane(filler: Int) -> (rows: Int, columns: Int) {
    count > 1 ? (self[0], self[1]) : (filler, self[0])
  }
}

/// Where the kernel of a product finds what an output sees, and how the outputs are cut.
private struct Geometry: Sendable {
  /// Whether the input is copied first: with its padding, and blocks that are one stride apart side by
  /// side, which are then read by one panel after the other.
  let isCopied: Bool
  /// Outputs as the kernel goes through them: a plane without taps is a single row.
  let rows: Int
  let columns: Int
  /// Of each run of depth, from the input of output (0, 0).
  let offsets: [Int32]
  /// From the input of an output to that of the one below, and to that of the one beside it.
  let rowStep: Int
  let columnStep: Int
  /// Floats of a plane and of an image of what the kernel reads.
  let planeSize: Int
  let imageSize: Int
  /// From an output to the one below, to the one beside it, and to its like of the next block.
  let outputRowStep: Int
  let outputStep: Int
  let outputPlane: Int
  private let firstOutput: Int
  private let floats: Int
  private let lanes: Int
  private let tilePixels: Int
  private let copies: Copies
  /// Whether tiles run across the ends of rows and images, which are shorter than a tile or would
  /// leave much of one unused, or there is no kernel for the step from one column to the next.
  let isPlaced: Bool
  private let batch: Int
  /// Multiply-adds of an output place.
  private let work: Int
  /// Where some outputs see padding alone under some taps.
  let seenTaps: SeenTaps?
  private let depth: Int

  init(
    _ shape: ConvolutionShape, _ filter: BlockedFilter, _ spread: BlockedConvolution.Spread?,
    _ planeSteps: BlockedConvolution.PlaneSteps
  ) {
    lanes = filter.layout.lanes
    tilePixels = filter.tilePixels
    floats = filter.algorithm == .planar ? 1 : lanes
    let planes =
      filter.algorithm == .planar ? shape.inputChannels : filter.layout.blocks(shape.inputChannels)
    copies = Copies(shape, planes: planes, floats: floats)
    let (input, output) = (shape.input.asPlane, shape.output.asPlane)
    let isFlat = shape.isPointwise && spread == nil
    let readsPlanes = filter.algorithm == .planar
    isCopied = !isFlat && (shape.isPadded || shape.strides.asPlane.columns > 1 && !readsPlanes)
    (rows, columns) = isFlat ? (1, output.rows * output.columns) : output
    let (steps, strides) = (shape.dilations.asPlane, shape.strides.asPlane)
    if let spread {
      outputStep = spread.strides.columns * lanes
      outputRowStep = spread.strides.rows * spread.extents.columns * lanes
      outputPlane = spread.extents.rows * spread.extents.columns * lanes
      firstOutput = (spread.first.row * spread.extents.columns + spread.first.column) * lanes
    } else {
      outputStep = lanes
      outputRowStep = columns * lanes
      outputPlane = planeSteps.output ?? rows * columns * lanes
      firstOutput = 0
    }
    if isCopied {
      rowStep = copies.rowStep
      planeSize = copies.planeSize
    } else {
      rowStep = strides.rows * input.columns * floats
      planeSize = planeSteps.input ?? input.rows * input.columns * floats
    }
    imageSize = planeSize * planes
    columnStep = readsPlanes ? strides.columns : floats
    let kernelColumns = shape.kernel.asPlane.columns
    offsets = (0..<filter.runs).map { [isCopied, copies, planeSize, floats] index in
      let run = filter.place(ofRun: index, columns: kernelColumns)
      let (row, column) = (run.row * steps.rows, run.column * steps.columns)
      return Int32(
        isCopied
          ? copies.offset(plane: run.plane, row: row, column: column)
          : run.plane * planeSize + (row * input.columns + column) * floats)
    }
    // Five sixths of a tile's pixels at least.
    let tiles = (columns + tilePixels - 1) / tilePixels
    isPlaced =
      ![1, 2, lanes].contains(columnStep)
      || 6 * columns < 5 * tiles * tilePixels && rows * shape.batch > 1
    batch = shape.batch
    depth = filter.inputChannels * shape.taps
    work = depth * shape.outputChannels
    seenTaps = filter.algorithm == .product ? SeenTaps(shape) : nil
  }

  /// Where the input of an area's first output lies.
  func start(of area: Area) -> Int {
    area.images.lowerBound * imageSize + area.rows.lowerBound * rowStep
      + area.columns.lowerBound * columnStep
  }

  /// Where an area's first output of an image lies in a block of channels.
  func place(of area: Area, image: Int, _ block: Int, of blocks: Int) -> Int {
    (image * blocks + block) * outputPlane + firstOutput
      + area.rows.lowerBound * outputRowStep + area.columns.lowerBound * outputStep
  }

  func copy(
    _ x: UnsafePointer<Float>, into source: UnsafeMutablePointer<Float>, batch: Int, on crew: Crew
  ) {
    unsafe copies.run(x, into: source, batch: batch, on: crew)
  }

  /// Some rows of an image in parts that share a pass over the weights.
  func areas(ofRows rows: Range<Int>, _ shape: ConvolutionShape) -> some Collection<Area> {
    // A plane without taps is a single row.
    let isFlat = shape.isPointwise
    let width = shape.output.asPlane.columns
    let areas = Areas(
      rows: isFlat ? 1 : rows.count, columns: isFlat ? rows.count * width : width, images: 1,
      tilePixels: tilePixels, isPlaced: isPlaced, most: Areas.mostTiles)
    let (down, right) = isFlat ? (0, rows.lowerBound * width) : (rows.lowerBound, 0)
    return (0..<areas.count).lazy.map { areas[$0].moved(down: down, right: right) }
  }

  /// Cuts the work into chunks. An output is computed in one of them, in one way, however they are cut.
  func grid(panels: Int, threads: Int) -> ProductGrid {
    func grid(_ tilesPerArea: Int) -> ProductGrid {
      let areas = Areas(
        rows: rows, columns: columns, images: batch, tilePixels: tilePixels, isPlaced: isPlaced,
        most: tilesPerArea)
      return ProductGrid(
        areas, areasAtOnce: tilesPerArea / max(1, areas.tiles), panels: panels, pixelWork: work,
        depth: depth, threads: threads)
    }
    var best = grid(Areas.mostTiles)
    guard threads > 1 else { return best }
    // Smaller areas, where those do not divide among the threads: 576 to 96 channels at 14×14, an area of
    // three panels, took two threads 60 µs and take 46 (Zen 5, AVX-512; one takes 86).
    let tiles = best.areas.tiles
    for parts in 2...4 where tiles > parts && best.isUneven {
      let finer = grid((tiles + parts - 1) / parts)
      if finer.time < best.time { best = finer }
    }
    return best
  }
}

/// The taps that meet the input in each row and each column of outputs, a bit each.
///
/// A tile passes by those that none of its outputs meets, whose products are zeros: 320 to 256 channels at
/// 33×33 with 3×3 taps 18 apart took 7.96 ms and take 4.90 (Zen 5, AVX-512, one thread).
private struct SeenTaps: Sendable {
  let count: Int
  let rows: [UInt64]
  let columns: [UInt64]

  /// - Returns: nil where all are met everywhere, or there are too many.
  init?(_ shape: ConvolutionShape) {
    let kernel = shape.kernel.asPlane
    let count = kernel.rows * kernel.columns
    self.count = count
    guard shape.isPadded, (2...64).contains(count) else { return nil }
    let (input, output) = (shape.input.asPlane, shape.output.asPlane)
    let (pads, strides) = (shape.padsBegin.asPlane(filler: 0), shape.strides.asPlane)
    let gaps = shape.dilations.asPlane
    func met(_ extent: Int, _ place: (Int) -> Int) -> UInt64 {
      (0..<count).reduce(0) { bits, tap in
        (0..<extent).contains(place(tap)) ? bits | 1 << UInt64(tap) : bits
      }
    }
    rows = (0..<output.rows).map { row in
      met(input.rows) {
        row * strides.rows - pads.rows + $0 / kernel.columns * gaps.rows
      }
    }
    columns = (0..<output.columns).map { column in
      met(input.columns) {
        column * strides.columns - pads.columns + $0 % kernel.columns * gaps.columns
      }
    }
  }
}

/// A copy of the input with its padding.
///
/// A row of blocks is [phase][column]: phase p holds the columns p, p + stride, p + 2·stride, …, so
/// that those that a tap meets lie side by side. Rows of planes are as they were.
private struct Copies: Sendable {
  let rowStep: Int
  let planeSize: Int
  private let floats: Int
  private let planes: Int
  private let input: (rows: Int, columns: Int)
  private let pads: (rows: Int, columns: Int)
  private let strides: (rows: Int, columns: Int)
  private let columnStride: Int
  private let copiedRows: Int
  private let copiedColumns: Int
  private let phases: Int
  /// Without taps above each other only the rows that outputs see are copied.
  private let skipsRows: Bool

  init(_ shape: ConvolutionShape, planes: Int, floats: Int) {
    self.planes = planes
    self.floats = floats
    input = shape.input.asPlane
    pads = shape.padsBegin.asPlane(filler: 0)
    strides = shape.strides.asPlane
    let (taps, steps, output) = (
      shape.kernel.asPlane, shape.dilations.asPlane, shape.output.asPlane
    )
    skipsRows = taps.rows == 1
    let span = (taps.rows - 1) * steps.rows
    copiedRows = skipsRows ? output.rows : (output.rows - 1) * strides.rows + span + 1
    let lastColumn = (taps.columns - 1) * steps.columns
    columnStride = floats == 1 ? 1 : strides.columns
    phases = taps.columns == 1 ? 1 : min(columnStride, lastColumn + 1)
    copiedColumns =
      (output.columns - 1) * strides.columns / columnStride + 1 + lastColumn / columnStride
    rowStep = (skipsRows ? 1 : strides.rows) * phases * copiedColumns * floats
    planeSize = copiedRows * phases * copiedColumns * floats
  }

  /// Where a tap's inputs begin.
  func offset(plane: Int, row: Int, column: Int) -> Int {
    let (shift, phase) = column.quotientAndRemainder(dividingBy: columnStride)
    return plane * planeSize
      + ((row * phases + phase) * copiedColumns + shift) * floats
  }

  func run(
    _ x: UnsafePointer<Float>, into source: UnsafeMutablePointer<Float>, batch: Int, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, source) = unsafe (x, source)
    let kernels = unsafe crew.instructions.kernels
    let inputSize = input.rows * input.columns * floats
    let rowLength = copiedColumns * floats
    // Some microseconds of copying at a time.
    let rowSize = max(1, phases * rowLength)
    crew.performRanges(of: batch * planes * copiedRows, by: max(1, (1 << 14) / rowSize)) {
      for index in $0 {
        let (plane, copied) = index.quotientAndRemainder(dividingBy: copiedRows)
        let row = (skipsRows ? copied * strides.rows : copied) - pads.rows
        var target = unsafe source + index * rowSize
        for phase in 0..<phases {
          if row >= 0, row < input.rows {
            unsafe kernels.copy_columns(
              copiedColumns, x + (plane * inputSize + row * input.columns * floats),
              input.columns, phase - pads.columns, columnStride, floats, target)
          } else {
            unsafe target.update(repeating: 0, count: rowLength)
          }
          unsafe target += rowLength
        }
      }
    }
  }
}
