import CKernels

/// The softmax, or its logarithm, along one axis of single-precision numbers.
enum SoftmaxRows {
  /// Numbers laid out as [outer, count, inner] go through the function along `count`; y may be x.
  static func apply(
    logarithm: Bool, _ block: AxisBlock, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let kernels = crew.instructions
    let (count, inner) = (block.count, block.inner)
    guard block.outer > 0, count > 0, inner > 0 else { return }
    if inner == 1 {
      let row =
        unsafe logarithm ? kernels.kernels.log_softmax : kernels.kernels.softmax
      crew.performRanges(of: block.outer, by: max(1, 4096 / count)) { rows in
        for index in rows { unsafe row(count, x + index * count, y + index * count) }
      }
      return
    }
    let columns =
      unsafe logarithm ? kernels.kernels.log_softmax_columns : kernels.kernels.softmax_columns
    // Cut only where columns abound, into pieces that keep whole cache lines.
    let width = min(inner, max(64, (4096 / count + 15) & ~15))
    let pieces = (inner + width - 1) / width
    crew.perform(block.outer * pieces) { chunk in
      let first = chunk % pieces * width
      let place = chunk / pieces * count * inner + first
      unsafe columns(count, min(width, inner - first), x + place, y + place, inner)
    }
  }

  /// The same for tensors, of single or of half precision.
  /// - Returns: false for other element types, which are left alone.
  static func apply(
    logarithm: Bool, _ block: AxisBlock, _ x: Tensor, into y: Destination, on crew: Crew
  ) -> Bool {
    switch x.type {
    case .float:
      unsafe apply(
        logarithm: logarithm, block, x.pointer(as: Float.self), into: y.pointer(as: Float.self),
        on: crew)
    case .float16, .bfloat16:
      var numbers = x.converted(to: Float.self)
      unsafe numbers.withUnsafeMutableBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return }
        unsafe apply(logarithm: logarithm, block, start, into: start, on: crew)
      }
      y.store(numbers)
    default: return false
    }
    return true
  }
}
