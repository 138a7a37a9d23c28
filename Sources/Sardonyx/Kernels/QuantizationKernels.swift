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
extension QuantizationScales {
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
