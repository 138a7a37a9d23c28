import CKernels

/// A factor of a product of 8-bit integers: its lanes (rows on the left, columns on the right) with
/// their zero points taken off, in 16 bits, each lane's numbers adjoining.
struct IntegerMatrix: Sendable {
  let lanes: Int
  let depth: Int
  private let memory: AlignedMemory

  /// Element (lane, k) is start[lane·laneStep + k·depthStep], signed or not; a zero point for all
  /// lanes or for each.
  init(
    lanes: Int, depth: Int, from start: UnsafeRawPointer, isSigned: Bool, laneStep: Int,
    depthStep: Int, zeroPoints: [Int32]
  ) {
    self.lanes = lanes
    self.depth = depth
    memory = AlignedMemory(byteCount: lanes * depth * MemoryLayout<Int16>.stride)
    let kernels = InstructionSet.current
    let together = min(max(1, depth), Self.bytesAtOnce)
    let row = AlignedMemory(byteCount: together)
    var interruption = Interruption()
    // Bytes that lie apart are of a cache line each.
    let cost = depthStep == 1 ? 1 : 8
    for lane in 0..<lanes {
      let zero = zeroPoints.isEmpty ? 0 : zeroPoints[lane % zeroPoints.count]
      for first in stride(from: 0, to: depth, by: together) {
        let count = min(together, depth - first)
        if interruption.isDue(after: cost &* count &+ 10) { return }
        let target = unsafe values + lane * depth + first
        unsafe kernels.kernels.copy_bytes(
          count, start + lane * laneStep + first * depthStep, depthStep, row.start)
        if isSigned {
          unsafe kernels.kernels.center_signed(
            count, row.start.assumingMemoryBound(to: Int8.self), zero, target)
        } else {
          unsafe kernels.kernels.center_unsigned(
            count, row.start.assumingMemoryBound(to: UInt8.self), zero, target)
        }
      }
    }
  }

  /// Bytes of a lane that are taken together, so that they stay in the first cache.
  private static let bytesAtOnce = 1 << 14

  fileprivate var values: UnsafeMutablePointer<Int16> {
    unsafe memory.start.assumingMemoryBound(to: Int16.self)
  }
}

/// Products of 8-bit integers in 32 bits, which wrap: MatMulInteger, ConvInteger and the QLinear
/// operators' inner part.
enum IntegerProduct {
  /// C = A·B, where a row of C is `step` from the next.
  static func multiply(
    _ left: IntegerMatrix, _ right: IntegerMatrix, into c: UnsafeMutablePointer<Int32>, step: Int,
    on crew: Crew
  ) {
    precondition(left.depth == right.depth)
    nonisolated(unsafe) let c = unsafe c
    let depth = left.depth
    // A block of columns that stays in the second cache while all rows go over it.
    let width = max(4, min(256, (1 << 17) / max(1, depth)) / 4 * 4)
    let height = 64
    let rowBlocks = (left.lanes + height - 1) / height
    let columnBlocks = (right.lanes + width - 1) / width
    crew.perform(rowBlocks * columnBlocks) { chunk in
      let row = chunk % rowBlocks * height
      let column = chunk / rowBlocks * width
      unsafe crew.instructions.kernels.multiply_integers(
        min(height, left.lanes - row), min(width, right.lanes - column), depth,
        left.values + row * depth, right.values + column * depth, c + (row * step + column), step)
    }
  }
}

/// One factor of batched products of 8-bit integers: a stack of matrices and their zero points.
struct IntegerFactor: Sendable {
  enum Side: Sendable { case left, right }

  /// Fewer where the run is to end.
  private let matrices: [IntegerMatrix]

  /// Takes off the zero points and packs each matrix.
  /// - Parameters:
  ///   - tensor: int8 or uint8, matrices of `lanes` rows (left) or columns (right) on its last axes.
  ///   - zeroPoints: none, one, one for each lane, one for each lane of each matrix, or some that the
  ///     lanes repeat.
  init(
    _ tensor: Tensor, _ side: Side, lanes: Int, depth: Int, zeroPoints: [Int32],
    isTransposed: Bool = false
  ) {
    let size = lanes * depth
    let count = size == 0 ? 0 : tensor.elementCount / size
    let isLaneContiguous = (side == .left) != isTransposed
    matrices = Interruption.map(count, cost: size &+ 300) { index in
      let isPerMatrix = zeroPoints.count == count * lanes && count > 1
      let zeros =
        isPerMatrix ? Array(zeroPoints[index * lanes..<(index + 1) * lanes]) : zeroPoints
      return unsafe IntegerMatrix(
        lanes: lanes, depth: depth, from: tensor.bytes + index * size,
        isSigned: tensor.type == .int8, laneStep: isLaneContiguous ? depth : 1,
        depthStep: isLaneContiguous ? 1 : lanes, zeroPoints: zeros)
    }
  }

  /// The products of pairs of matrices of two factors, one behind the other, in 32 bits that wrap.
  static func products(
    _ left: IntegerFactor, _ right: IntegerFactor, _ pairs: [(left: Int, right: Int)], rows: Int,
    columns: Int, on crew: Crew
  ) -> [Int32] {
    let size = rows * columns
    return unsafe [Int32](unsafeUninitializedCapacity: pairs.count * size) { buffer, count in
      // Without depth the products set every sum to 0.
      guard !left.matrices.isEmpty, !right.matrices.isEmpty else {
        count = pairs.count * size
        return unsafe buffer.initialize(repeating: 0)
      }
      guard let start = buffer.baseAddress else { return }
      var interruption = Interruption()
      for (index, pair) in pairs.enumerated() {
        let isAtHand = pair.left < left.matrices.count && pair.right < right.matrices.count
        guard isAtHand, !interruption.isDue(after: 300) else { break }
        unsafe IntegerProduct.multiply(
          left.matrices[pair.left], right.matrices[pair.right], into: start + index * size,
          step: columns, on: crew)
      }
      count = pairs.count * size
    }
  }
}
