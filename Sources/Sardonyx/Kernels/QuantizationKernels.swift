extension QuantizationScales {
  /// y = (x - zero)·scale for 8-bit integers and single precision.
  func dequantize(
    _ x: Tensor, _ scales: [Float], _ zeros: [Int64]?, into y: Destination, on crew: Crew
  ) {
    forEachRun { run, index in
      let (scale, zero) = (scales[index], Int32(truncatingIfNeeded: zeros?[index] ?? 0))
      let target = unsafe y.pointer(as: Float.self) + run.lowerBound
      if x.type == .int8 {
        unsafe Conversion.dequantize(
          run.count, x.pointer(as: Int8.self) + run.lowerBound, scale: scale, zero: zero,
          into: target, on: crew)
      } else {
        unsafe Conversion.dequantize(
          run.count, x.pointer(as: UInt8.self) + run.lowerBound, scale: scale, zero: zero,
          into: target, on: crew)
      }
    }
  }
}
