import CKernels

/// Float32 activations in blocks of channels: [N, C, spatial…] as [N, ⌈C / lanes⌉, spatial…, lanes].
///
/// A vector then holds as many channels of one place, whatever the spatial extents are. Lanes beyond
/// the last channel hold anything; nothing that is seen depends on them.
struct BlockLayout: Sendable, Hashable {
  let lanes: Int

  init(for instructions: InstructionSet = .current) { lanes = unsafe instructions.kernels.lanes }

  func blocks(_ channels: Int) -> Int { (channels + lanes - 1) / lanes }

  /// The shape in blocks of a tensor of shape [N, C, spatial…].
  func blocked(_ shape: Shape) -> Shape {
    [shape[0], blocks(shape[1])] + shape.dropFirst(2) + [lanes]
  }

  /// The shape [N, C, spatial…] of a tensor that is in blocks.
  func plain(_ shape: Shape, channels: Int) -> Shape {
    [shape[0], channels] + shape.dropFirst(2).dropLast()
  }

  /// The spatial extents of a tensor that is in blocks.
  func extents(_ shape: Shape) -> [Int] { Array(shape.dropFirst(2).dropLast()) }

  /// Whether the order of the numbers is the same in both layouts.
  func isView(_ plain: Shape) -> Bool {
    plain[1] % lanes == 0 && plain.dropFirst(2).allSatisfy { $0 == 1 }
  }

  /// Brings [N, C, spatial…] into blocks.
  func block(
    _ shape: Shape, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    reorder(shape, on: crew) { image, first, count, size in
      let from = unsafe x + (image * shape[1] + first) * size
      let to = unsafe y + (image * blocks(shape[1]) * lanes + first) * size
      if count < lanes { unsafe to.update(repeating: 0, count: lanes * size) }
      unsafe crew.instructions.kernels.transpose_4_bytes(count, size, from, size, to, lanes)
    }
  }

  /// Brings blocks into [N, C, spatial…].
  func unblock(
    _ shape: Shape, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    reorder(shape, on: crew) { image, first, count, size in
      let from = unsafe x + (image * blocks(shape[1]) * lanes + first) * size
      let to = unsafe y + (image * shape[1] + first) * size
      unsafe crew.instructions.kernels.transpose_4_bytes(size, count, from, lanes, to, size)
    }
  }

  func block(_ x: Tensor, into y: Destination, on crew: Crew) {
    unsafe block(x.shape, x.pointer(as: Float.self), into: y.pointer(as: Float.self), on: crew)
  }

  func unblock(_ x: Tensor, into y: Destination, on crew: Crew) {
    unsafe unblock(y.shape, x.pointer(as: Float.self), into: y.pointer(as: Float.self), on: crew)
  }

  /// A tensor [N, C, spatial…] in blocks.
  func blocked(_ x: Tensor) -> Tensor {
    let shape = blocked(x.shape)
    let y = Destination(
      .float, shape, storage: Storage(byteCount: shape.elementCount * MemoryLayout<Float>.stride))
    block(x, into: y, on: Crew(threads: 1))
    return y.tensor(texts: .none)
  }

  /// A tensor in blocks as [N, C, spatial…].
  func unblocked(_ x: Tensor, channels: Int) -> Tensor {
    let shape = plain(x.shape, channels: channels)
    let y = Destination(
      .float, shape, storage: Storage(byteCount: shape.elementCount * MemoryLayout<Float>.stride))
    unblock(x, into: y, on: Crew(threads: 1))
    return y.tensor(texts: .none)
  }

  /// Calls `body` with each image, the first channel of each block, its count, and a plane's size.
  private func reorder(
    _ shape: Shape, on crew: Crew, _ body: @escaping @Sendable (Int, Int, Int, Int) -> Void
  ) {
    let size = shape.dropFirst(2).reduce(1, *)
    let blocks = blocks(shape[1])
    guard size > 0 else { return }
    let most = max(1, (1 << 15) / (size * lanes))
    crew.performRanges(of: shape[0] * blocks, by: most) { [lanes] range in
      for index in range {
        let first = index % blocks * lanes
        body(index / blocks, first, min(lanes, shape[1] - first), size)
      }
    }
  }
}
