/// Normalizes all axes from `axis` on together: Y = (X - mean) / √(variance + ε) · Scale + B.
struct LayerNormalization: Operator {
  private let axis: Int
  private let epsilon: Double
  /// The type of the outputs Mean and InvStdDev.
  private let stashType: ElementType

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: -1)
    epsilon = Double(try node.float("epsilon", default: 1e-5))
    stashType = try node.elementType("stash_type") ?? .float
    guard stashType.isFloatingPoint else {
      throw node.invalid("stash_type", expected: "a floating-point type", got: stashType)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axis = try axis.axis(ofRank: shape.count)
    try checkBroadcast(inputs, 1, "Scale", to: shape)
    if inputs.has(2) { try checkBroadcast(inputs, 2, "B", to: shape) }
    let reduced = shape.indices.map { $0 < axis ? shape[$0] : 1 }
    // Before version 17, X may be of another type than Scale and the result.
    return [
      Fact(try inputs.type(1), shape), Fact(stashType, reduced), Fact(stashType, reduced),
    ]
  }

  var reusableInput: Int? { 0 }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let rows = shape[..<(try axis.axis(ofRank: shape.count))].reduce(1, *)
    let bias: [Float]? = inputs[2].value?.tensor?.row(of: rows, shape)
    guard try inputs.type(0) == .float, try inputs.type(1) == .float, stashType == .float,
      let scale: [Float] = inputs[1].value?.tensor?.row(of: rows, shape),
      bias != nil || !inputs.has(2)
    else { return nil }
    return ReductionKernel.computation(
      .moments, rows: rows, count: shape.elementCount / max(rows, 1), epsilon: epsilon,
      scale: scale, shift: bias)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let rows = shape[..<(try axis.axis(ofRank: shape.count))].reduce(1, *)
    let bias: [Float]? = inputs.tensor(2)?.row(of: rows, shape)
    guard let x = inputs[0].single, stashType == .float, outputs.wants(0),
      let scale: [Float] = inputs[1].row(of: rows, shape), bias != nil || !inputs.has(2)
    else { return runPlainly(inputs, outputs, rows: rows) }
    outputs[0].writeSingle { y in
      ReductionKernel.normalizeRows(
        .moments, x, rows: rows, epsilon: epsilon, scale: scale, shift: bias, into: y,
        means: outputs.wants(1) ? outputs[1] : nil, factors: outputs.wants(2) ? outputs[2] : nil,
        on: outputs.context.crew)
    }
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, rows: Int) {
    let shape = inputs[0].shape
    let scale: [Double] = inputs[1].repeated(to: shape)
    let bias: [Double]? = inputs.tensor(2)?.repeated(to: shape)
    func compute<T: RealNumber>(_: T.Type) {
      var x: [T] = inputs[0].converted()
      let count = x.count / max(rows, 1)
      var interruption = Interruption()
      let moments = (0..<rows).map { row in
        Moments(interruption.isDue(after: 3 &* count) ? [] : x[row * count..<(row + 1) * count])
      }
      let factors = moments.map { $0.inverseDeviation(epsilon) }
      if outputs.wants(1) { outputs[1].store(moments.map(\.mean)) }
      if outputs.wants(2) { outputs[2].store(factors) }
      guard outputs.wants(0) else { return }
      for index in x.indices {
        if interruption.isDue(after: 10) { return }
        let row = index / count
        let value = (x[index].asDouble - moments[row].mean) * factors[row]
        let shift = bias.map { $0[index % $0.count] } ?? 0
        x[index] = T(converting: value * scale[index % scale.count] + shift)
      }
      outputs[0].store(x)
    }
    compute(inputs[0].type.real)
  }
}

/// Scales all axes from `axis` on by their root mean square: Y = X / √(mean of X² + ε) · scale;
/// SimplifiedLayerNormalization gives the factors 1 / √(mean of X² + ε) of all rows too.
struct RMSNormalization: Operator {
  private let axis: Int
  private let epsilon: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: -1)
    epsilon = Double(try node.float("epsilon", default: 1e-5))
    node.ignore("stash_type")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axis = try axis.axis(ofRank: shape.count)
    try checkBroadcast(inputs, 1, "scale", to: shape)
    let reduced = shape.indices.map { $0 < axis ? shape[$0] : 1 }
    return [Fact(try inputs.type(1), shape), Fact(.float, reduced)]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let rows = shape[..<(try axis.axis(ofRank: shape.count))].reduce(1, *)
    let wantsFactors = outputs.count > 1 && outputs[1] != nil
    guard try inputs.type(0) == .float, try inputs.type(1) == .float, !wantsFactors,
      let scale: [Float] = inputs[1].value?.tensor?.row(of: rows, shape)
    else { return nil }
    return ReductionKernel.computation(
      .rootMeanSquare, rows: rows, count: shape.elementCount / max(rows, 1), epsilon: epsilon,
      scale: scale, shift: nil)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let rows = shape[..<(try axis.axis(ofRank: shape.count))].reduce(1, *)
    guard let x = inputs[0].single, let scale: [Float] = inputs[1].row(of: rows, shape),
      !outputs.wants(1)
    else { return runPlainly(inputs, outputs, rows: rows) }
    outputs[0].writeSingle { y in
      ReductionKernel.normalizeRows(
        .rootMeanSquare, x, rows: rows, epsilon: epsilon, scale: scale, shift: nil, into: y,
        on: outputs.context.crew)
    }
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, rows: Int) {
    let scale: [Double] = inputs[1].repeated(to: inputs[0].shape)
    func compute<T: RealNumber>(_: T.Type) {
      var x: [T] = inputs[0].converted()
      let count = x.count / max(rows, 1)
      var factors: [Double] = []
      var interruption = Interruption()
      for row in 0..<rows {
        if interruption.isDue(after: 8 &* count &+ 4) { return }
        let first = row * count
        let squares = x[first..<first + count].reduce(0.0) { $0 + $1.asDouble * $1.asDouble }
        let factor = 1 / (squares / Double(count) + epsilon).squareRoot()
        factors.append(factor)
        for index in first..<first + count {
          x[index] = T(converting: x[index].asDouble * factor * scale[index % scale.count])
        }
      }
      if outputs.wants(0) { outputs[0].store(x) }
      if outputs.wants(1) { outputs[1].store(factors) }
    }
    compute(inputs[0].type.real)
  }
}

/// Checks that an input broadcasts to a shape without changing it.
func checkBroadcast(_ inputs: Facts, _ index: Int, _ name: String, to shape: Shape)
  throws(ModelError)
{
  let own = try inputs.shape(index)
  guard own.broadcasts(to: shape) else {
    throw .unexpected(
      "shape of \(name)", expected: "one that broadcasts to [\(shape.joined)]",
      got: "[\(own.joined)]")
  }
}

extension Shape {
  /// Whether a tensor of this shape can be repeated to `shape`.
  func broadcasts(to shape: Shape) -> Bool {
    count <= shape.count && zip(self, shape.suffix(count)).allSatisfy { $0 == 1 || $0 == $1 }
  }
}

extension Tensor {
  /// The numbers that belong to a row of a tensor of a shape, where they are the same for each of
  /// its `count` rows; else nil.
  fileprivate func row(of count: Int, _ shape: Shape) -> [Float]? {
    let length = shape.elementCount / max(count, 1)
    let numbers: [Float] = repeated(to: shape)
    if numbers.count == length { return numbers }
    guard numbers.count == 1, let number = numbers.first else { return nil }
    return Array(repeating: number, count: length)
  }

  /// The numbers repeated to a shape they broadcast to; where they repeat as a whole, they are
  /// given once: element i of the shape is number i modulo the count.
  func repeated<T: Number>(to shape: Shape) -> [T] {
    let numbers: [T] = converted()
    let own = Shape(self.shape.drop { $0 == 1 })
    if own == Shape(shape.suffix(own.count)) { return numbers }
    let missing = shape.count - self.shape.count
    let strides = self.shape.strides
    var repeated = [T](zerosUntilDue: shape.elementCount)
    var element = 0
    shape.forEachIndex { index in
      var place = 0
      for axis in strides.indices where self.shape[axis] != 1 {
        place += index[axis + missing] * strides[axis]
      }
      repeated[element] = numbers[place]
      element += 1
    }
    return repeated
  }
}
