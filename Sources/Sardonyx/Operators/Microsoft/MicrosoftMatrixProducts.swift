/// ONNX Runtime's own operators on matrices.
let microsoftMatrixProducts: OperatorFamily = [
  "CDist": PairwiseDistance.init,
  "FusedMatMul": FusedMatMul.init,
  "Inverse": Inverse.init,
  "MatMulNBits": MatMulNBits.init,
  "TransposeMatMul": FusedMatMul.init,
]

/// alpha·A′·B′ as MatMul has it, where A′ and B′ may be transposed.
struct FusedMatMul: Operator {
  private let alpha: Float
  private let left: Factor
  private let right: Factor

  /// How a factor lies in its tensor.
  private struct Factor {
    /// Whether its last two axes are swapped.
    let isTransposed: Bool
    /// Whether its rows stand before the axes of the batch.
    let hasRowsFirst: Bool

    /// The order of its axes that brings the rows behind the batch.
    func permutation(_ rank: Int) -> [Int] {
      let isMoved = hasRowsFirst && rank > 2
      return isMoved ? Array(1..<rank - 1) + [0, rank - 1] : Array(0..<rank)
    }

    /// The shape as MatMul would have it; a vector stays as it is.
    func shape(_ shape: Shape) -> Shape {
      var shape = Shape(permutation(shape.count).map { shape[$0] })
      if isTransposed, shape.count > 1 { shape.swapAt(shape.count - 1, shape.count - 2) }
      return shape
    }

    func view(rows: Int, columns: Int, rank: Int) -> MatrixView {
      let isTransposed = isTransposed && rank > 1
      return MatrixView(columns: isTransposed ? rows : columns, isTransposed: isTransposed)
    }

    /// The tensor with the rows behind the batch.
    func arranged(_ tensor: Tensor, on crew: Crew) -> Tensor {
      let permutation = permutation(tensor.shape.count)
      guard permutation != Array(permutation.indices) else { return tensor }
      let region = Region(tensor.shape).permuted(permutation)
      let storage = Storage(byteCount: tensor.byteCount)
      let result = Destination(tensor.type, region.extents, storage: storage)
      result.copy(tensor, from: region, to: Region(region.extents), on: crew)
      return result.tensor(texts: .none)
    }
  }

  init(_ node: inout NodeReader) throws(ModelError) {
    alpha = try node.float("alpha", default: 1)
    left = Factor(
      isTransposed: try node.bool("transA"), hasRowsFirst: try node.bool("transBatchA"))
    right = Factor(
      isTransposed: try node.bool("transB"), hasRowsFirst: try node.bool("transBatchB"))
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try extents(inputs.shape(0), inputs.shape(1)).shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs[0].shape, inputs[1].shape)
    let (m, n, k) = (extents.m, extents.n, extents.k)
    let batch = ProductBatch(
      m: m, n: n, k: k, left: left.view(rows: m, columns: k, rank: inputs[0].shape.count),
      right: right.view(rows: k, columns: n, rank: inputs[1].shape.count),
      offsets: extents.pairs.map { ($0.left * m * k, $0.right * k * n) })
    let crew = outputs.context.crew
    let a = left.arranged(inputs[0], on: crew)
    let b = right.arranged(inputs[1], on: crew)
    guard let singleA = a.single, let singleB = b.single else {
      func compute<T: RealNumber>(_: T.Type) {
        let y = batch.multiplyPlainly(a.converted(to: T.self), b.converted())
        outputs[0].store(y.map { $0 * T(alpha) })
      }
      return compute(a.type.real)
    }
    outputs[0].writeSingle { y in
      batch.multiply(singleA, singleB, alpha: alpha, into: y, on: crew)
    }
  }

  private func extents(_ a: Shape, _ b: Shape) throws(ModelError) -> MatMulExtents {
    try MatMulExtents(left.shape(a), right.shape(b))
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let a = inputs[0].shape, let y = outputs.first?.shape else { return 0 }
    return y.elementCount &* (left.shape(a).last ?? 0)
  }
}

/// The Euclidean distance, or its square, of each row of A from each row of B.
struct PairwiseDistance: Operator {
  private enum Metric: String, CaseIterable { case euclidean, sqeuclidean }

  private let metric: Metric

  init(_ node: inout NodeReader) throws(ModelError) {
    metric = try node.choice("metric", default: .sqeuclidean)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (a, b) = (try inputs.shape(0), try inputs.shape(1))
    guard a.count == 2, b.count == 2, a[1] == b[1] else {
      throw .unexpected(
        "shapes of A and B", expected: "[M,K] and [N,K]", got: "[\(a.joined)] and [\(b.joined)]")
    }
    return [Fact(try inputs.type(0), [a[0], b[0]])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (rows, depth) = (inputs[1].shape[0], inputs[1].shape[1])
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let (a, b): ([T], [T]) = (inputs[0].converted(), inputs[1].converted())
      let count = outputs[0].elementCount
      let distances = Interruption.map(count, cost: 2 * depth + 4) { place -> T in
        let (left, right) = (place / rows * depth, place % rows * depth)
        var sum: T = 0
        for k in 0..<depth {
          let difference = a[left + k] - b[right + k]
          sum += difference * difference
        }
        return metric == .euclidean ? sum.squareRoot() : sum
      }
      try Interruption.check()
      outputs[0].store(distances)
    }
    try compute(inputs[0].type.real)
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    guard let depth = inputs[1].shape?.last else { return 0 }
    return (outputs.first?.shape?.elementCount ?? 0) &* depth
  }
}

/// The inverse of each matrix on the last two axes; of a singular one, not numbers.
struct Inverse: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2, shape[shape.count - 1] == shape[shape.count - 2] else {
      throw .unexpected("shape of X", expected: "[…,M,M]", got: "[\(shape.joined)]")
    }
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let m = inputs[0].shape.last ?? 0
    let x = inputs[0].converted(to: Double.self)
    var y: [Double] = []
    y.reserveCapacity(x.count)
    for first in stride(from: 0, to: x.count, by: max(m * m, 1)) {
      try outputs.context.checkCancellation()
      y += inverse(Array(x[first..<first + m * m]), m)
    }
    outputs[0].store(y)
  }

  /// By elimination with the largest pivot of each column.
  private func inverse(_ matrix: [Double], _ m: Int) -> [Double] {
    var a = matrix
    var inverse = [Double](repeating: 0, count: m * m)
    for index in 0..<m { inverse[index * m + index] = 1 }
    for column in 0..<m {
      let pivot = (column..<m).max { abs(a[$0 * m + column]) < abs(a[$1 * m + column]) }!
      if pivot != column {
        for k in 0..<m {
          a.swapAt(pivot * m + k, column * m + k)
          inverse.swapAt(pivot * m + k, column * m + k)
        }
      }
      let divisor = a[column * m + column]
      if divisor == 0 { return Array(repeating: .nan, count: m * m) }
      for k in 0..<m {
        a[column * m + k] /= divisor
        inverse[column * m + k] /= divisor
      }
      for row in 0..<m where row != column {
        let factor = a[row * m + column]
        if factor == 0 { continue }
        for k in 0..<m {
          a[row * m + k] -= factor * a[column * m + k]
          inverse[row * m + k] -= factor * inverse[column * m + k]
        }
      }
    }
    return inverse
  }
}

/// A·Bᵀ + bias, where B is N×K numbers of `bits` bits, packed from the lowest bits of each byte on,
/// with a scale and a zero point for each block of a row.
struct MatMulNBits: Operator {
  private let columns: Int
  private let depth: Int
  private let bits: Int
  private let blockSize: Int
  /// B in single precision, packed, where all that makes it up is constant.
  private var packed: PackedMatrix?

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let columns = try node.int("N") else { throw node.missing("N") }
    guard let depth = try node.int("K") else { throw node.missing("K") }
    guard let blockSize = try node.int("block_size") else { throw node.missing("block_size") }
    bits = try node.int("bits", default: 4)
    guard [2, 4, 8].contains(bits) else {
      throw node.invalid("bits", expected: "2, 4 or 8", got: bits)
    }
    guard columns > 0, depth > 0, columns <= Int(Int32.max), depth <= Int(Int32.max) else {
      throw node.invalid("N, K", expected: "positive numbers", got: [columns, depth])
    }
    guard blockSize >= 8, blockSize & (blockSize - 1) == 0, blockSize <= 1 << 20 else {
      throw node.invalid("block_size", expected: "a power of 2 from 8 on", got: blockSize)
    }
    guard try node.int("weight_prepacked", default: 0) == 0 else {
      throw ModelError(.unsupported, "attribute weight_prepacked: expected 0, got another layout")
    }
    // How exactly to compute; here it is always in single precision.
    node.ignore("accuracy_level")
    (self.columns, self.depth, self.blockSize) = (columns, depth, blockSize)
  }

  private var blockCount: Int { (depth + blockSize - 1) / blockSize }
  private var blockBytes: Int { blockSize * bits / 8 }
  /// Bytes of a row of zero points that are packed like B.
  private var zeroPointBytes: Int { (blockCount * bits + 7) / 8 }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let a = try inputs.shape(0)
    guard let last = a.last, last == depth else {
      throw .unexpected("last axis of A", expected: "\(depth)", got: "[\(a.joined)]")
    }
    try checkWeights(inputs)
    try check(inputs, 5, "bias", [columns])
    return [Fact(try inputs.type(0), a.dropLast() + [columns])]
  }

  private func checkWeights(_ inputs: Facts) throws(ModelError) {
    try check(inputs, 1, "B", [columns * blockCount * blockBytes])
    try check(inputs, 2, "scales", [columns * blockCount])
    let isPacked = inputs.has(3) ? try inputs.type(3) == .uint8 : true
    try check(
      inputs, 3, "zero_points", [columns * (isPacked ? zeroPointBytes : blockCount)])
    try check(inputs, 4, "g_idx", [depth, blockCount * blockSize])
  }

  private func check(_ inputs: Facts, _ index: Int, _ name: String, _ counts: [Int])
    throws(ModelError)
  {
    guard inputs.has(index) else { return }
    let count = try inputs.shape(index).elementCount
    guard counts.contains(count) else {
      throw .unexpected("elements of \(name)", expected: "\(counts[0])", got: "\(count)")
    }
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard (1..<5).allSatisfy({ inputs[$0].value != nil || !inputs.has($0) }) else { return }
    try checkWeights(inputs)
    packed = try? pack(weights(inputs.known))
  }

  private func pack(_ weights: [Float]) -> PackedMatrix {
    PackedMatrix(
      right: weights, MatrixView(columns: depth, isTransposed: true), columns: columns,
      depth: depth)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let a = inputs[0].converted(to: Float.self)
    let batch = ProductBatch(
      m: a.count / depth, n: columns, k: depth, left: MatrixView(columns: depth),
      right: MatrixView(columns: depth, isTransposed: true))
    var y =
      packed == nil
      ? batch.multiply(a, try weights(inputs), on: outputs.context.crew)
      : batch.multiply(a, [], packedRight: packed, on: outputs.context.crew)
    if let bias: [Float] = inputs.tensor(5)?.converted() {
      for place in y.indices { y[place] += bias[place % columns] }
    }
    outputs[0].store(y)
  }

  /// B in single precision, N×K.
  private func weights(_ inputs: Inputs) throws(ModelError) -> [Float] {
    let bytes = inputs[1].rawBytes
    let scales = inputs[2].converted(to: Float.self)
    let zeroPoints = zeroPoints(inputs.tensor(3))
    let groups = inputs.has(4) ? inputs.integers(4) : nil
    if let wrong = groups?.first(where: { $0 < 0 || $0 >= blockCount }) {
      throw .unexpected("g_idx", expected: "0 to \(blockCount - 1)", got: "\(wrong)")
    }
    let mask = UInt8((1 << bits) - 1)
    var weights = [Float](repeating: 0, count: columns * depth)
    for column in 0..<columns {
      for place in 0..<depth {
        let bit = (column * blockCount * blockBytes) * 8 + place * bits
        let number = bytes[bit / 8] >> UInt8(bit % 8) & mask
        let block = column * blockCount + (groups?[place] ?? place / blockSize)
        weights[column * depth + place] = (Float(number) - zeroPoints[block]) * scales[block]
      }
    }
    return weights
  }

  /// The zero point of each block; the middle where they are left out.
  private func zeroPoints(_ tensor: Tensor?) -> [Float] {
    guard let tensor else {
      return Array(repeating: Float(1 << (bits - 1)), count: columns * blockCount)
    }
    guard tensor.type == .uint8 else { return tensor.converted() }
    let bytes = tensor.rawBytes
    let mask = UInt8((1 << bits) - 1)
    return (0..<columns * blockCount).map { index in
      let bit = index / blockCount * zeroPointBytes * 8 + index % blockCount * bits
      return Float(bytes[bit / 8] >> UInt8(bit % 8) & mask)
    }
  }

  func multiplyAdds(_ inputs: Facts, _ outputs: [Fact]) -> Int {
    (outputs.first?.shape?.elementCount ?? 0) &* depth
  }
}
