/// The input of a classical model: rows of features; a tensor of rank 1 is a single row.
struct FeatureRows: Sendable {
  let count: Int
  let width: Int
  /// Row-major; a double holds what every allowed type but the largest int64 values holds.
  let numbers: [Double]

  init(_ tensor: Tensor) throws(ModelError) {
    (count, width) = try Self.extents(tensor.shape)
    numbers = tensor.converted(to: Double.self)
  }

  /// The number of rows and of features in a row.
  static func extents(_ shape: Shape) throws(ModelError) -> (count: Int, width: Int) {
    switch shape.count {
    case 1: return (1, shape[0])
    case 2: return (shape[0], shape[1])
    default: throw .unexpected("rank of X", expected: "1 or 2", got: "\(shape.count)")
    }
  }

  /// Where row `index` lies in ``numbers``.
  func range(_ index: Int) -> Range<Int> { index * width..<(index + 1) * width }
}

extension Facts {
  /// The number of rows of X, whose features are checked to be as many as the model knows.
  func rows(features: Int) throws(ModelError) -> Int {
    let (count, width) = try FeatureRows.extents(shape(0))
    guard width == features else {
      throw .unexpected("features of X", expected: "\(features)", got: "\(width)")
    }
    return count
  }
}
