/// An LSTM whose weights are 8-bit integers, directions×inputs×(gates·hidden), and whose products
/// see X and the states as uint8: X with one range over all of it, the states with one at each step
/// over the sequences that go on.
struct DynamicQuantizeLSTM: Operator {
  private var network: Recurrence
  private var packed: [PackedRecurrence]?

  init(_ node: inout NodeReader) throws(ModelError) {
    network = try Recurrence(&node, .lstm).quantized
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try checkWeights(inputs)
    return try network.outputs(asLSTM(inputs))
  }

  /// The inputs that an LSTM would have.
  private func asLSTM(_ inputs: Facts) throws(ModelError) -> Facts {
    var facts = (0..<8).map { inputs.has($0) ? inputs[$0] : nil }
    for index in 1...2 {
      let shape = try inputs.shape(index)
      facts[index] = Fact(.float, [shape[0], shape[2], shape[1]])
    }
    return inputs.replaced(by: facts)
  }

  /// Checks the ranks of W and R, and that each direction, or each of its columns, has a scale.
  private func checkWeights(_ inputs: Facts) throws(ModelError) {
    for index in 1...2 {
      let shape = try inputs.shape(index)
      let scales = index == 1 ? 8 : 10
      guard shape.count == 3 else {
        throw .unexpected("rank of input \(index)", expected: "3", got: "\(shape.count)")
      }
      for parameter in scales...scales + 1 {
        let count = try inputs.shape(parameter).elementCount
        guard count == shape[0] || count == shape[0] &* shape[2] else {
          throw .unexpected(
            "input \(parameter)", expected: "\(shape[0]) numbers or \(shape[0] &* shape[2])",
            got: "\(count)")
        }
      }
    }
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    var tensors: [Int: Tensor] = [:]
    for index in [1, 2, 3, 7, 8, 9, 10, 11] where inputs.has(index) {
      guard let tensor = inputs[index].value?.tensor else { return }
      tensors[index] = tensor
    }
    try checkWeights(inputs)
    guard let extents = try? network.weightExtents(asLSTM(inputs)) else { return }
    packed = pack(extents) { tensors[$0] }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let facts = try asLSTM(inputs.facts)
    let extents = try network.weightExtents(facts)
    if inputs[0].type == .float, let packed = packed ?? pack(extents, { inputs.tensor($0) }) {
      return try network.run(inputs, outputs, facts) { _ in packed }
    }
    let weights = Self.widened([1, 2, 8, 9, 10, 11].map { inputs[$0] })
    try Interruption.check()
    let widened = inputs.replaced(
      by: [inputs.value(0)] + weights + (3..<8).map { inputs.value($0) })
    try network.run(widened, outputs, facts) { _ in nil }
  }

  /// The weights for the kernels; nil where they do not compute these functions, or sums might not fit
  /// 32 bits.
  /// - Parameter tensor: the input of the node with an index, nil where it is left out.
  private func pack(_ extents: RecurrentExtents, _ tensor: (Int) -> Tensor?) -> [PackedRecurrence]?
  {
    guard network.isStandard, max(extents.input, extents.hidden) <= PackedBytes.largestDepth,
      let w = tensor(1), let r = tensor(2)
    else { return nil }
    let columns = extents.gates * extents.hidden
    return (0..<extents.directions).map { direction in
      func part(_ input: Int, _ count: Int) -> [Float] {
        tensor(input)?.part(direction * count..<(direction + 1) * count).converted() ?? []
      }
      /// One number for each direction, or for each column.
      func numbers(_ input: Int) -> [Float] {
        let count = tensor(input)?.elementCount ?? 0
        return part(input, count / max(1, extents.directions))
      }
      func matrix(_ bytes: Tensor, depth: Int, scale: Int) -> QuantizedMatrix {
        QuantizedMatrix(
          bytes: bytes, offset: direction * depth * columns, depth: depth, columns: columns,
          scales: numbers(scale), zeroPoints: numbers(scale + 1).map { Int32($0) })
      }
      return PackedRecurrence(
        extents, network.equations, w: matrix(w, depth: extents.input, scale: 8),
        r: matrix(r, depth: extents.hidden, scale: 10), b: part(3, 2 * columns),
        p: part(7, 3 * extents.hidden))
    }
  }

  /// W and R as an LSTM takes them, from W, R and the scale and zero point of each.
  private static func widened(_ tensors: [Tensor]) -> [Value] {
    [
      .tensor(widened(tensors[0], scale: tensors[2], zeroPoint: tensors[3])),
      .tensor(widened(tensors[1], scale: tensors[4], zeroPoint: tensors[5])),
    ]
  }

  private static func widened(_ tensor: Tensor, scale: Tensor, zeroPoint: Tensor) -> Tensor {
    let (directions, rows, columns) = (tensor.shape[0], tensor.shape[1], tensor.shape[2])
    let numbers = tensor.converted(to: Float.self)
    let (scales, zeros) = (scale.converted(to: Float.self), zeroPoint.converted(to: Float.self))
    var result = [Float](zerosUntilDue: numbers.count)
    var interruption = Interruption()
    for direction in 0..<directions {
      for column in 0..<columns {
        let lane = direction * columns + column
        let factor = scales[scales.count == directions ? direction : lane]
        let zero = zeros[zeros.count == directions ? direction : lane]
        for row in 0..<rows {
          // Each comes from a cache line of its own.
          if interruption.isDue(after: 8) { return Tensor(result, [directions, columns, rows]) }
          let number = numbers[(direction * rows + row) * columns + column]
          result[lane * rows + row] = (number - zero) * factor
        }
      }
    }
    return Tensor(result, [directions, columns, rows])
  }
}
