/// How a batch of matrix products C[i] = A[i]·B[i] is laid out in arrays.
struct ProductBatch: Sendable {
  let m: Int
  let n: Int
  let k: Int
  /// The strides within each matrix.
  let left: MatrixView
  let right: MatrixView
  /// Where the two matrices of each product begin; C[i] begins at i·m·n.
  let offsets: [(left: Int, right: Int)]

  init(
    m: Int, n: Int, k: Int, left: MatrixView, right: MatrixView,
    offsets: [(left: Int, right: Int)] = [(0, 0)]
  ) {
    (self.m, self.n, self.k) = (m, n, k)
    (self.left, self.right) = (left, right)
    self.offsets = offsets
  }

  var resultCount: Int { offsets.count * m * n }

  /// Whether the products make so many numbers; fewer products are listed where the run is to end.
  private func isResult(ofCount count: Int) -> Bool {
    count == resultCount || count > resultCount && Interruption.isDue
  }

  /// The products: of single precision by kernels, of all other numbers plainly.
  /// - Parameter packedRight: the right factor of them all, packed before.
  func multiply<T: Number>(
    _ a: [T], _ b: [T], packedRight: PackedMatrix? = nil, on crew: Crew
  ) -> [T] {
    guard T.self == Float.self else { return multiplyPlainly(a, b) }
    return unsafe [T](unsafeUninitializedCapacity: resultCount) { buffer, count in
      count = resultCount
      unsafe a.withUnsafeBytes { a in
        unsafe b.withUnsafeBytes { b in
          // Empty factors have no address, but nothing is read from them either.
          guard let c = UnsafeMutableRawBufferPointer(buffer).baseAddress else { return }
          let (left, right) = (a.baseAddress, b.baseAddress)
          unsafe multiply(
            (left ?? UnsafeRawPointer(c)).assumingMemoryBound(to: Float.self),
            (right ?? UnsafeRawPointer(c)).assumingMemoryBound(to: Float.self),
            packedRight: packedRight, into: c.assumingMemoryBound(to: Float.self), on: crew)
        }
      }
    }
  }

  /// The products of single-precision tensors.
  func multiply(
    _ a: Tensor, _ b: Tensor, packedRight: PackedMatrix? = nil, alpha: Float = 1,
    columnBias: [Float]? = nil, residual: [Float]? = nil, _ activation: Activation = .none,
    into c: Destination, on crew: Crew
  ) {
    precondition(isResult(ofCount: c.elementCount))
    unsafe (columnBias ?? []).withUnsafeBufferPointer { bias in
      unsafe (residual ?? []).withUnsafeBufferPointer { residual in
        let epilogue = unsafe MatrixProduct.Epilogue(
          columnBias: bias.isEmpty ? nil : bias.baseAddress,
          residual: residual.isEmpty ? nil : residual.baseAddress, activation: activation)
        unsafe multiply(
          a.pointer(as: Float.self), (packedRight == nil ? b : a).pointer(as: Float.self),
          packedRight: packedRight, alpha: alpha, epilogue, into: c.pointer(as: Float.self),
          on: crew)
      }
    }
  }

  func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, packedRight: PackedMatrix? = nil,
    alpha: Float = 1, _ epilogue: MatrixProduct.Epilogue = unsafe .init(),
    into c: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    if unsafe epilogue.rowBias == nil, unsafe epilogue.residual == nil,
      let small = unsafe SmallProducts(
        self, packedRight: packedRight, alpha: alpha, epilogue.activation)
    {
      return unsafe small.multiply(a, b, columnBias: epilogue.columnBias, into: c, on: crew)
    }
    nonisolated(unsafe) let (a, b, c, epilogue) = unsafe (a, b, c, epilogue)
    let batch = self
    unsafe MatrixProduct.multiplyEach(
      offsets.count, MatrixProduct.Shape(rows: m, columns: n, depth: k, alpha: alpha), on: crew
    ) { index in
      let (leftOffset, rightOffset) = batch.offsets[index]
      let right =
        unsafe packedRight.map { unsafe MatrixProduct.Factor.packed($0) }
        ?? .strided(
          b + rightOffset, laneStep: batch.right.columnStep, depthStep: batch.right.rowStep)
      return unsafe MatrixProduct.Parts(
        left: .strided(
          a + leftOffset, laneStep: batch.left.rowStep, depthStep: batch.left.columnStep),
        right: right, result: c + index * batch.m * batch.n, resultStep: batch.n,
        epilogue: epilogue)
    }
  }

  /// The plain products that every faster one is compared with.
  func multiplyPlainly<T: Number>(_ a: [T], _ b: [T]) -> [T] {
    unsafe [T](unsafeUninitializedCapacity: resultCount) { c, count in
      count = resultCount
      unsafe a.withUnsafeBufferPointer { a in
        unsafe b.withUnsafeBufferPointer { b in unsafe multiplyPlainly(a, b, into: c) }
      }
    }
  }

  /// The same of numbers in place; of fewer rows where the run is to end.
  func multiplyPlainly<T: Number>(
    _ a: UnsafeBufferPointer<T>, _ b: UnsafeBufferPointer<T>, into c: UnsafeMutableBufferPointer<T>
  ) {
    precondition(isResult(ofCount: c.count))
    guard let start = c.baseAddress, resultCount > 0 else { return }
    var interruption = Interruption()
    for (index, offset) in offsets.enumerated() {
      if interruption.isDue(after: 50) { return }
      precondition(left.fits(rows: m, columns: k, from: offset.left, in: a.count))
      precondition(right.fits(rows: k, columns: n, from: offset.right, in: b.count))
      unsafe multiply(
        a.baseAddress.map { unsafe $0 + offset.left },
        b.baseAddress.map { unsafe $0 + offset.right }, into: start + index * m * n)
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  @_specialize(where T == Int64)
  private func multiply<T: Number>(
    _ a: UnsafePointer<T>?, _ b: UnsafePointer<T>?, into c: UnsafeMutablePointer<T>
  ) {
    var interruption = Interruption()
    for row in 0..<m {
      let sums = unsafe c + row * n
      if interruption.isDue(after: n &+ 1) { return }
      unsafe sums.initialize(repeating: 0, count: n)
      guard let a = unsafe a, let b = unsafe b else { continue }
      for depth in 0..<k {
        let factor = unsafe a[row * left.rowStep + depth * left.columnStep]
        if interruption.isDue(after: n &+ 1) { return }
        let numbers = unsafe b + depth * right.rowStep
        for column in 0..<n {
          unsafe sums[column] = T.sum(
            sums[column], T.product(factor, numbers[column * right.columnStep]))
        }
      }
    }
  }
}

/// How a matrix lies in an array: element (row, column) is at row·rowStep + column·columnStep.
struct MatrixView: Sendable {
  let rowStep: Int
  let columnStep: Int

  /// A dense row-major matrix with so many columns, or the transpose of one.
  init(columns: Int, isTransposed: Bool = false) {
    (rowStep, columnStep) = isTransposed ? (1, columns) : (columns, 1)
  }

  /// Whether a matrix that begins at `first` lies within an array of `count` elements.
  fileprivate func fits(rows: Int, columns: Int, from first: Int, in count: Int) -> Bool {
    guard rows > 0, columns > 0 else { return true }
    return first >= 0 && first + (rows - 1) * rowStep + (columns - 1) * columnStep < count
  }
}

extension ProductBatch {
  /// The products of single-precision matrices, with what is known of them worked out.
  /// - Parameters:
  ///   - packedRight: the right factor, in place of input 1.
  ///   - columnBias: numbers to add to each row, if there are any.
  ///   - biasInput: the input that holds them instead.
  func computation(
    packedRight: PackedMatrix?, alpha: Float = 1, columnBias: [Float]? = nil,
    biasInput: Int? = nil, _ activation: Activation
  ) -> Computation {
    let small = SmallProducts(self, packedRight: packedRight, alpha: alpha, activation)
    let batch = self
    return { addresses, crew in
      unsafe (columnBias ?? []).withUnsafeBufferPointer { constants in
        let bias =
          unsafe biasInput.map { unsafe addresses.input($0) as UnsafePointer<Float> }
          ?? (columnBias == nil ? nil : constants.baseAddress)
        let right: UnsafePointer<Float> = unsafe addresses.input(packedRight == nil ? 1 : 0)
        if let small {
          return unsafe small.multiply(
            addresses.input(0), right, columnBias: bias, into: addresses.output(), on: crew)
        }
        unsafe batch.multiply(
          addresses.input(0), right, packedRight: packedRight, alpha: alpha,
          MatrixProduct.Epilogue(columnBias: bias, activation: activation),
          into: addresses.output(), on: crew)
      }
    }
  }
}

extension PackedMatrix {
  /// The right factor that a single-precision matrix is.
  init(right matrix: Tensor, _ view: MatrixView, columns: Int, depth: Int) {
    self.init(
      .right, lanes: columns, depth: depth, from: PackingSource(matrix), laneStep: view.columnStep,
      depthStep: view.rowStep)
  }

  /// The same of an array.
  init(right matrix: [Float], _ view: MatrixView, columns: Int, depth: Int) {
    unsafe self.init(
      .right, lanes: columns, depth: depth, from: matrix, laneStep: view.columnStep,
      depthStep: view.rowStep)
  }
}
