import CKernels

/// Elements moved as bytes, whatever they mean: 1, 2, 4, 8 or 16 bytes each.
///
/// Transpose, Slice, Expand and their kin are one `copy` from a strided array to a dense one;
/// `RegionCopy` serves where the target is strided, too.
enum Movement {
  /// Bytes in a chunk.
  private static let chunk = 1 << 17

  /// Fills a contiguous array of these extents from x, where element (i, j, …) is i·strides[0] +
  /// j·strides[1] + … elements from x; strides may be 0 and negative.
  static func copy(
    _ extents: [Int], strides: [Int], elementSize: Int, from x: UnsafeRawPointer,
    into y: UnsafeMutableRawPointer, on crew: Crew
  ) {
    guard !extents.contains(0) else { return }
    let walk = Walk(extents, strides)
    if let axis = walk.turnedAxis, walk.extents.last! < shortRow, elementSize <= 8 {
      unsafe gather(walk, axis, elementSize, from: x, into: y, crew)
    } else if let axis = walk.turnedAxis {
      unsafe transpose(walk, axis, elementSize, from: x, into: y, crew)
    } else {
      unsafe copyRows(walk, elementSize, from: x, into: y, crew)
    }
  }

  private static func copyRows(
    _ walk: Walk, _ size: Int, from x: UnsafeRawPointer, into y: UnsafeMutableRawPointer,
    _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernel = unsafe crew.instructions.copyKernel(elementSize: size)
    let length = walk.extents.last ?? 1
    let step = (walk.strides.last ?? 1) * size
    let outer = Array(walk.extents.dropLast())
    // A long row is cut; many short rows make a chunk.
    let parts = max(1, length * size / chunk)
    let part = (length + parts - 1) / parts
    let rows = outer.elementCount * parts
    crew.performRanges(of: rows, by: max(1, chunk / (part * size))) { range in
      var place = Odometer(outer, walk.strides, at: range.lowerBound / parts)
      for row in range {
        let first = row % parts * part
        unsafe kernel(
          min(part, length - first), x + (place.offset * size + first * step), step,
          y + (row / parts * length + first) * size)
        if parts == 1 || row % parts == parts - 1 { place.advance() }
      }
    }
  }

  /// Rows shorter than this are too short for squares.
  private static let shortRow = 8

  /// The last axes, whose rows are short, are gathered by a list of places, again and again along the
  /// axis that adjoins in x, so that each cache line of x is used whole.
  private static func gather(
    _ walk: Walk, _ axis: Int, _ size: Int, from x: UnsafeRawPointer,
    into y: UnsafeMutableRawPointer, _ crew: Crew
  ) {
    switch size {
    case 1: unsafe gather(walk, axis, from: x, into: y.assumingMemoryBound(to: UInt8.self), crew)
    case 2: unsafe gather(walk, axis, from: x, into: y.assumingMemoryBound(to: UInt16.self), crew)
    case 4: unsafe gather(walk, axis, from: x, into: y.assumingMemoryBound(to: UInt32.self), crew)
    default: unsafe gather(walk, axis, from: x, into: y.assumingMemoryBound(to: UInt64.self), crew)
    }
  }

  @_specialize(where T == UInt8)
  @_specialize(where T == UInt16)
  @_specialize(where T == UInt32)
  @_specialize(where T == UInt64)
  private static func gather<T: BitwiseCopyable>(
    _ walk: Walk, _ axis: Int, from x: UnsafeRawPointer, into y: UnsafeMutablePointer<T>,
    _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x.assumingMemoryBound(to: T.self), y)
    let targets = walk.extents.strides
    // As many of the last axes as make up a row of some hundred elements.
    var first = walk.extents.count - 1
    while first - 1 > axis, walk.extents[(first - 1)...].reduce(1, *) <= 256 { first -= 1 }
    var row = Region(Shape(walk.extents[first...]))
    row.strides = Array(walk.strides[first...])
    let (places, columns) = (row.offsets, walk.extents[axis])
    let outer = (0..<first).filter { $0 != axis }
    let (extents, strides) = (outer.map { walk.extents[$0] }, outer.map { walk.strides[$0] })
    let outerTargets = outer.map { targets[$0] }
    // There are fewer places, or none, where the run is to end.
    let work = max(1, places.count * min(columns, 16))
    let bands = (columns + 15) / 16
    crew.performRanges(of: extents.elementCount * bands, by: max(1, (1 << 15) / work)) { range in
      for index in range {
        let (number, band) = index.quotientAndRemainder(dividingBy: bands)
        var (rest, source, target) = (number, 0, 0)
        for axis in extents.indices.reversed() {
          source += rest % extents[axis] * strides[axis]
          target += rest % extents[axis] * outerTargets[axis]
          rest /= extents[axis]
        }
        unsafe places.withUnsafeBufferPointer { places in
          for column in band * 16..<min(band * 16 + 16, columns) {
            let (from, to) = unsafe (x + source + column, y + target + column * targets[axis])
            for place in 0..<places.count { unsafe to[place] = from[places[place]] }
          }
        }
      }
    }
  }

  /// The last axis strides in x while another axis adjoins there: the two are turned square by
  /// square.
  private static func transpose(
    _ walk: Walk, _ axis: Int, _ size: Int, from x: UnsafeRawPointer,
    into y: UnsafeMutableRawPointer, _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernel = unsafe crew.instructions.transposition(elementSize: size)
    let last = walk.extents.count - 1
    let (rows, columns) = (walk.extents[last], walk.extents[axis])
    let targets = walk.extents.strides
    var outer = walk
    var outerTargets = targets
    for index in [last, axis] {
      outer.extents.remove(at: index)
      outer.strides.remove(at: index)
      outerTargets.remove(at: index)
    }
    let band = max(16, chunk / (size * rows) / 16 * 16)
    let bands = (columns + band - 1) / band
    let (walked, walkedTargets) = (outer, outerTargets)
    crew.performRanges(
      of: walk.extents.elementCount / (rows * columns) * bands,
      by: max(1, chunk / (size * rows * min(band, columns)))
    ) { range in
      for index in range {
        let (number, first) = (index / bands, index % bands * band)
        let place = indices(of: number, within: walked.extents)
        let source = zip(place, walked.strides).reduce(first) { $0 + $1.0 * $1.1 }
        let target = zip(place, walkedTargets).reduce(first * targets[axis]) { $0 + $1.0 * $1.1 }
        unsafe kernel(
          rows, min(band, columns - first), x + source * size, walk.strides[last],
          y + target * size, targets[axis])
      }
    }
  }
}

/// The way through a strided array, with axes joined that can be walked as one.
private struct Walk: Sendable {
  var extents: [Int] = []
  var strides: [Int] = []

  init(_ extents: [Int], _ strides: [Int]) {
    for (extent, stride) in zip(extents, strides) where extent != 1 {
      if let last = self.extents.indices.last, self.strides[last] == stride * extent {
        self.extents[last] *= extent
        self.strides[last] = stride
      } else {
        self.extents.append(extent)
        self.strides.append(stride)
      }
    }
  }

  /// The axis that adjoins in the source, if it is not the last and both are long enough to matter.
  var turnedAxis: Int? {
    guard let last = extents.indices.last, strides[last] != 1, strides[last] > 0, extents[last] > 1
    else { return nil }
    return extents.indices.dropLast().first { strides[$0] == 1 && extents[$0] > 1 }
  }
}

/// Counts through indices and keeps the offset that they stand for.
private struct Odometer {
  private let extents: [Int]
  private let strides: [Int]
  private var place: [Int]
  private(set) var offset: Int

  init(_ extents: [Int], _ strides: [Int], at number: Int) {
    self.extents = extents
    self.strides = strides
    place = indices(of: number, within: extents)
    offset = zip(place, strides).reduce(0) { $0 + $1.0 * $1.1 }
  }

  mutating func advance() {
    for axis in extents.indices.reversed() {
      place[axis] += 1
      offset += strides[axis]
      if place[axis] < extents[axis] { return }
      offset -= place[axis] * strides[axis]
      place[axis] = 0
    }
  }
}

extension InstructionSet {
  func copyKernel(elementSize: Int) -> StridedCopyKernel {
    switch elementSize {
    case 1: unsafe kernels.copy_bytes
    case 2: unsafe kernels.copy_2_bytes
    case 4: unsafe kernels.copy_4_bytes
    case 8: unsafe kernels.copy_8_bytes
    case 16: unsafe kernels.copy_16_bytes
    default: preconditionFailure("no element has \(elementSize) bytes")
    }
  }

  func transposition(elementSize: Int) -> Transposition {
    switch elementSize {
    case 1: unsafe kernels.transpose_bytes
    case 2: unsafe kernels.transpose_2_bytes
    case 4: unsafe kernels.transpose_4_bytes
    case 8: unsafe kernels.transpose_8_bytes
    case 16: unsafe kernels.transpose_16_bytes
    default: preconditionFailure("no element has \(elementSize) bytes")
    }
  }
}
