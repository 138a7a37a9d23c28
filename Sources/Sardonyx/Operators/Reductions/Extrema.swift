/// Operators that tell where the largest or the smallest element lies.
let extrema: OperatorFamily = ["ArgMax": ArgExtremum.init, "ArgMin": ArgExtremum.init]

/// Which end of the order is looked for; NaN counts as beyond both.
enum Extremum: Sendable {
  case largest, smallest

  /// The index along an axis of the first (or last) extreme element of the line that starts at
  /// `first`; the line is not empty.
  func index<T: Number>(in numbers: [T], _ first: Int, _ block: AxisBlock, last: Bool) -> Int {
    var best = 0
    for index in 1..<max(block.count, 1) {
      let (old, new) = (numbers[first + best * block.inner], numbers[first + index * block.inner])
      let isTie = new == old || new.isNaN && old.isNaN
      if isTie ? last : precedes(new, old) { best = index }
    }
    return best
  }

  private func precedes<T: Number>(_ new: T, _ old: T) -> Bool {
    if old.isNaN { return false }
    return new.isNaN || (self == .largest ? new > old : new < old)
  }
}

/// The index of the largest or smallest element along an axis.
struct ArgExtremum: Operator {
  private let extremum: Extremum
  private let axis: Int
  private let keepsAxis: Bool
  private let selectsLast: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    extremum = node.operatorName == "ArgMax" ? .largest : .smallest
    axis = try node.int("axis", default: 0)
    keepsAxis = try node.bool("keepdims", default: true)
    selectsLast = try node.bool("select_last_index")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shape = try inputs.shape(0)
    let axis = try axis.axis(ofRank: shape.count)
    let block = AxisBlock(shape, axes: axis..<axis + 1)
    guard block.count > 0 || block.outer == 0 || block.inner == 0 else {
      throw .unexpected("axis \(axis)", expected: "at least one element", got: "none")
    }
    if keepsAxis { shape[axis] = 1 } else { shape.remove(at: axis) }
    return [Fact(.int64, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axis = try axis.axis(ofRank: shape.count)
    let block = AxisBlock(shape, axes: axis..<axis + 1)
    let number = inputs[0].type.computed ?? Float.self
    outputs[0].store(elements: indices(of: inputs[0], as: number, block))
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  @_specialize(where T == Int64)
  private func indices<T: Number>(of tensor: Tensor, as _: T.Type, _ block: AxisBlock) -> [Int64] {
    let numbers = tensor.converted(to: T.self)
    var indices: [Int64] = []
    guard block.count > 0 else { return indices }
    indices.reserveCapacity(block.outer * block.inner)
    block.forEachLine { first in
      indices.append(Int64(extremum.index(in: numbers, first, block, last: selectsLast)))
    }
    return indices
  }
}
