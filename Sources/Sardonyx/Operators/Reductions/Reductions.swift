/// Operators that make one number of all numbers along some axes.
let reductions: OperatorFamily = reductionsByName.mapValues { _ in Reduce.init }

/// What each operator makes of the numbers.
private let reductionsByName: [String: ReductionFunction] = [
  "ReduceL1": .absoluteSum,
  "ReduceL2": .norm,
  "ReduceLogSum": .logarithmOfSum,
  "ReduceLogSumExp": .logarithmOfExponentials,
  "ReduceMax": .maximum,
  "ReduceMean": .mean,
  "ReduceMin": .minimum,
  "ReduceProd": .product,
  "ReduceSum": .sum,
  "ReduceSumSquare": .sumOfSquares,
]

/// Makes one number of all numbers along some axes, by default along all.
struct Reduce: Operator {
  private let reduction: ReductionFunction
  /// Up to version 12 (ReduceSum) or 17 an attribute, later an input.
  private let axes: [Int]?
  private let keepsAxes: Bool
  private let keepsAllWithoutAxes: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let reduction = reductionsByName[node.operatorName] else {
      throw ModelError(.unsupported, "no reduction named \(node.operatorName)")
    }
    self.reduction = reduction
    axes = try node.ints("axes")
    keepsAxes = try node.bool("keepdims", default: true)
    keepsAllWithoutAxes = try node.bool("noop_with_empty_axes")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axes = try reducedAxes(inputs, rank: shape.count)
    let kept = shape.indices.compactMap { axis in
      axes.contains(axis) ? (keepsAxes ? 1 : nil) : shape[axis]
    }
    return [Fact(try inputs.type(0), kept)]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    guard try inputs.type(0) == .float, let kernel = reduction.kernel, kernel.isWhole,
      let block = Self.block(shape, try reducedAxes(inputs, rank: shape.count))
    else { return nil }
    return block.computation(kernel.reduction)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let axes = try reducedAxes(inputs.facts, rank: inputs[0].shape.count)
    let (tensor, block) = try Self.arranged(inputs[0], axes, outputs.context)
    reduction.apply(tensor, block, into: outputs[0], on: outputs.context.crew)
  }

  private func reducedAxes(_ inputs: Facts, rank: Int) throws(ModelError) -> [Int] {
    let given = inputs.has(1) ? try inputs.integers(1) : axes ?? []
    if given.isEmpty { return keepsAllWithoutAxes ? [] : Array(0..<rank) }
    return try given.axes(ofRank: rank)
  }

  /// The layout of a tensor from the given axes where they are side by side, else nil.
  private static func block(_ shape: Shape, _ axes: [Int]) -> AxisBlock? {
    let wide = shape.indices.filter { shape[$0] != 1 }
    let reduced = wide.filter(axes.contains)
    guard let first = reduced.first, let last = reduced.last else {
      return AxisBlock(elements: shape.elementCount)
    }
    guard wide.filter({ $0 >= first && $0 <= last }) == reduced else { return nil }
    return AxisBlock(shape, axes: first..<last + 1)
  }

  /// The tensor with the given axes side by side, transposed only where they are not so already,
  /// and its layout from them.
  private static func arranged(_ tensor: Tensor, _ axes: [Int], _ context: RunContext)
    throws(ModelError) -> (Tensor, AxisBlock)
  {
    let shape = tensor.shape
    if let block = block(shape, axes) { return (tensor, block) }
    let kept = shape.indices.filter { !axes.contains($0) }
    let order = kept + axes
    let turned = order.map { shape[$0] }
    let copy = Destination(
      tensor.type, turned, storage: try context.allocate(tensor.type, turned))
    copy.copy(tensor, from: Region(shape).permuted(order), on: context.crew)
    return (
      copy.tensor(texts: .none), AxisBlock(turned, axes: kept.count..<turned.count)
    )
  }
}
