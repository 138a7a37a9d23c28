/// A function of two numbers of one type, as each kind of arithmetic computes it.
///
/// Floating-point elements of every width are computed in `Double` and rounded once, which for sums,
/// products and quotients is the same as computing in their own width.
struct BinaryFunction: Sendable {
  /// How a node's attributes make a function.
  typealias Maker = @Sendable (inout NodeReader) throws(ModelError) -> BinaryFunction

  var kernel: Binary?
  let real: @Sendable (Double, Double) -> Double
  let signed: @Sendable (Int64, Int64) -> Int64
  let unsigned: @Sendable (UInt64, UInt64) -> UInt64

  init(
    _ kernel: Binary? = nil, real: @escaping @Sendable (Double, Double) -> Double,
    signed: @escaping @Sendable (Int64, Int64) -> Int64,
    unsigned: @escaping @Sendable (UInt64, UInt64) -> UInt64
  ) {
    self.kernel = kernel
    self.real = real
    self.signed = signed
    self.unsigned = unsigned
  }

  /// A function that ONNX allows for real numbers, and for integers by way of them.
  init(real: @escaping @Sendable (Double, Double) -> Double) {
    self.init(
      real: real, signed: { Int64(converting: real(Double($0), Double($1))) },
      unsigned: { UInt64(converting: real(Double($0), Double($1))) })
  }

  /// A function that ONNX allows for integers or bools only.
  init(
    signed: @escaping @Sendable (Int64, Int64) -> Int64,
    unsigned: @escaping @Sendable (UInt64, UInt64) -> UInt64
  ) {
    self.init(
      real: { Double(signed(Int64(converting: $0), Int64(converting: $1))) }, signed: signed,
      unsigned: unsigned)
  }

  /// z = function(x, y), broadcast; z may be an input that has its shape.
  func apply(
    _ x: Tensor, _ y: Tensor, _ broadcast: Broadcast, into z: Destination, on crew: Crew
  ) {
    switch (kernel, x.type) {
    case (let kernel?, .float):
      return broadcast.combine(kernel, x, y, into: z, on: crew)
    case (let kernel?, .float16), (let kernel?, .bfloat16):
      return z.store(broadcast.combine(kernel, x.converted(), y.converted(), on: crew))
    default: break
    }
    guard broadcast.rowCount == 1 else { return combine(x, y, broadcast, into: z) }
    let steps = (broadcast.step(of: 0), broadcast.step(of: 1))
    crew.performRanges(of: broadcast.elementCount, by: UnaryFunction.stretch) { range in
      // Two stretches line up as tensors of rank 1 do; a single element is repeated as it is.
      let (x, y) = (steps.0 == 0 ? x : x.part(range), steps.1 == 0 ? y : y.part(range))
      combine(x, y, broadcast.stretch(of: range.count), into: z.part(range))
    }
  }

  private func combine(_ x: Tensor, _ y: Tensor, _ broadcast: Broadcast, into z: Destination) {
    switch x.type.computed {
    case is Int64.Type:
      z.store(
        broadcast.combine(x.converted(asPlaces: false), y.converted(asPlaces: false), signed))
    case is UInt64.Type:
      z.store(
        broadcast.combine(x.converted(asPlaces: false), y.converted(asPlaces: false), unsigned))
    default: z.store(broadcast.combine(x.converted(), y.converted(), real))
    }
  }
}

/// The maker of a function that has no attributes.
func constant(_ function: BinaryFunction) -> BinaryFunction.Maker { { _ in function } }

/// How the second input lines up with the first.
///
/// From operator set 7 on by broadcasting; before, only where the attribute `broadcast` is 1, and
/// then with the axes of the first input from `axis` on (by default with its last ones).
struct Alignment: Sendable {
  private let isBroadcast: Bool
  private let axis: Int?

  init(_ node: inout NodeReader) throws(ModelError) {
    guard node.version < 7 else {
      (isBroadcast, axis) = (true, nil)
      return
    }
    isBroadcast = try node.bool("broadcast")
    axis = try node.int("axis")
  }

  /// The shapes of both inputs such that plain broadcasting applies.
  func shapes(_ first: Shape, _ second: Shape) throws(ModelError) -> [Shape] {
    guard isBroadcast || first == second else {
      throw .unexpected(
        "shapes", expected: "[\(first.joined)] for both inputs, as broadcast is 0",
        got: "[\(second.joined)] for the second", code: .invalid)
    }
    guard let axis, !second.isEmpty else { return [first, second] }
    let start = axis < 0 ? axis + first.count : axis
    guard start >= 0, start <= first.count - second.count else {
      throw .unexpected(
        "attribute axis",
        expected: "an axis of [\(first.joined)] from which [\(second.joined)] fits",
        got: "\(axis)", code: .invalid)
    }
    let ones = [Int](repeating: 1, count: first.count - second.count - start)
    return [first, second + ones]
  }
}

/// An operator that applies a function to each pair of elements.
struct ElementwiseCombination: Operator {
  private let function: BinaryFunction
  private let alignment: Alignment

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let make = combinations[node.operatorName] else {
      throw ModelError(.unsupported, "no function named \(node.operatorName)")
    }
    function = try make(&node)
    alignment = try Alignment(&node)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shapes = try alignment.shapes(inputs.shape(0), inputs.shape(1))
    return [Fact(try inputs.type(0), try .broadcast(shapes))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (x, y) = (inputs[0], inputs[1])
    let broadcast = try Broadcast(alignment.shapes(x.shape, y.shape))
    function.apply(x, y, broadcast, into: outputs[0], on: outputs.context.crew)
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard let kernel = function.kernel, try inputs.type(0) == .float else { return nil }
    return try Broadcast(alignment.shapes(inputs.shape(0), inputs.shape(1))).computation(kernel)
  }

  var reusableInput: Int? { 0 }
}
