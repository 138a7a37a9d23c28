import CKernels

extension Tensor {
  /// The same numbers in single precision, for types it holds exactly; nil for other types.
  var single: Tensor? {
    switch type {
    case .float: self
    case .float16, .bfloat16: Tensor(converting: converted(to: Float.self), to: .float, shape)
    default: nil
    }
  }

  /// The address of the first element of a single-precision tensor.
  fileprivate var floats: UnsafePointer<Float> { unsafe pointer(as: Float.self) }
}

extension Destination {
  /// Lets `body` write single-precision numbers: in place, or else beside, to be rounded to this
  /// type afterwards.
  func writeSingle(_ body: (Destination) -> Void) {
    if type == .float { return body(self) }
    let count = elementCount
    let scratch = Destination(
      .float, shape, storage: Storage(byteCount: count * ElementType.float.byteCount))
    body(scratch)
    if Interruption.isDue { return }
    store(scratch.tensor(texts: .none).array(of: Float.self))
  }

  fileprivate var floats: UnsafeMutablePointer<Float> { unsafe pointer(as: Float.self) }
}

extension PackedFilter {
  /// Packs single-precision weights.
  init(_ weights: Tensor, _ shape: ConvolutionShape) { self.init(PackingSource(weights), shape) }
}

extension Convolution {
  /// y = activation(x ∗ filter + bias + residual) for single-precision tensors.
  func run(
    _ x: Tensor, _ filter: PackedFilter, bias: Tensor?, residual: Tensor?, _ activation: Activation,
    into y: Destination, on crew: Crew
  ) {
    let epilogue = unsafe Epilogue(
      bias: bias?.floats, residual: residual?.floats, activation: activation)
    unsafe run(x.floats, filter, epilogue, into: y.floats, on: crew)
  }
}

extension PackedTransposedFilter {
  /// Packs single-precision weights.
  init(_ weights: Tensor, _ shape: TransposedConvolutionShape) {
    var filter: PackedTransposedFilter?
    unsafe PackingSource(weights).withNumbers(0..<weights.elementCount) { numbers in
      filter = unsafe PackedTransposedFilter(numbers, shape)
    }
    self = filter!
  }
}

extension TransposedConvolution {
  /// The same for single-precision tensors.
  func run(
    _ x: Tensor, _ filter: PackedTransposedFilter, bias: Tensor?, _ activation: Activation,
    into y: Destination, on crew: Crew
  ) {
    unsafe run(
      x.floats, filter, bias: bias?.floats, activation: activation, into: y.floats, on: crew)
  }
}

extension Pooling {
  /// The same for single-precision tensors.
  func run(_ x: Tensor, into y: Destination, on crew: Crew) {
    unsafe run(x.floats, into: y.floats, on: crew)
  }
}

extension ReductionKernel {
  /// Reduces the `count` numbers of each row of a single-precision tensor.
  func reduceRows(_ x: Tensor, count: Int, into y: Destination, on crew: Crew) {
    unsafe Self.reduce(
      self, outer: y.elementCount, count: count, inner: 1, x.floats, into: y.floats, on: crew)
  }

  /// Mean and variance of each row of a single-precision tensor.
  static func moments(_ x: Tensor, rows: Int, on crew: Crew) -> [(mean: Float, variance: Float)] {
    let count = x.elementCount / max(rows, 1)
    return unsafe [(mean: Float, variance: Float)](unsafeUninitializedCapacity: rows) {
      buffer, initialized in
      nonisolated(unsafe) let (buffer, x) = unsafe (buffer, x.floats)
      crew.performRanges(of: rows, by: max(1, (1 << 15) / max(1, count))) { range in
        for row in range {
          let moments = unsafe moments(of: count, x + row * count, with: crew.instructions)
          unsafe buffer.initializeElement(at: row, to: moments)
        }
      }
      initialized = rows
    }
  }

  /// y = (x - mean)·factor + shift, with numbers for each row of a single-precision tensor, or for the
  /// first of them, which the others repeat.
  static func normalizeRows(
    _ x: Tensor, rows: Int, means: [Float], factors: [Float], shifts: [Float],
    into y: Destination, on crew: Crew
  ) {
    let count = x.elementCount / max(rows, 1)
    guard count > 0 else { return }
    nonisolated(unsafe) let (x, y) = unsafe (x.floats, y.floats)
    let kernels = crew.instructions
    let part = min(count, 1 << 15)
    let parts = (count + part - 1) / part
    crew.performRanges(of: rows * parts, by: (1 << 15) / part) { range in
      for index in range {
        let (row, first) = (index / parts, index % parts * part)
        let (own, length) = (row % means.count, min(part, count - first))
        let (from, to) = unsafe (x + (row * count + first), y + (row * count + first))
        unsafe kernels.kernels.normalize(length, from, means[own], factors[own], nil, nil, to)
        unsafe kernels.kernels.affine(length, to, to, 1, shifts[own])
      }
    }
  }

  /// Normalizes the rows of a single-precision tensor; `scale` and `shift` are as long as a row.
  static func normalizeRows(
    _ normalization: Normalization, _ x: Tensor, rows: Int, epsilon: Double, scale: [Float],
    shift: [Float]?, into y: Destination, means: Destination? = nil, factors: Destination? = nil,
    on crew: Crew
  ) {
    let count = x.elementCount / max(rows, 1)
    unsafe scale.withUnsafeBufferPointer { scale in
      unsafe (shift ?? []).withUnsafeBufferPointer { shiftNumbers in
        unsafe normalizeRows(
          normalization, rows: rows, count: count, epsilon: Float(epsilon), x.floats,
          scale: scale.baseAddress, shift: shift == nil ? nil : shiftNumbers.baseAddress,
          into: y.floats, means: means?.floats, factors: factors?.floats, on: crew)
      }
    }
  }
}

extension Elementwise {
  /// y = x·scale + shift for each channel of a single-precision tensor; y may be x.
  static func scaleShift(
    _ view: AxisBlock, _ x: Tensor, scale: [Double], shift: [Double], into y: Destination,
    on crew: Crew
  ) {
    let scale = scale.interruptibleMap(cost: 1) { Float($0) }
    let shift = shift.interruptibleMap(cost: 1) { Float($0) }
    if Interruption.isDue { return }
    unsafe scaleShift(
      outer: view.outer, channels: view.count, inner: view.inner, x.floats, scale: scale,
      shift: shift, into: y.floats, on: crew)
  }
}
