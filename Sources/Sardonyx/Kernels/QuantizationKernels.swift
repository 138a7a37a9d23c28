import CKernels

extension Elementwise {
  /// y[i] = (x[i] - zero)·scale.
  static func dequantize(
    _ count: Int, _ x: UnsafePointer<UInt8>, scale: Float, zero: Int32 = 0,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.dequantize_unsigned
    unsafe dequantize(count, x, into: y, on: crew) { unsafe kernel($0, $1, scale, zero, $2) }
  }

  /// y[i] = (x[i] - zero)·scale.
  static func dequantize(
    _ count: Int, _ x: UnsafePointer<Int8>, scale: Float, zero: Int32 = 0,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let kernel = unsafe crew.instructions.kernels.dequantize_signed
    unsafe dequantize(count, x, into: y, on: crew) { unsafe kernel($0, $1, scale, zero, $2) }
  }

  /// Bytes y[i] = saturate(round(x[i] / scale) + zero) of int8 or uint8; the zero point for NaN.
  static func quantize(
    _ count: Int, _ x: UnsafePointer<Float>, scale: Float, zero: Int32, isSigned: Bool,
    into y: UnsafeMutableRawPointer, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.performRanges(of: count, by: 1 << 15) { range in
      unsafe crew.instructions.quantize(
        range.count, x + range.lowerBound, scale: scale, divides: true, zero: zero,
        isSigned: isSigned, into: y + range.lowerBound)
    }
  }

  /// Bytes that stand for the sums or the products of what two arrays of bytes stand for.
  /// - Parameter plainWith: the instructions that are known to combine such bytes plainly, if any.
  static func combine(
    _ count: Int, _ operation: Binary, isSigned: Bool, plainWith: InstructionSet?,
    _ a: UnsafePointer<UInt8>, _ aScale: (scale: Float, zero: Float), _ b: UnsafePointer<UInt8>,
    _ bScale: (scale: Float, zero: Float), into y: UnsafeMutablePointer<UInt8>,
    _ scale: (scale: Float, zero: Float), on crew: Crew
  ) {
    nonisolated(unsafe) let (a, b, y) = unsafe (a, b, y)
    crew.performRanges(of: count, by: 1 << 15) { range in
      var combination = unsafe ByteCombination(
        a + range.lowerBound, aScale, b + range.lowerBound, bScale, into: y + range.lowerBound,
        scale, isSigned: isSigned)
      unsafe combination.is_plain = plainWith === crew.instructions
      unsafe crew.instructions.combine(range.count, operation, &combination)
    }
  }

  /// The instructions where they combine such bytes plainly; else nil.
  static func plain(
    _ operation: Binary, isSigned: Bool, _ a: (scale: Float, zero: Float),
    _ b: (scale: Float, zero: Float), _ result: (scale: Float, zero: Float),
    with instructions: InstructionSet = .current
  ) -> InstructionSet? {
    let isPlain = unsafe instructions.combinesPlainly(operation) { x, y, z in
      unsafe ByteCombination(x, a, y, b, into: z, result, isSigned: isSigned)
    }
    return isPlain ? instructions : nil
  }

  private static func dequantize<Integer>(
    _ count: Int, _ x: UnsafePointer<Integer>, into y: UnsafeMutablePointer<Float>, on crew: Crew,
    _ body: @escaping @Sendable (Int, UnsafePointer<Integer>, UnsafeMutablePointer<Float>) -> Void
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.performRanges(of: count, by: 1 << 15) { range in
      unsafe body(range.count, x + range.lowerBound, y + range.lowerBound)
    }
  }
}

extension ByteCombination {
  /// Of bytes with these scales and zero points.
  init(
    _ a: UnsafePointer<UInt8>, _ aScale: (scale: Float, zero: Float), _ b: UnsafePointer<UInt8>,
    _ bScale: (scale: Float, zero: Float), into y: UnsafeMutablePointer<UInt8>,
    _ scale: (scale: Float, zero: Float), isSigned: Bool
  ) {
    // A signed byte with its highest bit turned over is an unsigned one, 128 larger.
    let shift: Int32 = isSigned ? 128 : 0
    unsafe self.init(
      a: a, b: b, y: y, flip: isSigned ? 0x80 : 0, a_zero: Int32(aScale.zero) + shift,
      b_zero: Int32(bScale.zero) + shift, zero: Int32(scale.zero), low: isSigned ? -128 : 0,
      high: isSigned ? 127 : 255, a_scale: aScale.scale, b_scale: bScale.scale,
      scale: scale.scale, is_plain: false)
  }
}

extension InstructionSet {
  func combine(_ count: Int, _ operation: Binary, _ combination: inout ByteCombination) {
    if operation == .add {
      unsafe kernels.add_bytes(count, &combination)
    } else {
      unsafe kernels.multiply_byte_pairs(count, &combination)
    }
  }

  /// All pairs of bytes.
  private static let pairs = (
    left: (0..<1 << 16).map { UInt8(truncatingIfNeeded: $0) },
    right: (0..<1 << 16).map { UInt8(truncatingIfNeeded: $0 >> 8) }
  )

  /// Whether a combination, whatever its bytes, comes to the same without the numbers that they stand for:
  /// all pairs of bytes are tried.
  /// - Parameter combination: that of two arrays into a third.
  func combinesPlainly(
    _ operation: Binary,
    _ combination: (UnsafePointer<UInt8>, UnsafePointer<UInt8>, UnsafeMutablePointer<UInt8>) ->
      ByteCombination
  ) -> Bool {
    let count = Self.pairs.left.count
    func results(isPlain: Bool) -> [UInt8] {
      unsafe [UInt8](unsafeUninitializedCapacity: count) { y, initialized in
        initialized = count
        unsafe Self.pairs.left.withUnsafeBufferPointer { left in
          unsafe Self.pairs.right.withUnsafeBufferPointer { right in
            var all = unsafe combination(left.baseAddress!, right.baseAddress!, y.baseAddress!)
            unsafe all.is_plain = isPlain
            unsafe combine(count, operation, &all)
          }
        }
      }
    }
    return results(isPlain: true) == results(isPlain: false)
  }

  /// Bytes y[i] = saturate(round(x[i] / scale) + zero), or of x[i]·scale; the zero point for NaN.
  func quantize(
    _ count: Int, _ x: UnsafePointer<Float>, scale: Float, divides: Bool, zero: Int32,
    isSigned: Bool, into y: UnsafeMutableRawPointer
  ) {
    let (low, high): (Int32, Int32) = isSigned ? (-128, 127) : (0, 255)
    if divides {
      unsafe kernels.quantize_quotients(count, x, scale, zero, low, high, y)
    } else {
      unsafe kernels.quantize_products(count, x, scale, zero, low, high, y)
    }
  }

  /// The least and the greatest of some numbers and 0.
  func extremes(_ count: Int, _ x: UnsafePointer<Float>) -> (low: Float, high: Float) {
    guard count > 0 else { return (0, 0) }
    return unsafe (min(0, kernels.row_minimum(count, x)), max(0, kernels.row_maximum(count, x)))
  }

  /// The sum of each of some rows of bytes; a signed byte counts 128 more.
  func sumRows(
    _ rows: Int, _ count: Int, _ x: UnsafePointer<UInt8>, isSigned: Bool,
    into y: UnsafeMutablePointer<Int32>
  ) {
    unsafe kernels.sum_byte_rows(rows, count, x, isSigned ? 0x80 : 0, y)
  }

  /// Whole numbers in 32 bits.
  func narrow(
    _ count: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Int32>
  ) {
    unsafe kernels.narrow_to_integers(count, x, y)
  }

  /// y[i] = (x[i] - zero)·scale of int8 or uint8.
  func dequantize(
    _ count: Int, _ x: UnsafeRawPointer, isSigned: Bool, scale: Float = 1, zero: Int32,
    into y: UnsafeMutablePointer<Float>
  ) {
    if isSigned {
      unsafe kernels.dequantize_signed(
        count, x.assumingMemoryBound(to: Int8.self), scale, zero, y)
    } else {
      unsafe kernels.dequantize_unsigned(
        count, x.assumingMemoryBound(to: UInt8.self), scale, zero, y)
    }
  }
}

extension QuantizationScales {
  /// y = saturate(round(x / scale) + zero) from single precision to 8-bit integers.
  func quantize(
    _ x: Tensor, _ scales: [Float], _ zeros: [Int64]?, into y: Destination, on crew: Crew
  ) {
    forEachRun { run, index in
      unsafe Elementwise.quantize(
        run.count, x.pointer(as: Float.self) + run.lowerBound, scale: scales[index],
        zero: Int32(truncatingIfNeeded: zeros?[index] ?? 0), isSigned: y.type == .int8,
        into: y.bytes + run.lowerBound, on: crew)
    }
  }

  /// y = (x - zero)·scale for 8-bit integers and single precision.
  func dequantize(
    _ x: Tensor, _ scales: [Float], _ zeros: [Int64]?, into y: Destination, on crew: Crew
  ) {
    forEachRun { run, index in
      let (scale, zero) = (scales[index], Int32(truncatingIfNeeded: zeros?[index] ?? 0))
      let target = unsafe y.pointer(as: Float.self) + run.lowerBound
      if x.type == .int8 {
        unsafe Elementwise.dequantize(
          run.count, x.pointer(as: Int8.self) + run.lowerBound, scale: scale, zero: zero,
          into: target, on: crew)
      } else {
        unsafe Elementwise.dequantize(
          run.count, x.pointer(as: UInt8.self) + run.lowerBound, scale: scale, zero: zero,
          into: target, on: crew)
      }
    }
  }
}
