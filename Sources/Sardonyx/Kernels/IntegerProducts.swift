/// One factor of batched products of 8-bit integers: a stack of matrices and their zero points.
struct IntegerFactor: Sendable {
  enum Side: Sendable { case left, right }

  private let matrices: [IntegerMatrix]

  /// Takes off the zero points and packs each matrix.
  /// - Parameters:
  ///   - tensor: int8 or uint8, matrices of `lanes` rows (left) or columns (right) on its last axes.
  ///   - zeroPoints: none, one, one for each lane, or one for each lane of each matrix.
  init(
    _ tensor: Tensor, _ side: Side, lanes: Int, depth: Int, zeroPoints: [Int32],
    isTransposed: Bool = false
  ) {
    let size = lanes * depth
    let count = size == 0 ? 0 : tensor.elementCount / size
    let isLaneContiguous = (side == .left) != isTransposed
    matrices = (0..<count).map { index in
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
    var sums = [Int32](repeating: 0, count: pairs.count * size)
    guard size > 0, !left.matrices.isEmpty, !right.matrices.isEmpty else { return sums }
    unsafe sums.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      for (index, pair) in pairs.enumerated() {
        unsafe IntegerGemm.multiply(
          left.matrices[pair.left], right.matrices[pair.right], into: start + index * size,
          step: columns, on: crew)
      }
    }
    return sums
  }
}
