import CKernels

/// A copy from one region to another, worked out so that nothing but the copying is left: rows, or
/// planes to be turned, that lie at listed places.
struct PreparedCopy: Sendable {
  private enum Part: Sendable {
    /// `count` elements that lie `step` apart in the source and adjoin in the target.
    case row(count: Int, step: Int)
    /// Rows of the source become columns of the target.
    case plane(rows: Int, columns: Int, from: Int, to: Int)
  }

  private let part: Part
  /// Where each part begins, in elements.
  private let places: [(from: Int, to: Int)]
  private let size: Int
  private let partByteCount: Int

  /// More places than this are better counted than listed.
  private static let mostPlaces = 4096

  /// nil where the target does not adjoin along any axis, or there are too many parts.
  /// - Parameter size: bytes of an element.
  init?(from source: Region, to target: Region, size: Int) {
    precondition(source.extents == target.extents)
    self.size = size
    var axes: [(extent: Int, from: Int, to: Int)] = []
    for axis in source.extents.indices where source.extents[axis] != 1 {
      let next = (source.extents[axis], source.strides[axis], target.strides[axis])
      if let last = axes.last, last.from == next.1 * next.0, last.to == next.2 * next.0 {
        axes[axes.count - 1] = (last.extent * next.0, next.1, next.2)
      } else {
        axes.append(next)
      }
    }
    let last = axes.popLast() ?? (1, 1, 1)
    guard last.to == 1, !source.isEmpty else { return nil }
    if last.from > 1, let turned = axes.firstIndex(where: { $0.from == 1 }) {
      let other = axes.remove(at: turned)
      part = .plane(rows: last.extent, columns: other.extent, from: last.from, to: other.to)
      partByteCount = last.extent * other.extent * size
    } else {
      part = .row(count: last.extent, step: last.from)
      partByteCount = last.extent * size
    }
    guard axes.reduce(1, { $0 * $1.extent }) <= Self.mostPlaces else { return nil }
    places = axes.reduce([(source.start, target.start)]) { places, axis in
      places.flatMap { place in
        (0..<axis.extent).map { (place.0 + $0 * axis.from, place.1 + $0 * axis.to) }
      }
    }
  }

  func run(
    from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, on crew: Crew
  ) {
    nonisolated(unsafe) let (source, target) = unsafe (source, target)
    crew.performRanges(of: places.count, by: max(1, (1 << 17) / max(1, partByteCount))) { range in
      switch part {
      case .row(let count, step: 1):
        for index in range {
          let (from, to) = unsafe (
            source + places[index].from * size, target + places[index].to * size
          )
          // What a plan let be made in its place stays there.
          if unsafe from != UnsafeRawPointer(to) {
            unsafe to.copyMemory(from: from, byteCount: count * size)
          }
        }
      case .row(let count, let step):
        let kernel = unsafe crew.instructions.copyKernel(elementSize: size)
        for index in range {
          unsafe kernel(
            count, source + places[index].from * size, step * size,
            target + places[index].to * size)
        }
      case .plane(let rows, let columns, let from, let to):
        let kernel = unsafe crew.instructions.transposition(elementSize: size)
        for index in range {
          unsafe kernel(
            rows, columns, source + places[index].from * size, from,
            target + places[index].to * size, to)
        }
      }
    }
  }
}

/// A copy from a region of an input to a region of an output.
struct RegionMove {
  var input = 0
  var output = 0
  let source: Region
  let target: Region
}

extension [RegionMove] {
  /// The copies, one after the other; nil where one of them cannot be worked out.
  func computation(of type: ElementType) -> Computation? {
    var copies: [(input: Int, output: Int, copy: PreparedCopy)] = []
    for move in self where !move.source.isEmpty {
      guard
        let copy = PreparedCopy(from: move.source, to: move.target, size: type.byteCount)
      else { return nil }
      copies.append((move.input, move.output, copy))
    }
    let prepared = copies
    return { addresses, crew in
      for (input, output, copy) in prepared {
        guard let target = unsafe addresses.wanted(output) else { continue }
        unsafe copy.run(
          from: UnsafeRawPointer(addresses.input(input, as: UInt8.self)), to: target, on: crew)
      }
    }
  }
}

extension AxisBlock {
  /// Slices along the axis that indices of 32 or 64 bits name, `count` for each outer block.
  func gatherComputation<Index: FixedWidthInteger & BitwiseCopyable & Sendable>(
    _ size: Int, count: Int, by _: Index.Type
  ) -> Computation {
    let (outer, extent, length) = (outer, self.count, inner * size)
    return { addresses, _ throws(ModelError) in
      let source = unsafe UnsafeRawPointer(addresses.input(0, as: UInt8.self))
      let indices: UnsafePointer<Index> = unsafe addresses.input(1)
      var target = unsafe UnsafeMutableRawPointer(addresses.output(0, as: UInt8.self))
      for block in 0..<outer {
        let first = unsafe source + block * extent * length
        for position in 0..<count {
          let place = try unsafe Int(indices[position]).index(within: extent)
          unsafe target.copyMemory(from: first + place * length, byteCount: length)
          unsafe target += length
        }
      }
    }
  }

  /// The softmax, or its logarithm, of each line of single-precision numbers laid out so.
  func softmaxComputation(logarithm: Bool) -> Computation {
    { addresses, crew in
      unsafe ReductionKernel.softmax(
        outer: outer, count: count, inner: inner, logarithm: logarithm, addresses.input(0),
        into: addresses.output(), on: crew)
    }
  }

  /// One number for each line of single-precision numbers laid out so.
  func computation(_ kernel: ReductionKernel) -> Computation {
    { addresses, crew in
      unsafe ReductionKernel.reduce(
        kernel, outer: outer, count: count, inner: inner, addresses.input(0),
        into: addresses.output(), on: crew)
    }
  }
}

extension ReductionKernel {
  /// Normalizes rows of single-precision numbers; `scale` and `shift` are as long as a row.
  static func computation(
    _ normalization: Normalization, rows: Int, count: Int, epsilon: Double, scale: [Float],
    shift: [Float]?
  ) -> Computation {
    { addresses, crew in
      unsafe scale.withUnsafeBufferPointer { scale in
        unsafe (shift ?? []).withUnsafeBufferPointer { shiftNumbers in
          unsafe normalizeRows(
            normalization, rows: rows, count: count, epsilon: Float(epsilon), addresses.input(0),
            scale: scale.baseAddress, shift: shift == nil ? nil : shiftNumbers.baseAddress,
            into: addresses.output(),
            means: addresses.wanted(1)?.assumingMemoryBound(to: Float.self),
            factors: addresses.wanted(2)?.assumingMemoryBound(to: Float.self), on: crew)
        }
      }
    }
  }
}

extension Broadcast {
  /// condition ? x : y for elements of so many bytes; nil for those of no usual width.
  func chooseComputation(_ byteCount: Int) -> Computation? {
    func choice<Bits: BitwiseCopyable>(_: Bits.Type) -> Computation {
      { addresses, _ in
        unsafe choose(
          by: addresses.input(0), addresses.input(1), addresses.input(2),
          into: addresses.output(0, as: Bits.self))
      }
    }
    return switch byteCount {
    case 1: choice(UInt8.self)
    case 2: choice(UInt16.self)
    case 4: choice(UInt32.self)
    case 8: choice(UInt64.self)
    default: nil
    }
  }
}
