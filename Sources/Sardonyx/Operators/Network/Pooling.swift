/// Poolings: windows or whole planes reduced to one number each.
let pooling: OperatorFamily = [
  "AveragePool": AveragePool.init,
  "GlobalAveragePool": { node throws(ModelError) in try GlobalPool(&node, .average) },
  "GlobalLpPool": { node throws(ModelError) in try GlobalPool(&node, .norm) },
  "GlobalMaxPool": { node throws(ModelError) in try GlobalPool(&node, .maximum) },
  "LpPool": LpPool.init,
  "MaxPool": MaxPool.init,
  "MaxUnpool": MaxUnpool.init,
]

extension Window {
  /// The spatial axes of an N×C×spatial input.
  func axes(ofInput shape: Shape) throws(ModelError) -> [WindowAxis] {
    guard shape.count >= 3 else {
      throw .unexpected("rank of X", expected: "at least 3", got: "\(shape.count)")
    }
    return try axes(over: Array(shape.dropFirst(2)))
  }
}

extension [WindowAxis] {
  /// Folds what each window sees of each plane into the numbers of `results`, tap by tap.
  /// - Parameter cost: about how many nanoseconds a tap takes.
  @_specialize(where T == Float, R == Float)
  @_specialize(where T == Double, R == Double)
  func fold<T, R>(
    _ x: [T], planes: Int, cost: Int = 8, into results: inout [R],
    _ combine: (inout R, T, _ index: Int) -> Void
  ) {
    let runs = runs
    let stride = last?.stride ?? 1
    var interruption = Interruption()
    for plane in 0..<planes {
      for run in runs {
        if interruption.isDue(after: run.count &* cost &+ 2) { return }
        var from = plane * inputCount + run.input
        let first = plane * outputCount + run.output
        for to in first..<first + run.count {
          combine(&results[to], x[from], from)
          from += stride
        }
      }
    }
  }
}

extension PoolingShape {
  init(_ axes: [WindowAxis], planes: Int) {
    self.init(
      planes: planes, input: axes.map(\.input), output: axes.map(\.output),
      kernel: axes.map(\.kernel), strides: axes.map(\.stride), dilations: axes.map(\.dilation),
      padsBegin: axes.map(\.padBefore), padsEnd: axes.map(\.padAfter))
  }
}

/// Poolings by kernels, prepared for the shapes met.
private struct PreparedPoolings: Sendable {
  private let poolings = ShapeCache<PoolingShape, Pooling>()

  /// - Returns: false where kernels cannot pool: other types, or much more padding than input.
  func run(
    _ kind: Pooling.Kind, _ inputs: Inputs, _ outputs: Outputs, _ axes: [WindowAxis], planes: Int
  ) throws(ModelError) -> Bool {
    guard let x = inputs[0].single, axes.paddingIsModest, axes.rowsAreModest else {
      return false
    }
    let shape = PoolingShape(axes, planes: planes)
    let pooling = try poolings.value(for: shape) { () throws(ModelError) in
      try Pooling(kind, shape)
    }
    outputs[0].writeSingle { y in pooling.run(x, into: y, on: outputs.context.crew) }
    return true
  }
}

/// The largest number of each window, and where it lies.
struct MaxPool: Operator {
  let window: Window
  /// Whether `Indices` count the spatial axes from the first instead of the last.
  private let isColumnMajor: Bool
  private let poolings = PreparedPoolings()

  init(_ node: inout NodeReader) throws(ModelError) {
    window = try Window(&node)
    isColumnMajor = try node.bool("storage_order")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let pooled = shape.prefix(2) + (try window.axes(ofInput: shape)).outputExtents
    return [Fact(try inputs.type(0), Shape(pooled)), Fact(.int64, Shape(pooled))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axes = try window.axes(ofInput: shape)
    let planes = shape[0] * shape[1]
    let kind = Pooling.Kind.maximum
    if !outputs.wants(1), try poolings.run(kind, inputs, outputs, axes, planes: planes) { return }
    try runPlainly(inputs, outputs, axes, planes: planes)
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ axes: [WindowAxis], planes: Int)
    throws(ModelError)
  {
    func compute<T: Number>(_: T.Type) {
      let x: [T] = inputs[0].converted()
      let count = planes * axes.outputCount
      guard outputs.wants(1) else {
        var maxima = [T](repeating: .lowest, untilDue: count)
        axes.fold(x, planes: planes, into: &maxima) { maximum, value, _ in
          if value > maximum || value.isNaN { maximum = value }
        }
        return outputs[0].store(maxima)
      }
      var found = [(value: T, index: Int)](repeating: (.lowest, -1), untilDue: count)
      axes.fold(x, planes: planes, cost: 64, into: &found) { found, value, index in
        if found.index < 0 || value > found.value || (value.isNaN && !found.value.isNaN) {
          found = (value, index)
        }
      }
      if outputs.wants(0) { outputs[0].store(found.interruptibleMap(cost: 8) { $0.value }) }
      outputs[1].store(
        elements: found.interruptibleMap(cost: 16) { Int64(axes.index($0.index, isColumnMajor)) })
    }
    compute(try inputs[0].type.number())
  }
}

extension [WindowAxis] {
  /// An element's index, counted within its plane from the first spatial axis if asked.
  fileprivate func index(_ index: Int, _ isColumnMajor: Bool) -> Int {
    guard isColumnMajor, index >= 0, inputCount > 0 else { return index }
    var rest = index % inputCount
    var turned = 0
    for axis in reversed() {
      turned = turned * axis.input + rest % axis.input
      rest /= axis.input
    }
    return index - index % inputCount + turned
  }
}

/// The mean of each window.
struct AveragePool: Operator {
  let window: Window
  let countsPadding: Bool
  private let poolings = PreparedPoolings()

  init(_ node: inout NodeReader) throws(ModelError) {
    window = try Window(&node)
    countsPadding = try node.bool("count_include_pad")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let pooled = shape.prefix(2) + (try window.axes(ofInput: shape)).outputExtents
    return [Fact(try inputs.type(0), Shape(pooled))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axes = try window.axes(ofInput: shape)
    let planes = shape[0] * shape[1]
    let kind = Pooling.Kind.average(countsPadding: countsPadding)
    if try !poolings.run(kind, inputs, outputs, axes, planes: planes) {
      runPlainly(inputs, outputs, axes, planes: planes)
    }
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, _ axes: [WindowAxis], planes: Int) {
    func compute<T: RealNumber>(_: T.Type) {
      let x: [T] = inputs[0].converted()
      var sums = [T](zerosUntilDue: planes * axes.outputCount)
      axes.fold(x, planes: planes, into: &sums) { sum, value, _ in sum += value }
      let counts = counts(axes)
      // A window of nothing has the mean 0.
      var interruption = Interruption()
      for index in sums.indices {
        if interruption.isDue(after: 8) { return }
        sums[index] /= T(max(1, counts[index % counts.count]))
      }
      outputs[0].store(sums)
    }
    compute(inputs[0].type.real)
  }

  /// How many elements are averaged for each output of a plane; the part of a last window beyond
  /// the padding never counts.
  private func counts(_ axes: [WindowAxis]) -> [Int] {
    var counts: [Int] = []
    var interruption = Interruption()
    axes.outputExtents.forEachIndex { place in
      if interruption.isDue(after: 200) { return }
      let taps = zip(axes, place).map {
        countsPadding ? $0.paddedTapCount(of: $1) : $0.taps(of: $1).count
      }
      counts.append(taps.reduce(1, &*))
    }
    return counts
  }
}

/// The Lp norm of each window: (Σ |x|ᵖ)^(1/p).
struct LpPool: Operator {
  let window: Window
  private let p: Double

  init(_ node: inout NodeReader) throws(ModelError) {
    window = try Window(&node)
    p = try node.exponent()
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let pooled = shape.prefix(2) + (try window.axes(ofInput: shape)).outputExtents
    return [Fact(try inputs.type(0), Shape(pooled))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axes = try window.axes(ofInput: shape)
    let planes = shape[0] * shape[1]
    func compute<T: RealNumber>(_: T.Type) {
      let x: [T] = inputs[0].converted()
      var sums = [T](zerosUntilDue: planes * axes.outputCount)
      axes.fold(x, planes: planes, cost: 32, into: &sums) {
        sum, value, _ in sum += abs(value).power(p)
      }
      outputs[0].store(sums.interruptibleMap(cost: 20) { $0.power(1 / p) })
    }
    compute(inputs[0].type.real)
  }
}

extension NodeReader {
  /// The attribute `p` of norms, a float in version 1 and an int since.
  fileprivate mutating func exponent() throws(ModelError) -> Double {
    if version == 1 { return Double(try float("p", default: 2)) }
    return Double(try int("p", default: 2))
  }
}

extension Number {
  /// What no number of the type is below.
  static var lowest: Self { Self(converting: -Double.infinity) }
}

/// Whole planes reduced to one number each: N×C×spatial to N×C×1×….
struct GlobalPool: Operator {
  enum Reduction: Sendable {
    case average, maximum, norm

    /// What computes it in single precision.
    fileprivate var kernel: ReductionKernel? {
      switch self {
      case .average: .mean
      case .maximum: .maximum
      case .norm: nil
      }
    }
  }

  let reduction: Reduction
  private let p: Double

  init(_ node: inout NodeReader) throws(ModelError) { try self.init(&node, .average) }

  init(_ node: inout NodeReader, _ reduction: Reduction) throws(ModelError) {
    self.reduction = reduction
    p = reduction == .norm ? try node.exponent() : 1
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2 else {
      throw .unexpected("rank of X", expected: "at least 2", got: "\(shape.count)")
    }
    return [Fact(try inputs.type(0), shape.prefix(2) + shape.dropFirst(2).map { _ in 1 })]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let count = inputs[0].shape.dropFirst(2).reduce(1, *)
    guard let x = inputs[0].single, let kernel = reduction.kernel else {
      return runPlainly(inputs, outputs, count: count)
    }
    outputs[0].writeSingle { y in
      kernel.reduceRows(x, count: count, into: y, on: outputs.context.crew)
    }
  }

  /// The specification that the kernels are compared with.
  func runPlainly(_ inputs: Inputs, _ outputs: Outputs, count: Int) {
    func compute<T: RealNumber>(_: T.Type) {
      let x: [T] = inputs[0].converted()
      outputs[0].store(
        Interruption.map(outputs[0].elementCount, cost: 10 &* count) {
          reduce(x[$0 * count..<($0 + 1) * count])
        })
    }
    compute(inputs[0].type.real)
  }

  private func reduce<T: RealNumber>(_ plane: ArraySlice<T>) -> T {
    switch reduction {
    case .average:
      return T(converting: plane.reduce(0.0) { $0 + $1.asDouble } / Double(plane.count))
    case .maximum:
      return plane.reduce(.lowest) { $1 > $0 || $1.isNaN ? $1 : $0 }
    case .norm:
      let sum = plane.reduce(0.0) { $0 + abs($1.asDouble).power(p) }
      return T(converting: sum.power(1 / p))
    }
  }
}
