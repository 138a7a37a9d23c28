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
      guard let start = buffer.baseAddress else { return }
      Interruption.inStretches(of: count) {
        unsafe kernel($0.count, bits + $0.lowerBound, start + $0.lowerBound)
      }
    }
  }

  /// Stores numbers rounded to nearest even.
  static func store(
    _ numbers: [Float], as type: ElementType, at target: UnsafeMutablePointer<UInt16>,
    with instructions: InstructionSet = .current
  ) {
    let kernels = unsafe instructions.kernels
    let kernel = unsafe type == .float16 ? kernels.narrow_to_halves : kernels.narrow_to_bfloats
    unsafe numbers.withUnsafeBufferPointer { numbers in
      guard let start = numbers.baseAddress else { return }
      Interruption.inStretches(of: numbers.count) {
        unsafe kernel($0.count, start + $0.lowerBound, target + $0.lowerBound)
      }
    }
  }
}
