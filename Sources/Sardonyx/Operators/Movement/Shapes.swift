/// Operators that tell a tensor's shape, or put another shape on the same elements.
let shapes: OperatorFamily = [
  "Flatten": Flatten.init,
  "Identity": Identity.init,
  "Reshape": Reshape.init,
  "Shape": ShapeOperator.init,
  "Size": Size.init,
  "Squeeze": Squeeze.init,
  "Unsqueeze": Unsqueeze.init,
]

/// The extents of the axes from `start` to before `end`.
struct ShapeOperator: Operator {
  let start: Int
  let end: Int?

  init(_ node: inout NodeReader) throws(ModelError) {
    start = try node.int("start", default: 0, within: NodeReader.any)
    end = try node.int("end", within: NodeReader.any)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(extents(try inputs.shape(0)))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    outputs[0].copy(extents(inputs[0].shape))
  }

  /// Bounds count from the back where negative, and are clamped.
  private func extents(_ shape: Shape) -> Tensor {
    func bound(_ axis: Int) -> Int {
      max(0, min(axis < 0 ? axis.saturatingSum(shape.count) : axis, shape.count))
    }
    let first = bound(start)
    let last = max(first, bound(end ?? shape.count))
    return Tensor(shape[first..<last].map(Int64.init))
  }
}

/// The number of elements.
struct Size: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(Tensor(scalar: Int64(try inputs.shape(0).elementCount)))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    outputs[0].copy(Tensor(scalar: Int64(inputs[0].elementCount)))
  }
}

/// The value itself, of whatever type.
struct Identity: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var fact = inputs[0]
    fact.value = nil
    return [fact]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    if let tensor = inputs.tensor(0) {
      outputs[0].copy(tensor)
    } else if let value = inputs.value(0) {
      outputs.set(0, value)
    }
  }

  var isView: Bool { true }
}

/// An operator that puts another shape on the elements of its first input.
protocol ReshapingOperator: Viewing {
  func shape(_ inputs: Facts) throws(ModelError) -> Shape
}

extension ReshapingOperator {
  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try shape(inputs))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) { outputs[0].copy(inputs[0]) }

  var isView: Bool { true }

  func view(_ output: Int, of whole: StridedView, _ inputs: Facts) throws(ModelError)
    -> StridedView?
  {
    whole.reshaped(to: try shape(inputs))
  }
}

/// Another shape; -1 stands for what is left, 0 for the extent of the same axis of the input.
struct Reshape: ReshapingOperator {
  /// Before version 5 the shape is an attribute.
  let fixedShape: [Int]?
  /// Whether 0 means no elements rather than the input's extent.
  let allowsZero: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    node.ignore("consumed_inputs")
    fixedShape = node.version < 5 ? try node.ints("shape") ?? [] : nil
    allowsZero = try node.bool("allowzero")
  }

  func shape(_ inputs: Facts) throws(ModelError) -> Shape {
    let old = try inputs.shape(0)
    let requested = if let fixedShape { fixedShape } else { try inputs.integers(1) }
    guard !(allowsZero && requested.contains(0) && requested.contains(-1)) else {
      throw .unexpected(
        "shape", expected: "not both 0 and -1 where allowzero is set", got: "[\(requested.joined)]")
    }
    var new = requested
    if !allowsZero {
      for axis in new.indices where new[axis] == 0 { new[axis] = axis < old.count ? old[axis] : 0 }
    }
    let inferred = new.indices.filter { new[$0] == -1 }
    let known = new.enumerated().filter { $0.element != -1 }.map(\.element)
    if inferred.count == 1, let count = known.checkedElementCount, count > 0 {
      new[inferred[0]] = old.elementCount / count
    } else if inferred.count == 1, old.elementCount == 0 {
      // What is left of nothing is any number; peers take 0.
      new[inferred[0]] = 0
    }
    guard new.checkedElementCount == old.elementCount else {
      throw .unexpected(
        "shape", expected: "\(old.elementCount) elements, as [\(old.joined)] has",
        got: "[\(requested.joined)]")
    }
    return new
  }
}

/// A matrix: the axes before `axis` become the rows, the others the columns.
struct Flatten: ReshapingOperator {
  let axis: Int
  let countsBack: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: 1)
    countsBack = node.version >= 11
  }

  func shape(_ inputs: Facts) throws(ModelError) -> Shape {
    let shape = try inputs.shape(0)
    let lowest = countsBack ? -shape.count : 0
    guard axis >= lowest, axis <= shape.count else {
      throw .unexpected("axis", expected: "\(lowest) to \(shape.count)", got: "\(axis)")
    }
    let split = axis < 0 ? axis + shape.count : axis
    return [Shape(shape[..<split]).elementCount, Shape(shape[split...]).elementCount]
  }
}

/// Drops axes of extent 1: those named, or all.
struct Squeeze: ReshapingOperator {
  let fixedAxes: [Int]?

  init(_ node: inout NodeReader) throws(ModelError) { fixedAxes = try node.ints("axes") }

  func shape(_ inputs: Facts) throws(ModelError) -> Shape {
    let shape = try inputs.shape(0)
    let named = inputs.has(1) ? try inputs.integers(1) : fixedAxes
    guard let axes = try named?.axes(ofRank: shape.count) else { return shape.filter { $0 != 1 } }
    for axis in axes where shape[axis] != 1 {
      throw .unexpected("extent of squeezed axis \(axis)", expected: "1", got: "\(shape[axis])")
    }
    return shape.indices.filter { !axes.contains($0) }.map { shape[$0] }
  }
}

/// Inserts axes of extent 1 where the output is to have them.
struct Unsqueeze: ReshapingOperator {
  let fixedAxes: [Int]?

  init(_ node: inout NodeReader) throws(ModelError) {
    fixedAxes = try node.ints("axes")
    if node.version < 13 && fixedAxes == nil { throw node.missing("axes") }
  }

  func shape(_ inputs: Facts) throws(ModelError) -> Shape {
    var shape = try inputs.shape(0)
    let named = if let fixedAxes { fixedAxes } else { try inputs.integers(1) }
    for axis in try named.axes(ofRank: shape.count + named.count).sorted() {
      shape.insert(1, at: axis)
    }
    return shape
  }
}

extension Int {
  /// The sum, at most the largest and at least the smallest number there is.
  func saturatingSum(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }
}
