import CKernels

/// The right factor of products of bytes: a column of 8-bit integers for each output, in the order
/// in which kernels read them.
///
/// The left factor is unsigned; a signed byte is read as that byte with its highest bit turned over,
/// which adds 128 to it and to its zero point. Here it is the other way round.
struct PackedBytes: Sendable {
  /// Terms of a product whose sums, zero points taken off, are sure to fit 32 bits.
  static let largestDepth = 1 << 15

  /// Whether such a sum fits 32 bits with this number added.
  static func fits(_ bias: Int64, depth: Int) -> Bool {
    bias.magnitude <= UInt64(Int64(Int32.max) - Int64(depth) * 255 * 255)
  }

  let columns: Int
  /// Parts of the depth that adjoin in a row of the left factor.
  let runs: Int
  /// The terms of a run, and the bytes in which it lies.
  let depth: Int
  private let filled: Int
  private let memory: AlignedMemory
  /// For each column Σ (b - zero point).
  private let sums: [Int32]
  /// The zero points, where one is not 0.
  private let zeros: [Int32]
  /// What was cut off the bytes, where they are bounded.
  private let excesses: Excesses?
  private let instructions: InstructionSet

  /// Element (run, k, column) is start[run·runStep + k·depthStep + column·columnStep].
  /// - Parameter zeroPoints: one for all columns, or one for each.
  init(
    runs: Int = 1, depth: Int, columns: Int, from start: UnsafeRawPointer, isSigned: Bool,
    runStep: Int = 0, depthStep: Int, columnStep: Int, zeroPoints: [Int32],
    for instructions: InstructionSet = .current
  ) {
    (self.columns, self.runs, self.depth) = (columns, runs, depth)
    self.instructions = instructions
    let kernels = unsafe instructions.kernels
    let (lanes, panel) = unsafe (kernels.lanes, kernels.byte_columns)
    let filled = Self.filled(depth)
    let width = (columns + lanes - 1) / lanes * lanes
    let memory = WeightArena.take(width * runs * filled)
    var sums = [Int32](repeating: 0, count: width)
    let flip: UInt8 = isSigned ? 0 : 0x80
    var interruption = Interruption()
    /// Calls `body` with the columns of each panel, and in it with each run: where that is read and written,
    /// and its sums; until it returns false, or the run of the model is to end.
    func forEachRun(
      _ body: (
        Range<Int>, Int, UnsafePointer<UInt8>, UnsafeMutablePointer<Int8>,
        UnsafeMutablePointer<Int32>
      ) -> Bool
    ) -> Bool {
      unsafe sums.withUnsafeMutableBufferPointer { sums in
        for first in stride(from: 0, to: columns, by: panel) {
          let panelWidth = min(panel, width - first)
          for run in 0..<runs {
            if interruption.isDue(after: panelWidth &* filled / 2) { return false }
            let from = unsafe start + run * runStep + first * columnStep
            let to = unsafe memory.start + (first * runs + run * panelWidth) * filled
            let isDone = unsafe body(
              first..<min(first + panel, columns), run, from.assumingMemoryBound(to: UInt8.self),
              to.assumingMemoryBound(to: Int8.self), sums.baseAddress! + first)
            if !isDone { return false }
          }
        }
        return true
      }
    }
    var excesses: Excesses?
    if let pack = unsafe kernels.pack_bounded_bytes, max(runs, depth) <= Int(UInt16.max) {
      var found = Excesses()
      let isBounded = unsafe forEachRun { columns, run, from, to, sums in
        if run == 0 { found.starts.append(Int32(found.all.count)) }
        return unsafe found.append(upTo: depth * columns.count / Excesses.places + 1) {
          unsafe pack(
            depth, filled, columns.count, from, columnStep, depthStep, flip, run, to, sums, $0, $1)
        }
      }
      found.starts.append(Int32(found.all.count))
      if isBounded { excesses = found } else { sums = Array(repeating: 0, count: width) }
    }
    if excesses == nil {
      _ = unsafe forEachRun { columns, _, from, to, sums in
        unsafe kernels.pack_bytes(
          depth, filled, columns.count, from, columnStep, depthStep, flip, to, sums)
        return true
      }
    }
    self.excesses = excesses
    let zeros = (0..<columns).map { column in
      zeroPoints[zeroPoints.count > 1 ? column : 0] - (isSigned ? 0 : 128)
    }
    for (column, zero) in zeros.enumerated() {
      sums[column] &-= Int32(truncatingIfNeeded: runs * depth) &* zero
    }
    (self.filled, self.memory, self.sums) = (filled, memory, sums)
    self.zeros =
      zeros.contains { $0 != 0 } ? zeros + Array(repeating: 0, count: width - columns) : []
  }

  /// What was cut off bytes so that products of neighbours fit 16 bits.
  private struct Excesses: Sendable {
    /// Of so many bytes one may have an excess: what more of them cost is not gained by the others, as measured
    /// on Cascade Lake without its dot products.
    static let places = 256

    var all: [ByteExcess] = []
    /// Where those of each panel begin, and last where those of the last one end.
    var starts: [Int32] = []

    /// Appends what `pack` puts into the room it is given, and returns how many that are; false where
    /// they are too many.
    mutating func append(
      upTo room: Int, _ pack: (UnsafeMutablePointer<ByteExcess>, Int) -> Int
    ) -> Bool {
      unsafe withUnsafeTemporaryAllocation(of: ByteExcess.self, capacity: room) { found in
        let count = unsafe pack(found.baseAddress!, room)
        guard count >= 0 else { return false }
        unsafe all.append(contentsOf: found[..<count])
        return true
      }
    }
  }

  /// Bytes that are read of a run of the left factor: whole words, whose rest may be anything.
  static func filled(_ depth: Int) -> Int { (depth + 3) / 4 * 4 }

  /// Columns of a row of sums, with those that fill up the last vector.
  var width: Int { sums.count }

  /// Whether sums need what only ``center(_:_:from:count:)`` takes off.
  var hasZeroPoints: Bool { !zeros.isEmpty }

  /// How the rows of a left factor lie.
  @unsafe struct Rows {
    let start: UnsafePointer<UInt8>
    /// Bytes from row to row.
    var step: Int = 0
    /// Where each row begins, if not `step` bytes after the one before.
    var places: UnsafePointer<Int32>?
    /// Where each run of a row begins behind that; none where there is a single run.
    var runs: UnsafePointer<Int32>?
    /// The zero point of the bytes as they lie.
    let zero: Int32
  }

  /// The panels of columns, for threads to divide.
  var panels: Int {
    unsafe (width + instructions.kernels.byte_columns - 1) / instructions.kernels.byte_columns
  }

  /// The columns of a panel.
  func columns(ofPanel panel: Int) -> Range<Int> {
    let columns = unsafe instructions.kernels.byte_columns
    return panel * columns..<min(width, (panel + 1) * columns)
  }

  /// Puts Σ a·b of bytes as they lie into rows of ``width`` sums, in some columns.
  func multiply(
    _ rows: Rows, from first: Int = 0, count: Int, into sums: UnsafeMutablePointer<Int32>,
    columns: Range<Int>? = nil
  ) {
    let columns = columns ?? 0..<width
    var product = unsafe product(rows, from: first, count: count, columns)
    unsafe product.c = sums + columns.lowerBound
    unsafe product.c_step = width
    unsafe multiply(&product, columns)
  }

  private func multiply(_ product: inout ByteProduct, _ columns: Range<Int>) {
    guard let excesses, !excesses.all.isEmpty else {
      return unsafe instructions.kernels.multiply_bytes(&product)
    }
    unsafe excesses.all.withUnsafeBufferPointer { all in
      unsafe excesses.starts.withUnsafeBufferPointer { starts in
        unsafe product.excesses = all.baseAddress
        unsafe product.excess_starts =
          starts.baseAddress! + columns.lowerBound / instructions.kernels.byte_columns
        unsafe instructions.kernels.multiply_bytes(&product)
      }
    }
  }

  /// Puts the bytes that such sums become into rows `step` apart, in some columns.
  /// - Parameter rounding: of the first column of all.
  func round(
    _ rows: Rows, from first: Int = 0, count: Int, _ rounding: ByteRounding,
    into y: UnsafeMutablePointer<UInt8>, step: Int, columns: Range<Int>
  ) {
    let begin = columns.lowerBound
    var product = unsafe product(rows, from: first, count: count, columns)
    var rounding = unsafe rounding.from(begin)
    unsafe withUnsafePointer(to: &rounding) { rounding in
      unsafe product.rounding = rounding
      unsafe product.y = y + begin
      unsafe product.y_step = step
      unsafe product.columns = min(columns.upperBound, self.columns) - begin
      unsafe multiply(&product, columns)
    }
  }

  private func product(_ rows: Rows, from first: Int, count: Int, _ columns: Range<Int>)
    -> ByteProduct
  {
    unsafe ByteProduct(
      rows: count, vectors: columns.count / instructions.kernels.lanes, runs: runs, run: filled,
      a: rows.places == nil ? rows.start + first * rows.step : rows.start, a_step: rows.step,
      rows_at: rows.places.map { unsafe $0 + first }, runs_at: rows.runs,
      b: memory.start.assumingMemoryBound(to: Int8.self) + columns.lowerBound * runs * filled,
      is_bounded: excesses != nil, excesses: nil, excess_starts: nil, c: nil, c_step: 0,
      rounding: nil, y: nil, y_step: 0, columns: 0)
  }

  /// Makes such sums those of (a - zero point)·(b - zero point).
  func center(
    _ sums: UnsafeMutablePointer<Int32>, _ rows: Rows, from first: Int = 0, count: Int,
    columns: Range<Int>? = nil
  ) {
    let columns = columns ?? 0..<width
    guard !columns.isEmpty else { return }
    let begin = columns.lowerBound
    unsafe self.sums.withUnsafeBufferPointer { columnSums in
      unsafe zeros.withUnsafeBufferPointer { zeros in
        for row in 0..<count {
          let sums = unsafe sums + row * width + begin
          unsafe instructions.kernels.center_sums(
            columns.count, sums, rows.zero, columnSums.baseAddress! + begin,
            hasZeroPoints ? total(rows, first + row) : 0,
            hasZeroPoints ? zeros.baseAddress! + begin : nil, sums)
        }
      }
    }
  }

  /// What ``center(_:_:from:count:)`` adds to each column where there are no zero points, and more.
  func shift(_ column: Int, zero: Int32, adding bias: Int32) -> Int32 {
    bias &- zero &* sums[column]
  }

  /// The sum of the bytes of a row, which the zero points of columns multiply.
  private func total(_ rows: Rows, _ row: Int) -> Int32 {
    let place = unsafe rows.places.map { unsafe Int($0[row]) } ?? row * rows.step
    return (0..<runs).reduce(0) { sum, run in
      let start = unsafe rows.start + place + (rows.runs.map { unsafe Int($0[run]) } ?? 0)
      return unsafe sum &+ instructions.kernels.sum_bytes(depth, start, 0)
    }
  }
}
