import CKernels

/// Conversion between single precision and the two 16-bit formats, many numbers at a time.
enum HalfKernels {
  /// The numbers behind `count` elements of a 16-bit format.
  static func widened(
    _ count: Int, _ bits: UnsafePointer<UInt16>, from type: ElementType,
    with instructions: InstructionSet = .current
  ) -> [Float] {
    let kernels = unsafe instructions.kernels
    let kernel = unsafe type == .float16 ? kernels.widen_halves : kernels.widen_bfloats
    return unsafe [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = count
      if let start = buffer.baseAddress { unsafe kernel(count, bits, start) }
    }
  }

  /// Stores numbers rounded to nearest even.
  static func store(
    _ numbers: [Float], as type: ElementType, at target: UnsafeMutablePointer<UInt16>,
    with instructions: InstructionSet = .current
  ) {
    let kernels = unsafe instructions.kernels
    let kernel = unsafe type == .float16 ? kernels.narrow_to_halves : kernels.narrow_to_bfloats
    unsafe kernel(numbers.count, numbers, target)
  }
}
