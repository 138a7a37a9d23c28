/// Products of quantized matrices.
let quantizedProducts: OperatorFamily = [
  "MatMulInteger": MatMulInteger.init, "QLinearMatMul": QLinearMatMul.init,
]

/// The product of two factors less their zero points, in 32-bit integers that wrap.
struct MatMulInteger: Operator {
  /// The matrices of a constant B.
  private var packed: [PackedBytes]?

  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try MatMulExtents(inputs.shape(0), inputs.shape(1))
    try extents.checkLanes(inputs, 2, "a_zero_point", lanes: extents.m, of: 0)
    try extents.checkLanes(inputs, 3, "b_zero_point", lanes: extents.n, of: 1)
    return [Fact(.int32, extents.shape)]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard let b = inputs[1].value?.tensor, !b.shape.isEmpty else { return }
    guard !inputs.has(3) || inputs[3].value != nil else { return }
    packed = b.packedBytes(zeroPoint: inputs.has(3) ? inputs[3].value?.tensor : nil)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try MatMulExtents(inputs[0].shape, inputs[1].shape)
    if let packed, inputs[0].type.isByte {
      return multiply(inputs[0], inputs.tensor(2), packed, extents, outputs)
    }
    let sums = IntegerFactor.products(
      inputs[0], inputs[1], zeroPoints: (inputs.tensor(2), inputs.tensor(3)), extents,
      on: outputs.context.crew)
    outputs[0].store(elements: sums)
  }

  private func multiply(
    _ a: Tensor, _ zeroPoint: Tensor?, _ packed: [PackedBytes], _ extents: MatMulExtents,
    _ outputs: Outputs
  ) {
    let (rows, pairs) = extents.stacked
    let zeros = zeroPoint?.zeroPoints ?? []
    let start = unsafe a.bytes.assumingMemoryBound(to: UInt8.self)
    var interruption = Interruption()
    for (index, pair) in pairs.enumerated() {
      if interruption.isDue(after: 300) { return }
      let isPerMatrix = zeros.count > rows
      let own = isPerMatrix ? Array(zeros[pair.left * rows..<(pair.left + 1) * rows]) : zeros
      unsafe packed[pair.right].multiply(
        PackedBytes.Matrix(
          start: start + pair.left * rows * extents.k, rows: rows, isSigned: a.type == .int8,
          zeroPoints: own),
        into: outputs[0].pointer(as: Int32.self) + index * rows * extents.n,
        on: outputs.context.crew)
    }
  }
}

extension Tensor {
  /// The zero points that this tensor holds.
  fileprivate var zeroPoints: [Int32] {
    converted(to: Int64.self).map(Int32.init(truncatingIfNeeded:))
  }

  /// This constant tensor of matrices as right factors; nil where there are none, or sums might not
  /// fit 32 bits.
  fileprivate func packedBytes(zeroPoint: Tensor?) -> [PackedBytes]? {
    let isVector = shape.count == 1
    let (depth, columns) = isVector ? (shape[0], 1) : (shape[shape.count - 2], shape.last!)
    guard type.isByte, elementCount > 0, depth <= PackedBytes.largestDepth else { return nil }
    let count = elementCount / (depth * columns)
    let zeros = zeroPoint?.zeroPoints ?? [0]
    guard [1, columns, count * columns].contains(zeros.count) else { return nil }
    let packed = Interruption.map(count, cost: 4 &* depth &* columns &+ 300) { index in
      let own =
        zeros.count > columns ? Array(zeros[index * columns..<(index + 1) * columns]) : zeros
      return unsafe PackedBytes(
        depth: depth, columns: columns, from: bytes + index * depth * columns,
        isSigned: type == .int8, depthStep: columns, columnStep: 1, zeroPoints: own)
    }
    return packed.count == count ? packed : nil
  }
}

extension IntegerFactor {
  /// The products of the matrices of two tensors less their zero points, in 32 bits that wrap.
  fileprivate static func products(
    _ a: Tensor, _ b: Tensor, zeroPoints: (a: Tensor?, b: Tensor?), _ extents: MatMulExtents,
    on crew: Crew
  ) -> [Int32] {
    let (rows, pairs) = extents.stacked
    return products(
      IntegerFactor(
        a, .left, lanes: rows, depth: extents.k, zeroPoints: zeroPoints.a?.zeroPoints ?? []),
      IntegerFactor(
        b, .right, lanes: extents.n, depth: extents.k, zeroPoints: zeroPoints.b?.zeroPoints ?? []),
      pairs, rows: rows, columns: extents.n, on: crew)
  }
}

extension MatMulExtents {
  /// The rows of each product and the products: one of all rows where ``isOne``, as a product of few
  /// rows costs more than its sums.
  fileprivate var stacked: (rows: Int, pairs: [(left: Int, right: Int)]) {
    isOne && productCount > 0 ? (productCount * m, [(0, 0)]) : (m, pairs)
  }

  /// Checks that a scale or zero point is one number, one for each row or column of a factor, or one
  /// for each row or column of each of its matrices.
  fileprivate func checkLanes(
    _ inputs: Facts, _ index: Int, _ name: String, lanes: Int, of factor: Int
  ) throws(ModelError) {
    guard inputs.has(index) else { return }
    let count = try inputs.shape(index).elementCount
    let matrices = try inputs.shape(factor).dropLast(2).reduce(1, &*)
    guard count == 1 || count == lanes || count == matrices &* lanes else {
      throw .unexpected("elements of \(name)", expected: "1 or \(lanes)", got: "\(count)")
    }
  }
}

/// The product of two quantized factors, quantized anew.
///
/// y = saturate(round(Σ (a - a zero)·(b - b zero) · a scale · b scale / y scale) + y zero); scales of
/// a may differ by row, those of b by column.
struct QLinearMatMul: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try MatMulExtents(inputs.shape(0), inputs.shape(3))
    try extents.checkLanes(inputs, 1, "a_scale", lanes: extents.m, of: 0)
    try extents.checkLanes(inputs, 2, "a_zero_point", lanes: extents.m, of: 0)
    try extents.checkLanes(inputs, 4, "b_scale", lanes: extents.n, of: 3)
    try extents.checkLanes(inputs, 5, "b_zero_point", lanes: extents.n, of: 3)
    for index in 6...7 where try inputs.shape(index).elementCount != 1 {
      throw .unexpected(
        index == 6 ? "y_scale" : "y_zero_point", expected: "one number",
        got: "[\(try inputs.shape(index).joined)]")
    }
    return [Fact(try inputs.type(7), extents.shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try MatMulExtents(inputs[0].shape, inputs[3].shape)
    let sums = try products(inputs, extents, outputs.context.crew)
    var interruption = Interruption()
    let scales = (inputs[1].converted(to: Double.self), inputs[4].converted(to: Double.self))
    let scale = inputs[6].converted(to: Double.self)[0]
    let zero = inputs[7].converted(to: Double.self)[0]
    var numbers = [Double](zerosUntilDue: sums.count)
    let (m, n) = (extents.m, extents.n)
    for (product, pair) in extents.pairs.enumerated() {
      for row in 0..<m {
        if interruption.isDue(after: 8 &* n &+ 10) { return }
        let rowScale = scales.0.lane(row, of: m, matrix: pair.left)
        for column in 0..<n {
          let factor = rowScale * scales.1.lane(column, of: n, matrix: pair.right) / scale
          let place = (product * m + row) * n + column
          numbers[place] = (sums[place] * factor).rounded(.toNearestOrEven) + zero
        }
      }
    }
    outputs[0].store(saturating: numbers)
  }

  /// Σ (a - a zero)·(b - b zero), exact but for sums of integers that leave 32 bits.
  private func products(_ inputs: Inputs, _ extents: MatMulExtents, _ crew: Crew)
    throws(ModelError) -> [Double]
  {
    let (a, b) = (inputs[0], inputs[3])
    if a.type.isInteger, b.type.isInteger {
      let sums = IntegerFactor.products(
        a, b, zeroPoints: (inputs[2], inputs[5]), extents, on: crew)
      let numbers = sums.interruptibleMap(cost: 4) { Double($0) }
      try Interruption.check()
      return numbers
    }
    let zeros = (inputs[2].converted(to: Double.self), inputs[5].converted(to: Double.self))
    let (m, n, k) = (extents.m, extents.n, extents.k)
    var left = a.converted(to: Double.self)
    var interruption = Interruption()
    for place in left.indices {
      if interruption.isDue(after: 8) { try Interruption.check() }
      left[place] -= zeros.0.lane(place / k % m, of: m, matrix: place / (m * k))
    }
    var right = b.converted(to: Double.self)
    for place in right.indices {
      if interruption.isDue(after: 8) { try Interruption.check() }
      right[place] -= zeros.1.lane(place % n, of: n, matrix: place / (k * n))
    }
    return extents.batch.multiplyPlainly(left, right)
  }
}

extension [Double] {
  /// The number for a lane of a matrix, where there is one for all, for each lane, or for each lane
  /// of each matrix.
  fileprivate func lane(_ lane: Int, of lanes: Int, matrix: Int) -> Double {
    count == 1 ? self[0] : count == lanes ? self[lane] : self[matrix * lanes + lane]
  }
}

extension Destination {
  /// Stores numbers within the bounds of an integer type, or as floats that saturate.
  func store(saturating numbers: [Double]) {
    if let range = type.integerRange {
      store(
        numbers.interruptibleMap(cost: 8) {
          Swift.min(Swift.max($0.saturated(), range.lowerBound), range.upperBound)
        })
    } else if let format = type.smallFloat, type.byteCount == 1 {
      store(
        numbers.interruptibleMap(cost: 40) { format.decode(format.encode($0, saturate: true)) })
    } else {
      store(numbers)
    }
  }
}
