import CKernels

/// A number made of all numbers along an axis, each kind a kernel for single precision.
enum AxisReduction: Sendable {
  case sum, sumOfSquares, maximum, minimum

  /// The longest row that one chunk takes; longer ones are made of the results of their pieces.
  private static let piece = 1 << 16

  /// Reduces numbers laid out as [outer, count, inner] to [outer, inner]; x and y do not overlap.
  func apply(
    _ block: AxisBlock, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let (outer, count, inner) = (block.outer, block.count, block.inner)
    guard outer > 0, inner > 0 else { return }
    if inner > 1 {
      let columns = unsafe columnKernel(crew.instructions)
      let width = min(inner, max(64, (Self.piece / max(count, 1) + 15) & ~15))
      let pieces = (inner + width - 1) / width
      crew.perform(outer * pieces) { chunk in
        let (index, first) = (chunk / pieces, chunk % pieces * width)
        unsafe columns(
          count, min(width, inner - first), x + index * count * inner + first, inner,
          y + index * inner + first)
      }
    } else if outer == 1, count > Self.piece {
      unsafe y[0] = reduceLongRow(count, x, on: crew)
    } else {
      let row = unsafe rowKernel(crew.instructions)
      crew.performRanges(of: outer, by: max(1, Self.piece / max(count, 1))) { rows in
        for index in rows { unsafe y[index] = row(count, x + index * count) }
      }
    }
  }

  private func reduceLongRow(_ count: Int, _ x: UnsafePointer<Float>, on crew: Crew) -> Float {
    nonisolated(unsafe) let x = unsafe x
    let row = unsafe rowKernel(crew.instructions)
    let pieces = (count + Self.piece - 1) / Self.piece
    return unsafe crew.scratch.withFloats(pieces) { results in
      nonisolated(unsafe) let results = unsafe results
      crew.performRanges(of: count, by: Self.piece) { range in
        unsafe results[range.lowerBound / Self.piece] = row(range.count, x + range.lowerBound)
      }
      let combining = self == .sumOfSquares ? .sum : self
      return unsafe combining.rowKernel(crew.instructions)(pieces, results)
    }
  }

  private func rowKernel(_ instructions: InstructionSet) -> RowReduction {
    switch self {
    case .sum: unsafe instructions.kernels.sum
    case .sumOfSquares: unsafe instructions.kernels.sum_of_squares
    case .maximum: unsafe instructions.kernels.row_maximum
    case .minimum: unsafe instructions.kernels.row_minimum
    }
  }

  private func columnKernel(_ instructions: InstructionSet) -> ColumnReduction {
    switch self {
    case .sum: unsafe instructions.kernels.sum_columns
    case .sumOfSquares: unsafe instructions.kernels.sum_of_squares_of_columns
    case .maximum: unsafe instructions.kernels.maximum_of_columns
    case .minimum: unsafe instructions.kernels.minimum_of_columns
    }
  }

  /// The same for a tensor of single or of half precision.
  func apply(_ block: AxisBlock, _ x: Tensor, on crew: Crew) -> [Float] {
    let count = block.outer * block.inner
    return unsafe [Float](unsafeUninitializedCapacity: count) { results, initialized in
      initialized = count
      guard let start = results.baseAddress else { return }
      if x.type == .float {
        unsafe apply(block, x.pointer(as: Float.self), into: start, on: crew)
      } else {
        unsafe apply(block, x.converted(to: Float.self), into: start, on: crew)
      }
    }
  }
}
