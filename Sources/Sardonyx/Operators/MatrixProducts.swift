/// Products of matrices and what is built from them.
let matrixProducts: OperatorFamily = [
  "Det": Det.init,
  "Einsum": Einsum.init,
  "Gemm": GeneralMatrixMultiplication.init,
  "MatMul": MatMul.init,
]

/// A matrix in an array: element (row, column) is at `offset + row·rowStep + column·columnStep`.
struct MatrixView {
  var offset = 0
  var rowStep: Int
  var columnStep: Int

  /// A dense row-major matrix, or the transpose of one.
  init(columns: Int, offset: Int = 0) {
    self.offset = offset
    rowStep = columns
    columnStep = 1
  }

  var transposed: MatrixView {
    var view = self
    (view.rowStep, view.columnStep) = (columnStep, rowStep)
    return view
  }
}

/// The plain product C += A·B of an M×K and a K×N matrix that every faster one is compared with; C
/// is dense.
@_specialize(where T == Float)
@_specialize(where T == Double)
@_specialize(where T == Int64)
func multiply<T: Number>(
  _ a: [T], _ aView: MatrixView, _ b: [T], _ bView: MatrixView, into c: inout [T], at start: Int,
  m: Int, n: Int, k: Int
) {
  for row in 0..<m {
    let first = start + row * n
    for depth in 0..<k {
      let factor = a[aView.offset + row * aView.rowStep + depth * aView.columnStep]
      var from = bView.offset + depth * bView.rowStep
      for to in first..<first + n {
        c[to] = T.sum(c[to], T.product(factor, b[from]))
        from += bView.columnStep
      }
    }
  }
}

/// numpy's matmul: matrices on the last two axes, all others broadcast; a vector on the left is a
/// row, on the right a column, and its axis goes from the result.
struct MatMul: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try MatMulExtents(inputs.shape(0), inputs.shape(1)).shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try MatMulExtents(inputs[0].shape, inputs[1].shape)
    func compute<T: Number>(_: T.Type) {
      outputs[0].store(extents.multiply(inputs[0].converted(to: T.self), inputs[1].converted()))
    }
    compute(inputs[0].type.computed!)
  }
}

/// The sizes of a batched product, and where each of its factors lies.
struct MatMulExtents {
  let m: Int
  let n: Int
  let k: Int
  /// The shape of the result.
  let shape: Shape
  /// For each product the number of its left and of its right matrix.
  let pairs: [(left: Int, right: Int)]

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
    let lefts: [Int64] = Tensor.indices(leftBatch).repeated(to: batch)
    let rights: [Int64] = Tensor.indices(rightBatch).repeated(to: batch)
    pairs = (0..<batch.elementCount).map {
      (Int(lefts[$0 % lefts.count]), Int(rights[$0 % rights.count]))
    }
  }

  /// The plain product.
  func multiply<T: Number>(_ a: [T], _ b: [T]) -> [T] {
    var c = [T](repeating: 0, count: pairs.count * m * n)
    for (index, pair) in pairs.enumerated() {
      Sardonyx.multiply(
        a, MatrixView(columns: k, offset: pair.left * m * k),
        b, MatrixView(columns: n, offset: pair.right * k * n),
        into: &c, at: index * m * n, m: m, n: n, k: k)
    }
    return c
  }
}

extension Tensor {
  /// The numbers from 0 on in a tensor of a shape.
  fileprivate static func indices(_ shape: Shape) -> Tensor {
    Tensor((0..<Int64(shape.elementCount)).map { $0 }, shape)
  }
}

/// Gemm: Y = α·A′·B′ + β·C, where A′ and B′ may be transposed and C broadcasts to the result.
struct GeneralMatrixMultiplication: Operator {
  var alpha: Float
  var beta: Float
  let transA: Bool
  let transB: Bool
  /// What a pass has fused into the product.
  var activation = Activation.none
  /// Whether C may be smaller than the result; before version 7 an attribute has to say so.
  private let broadcasts: Bool

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

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (m, n, k) = try extents(inputs.facts)
    func compute<T: Number>(_: T.Type) {
      let a = MatrixView(columns: transA ? m : k)
      let b = MatrixView(columns: transB ? k : n)
      var y = [T](repeating: 0, count: m * n)
      multiply(
        inputs[0].converted(to: T.self), transA ? a.transposed : a,
        inputs[1].converted(to: T.self), transB ? b.transposed : b,
        into: &y, at: 0, m: m, n: n, k: k)
      let c: [T] = beta == 0 ? [] : inputs.tensor(2)?.repeated(to: [m, n]) ?? []
      for index in y.indices {
        y[index] = scaled(y[index], by: alpha)
        if !c.isEmpty { y[index] = T.sum(y[index], scaled(c[index % c.count], by: beta)) }
      }
      activation.apply(to: &y)
      outputs[0].store(y)
    }
    compute(inputs[0].type.computed!)
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
        (0..<outputs[0].elementCount).map { index in
          determinant(x[index * m * m..<(index + 1) * m * m].map(\.asDouble), m)
        })
    }
    compute(inputs[0].type.real)
  }

  /// By elimination with the largest pivot of each column.
  private func determinant(_ matrix: [Double], _ m: Int) -> Double {
    var a = matrix
    var product = 1.0
    for column in 0..<m {
      let pivot = (column..<m).max { abs(a[$0 * m + column]) < abs(a[$1 * m + column]) }!
      if a[pivot * m + column] == 0 { return 0 }
      if pivot != column {
        product = -product
        for k in 0..<m { a.swapAt(pivot * m + k, column * m + k) }
      }
      product *= a[column * m + column]
      for row in column + 1..<m {
        let factor = a[row * m + column] / a[column * m + column]
        for k in column..<m { a[row * m + k] -= factor * a[column * m + k] }
      }
    }
    return product
  }
}
