/// Operators whose elements take in all before them along an axis.
let accumulations: OperatorFamily = ["CumProd": Accumulation.init, "CumSum": Accumulation.init]

/// The sum or the product of all elements up to each one, along an axis.
struct Accumulation: Operator {
  private let isSum: Bool
  /// Whether an element itself is left out of its result.
  private let isExclusive: Bool
  private let isReversed: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    isSum = node.operatorName == "CumSum"
    isExclusive = try node.bool("exclusive")
    isReversed = try node.bool("reverse")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let x = inputs[0]
    guard inputs[1].elementCount == 1 else {
      throw .unexpected("axis", expected: "a scalar", got: "[\(inputs[1].shape.joined)]")
    }
    let axis = try inputs.integers(1)[0].axis(ofRank: x.shape.count)
    let block = AxisBlock(x.shape, axes: axis..<axis + 1)
    let function = isSum ? BinaryFunction.sum : .product
    switch x.type.computed {
    case is Int64.Type: outputs[0].store(accumulate(x, block, function.signed))
    case is UInt64.Type: outputs[0].store(accumulate(x, block, function.unsigned))
    default: outputs[0].store(accumulate(x, block, function.real))
    }
  }

  private func accumulate<T: Number>(
    _ x: Tensor, _ block: AxisBlock, _ function: (T, T) -> T
  ) -> [T] {
    var numbers = x.converted(to: T.self)
    block.forEachLine { first in
      var total: T = isSum ? 0 : 1
      var interruption = Interruption()
      for step in 0..<block.count {
        if interruption.isDue(after: 16) { return }
        let place = first + (isReversed ? block.count - 1 - step : step) * block.inner
        let next = function(total, numbers[place])
        numbers[place] = isExclusive ? total : next
        total = next
      }
    }
    return numbers
  }
}
