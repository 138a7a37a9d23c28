extension UnaryFunction.Kernel {
  /// y = function(x) for tensors that the kernel can compute, which are those of single and of half
  /// precision; y may be x.
  /// - Returns: false where it cannot.
  func apply(_ x: Tensor, into y: Destination, on crew: Crew) -> Bool {
    precondition(x.elementCount == y.elementCount)
    switch x.type {
    case .float:
      unsafe Elementwise.map(
        function, x.elementCount, x.pointer(as: Float.self), into: y.pointer(as: Float.self),
        alpha: alpha, beta: beta, on: crew)
    case .float16, .bfloat16:
      var numbers = x.converted(to: Float.self)
      unsafe numbers.withUnsafeMutableBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return }
        unsafe Elementwise.map(
          function, buffer.count, start, into: start, alpha: alpha, beta: beta, on: crew)
      }
      y.store(numbers)
    default: return false
    }
    return true
  }
}

extension Broadcast {
  /// z = function(x, y) for single-precision tensors that have this broadcast's shapes; z may be
  /// one of them that has the shape of the result.
  func combine(_ function: Binary, _ x: Tensor, _ y: Tensor, into z: Destination, on crew: Crew) {
    precondition(z.elementCount == elementCount)
    let (xs, ys) = unsafe (x.pointer(as: Float.self), y.pointer(as: Float.self))
    unsafe combine(function, xs, ys, into: z.pointer(as: Float.self), on: crew)
  }

  /// The same for arrays.
  func combine(_ function: Binary, _ x: [Float], _ y: [Float], on crew: Crew) -> [Float] {
    unsafe [Float](unsafeUninitializedCapacity: elementCount) { buffer, count in
      count = elementCount
      guard let start = buffer.baseAddress else { return }
      unsafe combine(function, x, y, into: start, on: crew)
    }
  }

  func combine(
    _ function: Binary, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>,
    into z: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    guard elementCount > 0 else { return }
    if rowCount == 1 {
      unsafe Elementwise.combine(
        function, rowLength, x, step: step(of: 0), y, step: step(of: 1), into: z, on: crew)
    } else {
      unsafe Elementwise.combineRows(
        function, rows: rowCount, rowLength, x, step: step(of: 0), y, step: step(of: 1), into: z,
        on: crew
      ) { row in (start(ofRow: row, in: 0), start(ofRow: row, in: 1)) }
    }
  }

  /// y = function(x) row by row, with the parameter that the second tensor has for each row.
  func mapRows(
    _ function: Unary, _ x: Tensor, _ alpha: Tensor, into y: Destination, on crew: Crew
  ) {
    guard elementCount > 0 else { return }
    nonisolated(unsafe) let (xs, alphas, ys) = unsafe (
      x.pointer(as: Float.self), alpha.pointer(as: Float.self), y.pointer(as: Float.self)
    )
    let kernel = unsafe function.kernel(of: crew.instructions)
    let (length, xStep) = (rowLength, step(of: 0))
    precondition(xStep == 1 || length == 1)
    crew.performRanges(of: rowCount, by: max(1, (1 << 15) / length)) { rows in
      for row in rows {
        let parameter = unsafe alphas[start(ofRow: row, in: 1)]
        unsafe kernel(
          length, xs + start(ofRow: row, in: 0), ys + row * length, parameter, 0)
      }
    }
  }
}
