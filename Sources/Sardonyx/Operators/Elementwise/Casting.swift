/// Operators that give elements another type.
let casts: OperatorFamily = [
  "BitCast": BitCast.init, "Cast": Cast.init, "CastLike": CastLike.init,
]

/// Converts each element to a type.
struct Cast: Operator {
  private let conversion: ElementConversion

  init(_ node: inout NodeReader) throws(ModelError) {
    conversion = ElementConversion(
      target: try node.castTarget(), saturates: try node.bool("saturate", default: true),
      roundMode: try node.choice("round_mode", default: .up))
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(conversion.target, try inputs.shape(0))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    conversion.computation(of: try inputs.type(0), try inputs.shape(0).elementCount)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try conversion.run(inputs[0], outputs)
  }
}

/// Converts each element to the type of another tensor.
struct CastLike: Operator {
  private let saturates: Bool
  private let roundMode: ElementConversion.RoundMode

  init(_ node: inout NodeReader) throws(ModelError) {
    saturates = try node.bool("saturate", default: true)
    roundMode = try node.choice("round_mode", default: .up)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(1), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let conversion = ElementConversion(
      target: inputs[1].type, saturates: saturates, roundMode: roundMode)
    try conversion.run(inputs[0], outputs)
  }
}

extension ElementConversion {
  fileprivate func run(_ x: Tensor, _ outputs: Outputs) throws(ModelError) {
    if target == .string, x.type != .string {
      var texts = TextList(outputs.context)
      for text in try x.spelled() { try texts.append(text) }
      outputs.set(0, .tensor(try texts.tensor(x.shape)))
    } else if target == .string {
      outputs[0].copy(x)
    } else {
      try apply(x, to: outputs[0], on: outputs.context.crew)
    }
  }
}

extension NodeReader {
  /// The attribute `to`, which version 1 of Cast spells as a name.
  fileprivate mutating func castTarget() throws(ModelError) -> ElementType {
    guard operatorName == "Cast", version < 6 else {
      guard let type = try elementType("to") else { throw missing("to") }
      return type
    }
    guard let name = try string("to") else { throw missing("to") }
    guard let type = ElementType(name: name.lowercased()) else {
      throw invalid("to", expected: "the name of an element type", got: name)
    }
    return type
  }
}

/// The same bits as elements of another type of the same width.
struct BitCast: Operator {
  private let target: ElementType

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let target = try node.elementType("to") else { throw node.missing("to") }
    guard target != .string else {
      throw node.invalid("to", expected: "a type of fixed width", got: target)
    }
    self.target = target
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let source = try inputs.type(0)
    guard source.fileBitCount == target.fileBitCount, source != .string else {
      throw .unexpected(
        "attribute to", expected: "a type as wide as \(source)", got: "\(target)", code: .invalid)
    }
    return [Fact(target, try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    // In memory signed types of less than 8 bits are sign-extended, and true is 1.
    let bits = inputs[0].reinterpretedBits
    let isNarrow = target.fileBitCount < 8 && target.isInteger
    if isNarrow || target == .bool, let bits {
      outputs[0].store(bits)
    } else if target.fileBitCount < 8, let bits {
      Destination(outputs[0], as: .uint8).store(
        bits.map { $0 & (1 << Int64(target.fileBitCount) - 1) })
    } else {
      outputs[0].copy(inputs[0].reinterpreted(as: target))
    }
  }
}

extension Tensor {
  /// The elements' bytes as numbers, for types of one byte.
  fileprivate var reinterpretedBits: [Int64]? {
    type.byteCount == 1 ? reinterpreted(as: .uint8).converted(to: Int64.self) : nil
  }
}
