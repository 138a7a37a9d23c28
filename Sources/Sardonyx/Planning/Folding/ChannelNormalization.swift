/// A BatchNormalization in inference as numbers: y = (x − mean)·scale + shift per channel, in
/// double, with scale = γ/√(σ² + ε).
struct ChannelNormalization {
  let scale: [Double]
  let mean: [Double]
  let shift: [Double]

  var channelCount: Int { scale.count }

  /// Reads the constant parameters of a BatchNormalization node.
  /// - Parameter unrounded: what constants would be if nothing had been rounded.
  init(_ node: Node, _ graph: Graph, unrounded: [Graph.ValueID: [Double]] = [:])
    throws(FoldObstacle)
  {
    func parameter(_ index: Int, _ name: String) throws(FoldObstacle) -> Tensor {
      guard let tensor = graph.constant(node, index) else {
        throw .reason("its \(name) is not a constant, or one the caller may override")
      }
      guard tensor.shape.count == 1 else {
        throw .reason("its \(name) has shape [\(tensor.shape.joined)]")
      }
      return tensor
    }
    let parameters = [
      try parameter(1, "scale"), try parameter(2, "B"), try parameter(3, "mean"),
      try parameter(4, "var"),
    ]
    let count = parameters[0].elementCount
    guard parameters.allSatisfy({ $0.elementCount == count }) else {
      throw .reason("its parameters differ in length")
    }
    guard count <= AxisPath.largestExtent else { throw .reason("it has \(count) channels") }
    let values = parameters.enumerated().map { index, tensor in
      node.inputs[index + 1].flatMap { unrounded[$0] } ?? tensor.converted(to: Double.self)
    }
    let (gamma, variance) = (values[0], values[3])
    shift = values[1]
    mean = values[2]
    let epsilon = node.attributes.float("epsilon").map { Double($0) } ?? 1e-5
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

  /// The same among channels that stay as they are.
  func padded(before: Int, behind: Int) -> ChannelNormalization {
    func padded(_ numbers: [Double], _ number: Double) -> [Double] {
      Array(repeating: number, count: before) + numbers + Array(repeating: number, count: behind)
    }
    return ChannelNormalization(
      scale: padded(scale, 1), shift: padded(shift, 0), mean: padded(mean, 0))
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
    let isSpread = shape[axis] != channelCount
    shape[axis] = channelCount
    guard shape.reduce(1, *) <= max(1 << 20, constant.elementCount) else {
      throw .reason("the constant [\(constant.shape.joined)] would grow too large")
    }
    let layout = try ChannelLayout(axis: axis, of: shape, channels: channelCount)
    let whole = isSpread ? spread(constant, layout, shape) : constant.reshaped(shape)
    let result = try mapped(whole, layout) { number, channel in
      (number * factor - mean[channel]) * scale[channel] + shift[channel]
    }
    while shape.count > max(constant.shape.count, rank - axis), shape[0] == 1 {
      shape.removeFirst()
    }
    return result.reshaped(shape)
  }

  /// A constant of one channel repeated for all of them.
  private func spread(_ constant: Tensor, _ layout: ChannelLayout, _ shape: Shape) -> Tensor {
    let numbers = constant.converted(to: Double.self)
    var repeated: [Double] = []
    repeated.reserveCapacity(shape.elementCount)
    for row in 0..<layout.outer * layout.channels {
      let first = row / layout.channels * layout.inner
      repeated += numbers[first..<first + layout.inner]
    }
    return Tensor(converting: repeated, to: constant.type, shape)
  }

  /// A tensor like another, each number made of one in double and of its channel, rounded once, and finite.
  private func mapped(
    _ tensor: Tensor, _ layout: ChannelLayout, _ body: (Double, _ channel: Int) -> Double
  ) throws(FoldObstacle) -> Tensor {
    try tensor.mapped(to: tensor.type) { (range, numbers) throws(FoldObstacle) in
      layout.forEachRun(in: range) { run, _, channel in
        for position in run {
          let place = position - range.lowerBound
          numbers[place] = body(numbers[place], channel)
        }
      }
      try requireFinite(numbers, as: tensor.type)
    }
  }

  /// The operands of an Add, Sub, Mul or Div of a value and a floating-point constant that may stand for
  /// channels; nil for all else.
  static func arithmeticOperands(_ node: Node, _ graph: Graph)
    -> (value: Graph.ValueID, constant: Tensor, constantIsRight: Bool)?
  {
    guard ["Add", "Sub", "Mul", "Div"].contains(node.operatorName), node.attributes.isEmpty,
      node.inputs.count == 2, let left = node.inputs[0], let right = node.inputs[1]
    else { return nil }
    let constantIsRight = graph.values[right].constant != nil
    guard let tensor = graph.values[constantIsRight ? right : left].constant,
      [.float, .double, .float16, .bfloat16].contains(tensor.type)
    else { return nil }
    // What stands for channels varies along one axis at most.
    guard tensor.elementCount <= AxisPath.largestExtent,
      tensor.shape.count(where: { $0 != 1 }) <= 1
    else { return nil }
    return (constantIsRight ? left : right, tensor, constantIsRight)
  }

  /// An Add, Sub, Mul or Div of a value and a floating-point constant, seen as (x − 0)·scale + shift.
  /// - Returns: the numbers as they lie in the constant; nil for all else.
  static func arithmetic(_ node: Node, _ graph: Graph) -> ConstantOperand? {
    guard let (_, tensor, constantIsRight) = arithmeticOperands(node, graph) else { return nil }
    let numbers = tensor.converted(to: Double.self)
    func all(_ number: Double) -> [Double] { Array(repeating: number, count: numbers.count) }
    let normalization: ChannelNormalization
    switch (node.operatorName, constantIsRight) {
    case ("Add", _): normalization = .init(scale: all(1), shift: numbers)
    case ("Sub", true): normalization = .init(scale: all(1), shift: numbers.map { -$0 })
    case ("Sub", false): normalization = .init(scale: all(-1), shift: numbers)
    case ("Mul", _): normalization = .init(scale: numbers, shift: all(0))
    case ("Div", true) where !numbers.contains(0):
      normalization = .init(scale: numbers.map { 1 / $0 }, shift: all(0))
    default: return nil
    }
    return ConstantOperand(shape: tensor.shape, normalization: normalization)
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
  /// - Parameter unrounded: what W would be if nothing had been rounded; it becomes that of W′.
  func scaled(
    _ weights: Tensor, _ layout: ChannelLayout, _ unrounded: inout UnroundedWeights
  ) throws(FoldObstacle) -> Tensor {
    try requireNormal(weights, layout)
    unrounded.multiply(by: scale, layout)
    if let scaled = scaledSingle(weights, unrounded) { return scaled }
    let (product, type) = (unrounded, weights.type)
    return try product.tensor.mapped(to: type) { (range, numbers) throws(FoldObstacle) in
      product.scale(&numbers, in: range)
      try requireFinite(numbers, as: type)
    }
  }

  /// That no channel's weights all become so small that they lose digits, which take long to compute with too.
  private func requireNormal(_ weights: Tensor, _ layout: ChannelLayout) throws(FoldObstacle) {
    let least = Self.leastNormal(weights.type)
    // Without a small factor there is nothing to look for.
    guard scale.contains(where: { $0 != 0 && abs($0) < (weights.type == .float16 ? 1 : 1e-20) })
    else { return }
    let largest = layout.largestMagnitudes(weights, channelCount: scale.count)
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
  private func scaledSingle(_ weights: Tensor, _ product: UnroundedWeights) -> Tensor? {
    guard weights.type == .float else { return nil }
    let largestScale = scale.reduce(0) { max($0, abs($1)) }
    // With room for the rounding of the weights.
    guard Double(weights.largestMagnitude) * largestScale <= Self.largestFinite(.float) * 0.999
    else { return nil }
    return Tensor(
      .float, weights.shape,
      storage: Storage(byteCount: weights.byteCount, from: ScaledWeights(product)))
  }

  /// A tensor of the numbers rounded to `type`, all of which must be finite there.
  func rounded(_ numbers: [Double], to type: ElementType, shape: Shape? = nil)
    throws(FoldObstacle) -> Tensor
  {
    try requireFinite(numbers, as: type)
    return Tensor(converting: numbers, to: type, shape ?? [numbers.count])
  }

  private func requireFinite(_ numbers: [Double], as type: ElementType) throws(FoldObstacle) {
    let largest = Self.largestFinite(type)
    if let worst = numbers.first(where: { !(abs($0) <= largest) }) {
      throw .reason("a folded number (\(worst)) is beyond the range of \(type)")
    }
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
