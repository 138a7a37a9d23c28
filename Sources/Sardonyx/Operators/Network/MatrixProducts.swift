/// Products of matrices and what is built from them.
let matrixProducts: OperatorFamily = [
  "Det": Det.init,
  "Einsum": Einsum.init,
  "Gemm": Gemm.init,
  "MatMul": MatMul.init,
]

/// numpy's matmul: matrices on the last two axes, all others broadcast; a vector on the left is a
/// row, on the right a column, and its axis goes from the result.
struct MatMul: ActivationAccepting {
  /// What a pass has fused into the product; it may add a row of constants as a third input, too.
  var activation = Activation.none
  private var packed: PackedMatrix?

  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try MatMulExtents(inputs.shape(0), inputs.shape(1)).shape)]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard let b = inputs[1].value?.tensor?.single, b.shape.count == 2 else { return }
    packed = PackedMatrix(
      right: b, MatrixView(columns: b.shape[1]), columns: b.shape[1], depth: b.shape[0])
  }

  func reads(_ index: Int) -> Bool { index != 1 || packed == nil }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard try inputs.type(0) == .float, try inputs.type(1) == .float else { return nil }
    let extents = try MatMulExtents(inputs.shape(0), inputs.shape(1))
    // What is planned is declared only; what runs has data for each product.
    guard extents.isOne || extents.productCount <= 1 << 16 else { return nil }
    return extents.batch.computation(
      packedRight: packed, biasInput: inputs.has(2) ? 2 : nil, activation)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let batch = try MatMulExtents(inputs[0].shape, inputs[1].shape).batch
    guard let a = inputs[0].single, let b = inputs[1].single else {
      func compute<T: Number>(_: T.Type) {
        unsafe inputs[0].withNumbers(as: T.self) { a in
          unsafe inputs[1].withNumbers(as: T.self) { b in
            unsafe outputs[0].writeNumbers(as: T.self) { y in
              unsafe batch.multiplyPlainly(a, b, into: y)
              unsafe activation.apply(to: y)
            }
          }
        }
      }
      return compute(try inputs[0].type.number())
    }
    let bias = inputs.tensor(2)?.converted(to: Float.self)
    outputs[0].writeSingle { y in
      batch.multiply(
        a, b, packedRight: packed, columnBias: bias, activation, into: y,
        on: outputs.context.crew)
    }
  }
}

/// The sizes of a batched product, and where each of its factors lies.
struct MatMulExtents {
  let m: Int
  let n: Int
  let k: Int
  /// The shape of the result.
  let shape: Shape
  private let batches: (left: Shape, right: Shape, both: Shape)

  init(_ a: Shape, _ b: Shape) throws(ModelError) {
    guard !a.isEmpty, !b.isEmpty else {
      throw .unexpected(
        "rank of \(a.isEmpty ? "A" : "B")", expected: "at least 1", got: "0")
    }
    let left = a.count == 1 ? [1] + a : a
    let right = b.count == 1 ? b + [1] : b
    m = left[left.count - 2]
    k = left[left.count - 1]
    n = right[right.count - 1]
    guard right[right.count - 2] == k else {
      throw .unexpected("rows of B", expected: "\(k)", got: "\(right[right.count - 2])")
    }
    let (leftBatch, rightBatch) = (Shape(left.dropLast(2)), Shape(right.dropLast(2)))
    let batch = try Shape.broadcast([leftBatch, rightBatch])
    shape = batch + (a.count == 1 ? [] : [m]) + (b.count == 1 ? [] : [n])
    batches = (leftBatch, rightBatch, batch)
  }

  /// For each product the number of its left and of its right matrix; none where the result is
  /// empty, as batches can be any number of nothing.
  var pairs: [(left: Int, right: Int)] {
    guard !shape.contains(0) else { return [] }
    func numbers(_ batch: Shape) -> [Int] { Region(batch).broadcast(to: batches.both).offsets }
    return zip(numbers(batches.left), numbers(batches.right)).map { ($0, $1) }
  }

  /// The products; none where the result is empty.
  var productCount: Int { shape.contains(0) ? 0 : batches.both.elementCount }

  /// Whether all products share their right factor and have left ones side by side.
  var isOne: Bool {
    batches.right.elementCount == 1 && batches.left.elementCount == batches.both.elementCount
  }

  /// The products; those that share their right factor and lie side by side are one.
  var batch: ProductBatch {
    let (left, right) = (MatrixView(columns: k), MatrixView(columns: n))
    if isOne { return ProductBatch(m: productCount * m, n: n, k: k, left: left, right: right) }
    let pairs = pairs
    return ProductBatch(
      m: m, n: n, k: k, left: left, right: right,
      offsets: pairs.map { ($0.left * m * k, $0.right * k * n) })
  }
}

/// Y = α·A′·B′ + β·C, where A′ and B′ may be transposed and C broadcasts to the result.
struct Gemm: ActivationAccepting {
  var alpha: Float
  var beta: Float
  let transA: Bool
  let transB: Bool
  /// What a pass has fused into the product.
  var activation = Activation.none
  /// Whether C may be smaller than the result; before version 7 an attribute has to say so.
  private let broadcasts: Bool
  private var packed: PackedMatrix?

  init(_ node: inout NodeReader) throws(ModelError) {
    alpha = try node.float("alpha", default: 1)
    beta = try node.float("beta", default: 1)
    transA = try node.bool("transA")
    transB = try node.bool("transB")
    broadcasts = try node.bool("broadcast", default: node.version >= 7)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (m, n, _) = try extents(inputs)
    if inputs.has(2) {
      try checkBroadcast(inputs, 2, "C", to: [m, n])
      let own = try inputs.shape(2)
      guard broadcasts || own == [m, n] else {
        throw .unexpected("shape of C", expected: "[\(m),\(n)]", got: "[\(own.joined)]")
      }
    }
    return [Fact(try inputs.type(0), [m, n])]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard let b = inputs[1].value?.tensor?.single, b.shape.count == 2 else { return }
    let (depth, columns) = transB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    packed = PackedMatrix(
      right: b, MatrixView(columns: b.shape[1], isTransposed: transB), columns: columns,
      depth: depth)
  }

  func reads(_ index: Int) -> Bool { index != 1 || packed == nil }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard try inputs.type(0) == .float, try inputs.type(1) == .float else { return nil }
    let batch = try batch(inputs)
    guard inputs.has(2), beta != 0 else {
      return batch.computation(packedRight: packed, alpha: alpha, activation)
    }
    // Other addends are left to `run`, which repeats them first.
    let shape = try inputs.shape(2)
    guard beta == 1, shape.last == batch.n, shape.elementCount == batch.n else { return nil }
    return batch.computation(packedRight: packed, alpha: alpha, biasInput: 2, activation)
  }

  private func batch(_ inputs: Facts) throws(ModelError) -> ProductBatch {
    let (m, n, k) = try extents(inputs)
    return ProductBatch(
      m: m, n: n, k: k, left: MatrixView(columns: transA ? m : k, isTransposed: transA),
      right: MatrixView(columns: transB ? k : n, isTransposed: transB))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let batch = try batch(inputs.facts)
    let (m, n) = (batch.m, batch.n)
    guard let a = inputs[0].single, let b = inputs[1].single else {
      return try runPlainly(inputs, outputs, batch)
    }
    let c: [Float]? = addend(inputs, [m, n])
    let isRow = c.map { $0.count == n } ?? false
    outputs[0].writeSingle { y in
      batch.multiply(
        a, b, packedRight: packed, alpha: alpha, columnBias: isRow ? c : nil,
        residual: isRow ? nil : c, activation, into: y, on: outputs.context.crew)
    }
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ batch: ProductBatch)
    throws(ModelError)
  {
    func compute<T: Number>(_: T.Type) {
      var y = batch.multiplyPlainly(inputs[0].converted(to: T.self), inputs[1].converted())
      let c: [T] = addend(inputs, [batch.m, batch.n]) ?? []
      var interruption = Interruption()
      for index in y.indices {
        if interruption.isDue(after: 8) { return }
        y[index] = scaled(y[index], by: alpha)
        if !c.isEmpty { y[index] = T.sum(y[index], c[index % c.count]) }
      }
      activation.apply(to: &y)
      outputs[0].store(y)
    }
    compute(try inputs[0].type.number())
  }

  /// β·C as a row or as a whole matrix, if there is any.
  private func addend<T: Number>(_ inputs: Inputs, _ shape: Shape) -> [T]? {
    guard beta != 0, let c = inputs.tensor(2) else { return nil }
    var numbers: [T] = c.repeated(to: shape)
    if numbers.count == 1 { numbers = Array(repeating: numbers[0], untilDue: shape[1]) }
    var interruption = Interruption()
    for index in numbers.indices where beta != 1 {
      if interruption.isDue(after: 8) { break }
      numbers[index] = scaled(numbers[index], by: beta)
    }
    return numbers
  }

  private func scaled<T: Number>(_ number: T, by factor: Float) -> T {
    factor == 1 ? number : T(converting: number.asDouble * Double(factor))
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> (m: Int, n: Int, k: Int) {
    let (a, b) = (try inputs.shape(0), try inputs.shape(1))
    try checkRank(a, 2, "A")
    try checkRank(b, 2, "B")
    let (m, k) = transA ? (a[1], a[0]) : (a[0], a[1])
    let (rows, n) = transB ? (b[1], b[0]) : (b[0], b[1])
    guard rows == k else {
      throw .unexpected("rows of \(transB ? "Bᵀ" : "B")", expected: "\(k)", got: "\(rows)")
    }
    return (m, n, k)
  }
}

/// The determinant of each matrix on the last two axes.
struct Det: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2, shape[shape.count - 1] == shape[shape.count - 2] else {
      throw .unexpected("shape of X", expected: "[…,M,M]", got: "[\(shape.joined)]")
    }
    return [Fact(try inputs.type(0), shape.dropLast(2))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let m = inputs[0].shape.last ?? 0
    func compute<T: RealNumber>(_: T.Type) {
      let x: [T] = inputs[0].converted()
      outputs[0].store(
        Interruption.map(outputs[0].elementCount, cost: 8 &* m &* m) { index in
          determinant(
            x[index * m * m..<(index + 1) * m * m].interruptibleMap(cost: 4) { $0.asDouble }, m)
        })
    }
    compute(inputs[0].type.real)
  }

  /// By elimination with the largest pivot of each column.
  private func determinant(_ matrix: [Double], _ m: Int) -> Double {
    // Fewer numbers are at hand where the run is to end.
    guard matrix.count == m * m else { return 0 }
    var a = matrix
    var product = 1.0
    var interruption = Interruption()
    for column in 0..<m {
      let pivot = (column..<m).max { abs(a[$0 * m + column]) < abs(a[$1 * m + column]) }!
      if a[pivot * m + column] == 0 { return 0 }
      if pivot != column {
        product = -product
        for k in 0..<m { a.swapAt(pivot * m + k, column * m + k) }
      }
      product *= a[column * m + column]
      for row in column + 1..<m {
        if interruption.isDue(after: 4 &* (m - column)) { return product }
        let factor = a[row * m + column] / a[column * m + column]
        for k in column..<m { a[row * m + k] -= factor * a[column * m + k] }
      }
    }
    return product
  }
}
