#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// Softmax and its relatives.
let softmaxes: OperatorFamily = [
  "Hardmax": Hardmax.init, "LogSoftmax": Softmax.init, "Softmax": Softmax.init,
]

/// The axes that a function of this family works along.
struct SoftmaxAxis: Sendable {
  private let axis: Int
  /// Up to version 12 the axis and all behind it are taken as one.
  private let isFlattened: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    isFlattened = node.version < 13
    axis = try node.int("axis", default: isFlattened ? 1 : -1)
  }

  func block(of shape: Shape) throws(ModelError) -> AxisBlock {
    // ONNX allows axis = rank before version 11: every element for itself.
    if isFlattened, axis == shape.count { return AxisBlock(elements: shape.elementCount) }
    if shape.isEmpty { return AxisBlock(elements: 1) }
    let first = try axis.axis(ofRank: shape.count)
    return AxisBlock(shape, axes: first..<(isFlattened ? shape.count : first + 1))
  }
}

/// e^x / Σ e^x along an axis, or its logarithm.
struct Softmax: Operator {
  private let axis: SoftmaxAxis
  private let isLogarithm: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try SoftmaxAxis(&node)
    isLogarithm = node.operatorName == "LogSoftmax"
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    _ = try axis.block(of: shape)
    return [Fact(try inputs.type(0), shape)]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard try inputs.type(0) == .float else { return nil }
    return try axis.block(of: inputs.shape(0)).softmaxComputation(logarithm: isLogarithm)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let block = try axis.block(of: inputs[0].shape)
    switch inputs[0].type {
    case .float:
      block.softmax(
        logarithm: isLogarithm, inputs[0], into: outputs[0], on: outputs.context.crew)
    case .float16, .bfloat16: try runInHalves(inputs[0], block, into: outputs[0])
    default:
      var numbers = inputs[0].converted(to: Double.self)
      block.forEachLine { apply(to: &numbers, block.places(from: $0)) }
      outputs[0].store(numbers)
    }
  }

  var reusableInput: Int? { 0 }

  /// The function for the elements at the given places.
  private func apply(to numbers: inout [Double], _ places: StrideTo<Int>) {
    var largest = -Double.infinity
    for place in places { largest = max(largest, numbers[place]) }
    var sum = 0.0
    for place in places { sum += exp(numbers[place] - largest) }
    for place in places {
      let difference = numbers[place] - largest
      numbers[place] = isLogarithm ? difference - log(sum) : exp(difference) / sum
    }
  }

  /// Goes through the steps of the function that ONNX defines Softmax by, each of which has the type
  /// of the input.
  private func runInHalves(_ x: Tensor, _ block: AxisBlock, into y: Destination)
    throws(ModelError)
  {
    func rounded(_ numbers: [Float]) throws(ModelError) -> [Float] {
      try Interruption.check()
      return Tensor(converting: numbers, to: x.type, [numbers.count]).converted()
    }
    var differences = x.converted(to: Float.self)
    block.forEachLine { first in
      var largest = -Float.infinity
      for place in block.places(from: first) { largest = max(largest, differences[place]) }
      for place in block.places(from: first) { differences[place] -= largest }
    }
    differences = try rounded(differences)
    let exponentials = try rounded(differences.interruptibleMap(cost: 10) { exp($0) })
    var sums: [Float] = []
    block.forEachLine { first in
      sums.append(block.places(from: first).reduce(0) { $0 + exponentials[$1] })
    }
    sums = try rounded(sums)
    let logarithms = isLogarithm ? try rounded(sums.map { log($0) }) : []
    var results = isLogarithm ? differences : exponentials
    var line = 0
    block.forEachLine { first in
      for place in block.places(from: first) {
        if isLogarithm { results[place] -= logarithms[line] } else { results[place] /= sums[line] }
      }
      line += 1
    }
    y.store(results)
  }
}

/// 1 for the first of the largest elements along an axis, 0 for the others.
struct Hardmax: Operator {
  private let axis: SoftmaxAxis

  init(_ node: inout NodeReader) throws(ModelError) { axis = try SoftmaxAxis(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    _ = try axis.block(of: shape)
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let numbers = inputs[0].converted(to: Double.self)
    let block = try axis.block(of: inputs[0].shape)
    var result = [Double](zerosUntilDue: numbers.count)
    guard block.count > 0 else { return outputs[0].store(result) }
    block.forEachLine { first in
      let index = Extremum.largest.index(in: numbers, first, block, last: false)
      result[first + index * block.inner] = 1
    }
    outputs[0].store(result)
  }
}
