import CKernels

/// Conversion between single precision and the two 16-bit formats, many numbers at a time.
enum HalfKernels {
  /// The numbers behind `count` elements of a 16-bit format.
  static func widened(
    _ count: Int, _ bits: UnsafePointer<UInt16>, from type: ElementType,
    with instructions: InstructionSet = .current
  ) -> [Float] {
    let kernel = unsafe instructions.widening(from: type)
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
    let kernel = unsafe instructions.narrowing(to: type)
    unsafe numbers.withUnsafeBufferPointer { numbers in
      guard let start = numbers.baseAddress else { return }
      Interruption.inStretches(of: numbers.count) {
        unsafe kernel($0.count, start + $0.lowerBound, target + $0.lowerBound)
      }
    }
  }

  /// Numbers in a chunk: some microseconds of work.
  private static let chunk = 1 << 15

  /// y = x, element by element.
  static func widen(
    _ count: Int, _ x: UnsafePointer<UInt16>, from type: ElementType,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernel = unsafe crew.instructions.widening(from: type)
    crew.performRanges(of: count, by: chunk) { range in
      unsafe kernel(range.count, x + range.lowerBound, y + range.lowerBound)
    }
  }

  /// y = x, rounded to nearest even.
  static func narrow(
    _ count: Int, _ x: UnsafePointer<Float>, to type: ElementType,
    into y: UnsafeMutablePointer<UInt16>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernel = unsafe crew.instructions.narrowing(to: type)
    crew.performRanges(of: count, by: chunk) { range in
      unsafe kernel(range.count, x + range.lowerBound, y + range.lowerBound)
    }
  }

  /// y = the number of a 16-bit type nearest to x, even ones first; y may be x.
  static func round(
    _ count: Int, _ x: UnsafePointer<Float>, to type: ElementType,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let widen = unsafe crew.instructions.widening(from: type)
    let narrow = unsafe crew.instructions.narrowing(to: type)
    crew.performRanges(of: count, by: chunk) { range in
      unsafe withUnsafeTemporaryAllocation(of: UInt16.self, capacity: stretch) { halves in
        guard let halves = halves.baseAddress else { return }
        for first in Swift.stride(from: range.lowerBound, to: range.upperBound, by: stretch) {
          let count = min(stretch, range.upperBound - first)
          unsafe narrow(count, x + first, halves)
          unsafe widen(count, halves, y + first)
        }
      }
    }
  }

  /// Numbers that are rounded at a time, on the stack.
  private static let stretch = 1024
}

extension InstructionSet {
  fileprivate typealias Widening =
    @convention(c) (Int, UnsafePointer<UInt16>, UnsafeMutablePointer<Float>) -> Void
  fileprivate typealias Narrowing =
    @convention(c) (Int, UnsafePointer<Float>, UnsafeMutablePointer<UInt16>) -> Void

  /// The kernel that reads a 16-bit format.
  fileprivate func widening(from type: ElementType) -> Widening {
    unsafe type == .float16 ? kernels.widen_halves : kernels.widen_bfloats
  }

  /// The kernel that writes a 16-bit format.
  fileprivate func narrowing(to type: ElementType) -> Narrowing {
    unsafe type == .float16 ? kernels.narrow_to_halves : kernels.narrow_to_bfloats
  }
}
