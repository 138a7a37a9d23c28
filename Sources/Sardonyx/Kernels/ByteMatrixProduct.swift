import CKernels

extension PackedBytes {
  /// A left factor of rows one after the other, or of columns where it is transposed.
  @unsafe struct Matrix {
    let start: UnsafePointer<UInt8>
    let rows: Int
    var isTransposed = false
    let isSigned: Bool
    /// One for all rows, one for each, some that the rows repeat, or none.
    let zeroPoints: [Int32]
  }

  /// Calls `body` with Σ (a - zero point)·(b - zero point) for some rows at a time, which are ``width``
  /// sums apart.
  func multiply(
    _ left: Matrix, on crew: Crew,
    _ body: @escaping @Sendable (Range<Int>, UnsafeMutablePointer<Int32>) -> Void
  ) {
    let height = 48
    let blocks = unsafe (left.rows + height - 1) / height
    // The kernels read whole words.
    let isReady = unsafe !left.isTransposed && !left.isSigned && depth % 4 == 0
    let step = isReady ? depth : Self.filled(depth)
    nonisolated(unsafe) let left = unsafe left
    crew.perform(blocks) { block in
      let rows = unsafe block * height..<min(left.rows, (block + 1) * height)
      let sumBytes = 4 * rows.count * width
      unsafe crew.scratch.withBytes(sumBytes + (isReady ? 0 : rows.count * step)) { room in
        let sums = unsafe room.assumingMemoryBound(to: Int32.self)
        let copy = unsafe (room + sumBytes).assumingMemoryBound(to: UInt8.self)
        if !isReady { unsafe layOut(left, rows, into: copy, step: step, crew.instructions) }
        let start = unsafe isReady ? left.start + rows.lowerBound * step : UnsafePointer(copy)
        let shift: Int32 = unsafe left.isSigned ? 128 : 0
        let zeros = unsafe left.zeroPoints
        let all = unsafe Rows(start: start, step: step, zero: (zeros.first ?? 0) + shift)
        unsafe multiply(all, count: rows.count, into: sums)
        if zeros.count <= 1 {
          unsafe center(sums, all, count: rows.count)
        } else {
          for (place, row) in rows.enumerated() {
            let one = unsafe Rows(start: start, step: step, zero: zeros[row % zeros.count] + shift)
            unsafe center(sums + place * width, one, from: place, count: 1)
          }
        }
        unsafe body(rows, sums)
      }
    }
  }

  /// y = Σ (a - zero point)·(b - zero point).
  func multiply(_ left: Matrix, into y: UnsafeMutablePointer<Int32>, on crew: Crew) {
    nonisolated(unsafe) let y = unsafe y
    let (columns, width) = (columns, width)
    unsafe multiply(left, on: crew) { rows, sums in
      for (place, row) in rows.enumerated() {
        unsafe (y + row * columns).update(from: sums + place * width, count: columns)
      }
    }
  }

  /// Bytes that stand for (the product + bias)·scale·scales.
  /// - Parameters:
  ///   - bias: one for all columns, or one for each; as are the scales.
  ///   - range: scale and zero point of the result.
  func quantize(
    _ left: Matrix, bias: [Int32], scale: Float, scales: [Float], into y: UnsafeMutableRawPointer,
    _ range: (scale: Float, zero: Float), isSigned: Bool, on crew: Crew
  ) {
    nonisolated(unsafe) let y = unsafe y
    let (columns, width) = (columns, width)
    unsafe crew.scratch.withFloats(2 * width) { room in
      for column in 0..<width {
        unsafe room[column] = column < columns ? scales[scales.count > 1 ? column : 0] : 0
        unsafe room[width + column] = 0
      }
      nonisolated(unsafe) let factors = unsafe room
      unsafe multiply(left, on: crew) { rows, sums in
        unsafe crew.scratch.withFloats(width) { numbers in
          for (place, row) in rows.enumerated() {
            let sums = unsafe sums + place * width
            for column in 0..<columns {
              unsafe sums[column] &+= bias[bias.count > 1 ? column : 0]
            }
            unsafe crew.instructions.kernels.scale_sums(
              width, sums, scale, factors, factors + width, numbers)
            unsafe crew.instructions.quantize(
              columns, numbers, scale: range.scale, divides: true, zero: Int32(range.zero),
              isSigned: isSigned, into: y + row * columns)
          }
        }
      }
    }
  }

  /// Some rows as unsigned bytes, `step` apart.
  private func layOut(
    _ left: Matrix, _ rows: Range<Int>, into copy: UnsafeMutablePointer<UInt8>, step: Int,
    _ instructions: InstructionSet
  ) {
    let kernels = unsafe instructions.kernels
    let flip: UInt8 = unsafe left.isSigned ? 0x80 : 0
    if unsafe left.isTransposed {
      unsafe kernels.transpose_bytes(
        depth, rows.count, left.start + rows.lowerBound, left.rows, copy, step)
      if flip != 0 { unsafe kernels.flip_bytes(rows.count * step, copy, flip, copy) }
    } else {
      for (place, row) in rows.enumerated() {
        unsafe kernels.flip_bytes(depth, left.start + row * depth, flip, copy + place * step)
      }
    }
  }
}
