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

  /// The addition of numbers.
  init(adding offsets: [Double]) { self.init(scale: offsets.map { _ in 1 }, shift: offsets) }

  /// What x = 0 becomes.
  var offsets: [Double] { folded(bias: nil) }

  /// The largest magnitude of a mean in units of what becomes 1.
  var relativeMean: Double { zip(mean, scale).reduce(0) { max($0, abs($1.0 * $1.1)) } }

  /// That of some of the channels.
  func slice(_ channels: Range<Int>) -> ChannelNormalization {
    ChannelNormalization(
      scale: Array(scale[channels]), shift: Array(shift[channels]), mean: Array(mean[channels]))
  }

  /// The same of an axis on which each channel stands `inner` times in a row, and all of them `outer` times.
  func repeated(inner: Int, outer: Int) -> ChannelNormalization {
    guard inner * outer > 1 else { return self }
    func spread(_ numbers: [Double]) -> [Double] {
      let once = numbers.flatMap { Array(repeating: $0, count: inner) }
      return (0..<outer).flatMap { _ in once }
    }
    return ChannelNormalization(scale: spread(scale), shift: spread(shift), mean: spread(mean))
  }

  /// What is subtracted from s·x in the place of a constant that was subtracted from x.
  var subtracted: ChannelNormalization {
    ChannelNormalization(scale: scale, shift: shift.map { -$0 }, mean: mean.map { -$0 })
  }

  /// The scale alone.
  var unshifted: ChannelNormalization {
    ChannelNormalization(scale: scale, shift: scale.map { _ in 0 })
  }

  /// A constant operand normalised along an axis of the tensor of this rank that it is spread over.
  /// - Parameter factor: what it is multiplied by first.
  func applied(to constant: Tensor, rank: Int, axis: Int, factor: Double = 1)
    throws(FoldObstacle) -> Tensor
  {
    var shape = Array(repeating: 1, count: rank - constant.shape.count) + constant.shape
    guard axis < rank, shape[axis] == 1 || shape[axis] == channelCount else {
      throw .reason(
        "the constant [\(constant.shape.joined)] does not have \(channelCount) channels")
    }
    let inner = shape[(axis + 1)...].reduce(1, *)
    let isSpread = shape[axis] == 1
    shape[axis] = channelCount
    guard shape.reduce(1, *) <= max(1 << 20, constant.elementCount) else {
      throw .reason("the constant [\(constant.shape.joined)] would grow too large")
    }
    let numbers = constant.converted(to: Double.self)
    let rows = shape[...axis].reduce(1, *)
    var result: [Double] = []
    result.reserveCapacity(rows * inner)
    for row in 0..<rows {
      let channel = row % channelCount
      let first = (isSpread ? row / channelCount : row) * inner
      for number in numbers[first..<first + inner] {
        result.append((number * factor - mean[channel]) * scale[channel] + shift[channel])
      }
    }
    while shape.count > max(constant.shape.count, rank - axis), shape[0] == 1 {
      shape.removeFirst()
    }
    return try rounded(result, to: constant.type, shape: shape)
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
    var count: Int { normalization.channelCount }

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
      guard rank >= 2, aligned == [1, channels] + Array(repeating: 1, count: rank - 2) else {
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
    try requireNormal(weights, layout)
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

  /// That no channel's weights all become so small that they lose digits, which take long to compute with too.
  private func requireNormal(_ weights: Tensor, _ layout: ChannelLayout) throws(FoldObstacle) {
    let least = Self.leastNormal(weights.type)
    // Without a small factor there is nothing to look for.
    guard scale.contains(where: { $0 != 0 && abs($0) < (weights.type == .float16 ? 1 : 1e-20) })
    else { return }
    var largest = [Double](repeating: 0, count: scale.count)
    for (index, number) in weights.converted(to: Double.self).enumerated() {
      let row = index / layout.inner
      let channel = layout.firstChannel(row / layout.channels) + row % layout.channels
      largest[channel] = max(largest[channel], abs(number))
    }
    for (channel, weight) in largest.enumerated()
    where weight >= least && scale[channel] != 0 && weight * abs(scale[channel]) < least {
      throw .reason("the folded weights of channel \(channel) are denormal")
    }
  }

  private static func leastNormal(_ type: ElementType) -> Double {
    switch type {
    case .float, .bfloat16: 0x1p-126
    case .float16: 0x1p-14
    default: Double.leastNormalMagnitude
    }
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
