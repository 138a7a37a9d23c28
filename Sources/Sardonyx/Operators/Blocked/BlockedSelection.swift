/// Channels of some tensors over blocks of channels, in any order, as one tensor over blocks: Slice,
/// Split and Concat along the channels, and their shuffling by Reshape and Transpose.
struct BlockedSelection: Operator {
  /// Where a channel comes from.
  struct Source: Sendable, Equatable {
    var input: Int
    var channel: Int
  }

  private let lanes: LaneSelection

  init(_ sources: [Source]) { lanes = LaneSelection(sources) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let first = try inputs.shape(0)
    for index in 1..<max(1, inputs.count) {
      let shape = try inputs.shape(index)
      guard shape.count == first.count, shape[0] == first[0],
        shape.dropFirst(2) == first.dropFirst(2)
      else {
        throw .unexpected(
          "shape of input \(index)", expected: "[\(first.joined)] but for axis 1",
          got: "[\(shape.joined)]")
      }
    }
    return [Fact(.float, [first[0], lanes.blocks] + first.dropFirst(2))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (shape, lanes) = (try inputs.shape(0), lanes)
    let blocks = try (0..<inputs.count).map { index throws(ModelError) in
      try inputs.shape(index)[1]
    }
    return { addresses, crew in
      unsafe lanes.select(
        blocks, images: shape[0], size: shape.dropFirst(2).reduce(1, *),
        into: addresses.output(), on: crew
      ) { unsafe addresses.input($0) }
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}
