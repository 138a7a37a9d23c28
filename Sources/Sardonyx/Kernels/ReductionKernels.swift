import CKernels

/// Numbers made into one along the middle axis of [outer, count, inner].
///
/// `reduce` serves ReduceSum and its kin, `softmax` both softmaxes, `normalizeRows` the layer
/// normalizations and `moments` whatever else needs a mean and a variance.
enum ReductionKernel: CaseIterable, Sendable {
  case sum, mean, sumOfSquares, maximum, minimum

  /// y[outer, inner] from x[outer, count, inner]. Nothing sums to 0, has no mean (NaN), and has the
  /// maximum -∞.
  static func reduce(
    _ reduction: ReductionKernel, outer: Int, count: Int, inner: Int, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    if inner == 1 {
      unsafe reduction.reduceRows(outer, count, x, into: y, crew)
    } else {
      unsafe reduction.reduceColumns(outer, count, inner, x, into: y, crew)
    }
    guard reduction == .mean, outer * inner > 0 else { return }
    var divisor = Float(count)
    unsafe crew.instructions.kernels.divide(outer * inner, y, 1, &divisor, 0, y)
  }

  /// e^(x - max) / Σ e^(x - max) along the middle axis, or its logarithm; y may be x.
  static func softmax(
    outer: Int, count: Int, inner: Int, logarithm: Bool = false, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let instructions = crew.instructions
    guard count > 0 else { return }
    if inner == 1 {
      let kernel =
        unsafe logarithm ? instructions.kernels.log_softmax : instructions.kernels.softmax
      crew.performRanges(of: outer, by: rowsPerChunk(count)) { rows in
        for row in rows { unsafe kernel(count, x + row * count, y + row * count) }
      }
      return
    }
    let kernel =
      unsafe logarithm
      ? instructions.kernels.log_softmax_columns : instructions.kernels.softmax_columns
    crew.performColumns(outer: outer, count: count, inner: inner) { group, columns in
      let place = group * count * inner + columns.lowerBound
      unsafe kernel(count, columns.count, x + place, y + place, inner)
    }
  }

  /// What a row is normalised by.
  enum Normalization: Sendable {
    /// (x - mean) / √(variance + epsilon): LayerNormalization.
    case moments
    /// x / √(mean square + epsilon): RMSNormalization.
    case rootMeanSquare
  }

  /// y = normalised x · scale + shift for each row of [rows, count]; y may be x. The mean and the
  /// factor of each row are given where asked for.
  static func normalizeRows(
    _ normalization: Normalization, rows: Int, count: Int, epsilon: Float,
    _ x: UnsafePointer<Float>, scale: UnsafePointer<Float>? = nil,
    shift: UnsafePointer<Float>? = nil, into y: UnsafeMutablePointer<Float>,
    means: UnsafeMutablePointer<Float>? = nil, factors: UnsafeMutablePointer<Float>? = nil,
    on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, scale, shift) = unsafe (x, y, scale, shift)
    nonisolated(unsafe) let (means, factors) = unsafe (means, factors)
    let instructions = crew.instructions
    crew.performRanges(of: rows, by: rowsPerChunk(count)) { rows in
      for row in rows {
        let place = row * count
        let (mean, spread) =
          switch normalization {
          case .moments: unsafe moments(of: count, x + place, with: instructions)
          case .rootMeanSquare:
            unsafe (
              Float(0), instructions.kernels.sum_of_squares(count, x + place) / Float(count)
            )
          }
        let factor = 1 / (spread + epsilon).squareRoot()
        unsafe instructions.kernels.normalize(
          count, x + place, mean, factor, scale, shift, y + place)
        unsafe means?[row] = mean
        unsafe factors?[row] = factor
      }
    }
  }

  /// The mean and the variance of adjoining numbers, in two passes.
  static func moments(
    of count: Int, _ x: UnsafePointer<Float>, with instructions: InstructionSet
  ) -> (mean: Float, variance: Float) {
    let mean = unsafe instructions.kernels.sum(count, x) / Float(count)
    let squares = unsafe instructions.kernels.sum_of_squared_deviations(count, x, mean)
    return (mean, squares / Float(count))
  }

  private func rowKernel(of instructions: InstructionSet) -> RowReduction {
    switch self {
    case .sum, .mean: unsafe instructions.kernels.sum
    case .sumOfSquares: unsafe instructions.kernels.sum_of_squares
    case .maximum: unsafe instructions.kernels.row_maximum
    case .minimum: unsafe instructions.kernels.row_minimum
    }
  }

  private func columnKernel(of instructions: InstructionSet) -> ColumnReduction {
    switch self {
    case .sum, .mean: unsafe instructions.kernels.sum_columns
    case .sumOfSquares: unsafe instructions.kernels.sum_of_squares_of_columns
    case .maximum: unsafe instructions.kernels.maximum_of_columns
    case .minimum: unsafe instructions.kernels.minimum_of_columns
    }
  }

  /// Long rows are cut into parts, whose results make a row again.
  private func reduceRows(
    _ rows: Int, _ count: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernel = unsafe rowKernel(of: crew.instructions)
    let part = 1 << 17
    guard rows < 8, count >= 4 * part else {
      crew.performRanges(of: rows, by: Self.rowsPerChunk(count)) { range in
        for row in range { unsafe y[row] = kernel(count, x + row * count) }
      }
      return
    }
    let parts = (count + part - 1) / part
    unsafe crew.scratch.withFloats(rows * parts) { partial in
      nonisolated(unsafe) let partial = unsafe partial
      crew.perform(rows * parts) { index in
        let (row, first) = (index / parts, index % parts * part)
        unsafe partial[index] = kernel(min(part, count - first), x + (row * count + first))
      }
      let combined = self == .sumOfSquares ? ReductionKernel.sum : self
      unsafe combined.reduceRows(rows, parts, partial, into: y, crew)
    }
  }

  private func reduceColumns(
    _ outer: Int, _ count: Int, _ inner: Int, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernel = unsafe columnKernel(of: crew.instructions)
    crew.performColumns(outer: outer, count: count, inner: inner) { group, columns in
      unsafe kernel(
        count, columns.count, x + (group * count * inner + columns.lowerBound), inner,
        y + (group * inner + columns.lowerBound))
    }
  }

  private static func rowsPerChunk(_ count: Int) -> Int { max(1, (1 << 15) / max(1, count)) }
}

extension Crew {
  /// Calls `body` with a group and some columns of [outer, count, inner], all of which make up the
  /// whole.
  fileprivate func performColumns(
    outer: Int, count: Int, inner: Int, _ body: @Sendable (Int, Range<Int>) -> Void
  ) {
    guard outer > 0, inner > 0 else { return }
    let width = min(inner, 256)
    let blocks = (inner + width - 1) / width
    performRanges(of: outer * blocks, by: max(1, (1 << 15) / max(1, count * width))) { range in
      for index in range {
        let first = index % blocks * width
        body(index / blocks, first..<min(first + width, inner))
      }
    }
  }
}
