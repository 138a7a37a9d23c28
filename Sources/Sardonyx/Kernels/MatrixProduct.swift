import CKernels

/// Products of single-precision matrices: C = activation(alpha·A·B + beta·C + biases + residual).
///
/// An operator calls `multiply` for one product and `multiplyEach` for a batch; constant factors
/// are packed before (`PackedMatrix`). Depth is never split between chunks, and no chunk has so few rows that
/// tiles sum in another order, so the result is the same to the bit for any number of threads.
enum MatrixProduct {
  /// The sizes of a product, and its factors before the sum and before what C holds.
  struct Shape: Sendable {
    var rows: Int
    var columns: Int
    var depth: Int
    var alpha: Float = 1
    var beta: Float = 0
  }

  /// One of the two factors. Its lanes are rows on the left and columns on the right.
  @unsafe enum Factor {
    /// Element (lane, k) is start[lane·laneStep + k·depthStep].
    case strided(UnsafePointer<Float>, laneStep: Int, depthStep: Int)
    /// Panels of lanes, as `PackedMatrix` lays them out.
    case panels(UnsafePointer<Float>)
    /// Element (lane, k) is start[laneOffsets[lane] + depthOffsets[k]]; right factors only.
    case gathered(
      UnsafePointer<Float>, end: UnsafePointer<Float>, laneOffsets: UnsafePointer<Int32>,
      depthOffsets: UnsafePointer<Int32>)

    static func packed(_ matrix: PackedMatrix) -> Factor { unsafe .panels(matrix.start) }
  }

  /// What is added to a product, and the function it goes through.
  @unsafe struct Epilogue {
    var rowBias: UnsafePointer<Float>?
    var columnBias: UnsafePointer<Float>?
    /// Laid out as C, and may be C.
    var residual: UnsafePointer<Float>?
    var activation = Activation.none
  }

  /// Where the parts of a product lie.
  @unsafe struct Parts {
    var left: Factor
    var right: Factor
    var result: UnsafeMutablePointer<Float>
    /// From a row of the result to the next.
    var resultStep: Int
    var epilogue = unsafe Epilogue()

    /// A single column that lies as a row would: Cᵀ = Bᵀ·Aᵀ fills whole vectors.
    fileprivate var canBeTurned: Bool {
      guard case .strided = unsafe left, case .strided = unsafe right else { return false }
      return unsafe resultStep == 1
    }

    fileprivate var turned: Parts {
      var turned = unsafe self
      unsafe (turned.left, turned.right) = unsafe (right, left)
      unsafe turned.epilogue.rowBias = unsafe epilogue.columnBias
      unsafe turned.epilogue.columnBias = unsafe epilogue.rowBias
      return unsafe turned
    }
  }

  static func multiply(_ product: Parts, _ shape: Shape, on crew: Crew) {
    nonisolated(unsafe) let product = unsafe product
    unsafe multiplyEach(1, shape, on: crew) { _ in unsafe product }
  }

  /// `count` products of one shape; `product` tells where the i-th lies.
  static func multiplyEach(
    _ count: Int, _ shape: Shape, on crew: Crew, product: @escaping @Sendable (Int) -> Parts
  ) {
    guard count > 0, shape.rows > 0, shape.columns > 0 else { return }
    if shape.columns == 1, shape.rows > 1, unsafe product(0).canBeTurned {
      var turned = shape
      (turned.rows, turned.columns) = (1, shape.rows)
      return unsafe multiplyEach(count, turned, on: crew) { unsafe product($0).turned }
    }
    let isCutAnywhere = unsafe product(0).left.isReadInPlace(shape, crew.instructions)
    let grid = Grid(
      shape, count: count, rowUnit: isCutAnywhere ? 1 : crew.instructions.width(of: .left), on: crew
    )
    let isReadOnce = shape.rows <= shape.rowsAtOnce(crew.instructions)
    if grid.chunks == 1, isReadOnce || count >= crew.threads {
      crew.perform(count) { index in
        let block = unsafe Block(product(index), shape, crew)
        unsafe block.run(rows: 0..<shape.rows, columns: 0..<shape.columns)
      }
      return
    }
    for index in 0..<count {
      if crew.isCancelled { return }
      unsafe withShared(product(index), shape, grid, crew) { product in
        nonisolated(unsafe) let block = unsafe Block(product, shape, crew)
        crew.perform(grid.chunks) { chunk in
          unsafe block.run(rows: grid.rows(of: chunk), columns: grid.columns(of: chunk))
        }
      }
    }
  }

  /// Packs the factors that several chunks would pack, each for itself.
  private static func withShared(
    _ product: Parts, _ shape: Shape, _ grid: Grid, _ crew: Crew, _ body: (Parts) -> Void
  ) {
    var packed = unsafe product
    unsafe withPanels(
      of: product.left, .left, lanes: shape.rows, depth: shape.depth,
      if: grid.columnBlocks > 1 && !product.left.isReadInPlace(shape, crew.instructions), crew
    ) { left in
      unsafe packed.left = left
      unsafe withPanels(
        of: product.right, .right, lanes: shape.columns, depth: shape.depth,
        if: grid.rowBlocks > 1
          || shape.rows > shape.rowsAtOnce(crew.instructions),
        crew
      ) { right in
        unsafe packed.right = right
        unsafe body(packed)
      }
    }
  }

  private static func withPanels(
    of factor: Factor, _ side: PackedMatrix.Side, lanes: Int, depth: Int, if isShared: Bool,
    _ crew: Crew, _ body: (Factor) -> Void
  ) {
    if case .panels = unsafe factor { return unsafe body(factor) }
    guard isShared else { return unsafe body(factor) }
    let width = crew.instructions.width(of: side)
    let panels = (lanes + width - 1) / width
    unsafe crew.scratch.withFloats(panels * width * depth) { start in
      nonisolated(unsafe) let (start, factor) = unsafe (start, factor)
      let group = unsafe Block.panelsAtOnce * width
      crew.performRanges(of: lanes, by: group) { lanes in
        unsafe factor.pack(
          lanes: lanes, depth: 0..<depth, width: width, into: start + lanes.lowerBound * depth,
          on: crew)
      }
      unsafe body(.panels(start))
    }
  }
}

extension MatrixProduct.Factor {
  /// Writes panels of these lanes one after the other, each as [depth][width]; fewer where the run is to
  /// end.
  func pack(
    lanes: Range<Int>, depth: Range<Int>, width: Int, into panels: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    let panelStep = width * depth.count
    // Numbers that are packed between two looks at the clock.
    let pieceCount = 1 << 18
    guard lanes.count * depth.count > pieceCount else {
      return unsafe pack(lanes, depth, width, into: panels, panelStep, crew.instructions)
    }
    // Pieces that are long where the source adjoins.
    var lanesAtOnce = width
    if case .strided(_, laneStep: 1, _) = unsafe self {
      lanesAtOnce = max(1, (1 << 14) / width) * width
    }
    let depthAtOnce = pieceCount / lanesAtOnce
    for lane in stride(from: 0, to: lanes.count, by: lanesAtOnce) {
      let first = lanes.lowerBound + lane
      for k in stride(from: 0, to: depth.count, by: depthAtOnce) {
        if crew.isCancelled { return }
        let start = depth.lowerBound + k
        unsafe pack(
          first..<min(first + lanesAtOnce, lanes.upperBound),
          start..<min(start + depthAtOnce, depth.upperBound), width,
          into: panels + (lane * depth.count + k * width), panelStep, crew.instructions)
      }
    }
  }

  private func pack(
    _ lanes: Range<Int>, _ depth: Range<Int>, _ width: Int,
    into panels: UnsafeMutablePointer<Float>, _ panelStep: Int, _ instructions: InstructionSet
  ) {
    switch unsafe self {
    case .strided(let start, let laneStep, let depthStep):
      unsafe instructions.kernels.pack_panels(
        depth.count, lanes.count, width,
        start + (lanes.lowerBound * laneStep + depth.lowerBound * depthStep), laneStep, depthStep,
        panels, panelStep)
    case .gathered(let start, let end, let laneOffsets, let depthOffsets):
      unsafe instructions.kernels.gather_panels(
        depth.count, lanes.count, width, start, end, depthOffsets + depth.lowerBound,
        laneOffsets + lanes.lowerBound, panels, panelStep)
    case .panels:
      preconditionFailure("a packed factor is not packed again")
    }
  }
}

extension MatrixProduct.Shape {
  /// Rows whose whole depth stays in the second cache while the right factor goes by; not so many that writing
  /// to pages of the result for the first time keeps the clock waiting.
  fileprivate func rowsAtOnce(_ instructions: InstructionSet) -> Int {
    let most = min(4096, Caches.level2 / 2 / MemoryLayout<Float>.stride / max(1, depth))
    return max(4 * instructions.width(of: .left), most)
  }
}

/// How a product is cut: into blocks of whole panels of columns, and of rows so many that none is left with
/// less than a tile.
private struct Grid {
  let rowBlocks: Int
  let columnBlocks: Int
  private let rows: Int
  private let columns: Int
  private let width: Int
  /// What row blocks are multiples of, but for the last: panels are not cut.
  private let rowUnit: Int

  /// - Parameter count: products of this shape that are computed one after the other.
  init(_ shape: MatrixProduct.Shape, count: Int, rowUnit: Int, on crew: Crew) {
    (rows, columns, self.rowUnit) = (shape.rows, shape.columns, rowUnit)
    width = crew.instructions.width(of: .right)
    let panels = (columns + width - 1) / width
    // Four chunks for each thread even them out; below a million operations, some microseconds, none is
    // worth it. Few rows wait for memory to bring the right factor, and count as 16: 1×576 times 576×1024
    // take 33 µs, and two threads 18 (Zen 5, AVX-512).
    let work = 2 * Double(max(rows, 16)) * Double(columns) * Double(shape.depth)
    let even = crew.threads == 1 ? 1 : (4 * crew.threads + count - 1) / count
    let wanted = max(1, min(even, Int(min(work / 1e6, 1e6))))
    // Each block of rows reads the whole right factor, and each of columns the whole left one: 197×768 times
    // 768×192 took 300 µs in blocks of 14 rows and 254 in one.
    let mostRowBlocks = max(1, rows / (2 * crew.instructions.width(of: .left)))
    var best = (rowBlocks: 1, columnBlocks: 1, chunks: 0, reading: 0)
    for columnBlocks in 1...max(1, min(wanted, panels)) {
      let rowBlocks = min(mostRowBlocks, (wanted + columnBlocks - 1) / columnBlocks)
      let chunks = min(rowBlocks * columnBlocks, wanted)
      let reading = rowBlocks * shape.columns + columnBlocks * shape.rows
      if chunks > best.chunks || chunks == best.chunks && reading < best.reading {
        best = (rowBlocks, columnBlocks, chunks, reading)
      }
    }
    (rowBlocks, columnBlocks) = (best.rowBlocks, best.columnBlocks)
  }

  var chunks: Int { rowBlocks * columnBlocks }

  func rows(of chunk: Int) -> Range<Int> {
    Self.part(chunk % rowBlocks, of: rowBlocks, rows, rowUnit)
  }

  func columns(of chunk: Int) -> Range<Int> {
    Self.part(chunk / rowBlocks, of: columnBlocks, columns, width)
  }

  /// The i-th of so many parts of nearly one length, each but the last a multiple of `unit`.
  static func part(_ index: Int, of parts: Int, _ extent: Int, _ unit: Int) -> Range<Int> {
    let units = (extent + unit - 1) / unit
    return min(
      extent, units * index / parts * unit)..<min(extent, units * (index + 1) / parts * unit)
  }
}

/// The product as seen by a chunk, which computes some rows of some columns over the whole depth.
@unsafe private struct Block {
  /// Panels of the right factor that are packed together, so that their source is read in long
  /// stretches.
  static let panelsAtOnce = 4
  /// Rows that are not worth packing a factor for.
  static let mostDotRows = 3

  private var product: MatrixProduct.Parts
  private var shape: MatrixProduct.Shape
  private let crew: Crew
  private let height: Int
  private let width: Int
  /// Depth in one pass, of even length: a panel of the right factor then stays in the first cache,
  /// and sums of 128 that are then added lose a fraction of what one long sum loses.
  private let pass: Int

  init(_ product: MatrixProduct.Parts, _ shape: MatrixProduct.Shape, _ crew: Crew) {
    unsafe self.product = product
    unsafe self.shape = shape
    unsafe self.crew = crew
    unsafe height = crew.instructions.width(of: .left)
    unsafe width = crew.instructions.width(of: .right)
    let passes = max(1, (shape.depth + 127) / 128)
    unsafe pass = max(1, (shape.depth + passes - 1) / passes)
    // The first pass would overwrite a residual that lies in the result.
    if let residual = unsafe product.epilogue.residual,
      unsafe residual == UnsafePointer(product.result), shape.beta == 0
    {
      unsafe self.shape.beta = 1
      unsafe self.product.epilogue.residual = nil
    }
  }

  func run(rows: Range<Int>, columns: Range<Int>) {
    if case .strided(let x, laneStep: let step, depthStep: 1) = unsafe product.left,
      case .strided(let matrix, let rowStep, depthStep: 1) = unsafe product.right,
      unsafe rows.count <= Block.mostDotRows
    {
      return unsafe runDots(rows, columns, x, step, matrix, rowStep)
    }
    let packsLeft =
      unsafe !product.left.isPacked
      && !product.left.isReadInPlace(shape, crew.instructions)
    let leftRoom = unsafe packsLeft ? (rows.count + height - 1) / height * height * shape.depth : 0
    let rightRoom = unsafe Block.panelsAtOnce * width * pass
    unsafe crew.scratch.withFloats(rightRoom + leftRoom) { scratch in
      let left = unsafe leftRows(rows, scratch + rightRoom)
      let most = unsafe shape.rowsAtOnce(crew.instructions)
      let parts = (rows.count + most - 1) / most
      for index in 0..<parts {
        if index > 0, unsafe crew.isCancelled { return }
        let part = unsafe Grid.part(index, of: parts, rows.count, left.panelStep == 0 ? 1 : height)
        unsafe multiply(
          rows.lowerBound + part.lowerBound..<rows.lowerBound + part.upperBound, columns,
          left.rows(from: part.lowerBound, height: height), scratch)
      }
    }
  }

  /// All columns of a chunk, some panels at a time, pass by pass over the depth.
  private func multiply(
    _ rows: Range<Int>, _ columns: Range<Int>, _ left: LeftRows,
    _ scratch: UnsafeMutablePointer<Float>
  ) {
    let group = unsafe Block.panelsAtOnce * width
    // What is packed is read in one sweep, panel by panel.
    let together = unsafe product.right.isPacked ? width : group
    // About the nanoseconds since the last look at the clock.
    var work = 0
    for first in stride(from: columns.lowerBound, to: columns.upperBound, by: group) {
      let group = first..<min(first + group, columns.upperBound)
      // Packing a step of depth takes as long as some rows of it.
      unsafe work += (rows.count + 16) * group.count * (shape.depth + 8) / 32
      if work >= 1 << 20 {
        if unsafe crew.isCancelled { return }
        work = 0
      }
      for first in stride(from: group.lowerBound, to: group.upperBound, by: together) {
        let panels = first..<min(first + together, group.upperBound)
        var k = 0
        repeat {
          let depth = unsafe k..<min(k + pass, shape.depth)
          unsafe multiply(rows, panels, depth, left, scratch)
          unsafe k += pass
        } while unsafe k < shape.depth
      }
      // While the results are near.
      unsafe finish(rows, group)
    }
  }

  /// One pass over some panels of columns.
  private func multiply(
    _ rows: Range<Int>, _ columns: Range<Int>, _ depth: Range<Int>, _ left: LeftRows,
    _ scratch: UnsafeMutablePointer<Float>
  ) {
    let right = unsafe rightPanels(columns, depth, rows: rows.count, scratch)
    // Pages of the result that are written for the first time are dear, huge ones above all: those of a
    // group of rows take some milliseconds at most.
    let most = unsafe max(2 * height, (1 << 22) / max(1, product.resultStep))
    let groups = (rows.count + most - 1) / most
    for (index, column) in unsafe stride(
      from: columns.lowerBound, to: columns.upperBound, by: width
    ).enumerated() {
      for group in 0..<groups {
        if group > 0, unsafe crew.isCancelled { return }
        let part = unsafe Grid.part(group, of: groups, rows.count, left.panelStep == 0 ? 1 : height)
        unsafe multiply(
          rows.lowerBound + part.lowerBound..<rows.lowerBound + part.upperBound,
          column..<min(column + width, columns.upperBound), depth.count,
          isFirst: depth.lowerBound == 0, isLast: depth.upperBound == shape.depth,
          left.rows(from: part.lowerBound, height: height).from(depth.lowerBound),
          (right.start + index * right.panelStep, right.rowStep))
      }
    }
  }

  /// Few rows times columns that lie along depth: dot products, which then go through a product of
  /// depth 1.
  private func runDots(
    _ rows: Range<Int>, _ columns: Range<Int>, _ x: UnsafePointer<Float>, _ step: Int,
    _ matrix: UnsafePointer<Float>, _ rowStep: Int
  ) {
    let instructions = unsafe crew.instructions
    unsafe crew.scratch.withFloats(columns.count + width + height) { dots in
      let one = unsafe dots + (columns.count + width)
      unsafe one.pointee = 1
      for row in rows {
        if row > rows.lowerBound, unsafe crew.isCancelled { return }
        unsafe instructions.kernels.dot_rows(
          columns.count, shape.depth, x + row * step, matrix + columns.lowerBound * rowStep,
          rowStep, dots)
        for column in unsafe stride(from: 0, to: columns.count, by: width) {
          let first = columns.lowerBound + column
          let panel = unsafe first..<min(first + width, columns.upperBound)
          unsafe multiply(
            row..<row + 1, panel, 1, isFirst: true, isLast: true,
            LeftRows(start: UnsafePointer(one), rowStep: 1, depthStep: 1, panelStep: 0),
            (UnsafePointer(dots + column), width))
        }
      }
    }
    unsafe finish(rows, columns)
  }

  private func finish(_ rows: Range<Int>, _ columns: Range<Int>) {
    unsafe product.epilogue.activation.finish(
      rows: rows.count, columns: columns.count,
      at: product.result + (rows.lowerBound * product.resultStep + columns.lowerBound),
      step: product.resultStep, with: crew.instructions)
  }

  /// The left factor's elements for these rows: where they lie, or packed.
  private func leftRows(_ rows: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) -> LeftRows {
    let panelStep = unsafe height * shape.depth
    switch unsafe product.left {
    case .panels(let start):
      return unsafe LeftRows(
        start: start + rows.lowerBound * shape.depth, rowStep: 1, depthStep: height,
        panelStep: panelStep)
    case .strided(let start, let laneStep, let depthStep)
    where unsafe product.left.isReadInPlace(shape, crew.instructions):
      return unsafe LeftRows(
        start: start + rows.lowerBound * laneStep, rowStep: laneStep, depthStep: depthStep,
        panelStep: 0)
    default:
      unsafe product.left.pack(
        lanes: rows, depth: 0..<shape.depth, width: height, into: scratch, on: crew)
      return unsafe LeftRows(
        start: UnsafePointer(scratch), rowStep: 1, depthStep: height, panelStep: panelStep)
    }
  }

  /// The right factor's panels for these columns and this depth, and the steps from panel to panel
  /// and row to row.
  private func rightPanels(
    _ columns: Range<Int>, _ depth: Range<Int>, rows: Int, _ scratch: UnsafeMutablePointer<Float>
  ) -> (start: UnsafePointer<Float>, panelStep: Int, rowStep: Int) {
    switch unsafe product.right {
    case .panels(let start):
      return unsafe (
        start + (columns.lowerBound * shape.depth + depth.lowerBound * width),
        width * shape.depth, width
      )
    case .strided(let start, laneStep: 1, let depthStep)
    where unsafe rows <= 4 * height && columns.count % width == 0:
      // Few rows would not repay the copy.
      return unsafe (
        start + (columns.lowerBound + depth.lowerBound * depthStep), width, depthStep
      )
    default:
      unsafe product.right.pack(
        lanes: columns, depth: depth, width: width, into: scratch, on: crew)
      return unsafe (UnsafePointer(scratch), width * depth.count, width)
    }
  }

  private func multiply(
    _ rows: Range<Int>, _ columns: Range<Int>, _ depth: Int, isFirst: Bool, isLast: Bool,
    _ left: LeftRows,
    _ right: (start: UnsafePointer<Float>, step: Int)
  ) {
    let place = unsafe rows.lowerBound * product.resultStep + columns.lowerBound
    var panel = unsafe PanelProduct(
      rows: rows.count, columns: columns.count, depth: depth,
      a: left.start, a_row: left.rowStep, a_depth: left.depthStep, a_panel: left.panelStep,
      b: right.start, b_step: right.step,
      c: product.result + place, c_step: product.resultStep,
      alpha: shape.alpha, beta: isFirst ? shape.beta : 1,
      row_bias: nil, column_bias: nil, residual: nil, residual_step: product.resultStep,
      slope: 1, low: -.infinity, high: .infinity)
    if isLast {
      let epilogue = unsafe product.epilogue
      unsafe panel.row_bias = epilogue.rowBias.map { unsafe $0 + rows.lowerBound }
      unsafe panel.column_bias = epilogue.columnBias.map { unsafe $0 + columns.lowerBound }
      unsafe panel.residual = epilogue.residual.map { unsafe $0 + place }
      unsafe (panel.slope, panel.low, panel.high) = epilogue.activation.bounds
    }
    unsafe crew.instructions.kernels.multiply_panel(&panel)
  }
}

/// Rows of the left factor: their elements' steps, and that from panel to panel where they are packed.
@unsafe private struct LeftRows {
  var start: UnsafePointer<Float>
  let rowStep: Int
  let depthStep: Int
  let panelStep: Int

  /// The rows from one on that begins a panel of `height` rows.
  func rows(from first: Int, height: Int) -> LeftRows {
    unsafe moved(by: panelStep == 0 ? first * rowStep : first / height * panelStep)
  }

  func from(_ depth: Int) -> LeftRows { unsafe moved(by: depth * depthStep) }

  private func moved(by count: Int) -> LeftRows {
    var moved = unsafe self
    unsafe moved.start += count
    return unsafe moved
  }
}

extension MatrixProduct.Factor {
  /// Whether kernels read the rows of a left factor where they lie: at 192…4096 columns the tiles that do
  /// are as fast as those that read panels (260 of 272 GFLOP/s with AVX-512), and packing costs a tenth.
  ///
  /// More rows than a set of the first cache holds lines do not go together where they lie whole pages apart: 28×1024 times
  /// 1024×1024 went from 50 to 67 % of the peak, 128×3072 times 3072×768 from 56 to 68, but 197×1024 times 1024×128 from 56
  /// to 53 (Cascade Lake, AVX-512); 6 rows of AVX2 do.
  fileprivate func isReadInPlace(
    _ shape: MatrixProduct.Shape, _ instructions: InstructionSet
  ) -> Bool {
    guard case .strided(_, let laneStep, let depthStep) = unsafe self else { return false }
    if shape.rows == 1 { return true }
    let shareSets = laneStep % 1024 == 0 && min(shape.rows, instructions.width(of: .left)) > 8
    return depthStep == 1 && !(shareSets && shape.columns >= 256)
  }

  fileprivate var isPacked: Bool {
    if case .panels = unsafe self { true } else { false }
  }
}
