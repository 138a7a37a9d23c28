/// Normalizations: numbers shifted and scaled by statistics of their neighbours.
let normalizations: OperatorFamily = [
  "BatchNormalization": BatchNormalization.init,
  "GroupNormalization": GroupNormalization.init,
  "InstanceNormalization": InstanceNormalization.init,
  "LRN": LRN.init,
  "LayerNormalization": LayerNormalization.init,
  "LpNormalization": LpNormalization.init,
  "MeanVarianceNormalization": MeanVarianceNormalization.init,
  "RMSNormalization": RMSNormalization.init,
  "SimplifiedLayerNormalization": RMSNormalization.init,
]

/// Mean and variance (that of the whole population) of numbers, gathered in double; any numbers where the
/// run is to end.
struct Moments {
  let mean: Double
  let variance: Double

  init<T: Number>(_ numbers: some Collection<T>) {
    let count = Double(numbers.count)
    var interruption = Interruption()
    var (sum, squares) = (0.0, 0.0)
    for number in numbers {
      if interruption.isDue(after: 8) { break }
      sum += number.asDouble
    }
    mean = sum / count
    for number in numbers {
      if interruption.isDue(after: 8) { break }
      let deviation = number.asDouble - mean
      squares += deviation * deviation
    }
    variance = squares / count
  }

  /// 1 / √(variance + ε).
  func inverseDeviation(_ epsilon: Double) -> Double { 1 / (variance + epsilon).squareRoot() }
}

extension NodeReader {
  /// The attribute `epsilon`.
  fileprivate mutating func epsilon() throws(ModelError) -> Double {
    Double(try float("epsilon", default: 1e-5))
  }
}

/// Normalizes each channel by its mean and variance: Y = (X - mean)·scale / √(var + ε) + B.
///
/// In inference mean and variance are inputs; in training they are those of the batch, and the
/// inputs are moved towards them.
struct BatchNormalization: ActivationAccepting {
  let epsilon: Double
  let momentum: Double
  /// Whether the stored statistics are used, and not those of the batch.
  var isInference: Bool
  /// Whether parameters belong to channels, and not to single elements as `spatial=0` has it.
  let isSpatial: Bool
  /// What a pass has fused into an inference.
  var activation = Activation.none
  private let version: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    version = node.version
    epsilon = try node.epsilon()
    momentum = Double(try node.float("momentum", default: 0.9))
    isSpatial = try node.bool("spatial", default: true)
    node.ignore("consumed_inputs")
    let hasStatistics = (1..<5).contains { node.hasOutput($0) }
    switch version {
    case ..<7: isInference = try node.bool("is_test")
    case ..<14: isInference = !hasStatistics
    default:
      isInference = try !node.bool("training_mode")
      guard !isInference || !hasStatistics else {
        throw .unexpected(
          "outputs", expected: "Y alone, as training_mode is 0", got: "\(node.outputCount)",
          code: .invalid)
      }
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let count = try layout(shape).count
    for (index, name) in ["X", "scale", "B", "mean", "var"].enumerated().dropFirst() {
      let parameter = try inputs.shape(index)
      guard parameter.elementCount == count else {
        throw .unexpected(
          "elements of \(name)", expected: "\(count)", got: "\(parameter.elementCount)")
      }
    }
    let type = try inputs.type(version < 14 ? 0 : 3)
    let statistics = Fact(type, try inputs.shape(3))
    return [Fact(try inputs.type(0), shape)] + Array(repeating: statistics, count: 4)
  }

  var reusableInput: Int? { 0 }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let layout = try layout(inputs[0].shape)
    let parameters = (1..<5).map { inputs[$0].converted(to: Double.self) }
    if isInference, outputs.wants(0), let x = inputs[0].single {
      let channels = parameters[0].indices
      let scale = channels.interruptibleMap(cost: 4) {
        parameters[0][$0] / (parameters[3][$0] + epsilon).squareRoot()
      }
      try Interruption.check()
      let crew = outputs.context.crew
      outputs[0].writeSingle { y in
        if layout.inner == 1 {
          let shift = channels.interruptibleMap(cost: 4) {
            parameters[1][$0] - parameters[2][$0] * scale[$0]
          }
          Elementwise.scaleShift(layout, x, scale: scale, shift: shift, into: y, on: crew)
        } else {
          // Centred first, since x·scale + (B - mean·scale) cancels where means are large.
          ReductionKernel.normalizeRows(
            x, rows: layout.outer * layout.count, means: parameters[2].map { Float($0) },
            factors: scale.map { Float($0) }, shifts: parameters[1].map { Float($0) }, into: y,
            on: crew)
        }
        activation.apply(to: y, on: crew)
      }
      let stored = Array(parameters[2...])
      return storeStatistics(stored, old: stored, outputs)
    }
    runPlainly(inputs, outputs, layout, parameters)
  }

  /// The specification that the kernels are compared with.
  func runPlainly(
    _ inputs: Inputs, _ outputs: Outputs, _ layout: AxisBlock, _ parameters: [[Double]]
  ) {
    func compute<T: RealNumber>(_: T.Type) {
      var x: [T] = inputs[0].converted()
      var (means, variances) = (parameters[2], parameters[3])
      if !isInference {
        var interruption = Interruption()
        let moments = Interruption.map(layout.count, cost: 100) { channel in
          if layout.outer == 1 { return Moments(x[layout.range(outer: 0, channel)]) }
          var numbers: [T] = []
          for outer in 0..<layout.outer {
            if interruption.isDue(after: layout.inner &+ 20) { break }
            numbers += x[layout.range(outer: outer, channel)]
          }
          return Moments(numbers)
        }
        // Fewer are at hand where the run is to end.
        if moments.count < layout.count { return }
        (means, variances) = (moments.map(\.mean), moments.map(\.variance))
      }
      if outputs.wants(0) {
        var interruption = Interruption()
        for channel in 0..<layout.count {
          if interruption.isDue(after: 100) { return }
          let scale = parameters[0][channel] / (variances[channel] + epsilon).squareRoot()
          let (mean, shift) = (means[channel], parameters[1][channel])
          for outer in 0..<layout.outer {
            for index in layout.range(outer: outer, channel) {
              if interruption.isDue(after: 8) { return }
              x[index] = T(converting: (x[index].asDouble - mean) * scale + shift)
            }
          }
        }
        activation.apply(to: &x)
        outputs[0].store(x)
      }
      storeStatistics([means, variances], old: Array(parameters[2...]), outputs)
    }
    compute(inputs[0].type.real)
  }

  /// Outputs 1 and 2 are the running statistics, 3 and 4 those of the batch.
  private func storeStatistics(_ batch: [[Double]], old: [[Double]], _ outputs: Outputs) {
    for index in 0..<2 {
      if outputs.wants(index + 1) {
        let running = zip(old[index], batch[index]).map {
          isInference ? $0 : $0 * momentum + $1 * (1 - momentum)
        }
        outputs[index + 1].store(running)
      }
      if outputs.wants(index + 3) { outputs[index + 3].store(batch[index]) }
    }
  }

  private func layout(_ shape: Shape) throws(ModelError) -> AxisBlock {
    guard shape.count >= 1 else {
      throw .unexpected("rank of X", expected: "at least 1", got: "0")
    }
    // ONNX counts a tensor of rank 1 as N elements of one channel.
    guard isSpatial else {
      return AxisBlock(outer: shape[0], count: shape[1...].reduce(1, *), inner: 1)
    }
    let channels = shape.count == 1 ? 1 : shape[1]
    return AxisBlock(outer: shape[0], count: channels, inner: shape.dropFirst(2).reduce(1, *))
  }
}

/// Normalizes each channel of each image: Y = scale·(X - mean) / √(variance + ε) + B.
struct InstanceNormalization: Operator {
  private let epsilon: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    epsilon = try node.epsilon()
    node.ignore("consumed_inputs")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 3 else {
      throw .unexpected("rank of input", expected: "at least 3", got: "\(shape.count)")
    }
    try checkParameters(inputs, count: shape[1], "scale", "B")
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let channels = inputs[0].shape[1]
    BlockNormalization(epsilon: epsilon, blocks: inputs[0].shape[0] * channels) { $0 % channels }
      .run(inputs, outputs)
  }
}

/// Normalizes each group of channels of each image together.
///
/// Scale and bias belong to groups in version 18 and to channels since.
struct GroupNormalization: Operator {
  private let epsilon: Double
  private let groups: Int
  private let scalesGroups: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    epsilon = try node.epsilon()
    node.ignore("stash_type")
    guard let groups = try node.int("num_groups") else { throw node.missing("num_groups") }
    guard groups > 0 else {
      throw node.invalid("num_groups", expected: "a positive number", got: groups)
    }
    self.groups = groups
    scalesGroups = node.version < 21
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2 else {
      throw .unexpected("rank of X", expected: "at least 2", got: "\(shape.count)")
    }
    guard shape[1] % groups == 0, groups <= max(shape[1], 1) else {
      throw .unexpected("channels of X", expected: "a multiple of \(groups)", got: "\(shape[1])")
    }
    try checkParameters(inputs, count: scalesGroups ? groups : shape[1], "scale", "bias")
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let size = max(1, shape[1] / groups)
    BlockNormalization(epsilon: epsilon, blocks: shape[0] * groups) { plane in
      scalesGroups ? plane / size % groups : plane % shape[1]
    }.run(inputs, outputs)
  }
}

/// Checks that inputs 1 and 2 hold `count` numbers each.
private func checkParameters(_ inputs: Facts, count: Int, _ names: String...) throws(ModelError) {
  for (index, name) in names.enumerated() {
    let shape = try inputs.shape(index + 1)
    guard shape == [count] else {
      throw .unexpected("shape of \(name)", expected: "[\(count)]", got: "[\(shape.joined)]")
    }
  }
}

/// Cuts X into equal blocks of planes and normalizes each by its own moments.
struct BlockNormalization {
  let epsilon: Double
  let blocks: Int
  /// Which scale and bias belong to a plane, counted through the batch.
  let parameter: (_ plane: Int) -> Int

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    guard let x = inputs[0].single else { return runPlainly(inputs, outputs) }
    let crew = outputs.context.crew
    let (scale, bias): ([Double], [Double]) = (inputs[1].converted(), inputs[2].converted())
    let moments = ReductionKernel.moments(x, rows: blocks, on: crew)
    let shape = inputs[0].shape
    let planes = shape[0] * shape[1]
    var (means, factors, shifts): ([Float], [Float], [Float]) = ([], [], [])
    var interruption = Interruption()
    for plane in 0..<planes {
      if interruption.isDue(after: 20) { return }
      let (mean, variance) = moments[plane * blocks / planes]
      let which = parameter(plane)
      means.append(mean)
      factors.append(Float(scale[which] / (Double(variance) + epsilon).squareRoot()))
      shifts.append(Float(bias[which]))
    }
    outputs[0].writeSingle { y in
      ReductionKernel.normalizeRows(
        x, rows: planes, means: means, factors: factors, shifts: shifts, into: y, on: crew)
    }
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs) {
    let (scale, bias): ([Double], [Double]) = (inputs[1].converted(), inputs[2].converted())
    let plane = max(1, inputs[0].shape.dropFirst(2).reduce(1, *))
    func compute<T: RealNumber>(_: T.Type) {
      var x: [T] = inputs[0].converted()
      let count = x.count / max(blocks, 1)
      var interruption = Interruption()
      for first in stride(from: 0, to: x.count, by: max(count, 1)) {
        if interruption.isDue(after: 100) { return }
        let moments = Moments(x[first..<first + count])
        let factor = moments.inverseDeviation(epsilon)
        for index in first..<first + count {
          if interruption.isDue(after: 8) { return }
          let which = parameter(index / plane)
          let value = (x[index].asDouble - moments.mean) * factor
          x[index] = T(converting: value * scale[which] + bias[which])
        }
      }
      outputs[0].store(x)
    }
    compute(inputs[0].type.real)
  }
}
