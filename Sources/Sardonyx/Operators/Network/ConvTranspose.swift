/// The transpose of a convolution: spreads each element of X over the outputs under W.
///
/// X is N×C×spatial, W is C×(M/group)×kernel, B has M numbers.
struct ConvTranspose: ActivationAccepting {
  let window: Window
  let group: Int
  private let outputPadding: [Int]?
  /// The spatial extents asked for; padding is then found from them.
  private let outputShape: [Int]?
  /// What a pass has fused into the operator.
  var activation = Activation.none
  private var filter: PackedTransposedFilter?

  init(_ node: inout NodeReader) throws(ModelError) {
    window = try Window(&node)
    group = try node.groupCount()
    outputPadding = try node.ints("output_padding")
    outputShape = try node.ints("output_shape")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try extents(inputs)
    let shape = [extents.batch, extents.outputChannels] + extents.axes.map(\.input)
    return [Fact(try inputs.type(0), shape)]
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    guard let weights = inputs[1].value?.tensor?.single, weights.shape.count >= 3,
      weights.shape[0] % group == 0, group <= weights.shape[0]
    else { return }
    filter = PackedTransposedFilter(
      weights, TransposedConvolutionShape(weights: weights.shape, groups: group))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    guard let x = inputs[0].single else { return try runPlainly(inputs, outputs, extents) }
    let shape = TransposedConvolutionShape(extents)
    let filter = filter ?? PackedTransposedFilter(inputs[1].single!, shape)
    outputs[0].writeSingle { y in
      TransposedConvolution(shape).run(
        x, filter, bias: inputs.tensor(2)?.single, activation, into: y, on: outputs.context.crew)
    }
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ extents: ConvolutionExtents)
    throws(ModelError)
  {
    func compute<T: Number>(_: T.Type) {
      var y = spread(
        inputs[0].converted(to: T.self), inputs[1].converted(to: T.self),
        bias: inputs.tensor(2)?.converted(), extents)
      activation.apply(to: &y)
      outputs[0].store(y)
    }
    compute(try outputs[0].type.number())
  }

  func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    let x = try inputs.shape(0)
    let w = try inputs.shape(1)
    try checkRanks(x, w)
    guard x[1] == w[0] else {
      throw .unexpected("channels of X", expected: "\(w[0])", got: "\(x[1])")
    }
    guard w[0] % group == 0, group <= max(w[0], 1) else {
      throw .unexpected(
        "channels of X", expected: "a multiple of \(group), the number of groups", got: "\(w[0])")
    }
    try checkBias(inputs, channels: w[1] * group)
    return ConvolutionExtents(
      batch: x[0], inputChannels: x[1], outputChannels: w[1] * group, group: group,
      axes: try axes(Array(x.dropFirst(2)), kernel: Array(w.dropFirst(2))))
  }

  /// The axes of the convolution that leads from this operator's output back to its input.
  private func axes(_ extents: [Int], kernel: [Int]) throws(ModelError) -> [WindowAxis] {
    var axes = try window.unpaddedAxes(over: extents, kernel: kernel)
    let extra = try numbers("output_padding", outputPadding, count: extents.count)
    let pads = try window.checkedPads(axisCount: extents.count)
    // Some exporters give the batch and the channels too.
    let asked = try outputShape.map { shape throws(ModelError) in
      try numbers("output_shape", Array(shape.suffix(extents.count)), count: extents.count)
    }
    for axis in axes.indices {
      let step = axes[axis].stride
      axes[axis].output = extents[axis]
      let unpadded = max(0, step * (extents[axis] - 1) + extra[axis] + axes[axis].span)
      switch (asked, window.autoPad) {
      case (let asked?, _): axes[axis].input = asked[axis]
      case (nil, .sameUpper), (nil, .sameLower): axes[axis].input = extents[axis] * step
      case (nil, .valid): axes[axis].input = unpadded
      case (nil, .notSet):
        axes[axis].padBefore = pads[axis]
        axes[axis].input = unpadded - pads[axis] - pads[axis + extents.count]
        guard axes[axis].input >= 0 else {
          throw .unexpected(
            "extent of the output on spatial axis \(axis)", expected: "at least 0",
            got: "\(axes[axis].input)")
        }
        continue
      }
      let total = max(0, unpadded - axes[axis].input)
      axes[axis].padBefore = window.autoPad == .sameUpper ? total / 2 : total - total / 2
    }
    return axes
  }

  private func numbers(_ name: String, _ values: [Int]?, count: Int) throws(ModelError) -> [Int] {
    let values = values ?? Array(repeating: 0, count: count)
    guard values.count == count, values.allSatisfy({ $0 >= 0 && $0 <= Int(Int32.max) }) else {
      throw .unexpected(
        "attribute \(name)", expected: "\(count) numbers from 0 on", got: "[\(values.joined)]",
        code: .invalid)
    }
    return values
  }
}

extension TransposedConvolutionShape {
  fileprivate init(_ extents: ConvolutionExtents) {
    self.init(
      batch: extents.batch, groups: extents.group, inputChannels: extents.inputChannels,
      outputChannels: extents.outputChannels, input: extents.axes.map(\.output),
      output: extents.axes.map(\.input), kernel: extents.axes.map(\.kernel),
      strides: extents.axes.map(\.stride), dilations: extents.axes.map(\.dilation),
      padsBegin: extents.axes.map(\.padBefore))
  }

  /// What packing has to know.
  fileprivate init(weights: Shape, groups: Int) {
    let kernel = Array(weights.dropFirst(2))
    let (zeros, ones) = (kernel.map { _ in 0 }, kernel.map { _ in 1 })
    self.init(
      batch: 0, groups: groups, inputChannels: weights[0], outputChannels: weights[1] * groups,
      input: zeros, output: zeros, kernel: kernel, strides: ones, dilations: ones,
      padsBegin: zeros)
  }
}

/// The plain transposed convolution: the runs of ``correlate(_:_:bias:_:)`` taken backwards.
@_specialize(where T == Float)
@_specialize(where T == Double)
func spread<T: Number>(_ x: [T], _ w: [T], bias: [T]?, _ extents: ConvolutionExtents) -> [T] {
  let (axes, runs) = (extents.axes, extents.axes.runs)
  var y = [T](zerosUntilDue: extents.batch * extents.outputChannels * axes.inputCount)
  let stride = axes.last?.stride ?? 1
  let channels = extents.outputChannelsPerGroup
  var interruption = Interruption()
  for n in 0..<extents.batch {
    for m in 0..<extents.outputChannels {
      let output = (n * extents.outputChannels + m) * axes.inputCount
      if let bias { for index in 0..<axes.inputCount { y[output + index] = bias[m] } }
      let firstChannel = m / channels * extents.inputChannelsPerGroup
      for c in firstChannel..<firstChannel + extents.inputChannelsPerGroup {
        let input = (n * extents.inputChannels + c) * axes.outputCount
        let kernel = (c * channels + m % channels) * axes.tapCount
        for run in runs {
          if interruption.isDue(after: run.count) { return y }
          let weight = w[kernel + run.tap]
          var to = output + run.input
          for from in input + run.output..<input + run.output + run.count {
            y[to] = T.sum(y[to], T.product(weight, x[from]))
            to += stride
          }
        }
      }
    }
  }
  return y
}
