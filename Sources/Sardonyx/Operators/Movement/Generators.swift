/// Operators that make tensors from attributes, shapes or bounds.
let generators: OperatorFamily = [
  "Constant": Constant.init,
  "ConstantOfShape": ConstantOfShape.init,
  "EyeLike": EyeLike.init,
  "Range": RangeOperator.init,
]

/// The tensor that one of its attributes holds.
struct Constant: Operator {
  let value: Tensor

  init(_ node: inout NodeReader) throws(ModelError) {
    let values = [
      try node.tensor("value"), try node.tensor("sparse_value"),
      try node.float("value_float").map { Tensor(scalar: $0) },
      try node.floats("value_floats").map { Tensor($0) },
      try node.int("value_int", within: NodeReader.any).map { Tensor(scalar: Int64($0)) },
      try node.ints("value_ints", within: NodeReader.any).map { Tensor($0.map(Int64.init)) },
      try node.string("value_string").map { Tensor(strings: [$0], []) },
      try node.strings("value_strings").map { Tensor(strings: $0, [$0.count]) },
    ].compactMap { $0 }
    guard values.count == 1 else {
      throw .unexpected(
        "attributes that give the value", expected: "one", got: "\(values.count)", code: .invalid)
    }
    value = values[0]
  }

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(value)] }

  func run(_ inputs: Inputs, _ outputs: Outputs) { outputs.set(0, .tensor(value)) }
}

/// A tensor of the shape that the input holds, every element the same.
struct ConstantOfShape: Operator {
  let value: Tensor

  init(_ node: inout NodeReader) throws(ModelError) {
    value = try node.tensor("value") ?? Tensor(scalar: Float(0))
    guard value.elementCount == 1 else {
      throw node.invalid("value", expected: "one element", got: value.elementCount)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.integers(0)
    guard shape.allSatisfy({ $0 >= 0 }) else {
      throw .unexpected("shape", expected: "no negative extent", got: "[\(shape.joined)]")
    }
    return [Fact(value.type, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    outputs[0].fill(value, on: outputs.context.crew)
  }
}

/// A matrix of zeros with ones on diagonal `k`, of the input's shape.
struct EyeLike: Operator {
  let type: ElementType?
  let diagonal: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    type = try node.elementType("dtype")
    diagonal = try node.int("k", default: 0, within: NodeReader.any)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count == 2 else {
      throw .unexpected("rank of input", expected: "2", got: "\(shape.count)")
    }
    let type = if let type { type } else { try inputs.type(0) }
    guard type.computed != nil else {
      throw .unexpected("attribute dtype", expected: "numbers", got: "\(type)", code: .invalid)
    }
    return [Fact(type, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let eye = outputs[0]
    eye.clear()
    let (rows, columns) = (eye.shape[0], eye.shape[1])
    guard diagonal > -rows && diagonal < columns else { return }
    let (row, column) = (max(0, -diagonal), max(0, diagonal))
    var target = Region([min(rows - row, columns - column)])
    target.start = row * columns + column
    target.strides = [columns + 1]
    let one = Tensor(converting: [Int64(1)], to: eye.type, [])
    eye.copy(
      one, from: Region([]).broadcast(to: target.extents), to: target, on: outputs.context.crew)
  }
}

/// start, start + delta, start + 2·delta … as long as `limit` is not reached.
struct RangeOperator: Operator {
  /// What 16-bit floats are computed in; they have too few bits to count with.
  let stashType: ElementType

  init(_ node: inout NodeReader) throws(ModelError) {
    stashType = try node.elementType("stash_type") ?? .float
    guard stashType == .float || stashType == .double else {
      throw node.invalid("stash_type", expected: "float or double", got: stashType)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var bounds = try [inputs.tensor(0), inputs.tensor(1)]
    // ONNX Runtime's own may leave delta out.
    if inputs.has(2) { bounds.append(try inputs.tensor(2)) }
    return [Fact(try inputs.type(0), [try count(bounds)])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let target = outputs[0]
    func store<T: Number>(_: T.Type) {
      let start = inputs[0].converted(to: T.self)[0]
      let delta = inputs.tensor(2)?.converted(to: T.self)[0] ?? 1
      target.store(
        Interruption.map(target.elementCount, cost: 4) {
          T.sum(start, T.product(T(converting: Int64($0)), delta))
        })
    }
    store(try number(target.type))
  }

  private func number(_ type: ElementType) throws(ModelError) -> any Number.Type {
    let isSmall = type == .float16 || type == .bfloat16
    return isSmall && stashType == .double ? Double.self : try type.number()
  }

  /// max(⌈(limit - start) / delta⌉, 0)
  private func count(_ bounds: [Tensor]) throws(ModelError) -> Int {
    for (bound, name) in zip(bounds, ["start", "limit", "delta"]) {
      guard bound.elementCount == 1 else {
        throw .unexpected(name, expected: "one element", got: "\(bound.elementCount)")
      }
    }
    func ratio<T: Number>(_: T.Type) -> Double {
      let values = bounds.map { $0.converted(to: T.self)[0] }
      let delta = values.count > 2 ? values[2].asDouble : 1
      return T.difference(values[1], values[0]).asDouble / delta
    }
    // Differences of integers may take one bit more than the integers.
    func steps(_ values: [Int128]) -> Double {
      let (difference, delta) = (values[1] - values[0], values.count > 2 ? values[2] : 1)
      guard delta != 0 else { return .infinity }
      let (steps, rest) = difference.quotientAndRemainder(dividingBy: delta)
      return Double(rest != 0 && (rest > 0) == (delta > 0) ? steps + 1 : steps)
    }
    let type = bounds[0].type
    let count =
      type.isInteger
      ? steps(bounds.map { Int128($0.converted(to: Int64.self)[0]) })
      : ratio(try number(type)).rounded(.up)
    guard count <= Double(Shape.largestExtent) else {
      throw .unexpected(
        "start, limit and delta", expected: "a range of at most \(Shape.largestExtent) numbers",
        got: bounds.map { "\($0.converted(to: Double.self)[0])" }.joined(separator: ", "))
    }
    return count > 0 ? Int(count) : 0
  }
}
