/// Operators that combine any number of inputs into one.
let folds: OperatorFamily = [
  "Max": Fold.init, "Mean": Fold.init, "Min": Fold.init, "Sum": Fold.init,
]

/// The sum, mean, maximum or minimum of all inputs, element by element.
struct Fold: Operator {
  private let function: BinaryFunction
  private let isMean: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    function =
      switch node.operatorName {
      case "Max": .maximum
      case "Min": .minimum
      default: .sum
      }
    isMean = node.operatorName == "Mean"
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shapes: [Shape] = []
    for index in 0..<inputs.count { shapes.append(try inputs.shape(index)) }
    return [Fact(try inputs.type(0), try .broadcast(shapes))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tensors = (0..<inputs.count).map { inputs[$0] }
    switch tensors[0].type.computed {
    case is Int64.Type:
      outputs[0].store(try fold(tensors, to: outputs[0].shape, function.signed))
    case is UInt64.Type:
      outputs[0].store(try fold(tensors, to: outputs[0].shape, function.unsigned))
    default:
      if try foldInBulk(tensors, into: outputs[0], on: outputs.context.crew) { return }
      let count = isMean ? Double(tensors.count) : 1
      let folded = try fold(tensors, to: outputs[0].shape, function.real)
      outputs[0].store(folded.interruptibleMap(cost: 2) { $0 / count })
    }
  }

  var reusableInput: Int? { 0 }

  private func fold<T: Number>(
    _ tensors: [Tensor], to shape: Shape, _ function: (T, T) -> T
  ) throws(ModelError) -> [T] {
    let first = try Broadcast([tensors[0].shape, shape])
    var result: [T] = tensors[0].converted(asPlaces: false)
    if result.count != shape.elementCount {
      result = first.combine(result, [T](zerosUntilDue: shape.elementCount)) { x, _ in x }
    }
    for tensor in tensors.dropFirst() {
      try Interruption.check()
      result = try Broadcast([shape, tensor.shape])
        .combine(result, tensor.converted(asPlaces: false), function)
    }
    return result
  }

  /// Folds single-precision tensors by kernels.
  private func foldInBulk(_ tensors: [Tensor], into result: Destination, on crew: Crew)
    throws(ModelError) -> Bool
  {
    guard result.type == .float, let kernel = function.kernel, tensors.count > 1,
      try [tensors[0].shape, tensors[1].shape].broadcast() == result.shape
    else { return false }
    try Broadcast([tensors[0].shape, tensors[1].shape])
      .combine(kernel, tensors[0], tensors[1], into: result, on: crew)
    let partial = result.tensor(texts: .none)
    for tensor in tensors.dropFirst(2) {
      try Broadcast([result.shape, tensor.shape])
        .combine(kernel, partial, tensor, into: result, on: crew)
    }
    if isMean {
      try Broadcast([result.shape, []]).combine(
        .divide, partial, Tensor(scalar: Float(tensors.count)), into: result, on: crew)
    }
    return true
  }
}

extension [Shape] {
  fileprivate func broadcast() throws(ModelError) -> Shape { try .broadcast(self) }
}
