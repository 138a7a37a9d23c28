/// A function of one number, as each kind of arithmetic computes it.
///
/// Floating-point elements of every width are computed in `Double` and rounded once; a kernel, where
/// there is one, computes single precision in bulk.
struct UnaryFunction: Sendable {
  /// A kernel with its two parameters.
  struct Kernel: Sendable {
    let function: Unary
    var alpha: Float = 0
    var beta: Float = 0
  }

  /// How a node's attributes make a function.
  typealias Maker = @Sendable (inout NodeReader) throws(ModelError) -> UnaryFunction

  var kernel: Kernel?
  let real: @Sendable (Double) -> Double
  let signed: @Sendable (Int64) -> Int64
  let unsigned: @Sendable (UInt64) -> UInt64

  /// - Parameters:
  ///   - signed: for integers; nil converts to `Double` and back, truncating.
  ///   - unsigned: for 64-bit unsigned integers, likewise.
  init(
    _ kernel: Kernel? = nil, real: @escaping @Sendable (Double) -> Double,
    signed: (@Sendable (Int64) -> Int64)? = nil, unsigned: (@Sendable (UInt64) -> UInt64)? = nil
  ) {
    self.kernel = kernel
    self.real = real
    self.signed = signed ?? { Int64(converting: real(Double($0))) }
    self.unsigned = unsigned ?? { UInt64(converting: real(Double($0))) }
  }

  init(_ kernel: Unary, real: @escaping @Sendable (Double) -> Double) {
    self.init(Kernel(function: kernel), real: real)
  }

  /// Elements that are converted, computed and stored at a time, so that they stay in the cache.
  static let stretch = 4096

  /// y = function(x), element by element; y may be x.
  func apply(_ x: Tensor, into y: Destination, on crew: Crew) {
    if let kernel, kernel.apply(x, into: y, on: crew) { return }
    crew.performRanges(of: x.elementCount, by: Self.stretch) { range in
      let (x, y) = (x.part(range), y.part(range))
      switch x.type.computed {
      case is Int64.Type: y.store(x.converted(to: Int64.self).map(signed))
      case is UInt64.Type: y.store(x.converted(to: UInt64.self).map(unsigned))
      default: y.store(x.converted(to: Double.self).map(real))
      }
    }
  }
}

/// The maker of a function that has no attributes.
func constant(_ function: UnaryFunction) -> UnaryFunction.Maker { { _ in function } }

/// The maker of a function of real numbers that has no attributes.
func real(_ kernel: Unary? = nil, _ function: @escaping @Sendable (Double) -> Double)
  -> UnaryFunction.Maker
{
  constant(UnaryFunction(kernel.map { .init(function: $0) }, real: function))
}

/// An operator that applies a function to each element.
struct ElementwiseFunction: Operator {
  let function: UnaryFunction

  /// Every function by the name of its operator.
  private static let makers = [numberFunctions, realFunctions, activationFunctions].reduce(into: [:]
  ) {
    $0.merge($1) { first, _ in first }
  }

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let make = Self.makers[node.operatorName] else {
      throw ModelError(.unsupported, "no function named \(node.operatorName)")
    }
    function = try make(&node)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    function.apply(inputs[0], into: outputs[0], on: outputs.context.crew)
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard try inputs.type(0) == .float else { return nil }
    return function.kernel?.computation(try inputs.shape(0).elementCount)
  }

  var reusableInput: Int? { 0 }
}
