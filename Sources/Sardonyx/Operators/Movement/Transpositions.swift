/// Operators that permute or repeat the elements of one tensor.
let transpositions: OperatorFamily = [
  "DepthToSpace": DepthToSpace.init,
  "Expand": Expand.init,
  "ReverseSequence": ReverseSequence.init,
  "SpaceToDepth": SpaceToDepth.init,
  "Tile": Tile.init,
  "Transpose": Transpose.init,
  "Trilu": Trilu.init,
]

/// Axes in another order: `perm`, or reversed.
struct Transpose: Operator {
  let permutation: [Int]?

  init(_ permutation: [Int]) { self.permutation = permutation }

  init(_ node: inout NodeReader) throws(ModelError) { permutation = try node.ints("perm") }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let order = try order(rank: shape.count)
    return [Fact(try inputs.type(0), order.map { shape[$0] })]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let source = Region(shape).permuted(try order(rank: shape.count))
    return try [RegionMove(source: source, target: Region(source.extents))]
      .computation(of: inputs.type(0))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let input = inputs[0]
    let order = try order(rank: input.shape.count)
    outputs[0].copy(input, from: Region(input.shape).permuted(order), on: outputs.context.crew)
  }

  private func order(rank: Int) throws(ModelError) -> [Int] {
    guard let permutation else { return (0..<rank).reversed() }
    guard permutation.sorted() == Array(0..<rank) else {
      throw .unexpected(
        "attribute perm", expected: "a permutation of the \(rank) axes",
        got: "[\(permutation.joined)]")
    }
    return permutation
  }
}

extension Transpose: Viewing {
  func view(_ output: Int, of whole: StridedView, _ inputs: Facts) throws(ModelError)
    -> StridedView?
  {
    whole.permuted(try order(rank: whole.shape.count))
  }
}

/// The input repeated to the shape that it and the given one broadcast to.
struct Expand: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shapes = [try inputs.shape(0), try inputs.integers(1)]
    guard shapes[1].allSatisfy({ $0 >= 0 }) else {
      throw .unexpected("shape", expected: "no negative extent", got: "[\(shapes[1].joined)]")
    }
    return [Fact(try inputs.type(0), try Shape.broadcast(shapes))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard let shape = outputs[0]?.shape else { return nil }
    let source = Region(try inputs.shape(0)).broadcast(to: shape)
    return try [RegionMove(source: source, target: Region(shape))]
      .computation(of: inputs.type(0))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let source = Region(inputs[0].shape).broadcast(to: outputs[0].shape)
    outputs[0].copy(inputs[0], from: source, on: outputs.context.crew)
  }
}

/// The input laid side by side with itself along each axis.
struct Tile: Operator {
  /// Version 1 repeats along a single axis.
  let isSingleAxis: Bool

  init(_ node: inout NodeReader) { isSingleAxis = node.version < 6 }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let repeats = try repeats(inputs, rank: shape.count)
    var tiled = shape
    for axis in shape.indices {
      let (extent, overflow) = shape[axis].multipliedReportingOverflow(by: repeats[axis])
      guard !overflow, repeats[axis] >= 0 else {
        throw .unexpected("repeats", expected: "numbers from 0", got: "[\(repeats.joined)]")
      }
      tiled[axis] = extent
    }
    return [Fact(try inputs.type(0), tiled)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let (shape, tiled) = (inputs[0].shape, outputs[0].shape)
    var source = Region([])
    for axis in shape.indices {
      source.extents += [shape[axis] == 0 ? 0 : tiled[axis] / shape[axis], shape[axis]]
      source.strides += [0, shape.strides[axis]]
    }
    outputs[0].copy(inputs[0], from: source, on: outputs.context.crew)
  }

  private func repeats(_ inputs: Facts, rank: Int) throws(ModelError) -> [Int] {
    guard isSingleAxis else {
      let repeats = try inputs.integers(1)
      guard repeats.count == rank else {
        throw .unexpected("elements of repeats", expected: "\(rank)", got: "\(repeats.count)")
      }
      return repeats
    }
    // Both have the type of the input, a floating-point one perhaps.
    let (tiles, axes) = (try inputs.numbers(1), try inputs.numbers(2))
    guard tiles.count == 1, axes.count == 1 else {
      throw .unexpected("tiles and axis", expected: "one element each", got: "other counts")
    }
    let axis: Int = axes[0].saturated()
    var repeats = [Int](repeating: 1, count: rank)
    repeats[try axis.axis(ofRank: rank)] = tiles[0].saturated()
    return repeats
  }
}

/// The order in which a pixel's channels hold a block of pixels: depth-column-row or
/// column-row-depth.
private enum BlockOrder: String, CaseIterable {
  case depthLast = "DCR"
  case depthFirst = "CRD"
}

extension NodeReader {
  fileprivate mutating func blockOrder() throws(ModelError) -> BlockOrder {
    try choice("mode", default: .depthLast)
  }

  /// The size of a block's side.
  fileprivate mutating func blockSide() throws(ModelError) -> Int {
    guard let side = try int("blocksize") else { throw missing("blocksize") }
    guard side > 0, side < 1 << 20 else {
      throw invalid("blocksize", expected: "a positive number", got: side)
    }
    return side
  }
}

extension Facts {
  /// The shape of the first input, [n, c, h, w].
  fileprivate func image() throws(ModelError) -> Shape {
    let shape = try shape(0)
    guard shape.count == 4 else {
      throw .unexpected("rank of input", expected: "4", got: "\(shape.count)")
    }
    return shape
  }
}

/// Channels become blocks of pixels: [n, c·b·b, h, w] to [n, c, h·b, w·b].
struct DepthToSpace: Operator {
  private let order: BlockOrder
  let side: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    order = try node.blockOrder()
    side = try node.blockSide()
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.image()
    guard shape[1] % (side * side) == 0 else {
      throw .unexpected(
        "channels of input", expected: "a multiple of \(side * side)", got: "\(shape[1])")
    }
    return [
      Fact(
        try inputs.type(0),
        [shape[0], shape[1] / (side * side), shape[2] &* side, shape[3] &* side])
    ]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let (n, c, h, w) = inputs[0].imageExtents
    let depth = c / (side * side)
    let source =
      switch order {
      case .depthLast: Region([n, side, side, depth, h, w]).permuted([0, 3, 4, 1, 5, 2])
      case .depthFirst: Region([n, depth, side, side, h, w]).permuted([0, 1, 4, 2, 5, 3])
      }
    outputs[0].copy(inputs[0], from: source, on: outputs.context.crew)
  }
}

/// Blocks of pixels become channels: [n, c, h·b, w·b] to [n, c·b·b, h, w].
struct SpaceToDepth: Operator {
  private let order: BlockOrder
  let side: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    order = try node.blockOrder()
    side = try node.blockSide()
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.image()
    guard shape[2] % side == 0, shape[3] % side == 0 else {
      throw .unexpected(
        "height and width of input", expected: "multiples of \(side)",
        got: "\(shape[2]) and \(shape[3])")
    }
    return [
      Fact(
        try inputs.type(0),
        [shape[0], shape[1] &* side &* side, shape[2] / side, shape[3] / side])
    ]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let (n, c, h, w) = inputs[0].imageExtents
    let blocks = Region([n, c, h / side, side, w / side, side])
    let source =
      switch order {
      case .depthLast: blocks.permuted([0, 3, 5, 1, 2, 4])
      case .depthFirst: blocks.permuted([0, 1, 3, 5, 2, 4])
      }
    outputs[0].copy(inputs[0], from: source, on: outputs.context.crew)
  }
}

extension Tensor {
  fileprivate var imageExtents: (n: Int, c: Int, h: Int, w: Int) {
    (shape[0], shape[1], shape[2], shape[3])
  }
}

/// The first `sequence_lens[i]` elements along time of batch i in reverse, the others as they are.
struct ReverseSequence: Operator {
  let batchAxis: Int
  let timeAxis: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    batchAxis = try node.int("batch_axis", default: 1)
    timeAxis = try node.int("time_axis", default: 0)
    guard Set([batchAxis, timeAxis]) == [0, 1] else {
      throw .unexpected(
        "attributes batch_axis and time_axis", expected: "0 and 1 or 1 and 0",
        got: "\(batchAxis) and \(timeAxis)", code: .invalid)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2 else {
      throw .unexpected("rank of input", expected: "at least 2", got: "\(shape.count)")
    }
    let lengths = try inputs.shape(1)
    guard lengths == [shape[batchAxis]] else {
      throw .unexpected(
        "shape of sequence_lens", expected: "[\(shape[batchAxis])]", got: "[\(lengths.joined)]")
    }
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let whole = Region(inputs[0].shape)
    let time = whole.extents[timeAxis]
    var interruption = Interruption()
    for (batch, length) in inputs.integers(1).enumerated() {
      if interruption.isDue(after: 1000) { return }
      guard length >= 0, length <= time else {
        throw .unexpected("sequence_lens", expected: "0 to \(time)", got: "\(length)")
      }
      let sequence = whole.sliced(batchAxis, from: batch, count: 1)
      outputs[0].copy(
        inputs[0], from: sequence.sliced(timeAxis, from: length - 1, step: -1, count: length),
        to: sequence.sliced(timeAxis, from: 0, count: length), on: outputs.context.crew)
      let rest = sequence.sliced(timeAxis, from: length, count: time - length)
      outputs[0].copy(inputs[0], from: rest, to: rest, on: outputs.context.crew)
    }
  }
}

/// The upper or lower triangle of each matrix, zeros elsewhere.
struct Trilu: Operator {
  let keepsUpper: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    keepsUpper = try node.bool("upper", default: true)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2 else {
      throw .unexpected("rank of input", expected: "at least 2", got: "\(shape.count)")
    }
    return [Fact(try inputs.type(0), shape)]
  }

  /// Row i keeps the columns j - i ≥ k (upper) or j - i ≤ k (lower).
  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let input = inputs[0]
    let diagonal = inputs.has(1) ? inputs.integers(1).first ?? 0 : 0
    let rowAxis = input.shape.count - 2
    let columns = input.shape[rowAxis + 1]
    outputs[0].clear()
    var interruption = Interruption()
    for row in 0..<input.shape[rowAxis] {
      if interruption.isDue(after: 1000) { return }
      let bound = row.saturatingSum(diagonal)
      let kept =
        keepsUpper
        ? min(max(bound, 0), columns)..<columns : 0..<min(max(bound.saturatingSum(1), 0), columns)
      let region = Region(input.shape).sliced(rowAxis, from: row, count: 1)
        .sliced(rowAxis + 1, from: kept.lowerBound, count: kept.count)
      outputs[0].copy(input, from: region, to: region, on: outputs.context.crew)
    }
  }
}
