/// A copy of elements from one region to another that is not dense, reduced to the fewest loops.
///
/// Axes of extent 1 are dropped, axes that continue one another in both regions become one, and the
/// axis along which the source is contiguous moves next to the last, where both make a
/// transposition.
struct RegionCopy: Sendable {
  private struct Axis: Sendable {
    var extent: Int
    /// Bytes from one place to the next.
    var from: Int
    var to: Int
  }

  private var axes: [Axis] = []
  private let byteCount: Int

  /// - Parameter byteCount: that of one element: 1, 2, 4, 8 or 16.
  init(from source: Region, to target: Region, byteCount: Int) {
    precondition(source.extents == target.extents)
    self.byteCount = byteCount
    for axis in source.extents.indices where source.extents[axis] != 1 {
      append(
        Axis(
          extent: source.extents[axis], from: source.strides[axis] * byteCount,
          to: target.strides[axis] * byteCount))
    }
    while axes.count < 2 { axes.insert(Axis(extent: 1, from: 0, to: 0), at: 0) }
    let last = axes.count - 1
    if axes[last].from != byteCount, let turned = axes.firstIndex(where: { $0.from == byteCount }) {
      axes.insert(axes.remove(at: turned), at: last - 1)
    }
  }

  private mutating func append(_ axis: Axis) {
    if let last = axes.last, last.from == axis.from * axis.extent,
      last.to == axis.to * axis.extent
    {
      axes[axes.count - 1] = Axis(extent: last.extent * axis.extent, from: axis.from, to: axis.to)
    } else {
      axes.append(axis)
    }
  }

  /// Bytes in a chunk.
  private static let chunk = 1 << 17

  /// Copies between the first elements of the two regions; the longest axis is cut into chunks.
  func run(
    from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, on crew: Crew
  ) {
    nonisolated(unsafe) let (source, target) = unsafe (source, target)
    let longest = axes.indices.max { axes[$0].extent < axes[$1].extent }!
    let axis = axes[longest]
    let size = axes.map(\.extent).elementCount * byteCount
    let length = max(1, axis.extent * Self.chunk / max(size, 1))
    crew.perform((axis.extent + length - 1) / length) { chunk in
      let first = chunk * length
      var part = self
      part.axes[longest].extent = min(length, axis.extent - first)
      unsafe part.copyAll(from: source + first * axis.from, to: target + first * axis.to)
    }
  }

  private func copyAll(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer) {
    switch byteCount {
    case 1: unsafe copy(UInt8.self, 0, source, target)
    case 2: unsafe copy(UInt16.self, 0, source, target)
    case 4: unsafe copy(UInt32.self, 0, source, target)
    case 8: unsafe copy(UInt64.self, 0, source, target)
    default: unsafe copy(SIMD2<UInt64>.self, 0, source, target)
    }
  }

  private func copy<T: BitwiseCopyable>(
    _: T.Type, _ level: Int, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer
  ) {
    guard level < axes.count - 2 else { return unsafe copyPlane(T.self, source, target) }
    let axis = axes[level]
    for index in 0..<axis.extent {
      unsafe copy(T.self, level + 1, source + index * axis.from, target + index * axis.to)
    }
  }

  /// The last two axes.
  @_specialize(where T == UInt8)
  @_specialize(where T == UInt16)
  @_specialize(where T == UInt32)
  @_specialize(where T == UInt64)
  @_specialize(where T == SIMD2<UInt64>)
  private func copyPlane<T: BitwiseCopyable>(
    _: T.Type, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer
  ) {
    let rows = axes[axes.count - 2]
    let columns = axes[axes.count - 1]
    if columns.from == byteCount && columns.to == byteCount {
      for row in 0..<rows.extent {
        unsafe (target + row * rows.to).copyMemory(
          from: source + row * rows.from, byteCount: columns.extent * byteCount)
      }
      return
    }
    // In squares, so that each cache line of either side is used whole.
    let side = 16
    for firstRow in stride(from: 0, to: rows.extent, by: side) {
      for firstColumn in stride(from: 0, to: columns.extent, by: side) {
        for row in firstRow..<min(firstRow + side, rows.extent) {
          for column in firstColumn..<min(firstColumn + side, columns.extent) {
            let from = unsafe source + (row * rows.from + column * columns.from)
            let to = unsafe target + (row * rows.to + column * columns.to)
            unsafe to.assumingMemoryBound(to: T.self).pointee =
              from.assumingMemoryBound(to: T.self).pointee
          }
        }
      }
    }
  }
}

extension Destination {
  /// Copies a region of a tensor to a region of this one, element by element.
  func copy(_ tensor: Tensor, from source: Region, to target: Region, on crew: Crew) {
    precondition(tensor.type.byteCount == type.byteCount && source.extents == target.extents)
    precondition(source.lies(within: tensor.elementCount) && target.lies(within: elementCount))
    if source.isEmpty { return }
    let size = type.byteCount
    let (from, to) = unsafe (tensor.bytes + source.start * size, bytes + target.start * size)
    if target.isDense {
      unsafe Movement.copy(
        source.extents, strides: source.strides, elementSize: size, from: from, into: to, on: crew)
    } else {
      unsafe RegionCopy(from: source, to: target, byteCount: size).run(
        from: from, to: to, on: crew)
    }
  }

  /// Copies a region of a tensor, in row-major order, to all of this one.
  func copy(_ tensor: Tensor, from source: Region, on crew: Crew) {
    copy(tensor, from: source, to: Region(source.extents), on: crew)
  }

  /// Makes every element a copy of the first of a tensor.
  func fill(_ tensor: Tensor, on crew: Crew) {
    copy(tensor, from: Region([]).broadcast(to: [elementCount]), on: crew)
  }

  /// Makes all bytes zero: the number 0, false or ""; fewer where the run is to end.
  func clear() {
    let start = unsafe bytes
    Interruption.inStretches(of: byteCount) {
      unsafe (start + $0.lowerBound).initializeMemory(
        as: UInt8.self, repeating: 0, count: $0.count)
    }
  }

  /// Copies blocks of `length` neighbouring elements: the i-th is that at element `offsets[i]` of
  /// the tensor.
  func gather(_ tensor: Tensor, blocksOf length: Int, at offsets: [Int]) {
    precondition(offsets.count * length == elementCount)
    precondition(offsets.allSatisfy { $0 >= 0 && $0 + length <= tensor.elementCount })
    let source = unsafe tensor.bytes
    let target = unsafe bytes
    let stride = length * type.byteCount
    unsafe Self.move(stride, offsets.count) { index in
      unsafe (source + offsets[index] * type.byteCount, target + index * stride)
    }
  }

  /// Copies blocks of `length` neighbouring elements, one for every choice of a place from each list, in
  /// row-major order of the choices: a block begins at the element that is the sum of its places.
  func gather(_ tensor: Tensor, blocksOf length: Int, along lists: [[Int]]) {
    precondition(lists.allSatisfy { !$0.isEmpty })
    precondition(lists.map(\.count).reduce(1, *) * length == elementCount)
    let bounds = lists.map { ($0.min()!, $0.max()!) }
    precondition(bounds.allSatisfy { $0.0 >= 0 })
    precondition(bounds.reduce(0) { $0 + $1.1 } + length <= tensor.elementCount)
    let (size, stride) = (type.byteCount, length * type.byteCount)
    let row = lists.last ?? [0]
    var interruption = Interruption()
    var target = unsafe bytes
    for index in 0..<lists.dropLast().map(\.count).reduce(1, *) {
      if interruption.isDue(after: 20) { return }
      var (rest, start) = (index, 0)
      for list in lists.dropLast().reversed() {
        start += list[rest % list.count]
        rest /= list.count
      }
      let source = unsafe tensor.bytes + start * size
      unsafe Self.move(stride, row.count) { place in
        unsafe (source + row[place] * size, target + place * stride)
      }
      unsafe target += row.count * stride
    }
  }

  /// Copies the blocks of `length` elements that make up a tensor, one after the other: the i-th
  /// goes to element `offsets[i]`.
  func scatter(_ tensor: Tensor, blocksOf length: Int, at offsets: [Int]) {
    precondition(offsets.count * length == tensor.elementCount)
    precondition(offsets.allSatisfy { $0 >= 0 && $0 + length <= elementCount })
    let source = unsafe tensor.bytes
    let target = unsafe bytes
    let stride = length * type.byteCount
    unsafe Self.move(stride, offsets.count) { index in
      unsafe (source + index * stride, target + offsets[index] * type.byteCount)
    }
  }

  /// Copies one element of a tensor to each of the places named.
  func scatter(element: Int, of tensor: Tensor, to offsets: [Int]) {
    precondition(tensor.type == type && 0..<tensor.elementCount ~= element)
    precondition(offsets.allSatisfy { $0 >= 0 && $0 < elementCount })
    let size = type.byteCount
    let (source, target) = unsafe (tensor.bytes + element * size, bytes)
    unsafe Self.move(size, offsets.count) { index in
      unsafe (source, target + offsets[index] * size)
    }
  }

  /// Moves blocks of `byteCount` bytes; those of an element's size without a call for each.
  @inline(__always)
  private static func move(
    _ byteCount: Int, _ count: Int,
    _ places: (Int) -> (from: UnsafeRawPointer, to: UnsafeMutableRawPointer)
  ) {
    func moveElements<T: BitwiseCopyable>(_: T.Type) {
      var interruption = Interruption()
      for index in 0..<count {
        if interruption.isDue(after: 4) { return }
        // Blocks of small elements need not lie as their size asks.
        let (from, to) = unsafe places(index)
        unsafe to.storeBytes(of: from.loadUnaligned(as: T.self), as: T.self)
      }
    }
    switch byteCount {
    case 1: moveElements(UInt8.self)
    case 2: moveElements(UInt16.self)
    case 4: moveElements(UInt32.self)
    case 8: moveElements(UInt64.self)
    default:
      var interruption = Interruption()
      for index in 0..<count {
        if interruption.isDue(after: byteCount / 8 &+ 4) { return }
        let (from, to) = unsafe places(index)
        unsafe to.copyMemory(from: from, byteCount: byteCount)
      }
    }
  }
}
