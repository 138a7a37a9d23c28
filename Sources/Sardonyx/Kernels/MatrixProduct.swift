import CKernels

/// Products of single-precision matrices: C = activation(alpha·A·B + beta·C + biases + residual).
///
/// An operator calls `multiply` for one product and `multiplyEach` for a batch; constant factors
/// are packed before (`PackedMatrix`). The work is cut into chunks by the shape alone and depth is
/// never split between chunks, so the result is the same to the bit for any number of threads.
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
    let grid = Grid(shape, count: count, for: crew.instructions)
    if grid.chunks == 1 {
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
      if: grid.columnBlocks > 1 && shape.rows > Block.mostDotRows, crew
    ) { left in
      unsafe packed.left = left
      unsafe withPanels(
        of: product.right, .right, lanes: shape.columns, depth: shape.depth,
        if: grid.rowBlocks > 1, crew
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
          with: crew.instructions)
      }
      unsafe body(.panels(start))
    }
  }
}

extension MatrixProduct.Factor {
  /// Writes panels of these lanes one after the other, each as [depth][width].
  func pack(
    lanes: Range<Int>, depth: Range<Int>, width: Int, into panels: UnsafeMutablePointer<Float>,
    with instructions: InstructionSet
  ) {
    switch unsafe self {
    case .strided(let start, let laneStep, let depthStep):
      unsafe instructions.kernels.pack_panels(
        depth.count, lanes.count, width,
        start + (lanes.lowerBound * laneStep + depth.lowerBound * depthStep), laneStep, depthStep,
        panels, width * depth.count)
    case .gathered(let start, let end, let laneOffsets, let depthOffsets):
      unsafe instructions.kernels.gather_panels(
        depth.count, lanes.count, width, start, end, depthOffsets + depth.lowerBound,
        laneOffsets + lanes.lowerBound, panels, width * depth.count)
    case .panels:
      preconditionFailure("a packed factor is not packed again")
    }
  }
}

/// How a product is cut: into blocks of whole tiles.
private struct Grid {
  let rowBlocks: Int
  let columnBlocks: Int
  private let rowsPerBlock: Int
  private let columnsPerBlock: Int
  private let rows: Int
  private let columns: Int

  init(_ shape: MatrixProduct.Shape, count: Int, for instructions: InstructionSet) {
    rows = shape.rows
    columns = shape.columns
    let height = instructions.width(of: .left)
    let width = instructions.width(of: .right)
    let rowPanels = (rows + height - 1) / height
    let columnPanels = (columns + width - 1) / width
    // Reading the right factor costs about as much as multiplying it with eight rows.
    let work = 2 * Double(rows + 8) * Double(columns) * Double(shape.depth)
    // A chunk is some microseconds of work; of a long batch each product is a chunk unless it is
    // large.
    let wanted = min(16, max(1, Int(min(work / (count < 8 ? 1e6 : 1e8), 16))))
    // The larger factor is cut first, so that it is read once.
    let cutsRows = rows > columns
    let most = min(wanted, cutsRows ? rowPanels : columnPanels)
    let rest = min((wanted + most - 1) / most, cutsRows ? columnPanels : rowPanels)
    let (rowParts, columnParts) = cutsRows ? (most, rest) : (rest, most)
    rowsPerBlock = (rowPanels + rowParts - 1) / rowParts * height
    columnsPerBlock = (columnPanels + columnParts - 1) / columnParts * width
    rowBlocks = (rows + rowsPerBlock - 1) / rowsPerBlock
    columnBlocks = (columns + columnsPerBlock - 1) / columnsPerBlock
  }

  var chunks: Int { rowBlocks * columnBlocks }

  func rows(of chunk: Int) -> Range<Int> {
    let first = chunk % rowBlocks * rowsPerBlock
    return first..<min(first + rowsPerBlock, rows)
  }

  func columns(of chunk: Int) -> Range<Int> {
    let first = chunk / rowBlocks * columnsPerBlock
    return first..<min(first + columnsPerBlock, columns)
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
  /// Whole panels of rows between two looks at the clock.
  private let rowsAtOnce: Int

  init(_ product: MatrixProduct.Parts, _ shape: MatrixProduct.Shape, _ crew: Crew) {
    unsafe self.product = product
    unsafe self.shape = shape
    unsafe self.crew = crew
    unsafe height = crew.instructions.width(of: .left)
    unsafe width = crew.instructions.width(of: .right)
    let passes = max(1, (shape.depth + 127) / 128)
    unsafe pass = max(1, (shape.depth + passes - 1) / passes)
    unsafe rowsAtOnce = max(1, (1 << 22) / max(1, product.resultStep * height)) * height
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
    let packsLeft = unsafe !product.left.isPacked && rows.count > 1
    let leftRoom = unsafe packsLeft ? (rows.count + height - 1) / height * height * shape.depth : 0
    let rightRoom = unsafe Block.panelsAtOnce * width * pass
    unsafe crew.scratch.withFloats(rightRoom + leftRoom) { scratch in
      let left = unsafe leftPanels(rows, scratch + rightRoom)
      // What is packed is read in one sweep, panel by panel.
      let group = unsafe (product.right.isPacked ? 1 : Block.panelsAtOnce) * width
      // About the nanoseconds since the last look at the clock.
      var work = 0
      for first in stride(from: columns.lowerBound, to: columns.upperBound, by: group) {
        let group = first..<min(first + group, columns.upperBound)
        unsafe work += rows.count * group.count * shape.depth / 32
        if work >= 1 << 20 {
          if unsafe crew.isCancelled { return }
          work = 0
        }
        var k = 0
        repeat {
          let depth = unsafe k..<min(k + pass, shape.depth)
          unsafe multiply(rows, group, depth, left, scratch)
          unsafe k += pass
        } while unsafe k < shape.depth
      }
    }
    unsafe finish(rows, columns)
  }

  /// One pass over some panels of columns.
  private func multiply(
    _ rows: Range<Int>, _ columns: Range<Int>, _ depth: Range<Int>,
    _ left: (start: UnsafePointer<Float>, depthStep: Int), _ scratch: UnsafeMutablePointer<Float>
  ) {
    let right = unsafe rightPanels(columns, depth, rows: rows.count, scratch)
    for (index, column) in unsafe stride(
      from: columns.lowerBound, to: columns.upperBound, by: width
    ).enumerated() {
      // Pages of the result that are written for the first time are dear: those of a group of rows
      // take some milliseconds at most.
      for first in unsafe stride(from: 0, to: rows.count, by: rowsAtOnce) {
        if first > 0, unsafe crew.isCancelled { return }
        let group = unsafe first..<min(first + rowsAtOnce, rows.count)
        unsafe multiply(
          rows.lowerBound + group.lowerBound..<rows.lowerBound + group.upperBound,
          column..<min(column + width, columns.upperBound), depth.count,
          isFirst: depth.lowerBound == 0, isLast: depth.upperBound == shape.depth,
          (
            left.start + first * shape.depth + depth.lowerBound * left.depthStep,
            height * shape.depth, left.depthStep
          ),
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
        unsafe instructions.kernels.dot_rows(
          columns.count, shape.depth, x + row * step, matrix + columns.lowerBound * rowStep,
          rowStep, dots)
        for column in unsafe stride(from: 0, to: columns.count, by: width) {
          let first = columns.lowerBound + column
          let panel = unsafe first..<min(first + width, columns.upperBound)
          unsafe multiply(
            row..<row + 1, panel, 1, isFirst: true, isLast: true,
            (UnsafePointer(one), height, height),
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

  /// The left factor's panels for these rows, and the step of depth in them; a single row is read where
  /// it lies.
  private func leftPanels(
    _ rows: Range<Int>, _ scratch: UnsafeMutablePointer<Float>
  ) -> (start: UnsafePointer<Float>, depthStep: Int) {
    switch unsafe product.left {
    case .panels(let start):
      return unsafe (start + rows.lowerBound * shape.depth, height)
    case .strided(let start, let laneStep, let depthStep) where rows.count == 1:
      return unsafe (start + rows.lowerBound * laneStep, depthStep)
    default:
      unsafe product.left.pack(
        lanes: rows, depth: 0..<shape.depth, width: height, into: scratch,
        with: crew.instructions)
      return unsafe (UnsafePointer(scratch), height)
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
        lanes: columns, depth: depth, width: width, into: scratch, with: crew.instructions)
      return unsafe (UnsafePointer(scratch), width * depth.count, width)
    }
  }

  private func multiply(
    _ rows: Range<Int>, _ columns: Range<Int>, _ depth: Int, isFirst: Bool, isLast: Bool,
    _ left: (start: UnsafePointer<Float>, step: Int, depthStep: Int),
    _ right: (start: UnsafePointer<Float>, step: Int)
  ) {
    let place = unsafe rows.lowerBound * product.resultStep + columns.lowerBound
    var panel = unsafe PanelProduct(
      rows: rows.count, columns: columns.count, depth: depth,
      a: left.start, a_step: left.step, a_depth: left.depthStep, b: right.start, b_step: right.step,
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

extension MatrixProduct.Factor {
  fileprivate var isPacked: Bool {
    if case .panels = unsafe self { true } else { false }
  }
}
