/// Convolution and its relatives.
let convolutions: OperatorFamily = [
  "CausalConvWithState": CausalConvWithState.init,
  "Conv": Conv.init,
  "ConvTranspose": ConvTranspose.init,
  "DeformConv": DeformConv.init,
]

/// Correlates X with the kernels W: Y[n, m] = B[m] + Σ over c of X[n, c] ⋆ W[m, c].
///
/// X is N×C×spatial, W is M×(C/group)×kernel, B has M numbers.
struct Conv: ActivationAccepting {
  let window: Window
  let group: Int
  /// What a pass has fused into the convolution.
  var activation = Activation.none
  /// Whether a pass has added an input 3, of the output's shape, that is added before `activation`.
  var addsResidual = false
  private var filter: PackedFilter?
  private let convolutions = ShapeCache<ConvolutionShape, Convolution>()

  init(_ node: inout NodeReader) throws(ModelError) {
    window = try Window(&node)
    group = try node.groupCount()
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try extents(inputs).outputShape
    if addsResidual { try inputs.checkResidual(3, try inputs.type(0), shape) }
    return [Fact(try inputs.type(0), shape)]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard let weights = inputs[1].value?.tensor?.single, weights.shape.count >= 3,
      weights.shape[0] % group == 0, group <= weights.shape[0]
    else { return }
    filter = PackedFilter(weights, ConvolutionShape(weights: weights.shape, groups: group))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    guard let x = inputs[0].single, extents.paddingIsModest else {
      return try runPlainly(inputs, outputs, extents)
    }
    let shape = ConvolutionShape(extents)
    let filter = filter ?? PackedFilter(inputs[1].single!, shape)
    let convolution = convolutions.value(for: shape) { Convolution(shape) }
    try Interruption.check()
    outputs[0].writeSingle { y in
      convolution.run(
        x, filter, bias: inputs.tensor(2)?.single,
        residual: addsResidual ? inputs[3].single : nil, activation, into: y,
        on: outputs.context.crew)
    }
  }

  var method: String? { "planes" }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ extents: ConvolutionExtents)
    throws(ModelError)
  {
    func compute<T: Number>(_: T.Type) {
      var y = correlate(
        inputs[0].converted(to: T.self), inputs[1].converted(to: T.self),
        bias: inputs.tensor(2)?.converted(), extents)
      if addsResidual { add(inputs[3].converted(), to: &y) }
      activation.apply(to: &y)
      outputs[0].store(y)
    }
    compute(try outputs[0].type.number())
  }

  func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    let x = try inputs.shape(0)
    let w = try inputs.shape(1)
    try checkRanks(x, w)
    try checkGroups(x, w, group)
    try checkBias(inputs, channels: w[0])
    let axes = try window.axes(over: Array(x.dropFirst(2)), kernel: Array(w.dropFirst(2)))
    return ConvolutionExtents(
      batch: x[0], inputChannels: x[1], outputChannels: w[0], group: group, axes: axes)
  }
}

extension Facts {
  /// Checks what a pass has put behind a convolution from what it knew of shapes, in place of an Add.
  func checkResidual(_ index: Int, _ type: ElementType, _ shape: Shape) throws(ModelError) {
    guard try self.shape(index) == shape, try self.type(index) == type else {
      throw .unexpected(
        "what is added to the convolution", expected: "\(type)[\(shape.joined)]",
        got: self[index].description)
    }
  }
}

/// The sizes of a convolution; for a transposed one `axes` are those of the convolution it
/// transposes, whose outputs are its inputs.
struct ConvolutionExtents: Sendable, Hashable {
  let batch: Int
  let inputChannels: Int
  let outputChannels: Int
  let group: Int
  let axes: [WindowAxis]

  var inputChannelsPerGroup: Int { inputChannels / group }
  var outputChannelsPerGroup: Int { outputChannels / group }
  var outputShape: Shape { [batch, outputChannels] + axes.outputExtents }

  /// Whether places in an image can be counted in 32 bits when its channels are filled up to blocks,
  /// and its columns to whole strides.
  var countsFitBlocks: Bool {
    let lanes = BlockLayout().lanes
    let padded = axes.map { $0.padBefore + $0.input + $0.padAfter + $0.stride }
    let count = ([BlockLayout().blocks(inputChannels) * lanes] + padded).checkedElementCount
    return count.map { $0 <= Int(Int32.max) } ?? false
  }

  /// Whether the input with its padding is of about the size of the input: kernels make a copy.
  var paddingIsModest: Bool {
    let padded = [batch * inputChannels] + axes.map { $0.padBefore + $0.input + $0.padAfter }
    guard axes.paddingIsModest, let count = padded.checkedElementCount, count <= Int(Int32.max)
    else { return false }
    return count <= 8 * batch * inputChannels * axes.inputCount + 1 << 24
  }
}

extension ConvolutionShape {
  init(_ extents: ConvolutionExtents) {
    self.init(
      batch: extents.batch, groups: extents.group, inputChannels: extents.inputChannels,
      outputChannels: extents.outputChannels, input: extents.axes.map(\.input),
      kernel: extents.axes.map(\.kernel), strides: extents.axes.map(\.stride),
      dilations: extents.axes.map(\.dilation), padsBegin: extents.axes.map(\.padBefore),
      padsEnd: extents.axes.map(\.padAfter))
  }

  /// The sizes as far as they are known before a run: an extent that is not stays 0.
  /// - Returns: nil where the window does not fit.
  init?(weights: Shape, groups: Int, window: Window, input: [Int?]) {
    let kernel = Array(weights.dropFirst(2))
    // Large enough for any kernel.
    let extents = zip(input, kernel).map { $0 ?? $1 + 1 << 10 }
    guard extents.count == kernel.count,
      let axes = try? window.axes(over: extents, kernel: kernel)
    else { return nil }
    self.init(
      ConvolutionExtents(
        batch: 1, inputChannels: weights[1] * groups, outputChannels: weights[0], group: groups,
        axes: axes))
    self.input = input.map { $0 ?? 0 }
  }

  /// What packing has to know.
  init(weights: Shape, groups: Int, strides: [Int]? = nil, dilations: [Int]? = nil) {
    let kernel = Array(weights.dropFirst(2))
    let (zeros, ones) = (kernel.map { _ in 0 }, kernel.map { _ in 1 })
    self.init(
      batch: 0, groups: groups, inputChannels: weights[1] * groups, outputChannels: weights[0],
      input: zeros, kernel: kernel, strides: strides ?? ones, dilations: dilations ?? ones,
      padsBegin: zeros, padsEnd: zeros)
  }
}

extension NodeReader {
  /// The number of groups that the channels of a convolution fall into.
  mutating func groupCount() throws(ModelError) -> Int {
    let count = try int("group", default: 1)
    guard count > 0 else { throw invalid("group", expected: "a positive number", got: count) }
    return count
  }
}

/// Checks that X has a batch, channels and spatial axes, and W as many axes.
func checkRanks(_ x: Shape, _ w: Shape) throws(ModelError) {
  guard x.count >= 3 else {
    throw .unexpected("rank of X", expected: "at least 3", got: "\(x.count)")
  }
  guard w.count == x.count else {
    throw .unexpected("rank of W", expected: "\(x.count) as X has", got: "\(w.count)")
  }
}

/// Checks that the channels of X are those that W's groups see, and that W's divide into groups.
func checkGroups(_ x: Shape, _ w: Shape, _ group: Int) throws(ModelError) {
  guard x[1] % group == 0, x[1] / group == w[1] else {
    throw .unexpected("channels of X", expected: "\(w[1] &* group)", got: "\(x[1])")
  }
  guard w[0] % group == 0, group <= max(w[0], 1) else {
    throw .unexpected(
      "output channels of W", expected: "a multiple of \(group), the number of groups",
      got: "\(w[0])")
  }
}

/// Checks that an optional input B holds one number for each output channel.
func checkBias(_ inputs: Facts, _ index: Int = 2, channels: Int) throws(ModelError) {
  guard inputs.has(index) else { return }
  let shape = try inputs.shape(index)
  guard shape == [channels] else {
    throw .unexpected("shape of B", expected: "[\(channels)]", got: "[\(shape.joined)]")
  }
}

/// Adds numbers to as many others.
func add<T: Number>(_ numbers: [T], to sums: inout [T]) {
  for index in sums.indices { sums[index] = T.sum(sums[index], numbers[index]) }
}

/// The plain convolution that every faster one is compared with.
///
/// Each tap of each kernel adds its share to a row of outputs at a time, so the innermost loop has
/// neither a branch nor a bound to look at.
@_specialize(where T == Float)
@_specialize(where T == Double)
func correlate<T: Number>(_ x: [T], _ w: [T], bias: [T]?, _ extents: ConvolutionExtents) -> [T] {
  var y = [T](zerosUntilDue: extents.outputShape.elementCount)
  let (axes, runs) = (extents.axes, extents.axes.runs)
  let stride = axes.last?.stride ?? 1
  let channels = extents.inputChannelsPerGroup
  var interruption = Interruption()
  for n in 0..<extents.batch {
    for m in 0..<extents.outputChannels {
      let output = (n * extents.outputChannels + m) * axes.outputCount
      if let bias { for index in 0..<axes.outputCount { y[output + index] = bias[m] } }
      let firstChannel = m / extents.outputChannelsPerGroup * channels
      for c in 0..<channels {
        let input = (n * extents.inputChannels + firstChannel + c) * axes.inputCount
        let kernel = (m * channels + c) * axes.tapCount
        for run in runs {
          if interruption.isDue(after: run.count) { return y }
          let weight = w[kernel + run.tap]
          var from = input + run.input
          for to in output + run.output..<output + run.output + run.count {
            y[to] = T.sum(y[to], T.product(weight, x[from]))
            from += stride
          }
        }
      }
    }
  }
  return y
}
