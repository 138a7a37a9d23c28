import CKernels

/// A factor of a product of 8-bit integers: its lanes (rows on the left, columns on the right) with their zero points
/// taken off, in 16 bits, each lane's numbers adjoining.
struct IntegerMatrix: Sendable {
  let lanes: Int
  let depth: Int
  private let memory: AlignedMemory

  /// Element (lane, k) is start[lane·laneStep + k·depthStep], signed or not; a zero point for all lanes or for each.
  init(
    lanes: Int, depth: Int, from start: UnsafeRawPointer, isSigned: Bool, laneStep: Int,
    depthStep: Int, zeroPoints: [Int32]
  ) {
    self.lanes = lanes
    self.depth = depth
    memory = AlignedMemory(byteCount: lanes * depth * MemoryLayout<Int16>.stride)
    let kernels = InstructionSet.current
    let row = AlignedMemory(byteCount: depth)
    for lane in 0..<lanes {
      let zero = zeroPoints.isEmpty ? 0 : zeroPoints[lane % zeroPoints.count]
      let target = unsafe values + lane * depth
      unsafe kernels.kernels.copy_bytes(depth, start + lane * laneStep, depthStep, row.start)
      if isSigned {
        unsafe kernels.kernels.center_signed(
          depth, row.start.assumingMemoryBound(to: Int8.self), zero, target)
      } else {
        unsafe kernels.kernels.center_unsigned(
          depth, row.start.assumingMemoryBound(to: UInt8.self), zero, target)
      }
    }
  }

  fileprivate var values: UnsafeMutablePointer<Int16> {
    unsafe memory.start.assumingMemoryBound(to: Int16.self)
  }
}

/// Products of 8-bit integers in 32 bits, which wrap: MatMulInteger, ConvInteger and the QLinear operators' inner part.
enum IntegerGemm {
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

/// Arrays of one element type made into another.
enum Conversion {
  private static let chunk = 1 << 15

  /// Half precision, as bits, to float32.
  static func widenHalves(
    _ count: Int, _ x: UnsafePointer<UInt16>, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.widen_halves
    unsafe convert(count, x, into: y, crew) { unsafe kernel($0, $1, $2) }
  }

  /// float32 to half precision, as bits, rounded to nearest even.
  static func narrowToHalves(
    _ count: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<UInt16>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.narrow_to_halves
    unsafe convert(count, x, into: y, crew) { unsafe kernel($0, $1, $2) }
  }

  /// bfloat16, as bits, to float32.
  static func widenBfloats(
    _ count: Int, _ x: UnsafePointer<UInt16>, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.widen_bfloats
    unsafe convert(count, x, into: y, crew) { unsafe kernel($0, $1, $2) }
  }

  /// float32 to bfloat16, as bits, rounded to nearest even.
  static func narrowToBfloats(
    _ count: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<UInt16>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.narrow_to_bfloats
    unsafe convert(count, x, into: y, crew) { unsafe kernel($0, $1, $2) }
  }

  /// y[i] = (x[i] - zero)·scale.
  static func dequantize(
    _ count: Int, _ x: UnsafePointer<UInt8>, scale: Float, zero: Int32 = 0,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.dequantize_unsigned
    unsafe convert(count, x, into: y, crew) { unsafe kernel($0, $1, scale, zero, $2) }
  }

  /// y[i] = (x[i] - zero)·scale.
  static func dequantize(
    _ count: Int, _ x: UnsafePointer<Int8>, scale: Float, zero: Int32 = 0,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.dequantize_signed
    unsafe convert(count, x, into: y, crew) { unsafe kernel($0, $1, scale, zero, $2) }
  }

  private static func convert<From, To>(
    _ count: Int, _ x: UnsafePointer<From>, into y: UnsafeMutablePointer<To>, _ crew: Crew,
    _ body: @escaping @Sendable (Int, UnsafePointer<From>, UnsafeMutablePointer<To>) -> Void
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.performRanges(of: count, by: chunk) { range in
      unsafe body(range.count, x + range.lowerBound, y + range.lowerBound)
    }
  }
}
