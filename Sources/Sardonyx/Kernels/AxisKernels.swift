/// Kernels along one axis of a tensor.
extension AxisBlock {
  /// The softmax, or its logarithm, of each line of a single-precision tensor laid out so; y may be
  /// x.
  func softmax(logarithm: Bool, _ x: Tensor, into y: Destination, on crew: Crew) {
    unsafe ReductionKernel.softmax(
      outer: outer, count: count, inner: inner, logarithm: logarithm, x.pointer(as: Float.self),
      into: y.pointer(as: Float.self), on: crew)
  }

  /// One number for each line of a tensor laid out so, of single or of half precision.
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
