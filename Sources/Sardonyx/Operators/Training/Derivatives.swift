/// Operators that the derivatives of others are written with, of a domain of our own.
let derivatives: OperatorFamily = [
  "ConstantLike": ConstantLike.init,
  "ConvGradient": ConvGradient.init,
  "SumTo": SumTo.init,
  "SwapLastAxes": SwapLastAxes.init,
]

/// A scalar of the attribute's value in the type of the input.
struct ConstantLike: Operator {
  private let value: Float

  init(_ node: inout NodeReader) throws(ModelError) { value = try node.float("value", default: 0) }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let type = try facts.type(0)
    guard type.isFloatingPoint else {
      throw .unexpected("type to differentiate", expected: "real numbers", got: "\(type)")
    }
    return [Fact(Tensor(converting: [value], to: type, []))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) { outputs[0].store([value]) }
}

/// Undoes broadcasting: sums the first input over the axes along which the second was spread.
struct SumTo: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let (large, small) = (try facts.shape(0), try facts.shape(1))
    guard try Shape.broadcast([large, small]) == large else {
      throw .unexpected(
        "a shape that broadcasts to [\(large.joined)]", expected: "extents that are equal or 1",
        got: "[\(small.joined)]")
    }
    return [Fact(try facts.type(0), small)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let shape = inputs[0].shape
    let small = outputs[0].shape
    guard shape != small else { return outputs[0].copy(inputs[0]) }
    let padded = Shape(repeating: 1, count: shape.count - small.count) + small
    let strides = zip(padded, padded.strides).map { $0 == 1 ? 0 : $1 }
    let numbers = inputs[0].converted(to: Double.self)
    var sums = [Double](zerosUntilDue: small.elementCount)
    var position = 0
    shape.forEachIndex { index in
      sums[zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }] += numbers[position]
      position += 1
    }
    outputs[0].store(sums)
  }
}

/// Transposes the matrices of the last two axes.
struct SwapLastAxes: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    var shape = try facts.shape(0)
    guard shape.count >= 2 else {
      throw .unexpected(
        "rank of a factor to differentiate", expected: "2 or more", got: "\(shape.count)")
    }
    shape.swapAt(shape.count - 1, shape.count - 2)
    return [Fact(try facts.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let (rows, columns) = (outputs[0].shape.suffix(2).first!, outputs[0].shape.last!)
    let numbers = inputs[0].converted(to: Double.self)
    outputs[0].store(
      numbers.indices.map { index in
        let (matrix, element) = index.quotientAndRemainder(dividingBy: rows * columns)
        let (row, column) = element.quotientAndRemainder(dividingBy: columns)
        return numbers[matrix * rows * columns + column * rows + row]
      })
  }
}

/// The derivatives of a convolution by X and by W, from that by Y; inputs are X, W and dY.
struct ConvGradient: Operator {
  private let convolution: Conv

  init(_ node: inout NodeReader) throws(ModelError) { convolution = try Conv(&node) }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let shape = try extents(facts).outputShape
    guard try facts.shape(2) == shape else {
      throw .unexpected(
        "shape of dY", expected: "[\(shape.joined)]", got: "[\(try facts.shape(2).joined)]")
    }
    return [
      Fact(try facts.type(0), try facts.shape(0)), Fact(try facts.type(1), try facts.shape(1)),
    ]
  }

  private func extents(_ facts: Facts) throws(ModelError) -> ConvolutionExtents {
    try convolution.extents(facts.replaced(by: [facts[0], facts[1]]))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    let (x, w) = (inputs[0].converted(to: Double.self), inputs[1].converted(to: Double.self))
    let dy = inputs[2].converted(to: Double.self)
    let transposed = ConvolutionExtents(
      batch: extents.batch, inputChannels: extents.outputChannels,
      outputChannels: extents.inputChannels, group: extents.group, axes: extents.axes)
    if outputs.wants(0) { outputs[0].store(spread(dy, w, bias: nil, transposed)) }
    if outputs.wants(1) { outputs[1].store(weightGradient(x, dy, extents)) }
  }

  /// Each weight's sum of products of the inputs and outputs that it joins.
  private func weightGradient(_ x: [Double], _ dy: [Double], _ extents: ConvolutionExtents)
    -> [Double]
  {
    let (axes, runs) = (extents.axes, extents.axes.runs)
    let stride = axes.last?.stride ?? 1
    let channels = extents.inputChannelsPerGroup
    var interruption = Interruption()
    var sums = [Double](repeating: 0, count: extents.outputChannels * channels * axes.tapCount)
    for n in 0..<extents.batch {
      for m in 0..<extents.outputChannels {
        let output = (n * extents.outputChannels + m) * axes.outputCount
        let firstChannel = m / extents.outputChannelsPerGroup * channels
        for c in 0..<channels {
          let input = (n * extents.inputChannels + firstChannel + c) * axes.inputCount
          for run in runs {
            if interruption.isDue(after: run.count) { return sums }
            var sum = 0.0
            for index in 0..<run.count {
              sum += x[input + run.input + index * stride] * dy[output + run.output + index]
            }
            sums[(m * channels + c) * axes.tapCount + run.tap] += sum
          }
        }
      }
    }
    return sums
  }
}
