#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// Steps of gradient descent, of ai.onnx.preview.training.
///
/// All take the learning rate R, the count of steps so far T, then n tensors each of what they
/// update: first all values X, then all gradients G, then the state of the method.
let optimizers: OperatorFamily = [
  "Adagrad": Optimizer<Adagrad>.init,
  "Adam": Optimizer<Adam>.init,
  "Gradient": refuseGradient,
  "Momentum": Optimizer<Momentum>.init,
]

/// Gradient names tensors of the graph around it, so ``GradientExpansion`` replaces it at load and
/// no node of a graph is one.
private func refuseGradient(_ node: inout NodeReader) throws(ModelError) -> any Operator {
  throw ModelError(.unsupported, "Gradient has a meaning only inside a model")
}

/// One method of descent, element by element.
protocol DescentMethod: Sendable {
  /// How many tensors of state it keeps for each value.
  static var stateCount: Int { get }

  init(_ node: inout NodeReader) throws(ModelError)

  /// What R becomes at step T.
  func rate(_ rate: Double, step: Int64) -> Double

  /// The new value; replaces the state.
  func update(_ x: Double, _ gradient: Double, _ state: inout [Double], rate: Double, step: Int64)
    -> Double
}

/// Applies a method to the elements of all tensors.
struct Optimizer<Method: DescentMethod>: Operator {
  private let method: Method
  private let tensorCount: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    method = try Method(&node)
    let roles = 2 + Method.stateCount
    guard node.inputCount > 2, (node.inputCount - 2) % roles == 0 else {
      throw .unexpected(
        "inputs", expected: "R, T and \(roles) for each tensor", got: "\(node.inputCount)",
        code: .invalid)
    }
    tensorCount = (node.inputCount - 2) / roles
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    for (index, name) in ["R", "T"].enumerated() where try facts.shape(index).elementCount != 1 {
      throw .unexpected(name, expected: "one element", got: "[\(try facts.shape(index).joined)]")
    }
    var results: [Fact] = []
    for role in 0..<1 + Method.stateCount {
      for tensor in 0..<tensorCount {
        // State follows the gradients, which are no outputs.
        let input = self.input(role: role == 0 ? 0 : role + 1, tensor)
        results.append(Fact(try facts.type(input), try facts.shape(input)))
      }
    }
    for tensor in 0..<tensorCount {
      let shape = try facts.shape(input(role: 0, tensor))
      for role in 1..<2 + Method.stateCount
      where try facts.shape(input(role: role, tensor)) != shape {
        throw .unexpected(
          "shape of input \(input(role: role, tensor))", expected: "[\(shape.joined)], that of X",
          got: "[\(try facts.shape(input(role: role, tensor)).joined)]")
      }
    }
    return results
  }

  private func input(role: Int, _ tensor: Int) -> Int { 2 + role * tensorCount + tensor }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let step = inputs[1].converted(to: Int64.self)[0]
    let rate = method.rate(inputs[0].converted(to: Double.self)[0], step: step)
    var interruption = Interruption()
    for tensor in 0..<tensorCount {
      var columns = (0..<2 + Method.stateCount).map {
        inputs[input(role: $0, tensor)].converted(to: Double.self)
      }
      for index in columns[0].indices {
        if interruption.isDue(after: 200) { return }
        var state = columns[2...].map { $0[index] }
        columns[0][index] = method.update(
          columns[0][index], columns[1][index], &state, rate: rate, step: step)
        for (role, value) in state.enumerated() { columns[2 + role][index] = value }
      }
      columns.remove(at: 1)
      for (role, column) in columns.enumerated() {
        let output = role * tensorCount + tensor
        if outputs.wants(output) { outputs[output].store(column) }
      }
    }
  }
}

/// Steps shrink with the sum H of squared gradients.
struct Adagrad: DescentMethod {
  static let stateCount = 1
  private let norm: Double
  private let decay: Double
  private let epsilon: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    norm = Double(try node.float("norm_coefficient", default: 0))
    decay = Double(try node.float("decay_factor", default: 0))
    epsilon = Double(try node.float("epsilon", default: 1e-6))
  }

  func rate(_ rate: Double, step: Int64) -> Double { rate / (1 + Double(step) * decay) }

  func update(_ x: Double, _ gradient: Double, _ h: inout [Double], rate: Double, step: Int64)
    -> Double
  {
    let regularized = norm * x + gradient
    h[0] += regularized * regularized
    return x - rate * regularized / (h[0].squareRoot() + epsilon)
  }
}

/// Steps follow the mean V of gradients, scaled by the mean H of their squares.
struct Adam: DescentMethod {
  static let stateCount = 2
  private let alpha: Double
  private let beta: Double
  private let epsilon: Double
  private let norm: Double
  private let normPost: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    alpha = Double(try node.float("alpha", default: 0.9))
    beta = Double(try node.float("beta", default: 0.999))
    epsilon = Double(try node.float("epsilon", default: 1e-6))
    norm = Double(try node.float("norm_coefficient", default: 0))
    normPost = Double(try node.float("norm_coefficient_post", default: 0))
  }

  /// Corrects the means for their start at 0.
  func rate(_ rate: Double, step: Int64) -> Double {
    guard step > 0 else { return rate }
    return rate * (1 - pow(beta, Double(step))).squareRoot() / (1 - pow(alpha, Double(step)))
  }

  func update(_ x: Double, _ gradient: Double, _ state: inout [Double], rate: Double, step: Int64)
    -> Double
  {
    let regularized = norm * x + gradient
    state[0] = alpha * state[0] + (1 - alpha) * regularized
    state[1] = beta * state[1] + (1 - beta) * regularized * regularized
    return (1 - normPost) * (x - rate * state[0] / (state[1].squareRoot() + epsilon))
  }
}

/// Steps keep part of their velocity V.
struct Momentum: DescentMethod {
  enum Mode: String, CaseIterable {
    case standard
    case nesterov
  }
  static let stateCount = 1
  private let alpha: Double
  private let beta: Double
  private let norm: Double
  private let mode: Mode

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let alpha = try node.float("alpha") else { throw node.missing("alpha") }
    guard let beta = try node.float("beta") else { throw node.missing("beta") }
    guard let norm = try node.float("norm_coefficient") else {
      throw node.missing("norm_coefficient")
    }
    guard node.has("mode") else { throw node.missing("mode") }
    (self.alpha, self.beta, self.norm) = (Double(alpha), Double(beta), Double(norm))
    mode = try node.choice("mode", default: .standard)
  }

  func rate(_ rate: Double, step: Int64) -> Double { rate }

  func update(_ x: Double, _ gradient: Double, _ v: inout [Double], rate: Double, step: Int64)
    -> Double
  {
    let regularized = norm * x + gradient
    v[0] = alpha * v[0] + (step > 0 ? beta : 1) * regularized
    return x - rate * (mode == .standard ? v[0] : regularized + alpha * v[0])
  }
}
