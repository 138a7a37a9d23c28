import CKernels

/// A factor of a matrix product in the order in which kernels read it, packed once for many
/// products.
///
/// Rows of the left factor, or columns of the right one, are its lanes: a panel holds as many lanes
/// as a tile has rows or columns, as [depth][width], the last one filled up with zeros.
struct PackedMatrix: Sendable {
  enum Side: Sendable { case left, right }

  let lanes: Int
  let depth: Int
  let width: Int
  private let memory: AlignedMemory

  /// Packs `lanes` rows (left) or columns (right), whose element (lane, k) is start[lane·laneStep +
  /// k·depthStep].
  init(
    _ side: Side, lanes: Int, depth: Int, from start: UnsafePointer<Float>, laneStep: Int,
    depthStep: Int, for instructions: InstructionSet = .current
  ) {
    self.lanes = lanes
    self.depth = depth
    width = instructions.width(of: side)
    let panels = (lanes + width - 1) / width
    memory = AlignedMemory(byteCount: panels * width * depth * MemoryLayout<Float>.stride)
    unsafe instructions.kernels.pack_panels(
      depth, lanes, width, start, laneStep, depthStep, memory.floats, width * depth)
  }

  var start: UnsafePointer<Float> { unsafe UnsafePointer(memory.floats) }
}

extension InstructionSet {
  /// Lanes in a panel of a packed matrix.
  func width(of side: PackedMatrix.Side) -> Int {
    switch side {
    case .left: unsafe kernels.tile_rows
    case .right: unsafe kernels.tile_columns
    }
  }
}
