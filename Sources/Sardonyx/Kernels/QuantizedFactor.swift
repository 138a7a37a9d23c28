import CKernels

/// A matrix of 8-bit integers, depth×columns, with a scale and a zero point for all columns or for each.
struct QuantizedMatrix: Sendable {
  let bytes: Tensor
  /// Where the matrix begins in the bytes.
  let offset: Int
  let depth: Int
  let columns: Int
  let scales: [Float]
  let zeroPoints: [Int32]
}

/// The constant right factor of products whose left factor is rounded to uint8 with a range of its own.
struct QuantizedFactor: Sendable {
  private let bytes: PackedBytes
  private let scales: [Float]
  private let depth: Int
  private let instructions: InstructionSet

  /// - Parameter places: the column of the matrix for each of the factor; nil for one of zeros.
  init(_ matrix: QuantizedMatrix, _ places: [Int?], for instructions: InstructionSet) {
    depth = matrix.depth
    self.instructions = instructions
    func each<Number>(_ numbers: [Number], or rest: Number) -> [Number] {
      places.map { place in place.map { numbers[numbers.count > 1 ? $0 : 0] } ?? rest }
    }
    let zeros = each(matrix.zeroPoints, or: 0)
    let width = places.count
    let ordered = AlignedMemory(byteCount: matrix.depth * width)
    Interruption.inStretches(of: matrix.depth * width) {
      unsafe (ordered.start + $0.lowerBound).initializeMemory(
        as: UInt8.self, repeating: 0, count: $0.count)
    }
    let runs = Self.runs(places)
    var interruption = Interruption()
    for k in 0..<matrix.depth {
      if interruption.isDue(after: width / 8 &+ 10 &* runs.count) { break }
      let row = unsafe matrix.bytes.bytes + matrix.offset + k * matrix.columns
      for (first, last, source) in runs {
        unsafe (ordered.start + k * width + first).copyMemory(
          from: row + source, byteCount: last - first)
      }
    }
    bytes = unsafe PackedBytes(
      depth: depth, columns: width, from: ordered.start, isSigned: matrix.bytes.type == .int8,
      depthStep: width, columnStep: 1, zeroPoints: zeros, for: instructions)
    scales = each(matrix.scales, or: 0) + Array(repeating: 0, count: bytes.width - width)
  }

  /// Columns that adjoin in both orders: where they begin and end here, and where they begin there.
  private static func runs(_ places: [Int?]) -> [(first: Int, last: Int, source: Int)] {
    var runs: [(first: Int, last: Int, source: Int)] = []
    for (place, source) in places.enumerated() {
      guard let source else { continue }
      if let last = runs.last, last.last == place, last.source + place - last.first == source {
        runs[runs.count - 1].last += 1
      } else {
        runs.append((place, place + 1, source))
      }
    }
    return runs
  }

  /// Rows of x·factor + addend, where x is rounded to a range.
  func multiply(
    _ x: UnsafePointer<Float>, rows: Int, _ range: DynamicRange,
    adding addend: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let step = PackedBytes.filled(depth)
    let height = 24
    let (blocks, panels) = ((rows + height - 1) / height, bytes.panels)
    nonisolated(unsafe) let (x, addend, y) = unsafe (x, addend, y)
    unsafe crew.scratch.withBytes(max(1, rows * step)) { left in
      nonisolated(unsafe) let left = unsafe left.assumingMemoryBound(to: UInt8.self)
      crew.perform(blocks) { block in
        for row in block * height..<min(rows, (block + 1) * height) {
          unsafe round(x + row * depth, range, into: left + row * step)
        }
      }
      crew.perform(blocks * panels) { chunk in
        let (block, index) = chunk.quotientAndRemainder(dividingBy: panels)
        let first = block * height
        let count = min(height, rows - first)
        let columns = bytes.columns(ofPanel: index)
        unsafe crew.scratch.withBytes(4 * count * bytes.width) { sums in
          let sums = unsafe sums.assumingMemoryBound(to: Int32.self)
          let rows = unsafe PackedBytes.Rows(start: left, step: step, zero: Int32(range.zero))
          unsafe bytes.multiply(rows, from: first, count: count, into: sums, columns: columns)
          unsafe bytes.center(sums, rows, from: first, count: count, columns: columns)
          for row in 0..<count {
            unsafe scale(
              sums + row * bytes.width, range, columns, adding: addend,
              into: y + (first + row) * bytes.width)
          }
        }
      }
    }
  }

  /// Bytes that ``add(productsOf:rows:to:_:_:)`` needs besides.
  func room(forStates rows: Int) -> Int {
    min(rows, Self.rowsAtOnce) * (4 * bytes.width + PackedBytes.filled(depth))
  }

  /// Rows of which ``add(productsOf:rows:to:_:_:)`` makes bytes and products at a time.
  private static let rowsAtOnce = 256

  /// Adds state·factor to the sums of each row, where states share the range that suits them all; to
  /// fewer where the run is to end.
  func add(
    productsOf states: UnsafePointer<UnsafeMutablePointer<Float>>, rows: Int,
    to sums: UnsafePointer<UnsafeMutablePointer<Float>>, _ room: UnsafeMutableRawPointer,
    _ interruption: inout Interruption
  ) {
    var (low, high): (Float, Float) = (0, 0)
    for row in 0..<rows {
      if interruption.isDue(after: depth / 4 &+ 20) { return }
      let extremes = unsafe instructions.extremes(depth, states[row])
      (low, high) = (min(low, extremes.low), max(high, extremes.high))
    }
    let range = DynamicRange(low: low, high: high)
    let (step, width) = (PackedBytes.filled(depth), bytes.width)
    let products = unsafe room.assumingMemoryBound(to: Int32.self)
    let left = unsafe (room + 4 * min(rows, Self.rowsAtOnce) * width)
      .assumingMemoryBound(to: UInt8.self)
    let factor = unsafe PackedBytes.Rows(start: left, step: step, zero: Int32(range.zero))
    for first in stride(from: 0, to: rows, by: Self.rowsAtOnce) {
      let count = min(Self.rowsAtOnce, rows - first)
      if interruption.isDue(after: count &* width &* depth / 32) { return }
      for row in 0..<count { unsafe round(states[first + row], range, into: left + row * step) }
      unsafe bytes.multiply(factor, count: count, into: products)
      unsafe bytes.center(products, factor, count: count)
      for row in 0..<count {
        unsafe scale(
          products + row * width, range, 0..<width, adding: sums[first + row],
          into: sums[first + row])
      }
    }
  }

  /// A row of bytes, filled up with zeros.
  private func round(
    _ x: UnsafePointer<Float>, _ range: DynamicRange, into row: UnsafeMutablePointer<UInt8>
  ) {
    unsafe instructions.quantize(
      depth, x, scale: range.scale, divides: true, zero: Int32(range.zero), isSigned: false,
      into: row)
    for place in depth..<PackedBytes.filled(depth) { unsafe row[place] = 0 }
  }

  private func scale(
    _ sums: UnsafePointer<Int32>, _ range: DynamicRange, _ columns: Range<Int>,
    adding addend: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>
  ) {
    let first = columns.lowerBound
    unsafe scales.withUnsafeBufferPointer { scales in
      guard let scales = scales.baseAddress else { return }
      unsafe instructions.kernels.scale_sums(
        columns.count, sums + first, range.scale, scales + first, addend + first, y + first)
    }
  }
}
