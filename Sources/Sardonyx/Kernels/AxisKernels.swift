/// Kernels along one axis of tensors of single and of half precision.
extension AxisBlock {
  /// The softmax, or its logarithm, of each line of a tensor laid out so; y may be x.
  /// - Returns: false for other element types, which are left alone.
  func softmax(logarithm: Bool, _ x: Tensor, into y: Destination, on crew: Crew) -> Bool {
    switch x.type {
    case .float:
      unsafe ReductionKernel.softmax(
        outer: outer, count: count, inner: inner, logarithm: logarithm, x.pointer(as: Float.self),
        into: y.pointer(as: Float.self), on: crew)
    case .float16, .bfloat16:
      var numbers = x.converted(to: Float.self)
      unsafe numbers.withUnsafeMutableBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return }
        unsafe ReductionKernel.softmax(
          outer: outer, count: count, inner: inner, logarithm: logarithm, start, into: start,
          on: crew)
      }
      y.store(numbers)
    default: return false
    }
    return true
  }

  /// One number for each line of a tensor laid out so.
  func reduce(_ kernel: ReductionKernel, _ x: Tensor, on crew: Crew) -> [Float] {
    unsafe [Float](unsafeUninitializedCapacity: outer * inner) { results, initialized in
      initialized = outer * inner
      guard let start = results.baseAddress else { return }
      if x.type == .float {
        unsafe ReductionKernel.reduce(
          kernel, outer: outer, count: count, inner: inner, x.pointer(as: Float.self), into: start,
          on: crew)
      } else {
        unsafe ReductionKernel.reduce(
          kernel, outer: outer, count: count, inner: inner, x.converted(to: Float.self),
          into: start, on: crew)
      }
    }
  }
}
