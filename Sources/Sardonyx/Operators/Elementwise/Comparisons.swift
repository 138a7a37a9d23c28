/// Operators that answer with bools, and Where, which asks for them.
let comparisons: OperatorFamily = [
  "Equal": ElementwiseComparison.init,
  "Greater": ElementwiseComparison.init,
  "GreaterOrEqual": ElementwiseComparison.init,
  "IsInf": IsInf.init,
  "IsNaN": IsNaN.init,
  "Less": ElementwiseComparison.init,
  "LessOrEqual": ElementwiseComparison.init,
  "Where": Where.init,
]

/// Compares each pair of elements; any comparison with NaN is false.
struct ElementwiseComparison: Operator {
  private let relation: Relation
  private let alignment: Alignment

  init(_ node: inout NodeReader) throws(ModelError) {
    relation =
      switch node.operatorName {
      case "Equal": .equal
      case "Greater": .greater
      case "GreaterOrEqual": .greaterOrEqual
      case "Less": .less
      default: .lessOrEqual
      }
    alignment = try Alignment(&node)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shapes = try alignment.shapes(inputs.shape(0), inputs.shape(1))
    return [Fact(.bool, try .broadcast(shapes))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shapes = try alignment.shapes(inputs.shape(0), inputs.shape(1))
    return try Broadcast(shapes).comparison(relation, inputs.type(0))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (x, y) = (inputs[0], inputs[1])
    let broadcast = try Broadcast(alignment.shapes(x.shape, y.shape))
    let answers =
      switch x.type.computed {
      case nil:
        unsafe try x.strings().withUnsafeBufferPointer { x throws(ModelError) in
          unsafe try y.strings().withUnsafeBufferPointer { y in unsafe compare(x, y, broadcast) }
        }
      case is Int64.Type: compare(x, y, as: Int64.self, broadcast)
      case is UInt64.Type: compare(x, y, as: UInt64.self, broadcast)
      case is Float.Type: compare(x, y, as: Float.self, broadcast)
      default: compare(x, y, as: Double.self, broadcast)
      }
    outputs[0].store(elements: answers)
  }

  private func compare<T: Number>(_ x: Tensor, _ y: Tensor, as _: T.Type, _ broadcast: Broadcast)
    -> [Bool]
  {
    unsafe x.withNumbers(as: T.self, asPlaces: false) { x in
      unsafe y.withNumbers(as: T.self, asPlaces: false) { y in unsafe compare(x, y, broadcast) }
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  @_specialize(where T == Int64)
  @_specialize(where T == UInt64)
  private func compare<T: Comparable>(
    _ x: UnsafeBufferPointer<T>, _ y: UnsafeBufferPointer<T>, _ broadcast: Broadcast
  ) -> [Bool] {
    switch relation {
    case .equal: unsafe broadcast.combine(x, y) { $0 == $1 }
    case .greater: unsafe broadcast.combine(x, y) { $0 > $1 }
    case .greaterOrEqual: unsafe broadcast.combine(x, y) { $0 >= $1 }
    case .less: unsafe broadcast.combine(x, y) { $0 < $1 }
    case .lessOrEqual: unsafe broadcast.combine(x, y) { $0 <= $1 }
    }
  }
}

struct IsNaN: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] { [Fact(.bool, try inputs.shape(0))] }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    outputs[0].store(elements: inputs[0].converted(to: Double.self).map(\.isNaN))
  }
}

/// Which elements are infinite, on the side or the sides asked for.
struct IsInf: Operator {
  private let negative: Bool
  private let positive: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    negative = try node.bool("detect_negative", default: true)
    positive = try node.bool("detect_positive", default: true)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] { [Fact(.bool, try inputs.shape(0))] }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    outputs[0].store(
      elements: inputs[0].converted(to: Double.self).map {
        $0 == .infinity && positive || $0 == -.infinity && negative
      })
  }
}

/// condition ? X : Y, element by element, all three broadcast.
struct Where: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try Shape.broadcast([inputs.shape(0), inputs.shape(1), inputs.shape(2)])
    return [Fact(try inputs.type(1), shape)]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    try Broadcast([inputs.shape(0), inputs.shape(1), inputs.shape(2)])
      .chooseComputation(inputs.type(1).byteCount)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tensors = [inputs[0], inputs[1], inputs[2]]
    try Broadcast(tensors.map(\.shape)).choose(
      by: tensors[0], tensors[1], tensors[2], into: outputs[0])
  }
}
