import CKernels

/// Products of single precision whose factors stay in the first caches: the left one is read where
/// it lies, the right one is packed only where its columns do not adjoin or do not fill vectors.
///
/// Depth is summed in parts as the larger products sum it. Chunks depend on the shape alone.
struct SmallProducts: Sendable {
  private let batch: ProductBatch
  private let packed: PackedMatrix?
  private let alpha: Float
  private let activation: Activation

  /// nil where the products are large enough for packing to pay.
  init?(
    _ batch: ProductBatch, packedRight: PackedMatrix?, alpha: Float = 1,
    _ activation: Activation = .none
  ) {
    let rightCount = batch.n * batch.k
    guard batch.m <= 64, batch.m * batch.k <= 1 << 15, rightCount <= 1 << 19,
      packedRight != nil || batch.m > 1 || batch.right.columnStep == 1
    else { return nil }
    self.batch = batch
    packed = packedRight
    self.alpha = alpha
    self.activation = activation
  }

  /// C = activation(alpha·A·B + bias) for each product of the batch.
  func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, columnBias: UnsafePointer<Float>? = nil,
    into c: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    guard batch.m > 0, batch.n > 0, !batch.offsets.isEmpty else { return }
    nonisolated(unsafe) let (a, b, c, columnBias) = unsafe (a, b, c, columnBias)
    let width = crew.instructions.width(of: .right)
    let panels = (batch.n + width - 1) / width
    // Some tens of microseconds of work for each chunk: panels of one product, or several products.
    let work = max(1, 2 * batch.m * width * batch.k)
    let perChunk = max(1, 2_000_000 / work)
    crew.performRanges(of: batch.offsets.count * panels, by: perChunk) { range in
      var next = range.lowerBound
      while next < range.upperBound {
        let (index, first) = next.quotientAndRemainder(dividingBy: panels)
        let count = min(panels - first, range.upperBound - next)
        unsafe multiply(
          index, columns: first * width..<min((first + count) * width, batch.n), a, b, columnBias,
          into: c, crew)
        next += count
      }
    }
  }

  /// Some columns of one product.
  private func multiply(
    _ index: Int, columns: Range<Int>, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    _ columnBias: UnsafePointer<Float>?, into c: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    let instructions = crew.instructions
    let width = instructions.width(of: .right)
    let (slope, low, high) = activation.bounds
    let place = unsafe c + (index * batch.m * batch.n + columns.lowerBound)
    var product = unsafe SmallProduct(
      rows: batch.m, columns: columns.count, depth: batch.k, a: a + batch.offsets[index].left,
      a_row: batch.left.rowStep, a_depth: batch.left.columnStep, b: a, b_step: width,
      b_panel: width * batch.k, c: place, c_step: batch.n, alpha: alpha,
      column_bias: columnBias.map { unsafe $0 + columns.lowerBound }, slope: slope, low: low,
      high: high)
    let right = unsafe b + batch.offsets[index].right
    if let packed {
      unsafe product.b = packed.start + columns.lowerBound * batch.k
      unsafe instructions.kernels.multiply_small(&product)
    } else if batch.right.columnStep == 1,
      unsafe columns.count % instructions.kernels.lanes == 0
    {
      unsafe product.b = right + columns.lowerBound
      unsafe product.b_step = batch.right.rowStep
      unsafe product.b_panel = width
      unsafe instructions.kernels.multiply_small(&product)
    } else {
      let room = (columns.count + width - 1) / width * width * batch.k
      unsafe crew.scratch.withFloats(room) { panels in
        unsafe instructions.kernels.pack_panels(
          batch.k, columns.count, width, right + columns.lowerBound * batch.right.columnStep,
          batch.right.columnStep, batch.right.rowStep, panels, width * batch.k)
        unsafe product.b = UnsafePointer(panels)
        unsafe instructions.kernels.multiply_small(&product)
      }
    }
    unsafe activation.finish(
      rows: batch.m, columns: columns.count, at: place, step: batch.n, with: instructions)
  }
}
