/// A depthwise convolution along time that sees only the present and the past, and hands on what
/// the next call needs.
///
/// input is N×C×L, weight C×1×k, bias has C numbers, past_state and present_state are N×C×(k-1):
/// the last elements of past_state (or zeros) followed by input.
struct CausalConvWithState: Operator {
  private let appliesSilu: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    let activation = try node.string("activation", default: "none")
    guard ["none", "silu", "swish"].contains(activation) else {
      throw node.invalid("activation", expected: "none, silu or swish", got: activation)
    }
    appliesSilu = activation != "none"
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let weight = try inputs.shape(1)
    guard shape.count == 3 else {
      throw .unexpected("rank of input", expected: "3", got: "\(shape.count)")
    }
    guard weight.count == 3, weight[0] == shape[1], weight[1] == 1, weight[2] > 0 else {
      throw .unexpected(
        "shape of weight", expected: "[\(shape[1]),1,k] with k at least 1",
        got: "[\(weight.joined)]")
    }
    try checkBias(inputs, channels: shape[1])
    let state = [shape[0], shape[1], weight[2] - 1]
    if inputs.has(3) {
      let past = try inputs.shape(3)
      guard past == state else {
        throw .unexpected(
          "shape of past_state", expected: "[\(state.joined)]", got: "[\(past.joined)]")
      }
    }
    let type = try inputs.type(0)
    return [Fact(type, shape), Fact(type, state)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (shape, taps) = (inputs[0].shape, inputs[1].shape[2])
    let (planes, channels, length) = (shape[0] * shape[1], shape[1], shape[2])
    let room = length + taps - 1
    func compute<T: RealNumber>(_: T.Type) {
      let x: [T] = inputs[0].converted()
      let past: [T]? = inputs.tensor(3)?.converted()
      var padded = [T](zerosUntilDue: planes * room)
      var interruption = Interruption()
      for plane in 0..<planes {
        if interruption.isDue(after: 4 &* room &+ 10) { return }
        for k in 0..<taps - 1 { padded[plane * room + k] = past?[plane * (taps - 1) + k] ?? 0 }
        for t in 0..<length { padded[plane * room + taps - 1 + t] = x[plane * length + t] }
      }
      if outputs.wants(1) {
        var state: [T] = []
        state.reserveCapacity(planes * (taps - 1))
        for plane in 0..<planes {
          if interruption.isDue(after: 20 &+ taps) { return }
          state += padded[(plane * room + length)..<(plane + 1) * room]
        }
        outputs[1].store(state)
      }
      guard outputs.wants(0) else { return }
      let axis = WindowAxis(input: room, output: length, kernel: taps, stride: 1, dilation: 1)
      var y = correlate(
        padded, inputs[1].converted(), bias: inputs.tensor(2)?.converted(),
        ConvolutionExtents(
          batch: shape[0], inputChannels: channels, outputChannels: channels,
          group: max(1, channels), axes: [axis]))
      if appliesSilu {
        for index in y.indices {
          if interruption.isDue(after: 20) { return }
          y[index] *= sigmoid(y[index])
        }
      }
      outputs[0].store(y)
    }
    compute(inputs[0].type.real)
  }
}
