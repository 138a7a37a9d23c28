/// A convolution whose taps are moved, each by an offset of its own at each output.
///
/// X is N×C×spatial, W is M×(C/group)×kernel, offset is N×(offset_group·taps·rank)×output, B has M
/// numbers, mask is N×(offset_group·taps)×output. X is interpolated linearly and 0 outside.
struct DeformConv: Operator {
  private let window: Window
  private let group: Int
  private let offsetGroup: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    window = try Window(&node)
    group = try node.groupCount()
    offsetGroup = try node.int("offset_group", default: 1)
    guard offsetGroup > 0 else {
      throw node.invalid("offset_group", expected: "a positive number", got: offsetGroup)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try extents(inputs).outputShape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = try extents(inputs.facts)
    func compute<T: RealNumber>(_: T.Type) {
      let sampled = sample(
        inputs[0].converted(to: T.self), offset: inputs[2].converted(),
        mask: inputs.tensor(4)?.converted(), extents)
      outputs[0].store(
        correlate(
          sampled, inputs[1].converted(), bias: inputs.tensor(3)?.converted(),
          extents.overSamples))
    }
    compute(outputs[0].type.real)
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> ConvolutionExtents {
    let x = try inputs.shape(0)
    let w = try inputs.shape(1)
    try checkRanks(x, w)
    try checkGroups(x, w, group)
    guard x[1] % offsetGroup == 0, offsetGroup <= max(x[1], 1) else {
      throw .unexpected(
        "channels of X", expected: "a multiple of \(offsetGroup), the groups of offsets",
        got: "\(x[1])")
    }
    try checkBias(inputs, 3, channels: w[0])
    let axes = try window.axes(over: Array(x.dropFirst(2)), kernel: Array(w.dropFirst(2)))
    let taps = offsetGroup * axes.tapCount
    try check("offset", inputs, 2, [x[0], taps * axes.count] + axes.outputExtents)
    if inputs.has(4) { try check("mask", inputs, 4, [x[0], taps] + axes.outputExtents) }
    return ConvolutionExtents(
      batch: x[0], inputChannels: x[1], outputChannels: w[0], group: group, axes: axes)
  }

  private func check(_ name: String, _ inputs: Facts, _ index: Int, _ expected: Shape)
    throws(ModelError)
  {
    let shape = try inputs.shape(index)
    guard shape == expected else {
      throw .unexpected(
        "shape of \(name)", expected: "[\(expected.joined)]", got: "[\(shape.joined)]")
    }
  }

  /// What each tap sees at each output: N×C×taps×outputs.
  private func sample<T: RealNumber>(
    _ x: [T], offset: [T], mask: [T]?, _ extents: ConvolutionExtents
  ) -> [T] {
    let axes = extents.axes
    let (taps, places) = (axes.tapCount, axes.outputCount)
    let channels = extents.inputChannels / offsetGroup
    var sampled = [T](zerosUntilDue: extents.batch * extents.inputChannels * taps * places)
    var next = 0
    var interruption = Interruption()
    for group in 0..<extents.batch * offsetGroup {
      var corners: [Corners<T>] = []
      if Interruption.isDue { return sampled }
      axes.map(\.kernel).forEachIndex { tap in
        axes.outputExtents.forEachIndex { place in
          if interruption.isDue(after: 200) { return }
          let first = (group * taps * places + corners.count) / places * axes.count * places
          let at = corners.count % places
          let coordinates = axes.indices.map { axis in
            T(axes[axis].start(of: place[axis]) + tap[axis] * axes[axis].dilation)
              + offset[first + axis * places + at]
          }
          corners.append(Corners(around: coordinates, in: axes.map(\.input)))
        }
      }
      for channel in 0..<channels {
        let plane = (group * channels + channel) * axes.inputCount
        for (index, corners) in corners.enumerated() {
          if interruption.isDue(after: 60) { return sampled }
          let factor = mask.map { $0[group * taps * places + index] } ?? 1
          sampled[next] = corners.interpolated(x, from: plane) * factor
          next += 1
        }
      }
    }
    return sampled
  }
}

extension ConvolutionExtents {
  /// The convolution over samples N×C×taps×outputs: each output sees its own column of taps.
  fileprivate var overSamples: ConvolutionExtents {
    let column = WindowAxis(
      input: axes.tapCount, output: 1, kernel: axes.tapCount, stride: 1, dilation: 1)
    let row = WindowAxis(
      input: axes.outputCount, output: axes.outputCount, kernel: 1, stride: 1, dilation: 1)
    return ConvolutionExtents(
      batch: batch, inputChannels: inputChannels, outputChannels: outputChannels, group: group,
      axes: [column, row])
  }
}

/// The elements of a plane around a point, with their weights in a linear interpolation; those
/// outside count as 0.
private struct Corners<T: RealNumber> {
  private var indices: [Int] = []
  private var weights: [T] = []

  init(around coordinates: [T], in extents: [Int]) {
    for (coordinate, extent) in zip(coordinates, extents) {
      guard coordinate > -1, coordinate < T(extent) else { return }
    }
    indices = [0]
    weights = [1]
    for (coordinate, extent) in zip(coordinates, extents) {
      let low = Int(coordinate.rounded(.down))
      let fraction = coordinate - T(low)
      var (nextIndices, nextWeights): ([Int], [T]) = ([], [])
      for (index, weight) in zip(indices, weights) {
        for (place, share) in [(low, 1 - fraction), (low + 1, fraction)]
        where place >= 0 && place < extent {
          nextIndices.append(index * extent + place)
          nextWeights.append(weight * share)
        }
      }
      (indices, weights) = (nextIndices, nextWeights)
    }
  }

  func interpolated(_ x: [T], from plane: Int) -> T {
    zip(indices, weights).reduce(0) { $0 + x[plane + $1.0] * $1.1 }
  }
}
