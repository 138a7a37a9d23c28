import CKernels
import Synchronization

/// A BatchNormalization in inference as numbers: y = (x − mean)·scale + shift per channel, in
/// double, with scale = γ/√(σ² + ε).
struct ChannelNormalization {
  let scale: [Double]
  let mean: [Double]
  let shift: [Double]

  var channelCount: Int { scale.count }

  /// Reads the constant parameters of a BatchNormalization node.
  init(_ node: Node, _ graph: Graph) throws(FoldObstacle) {
    func parameter(_ index: Int, _ name: String) throws(FoldObstacle) -> [Double] {
      guard let tensor = graph.constant(node, index) else {
        throw .reason("its \(name) is not a constant, or one the caller may override")
      }
      guard tensor.shape.count == 1 else {
        throw .reason("its \(name) has shape [\(tensor.shape.joined)]")
      }
      return tensor.converted(to: Double.self)
    }
    let gamma = try parameter(1, "scale")
    shift = try parameter(2, "B")
    mean = try parameter(3, "mean")
    let variance = try parameter(4, "var")
    let epsilon = node.attributes.float("epsilon").map { Double($0) } ?? 1e-5
    guard Set([gamma.count, shift.count, mean.count, variance.count]).count == 1 else {
      throw .reason("its parameters differ in length")
    }
    for (channel, value) in variance.enumerated() where !(value + epsilon > 0) {
      throw .reason("variance + epsilon is \(value + epsilon) in channel \(channel)")
    }
    scale = zip(gamma, variance).map { $0 / ($1 + epsilon).squareRoot() }
  }

  private init(scale: [Double], shift: [Double], mean: [Double]? = nil) {
    self.scale = scale
    self.shift = shift
    self.mean = mean ?? scale.map { _ in 0 }
  }

  /// What x = 0 becomes.
  var offsets: [Double] { folded(bias: nil) }

  /// The largest magnitude of a mean in units of what becomes 1.
  var relativeMean: Double { zip(mean, scale).reduce(0) { max($0, abs($1.0 * $1.1)) } }

  /// That of some of the channels.
  func slice(_ channels: Range<Int>) -> ChannelNormalization {
    ChannelNormalization(
      scale: Array(scale[channels]), shift: Array(shift[channels]), mean: Array(mean[channels]))
  }

  /// An Add, Sub, Mul or Div of a value and a floating-point constant, seen as (x − 0)·scale + shift.
  /// - Returns: the value, and the numbers as they lie in the constant; nil for all else.
  static func arithmetic(_ node: Node, _ graph: Graph)
    -> (value: Graph.ValueID, normalization: ConstantOperand)?
  {
    guard ["Add", "Sub", "Mul", "Div"].contains(node.operatorName), node.attributes.isEmpty,
      node.inputs.count == 2, let left = node.inputs[0], let right = node.inputs[1]
    else { return nil }
    let constantIsRight = graph.values[right].constant != nil
    guard let tensor = graph.values[constantIsRight ? right : left].constant,
      [.float, .double, .float16, .bfloat16].contains(tensor.type)
    else { return nil }
    let numbers = tensor.converted(to: Double.self)
    let (zeros, ones) = (numbers.map { _ in 0.0 }, numbers.map { _ in 1.0 })
    let normalization: ChannelNormalization
    switch (node.operatorName, constantIsRight) {
    case ("Add", _): normalization = .init(scale: ones, shift: numbers)
    case ("Sub", true): normalization = .init(scale: ones, shift: numbers.map { -$0 })
    case ("Sub", false): normalization = .init(scale: ones.map { -$0 }, shift: numbers)
    case ("Mul", _): normalization = .init(scale: numbers, shift: zeros)
    case ("Div", true) where !numbers.contains(0):
      normalization = .init(scale: numbers.map { 1 / $0 }, shift: zeros)
    default: return nil
    }
    return (
      constantIsRight ? left : right,
      ConstantOperand(shape: tensor.shape, normalization: normalization)
    )
  }

  /// A constant of arithmetic as it lies in the graph: a number, or one for each channel.
  struct ConstantOperand {
    let shape: Shape
    let normalization: ChannelNormalization

    /// The numbers of each channel of a tensor of this rank.
    func spread(over channels: Int, rank: Int) throws(FoldObstacle) -> ChannelNormalization {
      let (scale, shift) = (normalization.scale, normalization.shift)
      guard shape.count <= rank else { throw .reason("the constant has more axes") }
      if scale.count == 1 {
        return ChannelNormalization(
          scale: Array(repeating: scale[0], count: channels),
          shift: Array(repeating: shift[0], count: channels))
      }
      let aligned = Array(repeating: 1, count: rank - shape.count) + shape
      guard aligned == [1, channels] + Array(repeating: 1, count: rank - 2) else {
        throw .reason("the constant [\(shape.joined)] is not one number for each channel")
      }
      return normalization
    }
  }

  /// b′ = (b − μ)·s + β; no bias counts as 0.
  func folded(bias: [Double]?) -> [Double] {
    let bias = bias ?? Array(repeating: 0, count: channelCount)
    return (0..<channelCount).map { channel -> Double in
      (bias[channel] - mean[channel]) * scale[channel] + shift[channel]
    }
  }

  /// W′ = s·W, each product rounded once to the type of W.
  func scaled(_ weights: Tensor, _ layout: ChannelLayout) throws(FoldObstacle) -> Tensor {
    if let scaled = scaledSingle(weights, layout) { return scaled }
    var numbers = weights.converted(to: Double.self)
    var index = 0
    for outer in 0..<layout.outer {
      for channel in 0..<layout.channels {
        let factor = scale[layout.firstChannel(outer) + channel]
        for _ in 0..<layout.inner {
          numbers[index] *= factor
          index += 1
        }
      }
    }
    return try rounded(numbers, to: weights.type, shape: weights.shape)
  }

  /// The same for single precision, computed when somebody reads it; nil for other types, and where
  /// a result could be too large.
  private func scaledSingle(_ weights: Tensor, _ layout: ChannelLayout) -> Tensor? {
    guard weights.type == .float else { return nil }
    let largestScale = scale.reduce(0) { max($0, abs($1)) }
    guard Double(weights.largestMagnitude) * largestScale <= Self.largestFinite(.float) else {
      return nil
    }
    return Tensor(
      .float, weights.shape,
      storage: Storage(
        byteCount: weights.byteCount,
        from: ScaledWeights(weights: weights, factors: scale, layout: layout)))
  }

  /// A tensor of the numbers rounded to `type`, all of which must be finite there.
  func rounded(_ numbers: [Double], to type: ElementType, shape: Shape? = nil)
    throws(FoldObstacle) -> Tensor
  {
    let largest = Self.largestFinite(type)
    guard let worst = numbers.first(where: { !(abs($0) <= largest) }) else {
      return Tensor(converting: numbers, to: type, shape ?? [numbers.count])
    }
    throw .reason("a folded number (\(worst)) is beyond the range of \(type)")
  }

  private static func largestFinite(_ type: ElementType) -> Double {
    switch type {
    case .float: Double(Float.greatestFiniteMagnitude)
    case .float16: 65504
    case .bfloat16: 0x1.FEp127
    default: Double.greatestFiniteMagnitude
    }
  }
}

extension Tensor {
  /// The largest magnitude of single-precision numbers; NaN where there is one.
  fileprivate var largestMagnitude: Float {
    let (source, count) = (PackingSource(self), elementCount)
    let largest = Mutex<Float>(0)
    let pieces = (count + PackingSource.pieceCount - 1) / PackingSource.pieceCount
    PackingSource.perform(pieces) { piece in
      let first = piece * PackingSource.pieceCount
      let range = first..<min(first + PackingSource.pieceCount, count)
      unsafe source.withNumbers(range) { numbers in
        let kernels = unsafe InstructionSet.current.kernels
        let own = unsafe max(
          kernels.row_maximum(range.count, numbers), -kernels.row_minimum(range.count, numbers))
        largest.withLock { if !(own <= $0) && !$0.isNaN { $0 = own } }
      }
    }
    return largest.withLock { $0 }
  }
}

/// Single-precision weights times the factor of their channel, each product rounded once.
private struct ScaledWeights: ByteSource {
  let weights: Tensor
  let factors: [Double]
  let layout: ChannelLayout

  func write(_ range: Range<Int>, to target: UnsafeMutableRawPointer, _ scratch: ScratchPool) {
    let size = MemoryLayout<Float>.stride
    precondition(range.lowerBound % size == 0 && range.count % size == 0)
    let numbers = range.lowerBound / size..<range.upperBound / size
    unsafe weights.storage.withUnalignedBytes(place(of: range), scratch) { source in
      if layout.inner == 1 {
        return unsafe scaleColumns(
          numbers, source, into: target.assumingMemoryBound(to: Float.self))
      }
      var index = numbers.lowerBound
      while index < numbers.upperBound {
        let (row, offset) = index.quotientAndRemainder(dividingBy: layout.inner)
        let (outer, channel) = row.quotientAndRemainder(dividingBy: layout.channels)
        let count = min(layout.inner - offset, numbers.upperBound - index)
        let place = (index - numbers.lowerBound) * size
        unsafe InstructionSet.current.kernels.scale_doubly(
          count, source + place, factors[layout.firstChannel(outer) + channel],
          (target + place).assumingMemoryBound(to: Float.self))
        index += count
      }
    }
  }

  /// Neighbouring numbers of different channels.
  private func scaleColumns(
    _ numbers: Range<Int>, _ source: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>
  ) {
    for index in numbers {
      let (outer, channel) = index.quotientAndRemainder(dividingBy: layout.channels)
      let place = index - numbers.lowerBound
      let number = unsafe source.loadUnaligned(
        fromByteOffset: place * MemoryLayout<Float>.stride, as: Float.self)
      unsafe target[place] = Float(Double(number) * factors[layout.firstChannel(outer) + channel])
    }
  }

  func letGo(_ range: Range<Int>) { weights.storage.letGo(place(of: range)) }

  private func place(of range: Range<Int>) -> Range<Int> {
    range.lowerBound + weights.byteOffset..<range.upperBound + weights.byteOffset
  }
}

/// How a weight tensor is seen as outer × channels × inner for scaling by output channel.
struct ChannelLayout {
  let outer: Int
  let channels: Int
  let inner: Int
  /// Outer indices per group; only ConvTranspose has its groups on the outer axis.
  private let outerPerGroup: Int

  /// Conv: M × C/g × k. ConvTranspose: C × M/g × k, where input channel c belongs to group
  /// c ÷ (C/g). Gemm: K × N, or N × K with transB. MatMul: K × N.
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

  /// The input channels of a Conv (M × C/g × k) or Gemm (K × N, or N × K with transB).
  init(inputsOf node: Node, _ shape: Shape, channels expected: Int) throws(FoldObstacle) {
    let isConv = node.operatorName == "Conv"
    let group = isConv ? max(1, node.attributes.int("group") ?? 1) : 1
    let axis = isConv || node.attributes.int("transB") ?? 0 != 0 ? 1 : 0
    guard shape.count >= 2, shape[axis] * group == expected, shape[0] % group == 0 else {
      throw .reason("the weights [\(shape.joined)] do not have \(expected) input channels")
    }
    outer = shape[..<axis].reduce(1, *)
    channels = shape[axis]
    inner = shape[(axis + 1)...].reduce(1, *)
    outerPerGroup = max(1, outer / group)
  }

  /// For each output, the sum of its weights times the offset of the input channel each belongs to.
  func sums(_ weights: [Double], _ offsets: [Double], outputCount: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: outputCount)
    var index = 0
    for row in 0..<outer {
      for channel in 0..<channels {
        let offset = offsets[firstChannel(row) + channel]
        for column in 0..<inner {
          sums[outer == outputCount ? row : column] += weights[index] * offset
          index += 1
        }
      }
    }
    return sums
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
