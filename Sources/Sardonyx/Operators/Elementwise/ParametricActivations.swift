/// Activations whose parameters are inputs.
let parametricActivations: OperatorFamily = ["Clip": Clip.init, "PRelu": PRelu.init]

/// Activations of ONNX Runtime that add a bias first.
let microsoftBiasedActivations: OperatorFamily = [
  "BiasGelu": BiasedActivation.init, "FastGelu": BiasedActivation.init,
]

/// min(max(x, low), high); a bound left out does not bind.
struct Clip: Operator {
  /// The bounds up to version 6; later ones are inputs.
  private let attributes: (low: Float, high: Float)?

  init(_ node: inout NodeReader) throws(ModelError) {
    attributes =
      node.version < 11
      ? (
        try node.float("min", default: -.infinity), try node.float("max", default: .infinity)
      ) : nil
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    for index in 1..<3 where inputs.has(index) {
      let shape = try inputs.shape(index)
      guard shape.elementCount == 1 else {
        throw .unexpected(
          index == 1 ? "min" : "max", expected: "a scalar", got: "[\(shape.joined)]")
      }
    }
    return [Fact(try inputs.type(0), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let function = UnaryFunction(
      Self.kernel(bound(1, inputs, -.infinity), bound(2, inputs, .infinity)),
      real: Self.clipping(bound(1, inputs, -.infinity), bound(2, inputs, .infinity)),
      signed: Self.clipping(bound(1, inputs, .min), bound(2, inputs, .max)),
      unsigned: Self.clipping(bound(1, inputs, .min), bound(2, inputs, .max)))
    function.apply(inputs[0], into: outputs[0], on: outputs.context.crew)
  }

  var reusableInput: Int? { 0 }

  /// The lower bound (1) or the upper one (2).
  private func bound<T: Number>(_ index: Int, _ inputs: Inputs, _ none: T) -> T {
    if let attributes {
      return T(converting: Double(index == 1 ? attributes.low : attributes.high))
    }
    return inputs.tensor(index)?.converted(to: T.self)[0] ?? none
  }

  private static func kernel(_ low: Float, _ high: Float) -> UnaryFunction.Kernel {
    UnaryFunction.Kernel(function: .clip, alpha: low, beta: high)
  }

  private static func clipping<T: Number>(_ low: T, _ high: T) -> @Sendable (T) -> T {
    { number in
      let raised = number < low ? low : number
      return raised > high ? high : raised
    }
  }
}

/// x < 0 ? slope·x : x, the slopes broadcast to x.
struct PRelu: Operator {
  /// Up to version 6 a vector of slopes has one for each channel, axis 1 of x.
  private let isPerChannel: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    isPerChannel = node.version < 7
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (x, slope) = (try inputs.shape(0), try inputs.shape(1))
    guard try Shape.broadcast([x, aligned(slope, with: x)]) == x else {
      throw .unexpected(
        "slope", expected: "a shape that broadcasts to [\(x.joined)]", got: "[\(slope.joined)]")
    }
    return [Fact(try inputs.type(0), x)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (x, slope) = (inputs[0], inputs[1])
    let broadcast = try Broadcast([x.shape, aligned(slope.shape, with: x.shape)])
    if x.type == .float, broadcast.step(of: 1) == 0 {
      return broadcast.mapRows(.leakyRelu, x, slope, into: outputs[0], on: outputs.context.crew)
    }
    Self.function.apply(x, slope, broadcast, into: outputs[0], on: outputs.context.crew)
  }

  var reusableInput: Int? { 0 }

  private func aligned(_ slope: Shape, with x: Shape) -> Shape {
    guard isPerChannel, slope.count == 1, slope != [1], x.count > 2 else { return slope }
    return slope + [Int](repeating: 1, count: x.count - 2)
  }

  private static let function = BinaryFunction(
    real: { $0 < 0 ? $0 * $1 : $0 }, signed: { $0 < 0 ? $0 &* $1 : $0 }, unsigned: { x, _ in x })
}

/// Gelu of an input with a bias added: by the error function (BiasGelu) or by tanh (FastGelu).
struct BiasedActivation: Operator {
  private let function: UnaryFunction

  init(_ node: inout NodeReader) throws(ModelError) {
    function = node.operatorName == "BiasGelu" ? .gelu : .geluTanh
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shapes = inputs.has(1) ? [try inputs.shape(0), try inputs.shape(1)] : [try inputs.shape(0)]
    return [Fact(try inputs.type(0), try .broadcast(shapes))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let crew = outputs.context.crew
    guard let bias = inputs.tensor(1) else {
      return function.apply(inputs[0], into: outputs[0], on: crew)
    }
    let broadcast = try Broadcast([inputs[0].shape, bias.shape])
    BinaryFunction.sum.apply(inputs[0], bias, broadcast, into: outputs[0], on: crew)
    function.apply(outputs[0].tensor(texts: .none), into: outputs[0], on: crew)
  }

  var reusableInput: Int? { 0 }
}
