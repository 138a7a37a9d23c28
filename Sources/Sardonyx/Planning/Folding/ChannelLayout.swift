/// How a weight tensor is seen as outer × channels × inner for scaling by output channel.
struct ChannelLayout: Equatable {
  let outer: Int
  let channels: Int
  let inner: Int
  /// Outer indices per group; only ConvTranspose has its groups on the outer axis.
  private let outerPerGroup: Int

  /// Conv: M × C/g × k. ConvTranspose: C × M/g × k, where input channel c belongs to group
  /// c ÷ (C/g). Gemm: K × N, or N × K with transB.
  init(_ node: Node, _ shape: Shape, channels expected: Int) throws(FoldObstacle) {
    let group =
      node.operatorName == "ConvTranspose" ? max(1, node.attributes.int("group") ?? 1) : 1
    let channelAxis =
      switch node.operatorName {
      case "Conv": 0
      case "Gemm": node.attributes.int("transB") ?? 0 == 0 ? 1 : 0
      default: 1
      }
    guard shape.count >= 2, shape[channelAxis] * group == expected else {
      throw .reason("the weights [\(shape.joined)] do not have \(expected) output channels")
    }
    outer = shape[..<channelAxis].reduce(1, *)
    channels = shape[channelAxis]
    inner = shape[(channelAxis + 1)...].reduce(1, *)
    guard outer % group == 0 else { throw .reason("the channels do not divide into groups") }
    outerPerGroup = max(1, outer / group)
  }

  /// An axis of a MatMul's operand.
  init(axis: Int, of shape: Shape, channels expected: Int) throws(FoldObstacle) {
    guard shape[axis] == expected else {
      throw .reason(
        "the weights [\(shape.joined)] do not have \(expected) channels on axis \(axis)")
    }
    outer = shape[..<axis].reduce(1, *)
    channels = expected
    inner = shape[(axis + 1)...].reduce(1, *)
    outerPerGroup = max(1, outer)
  }

  /// The input channels of a Conv (M × C/g × k), ConvTranspose (C × M/g × k) or Gemm (K × N, or N × K
  /// with transB).
  init(inputsOf node: Node, _ shape: Shape, channels expected: Int) throws(FoldObstacle) {
    let isConv = node.operatorName == "Conv"
    let group = isConv ? max(1, node.attributes.int("group") ?? 1) : 1
    let isTransposed = node.attributes.int("transB") ?? 0 != 0
    let axis = isConv || node.operatorName == "Gemm" && isTransposed ? 1 : 0
    guard shape.count >= 2, shape[axis] * group == expected, shape[0] % group == 0 else {
      throw .reason("the weights [\(shape.joined)] do not have \(expected) input channels")
    }
    outer = shape[..<axis].reduce(1, *)
    channels = shape[axis]
    inner = shape[(axis + 1)...].reduce(1, *)
    outerPerGroup = max(1, outer / group)
  }

  /// Visits the neighbours of one channel that lie in a range, in order, with their outer index and
  /// channel.
  func forEachRun(
    in range: Range<Int>, _ body: (Range<Int>, _ outerIndex: Int, _ channel: Int) -> Void
  ) {
    var position = range.lowerBound
    while position < range.upperBound {
      let (row, column) = position.quotientAndRemainder(dividingBy: inner)
      let (outerIndex, channel) = row.quotientAndRemainder(dividingBy: channels)
      let end = min(position + inner - column, range.upperBound)
      body(position..<end, outerIndex, firstChannel(outerIndex) + channel)
      position = end
    }
  }

  /// For each output, the sum of its weights times the offset of the input channel each belongs to.
  func sums(_ weights: UnroundedWeights, _ offsets: [Double], outputCount: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: outputCount)
    weights.tensor.forEachStretch { range, unscaled in
      var numbers = unscaled
      weights.scale(&numbers, in: range)
      forEachRun(in: range) { run, row, channel in
        let firstColumn = run.lowerBound % inner
        for position in run {
          let column = firstColumn + position - run.lowerBound
          sums[outer == outputCount ? row : column] +=
            numbers[position - range.lowerBound] * offsets[channel]
        }
      }
    }
    return sums
  }

  /// For each of so many channels the largest magnitude of its weights.
  func largestMagnitudes(_ weights: Tensor, channelCount: Int) -> [Double] {
    var largest = [Double](repeating: 0, count: channelCount)
    weights.forEachStretch { range, numbers in
      forEachRun(in: range) { run, _, channel in
        for position in run {
          largest[channel] = max(largest[channel], abs(numbers[position - range.lowerBound]))
        }
      }
    }
    return largest
  }

  /// The output channels of a Conv or ConvTranspose with weights of this shape.
  static func channels(_ node: Node, _ shape: Shape) throws(FoldObstacle) -> Int {
    guard shape.count >= 3 else { throw .reason("the weights have \(shape.count) axes") }
    return node.operatorName == "Conv"
      ? shape[0] : shape[1] * max(1, node.attributes.int("group") ?? 1)
  }

  /// The output channel that channel 0 of this outer index stands for.
  func firstChannel(_ outerIndex: Int) -> Int { outerIndex / outerPerGroup * channels }
}
