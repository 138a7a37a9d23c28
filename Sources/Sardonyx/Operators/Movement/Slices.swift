/// Operators that cut tensors along axes and join them.
let slices: OperatorFamily = [
  "CenterCropPad": CenterCropPad.init,
  "Concat": Concat.init,
  "DynamicSlice": Slice.init,
  "Slice": Slice.init,
  "Split": Split.init,
]

/// Every `step`-th place between two bounds of some axes.
struct Slice: Operator {
  /// Before version 10 the bounds are attributes, but for the experimental DynamicSlice.
  private let fixed: Bounds?

  private struct Bounds {
    var starts: [Int]
    var ends: [Int]
    var axes: [Int]?
    var steps: [Int]?
  }

  init(_ node: inout NodeReader) throws(ModelError) {
    guard node.version < 10, node.operatorName == "Slice" else {
      fixed = nil
      return
    }
    guard let starts = try node.ints("starts", within: NodeReader.any) else {
      throw node.missing("starts")
    }
    guard let ends = try node.ints("ends", within: NodeReader.any) else {
      throw node.missing("ends")
    }
    fixed = Bounds(starts: starts, ends: ends, axes: try node.ints("axes"))
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), try region(inputs).extents)]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    // Bounds that depend on data are left to `run`.
    guard let source = try? region(inputs) else { return nil }
    return try [RegionMove(source: source, target: Region(source.extents))]
      .computation(of: inputs.type(0))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    outputs[0].copy(inputs[0], from: try region(inputs.facts), on: outputs.context.crew)
  }

  private func region(_ inputs: Facts) throws(ModelError) -> Region {
    let shape = try inputs.shape(0)
    return try places(inputs).reduce(Region(shape)) {
      $0.sliced($1.axis, from: $1.first, step: $1.step, count: $1.count)
    }
  }

  /// What is taken along the axes that are cut.
  private func places(_ inputs: Facts) throws(ModelError)
    -> [(axis: Int, first: Int, step: Int, count: Int)]
  {
    let shape = try inputs.shape(0)
    let bounds = try bounds(inputs)
    let count = bounds.starts.count
    let axes = try (bounds.axes ?? Array(0..<count)).axes(ofRank: shape.count)
    let steps = bounds.steps ?? Array(repeating: 1, count: count)
    guard bounds.ends.count == count, axes.count == count, steps.count == count else {
      throw .unexpected(
        "starts, ends, axes and steps", expected: "as many elements each",
        got: "\(count), \(bounds.ends.count), \(axes.count) and \(steps.count)")
    }
    var places: [(axis: Int, first: Int, step: Int, count: Int)] = []
    for (index, axis) in axes.enumerated() {
      guard steps[index] != 0 else {
        throw .unexpected("steps", expected: "no 0", got: "[\(steps.joined)]")
      }
      let (first, count) = Self.places(
        shape[axis], bounds.starts[index], bounds.ends[index], steps[index])
      places.append((axis, first, steps[index], count))
    }
    return places
  }

  private func bounds(_ inputs: Facts) throws(ModelError) -> Bounds {
    if let fixed { return fixed }
    return Bounds(
      starts: try inputs.integers(1), ends: try inputs.integers(2),
      axes: inputs.has(3) ? try inputs.integers(3) : nil,
      steps: inputs.has(4) ? try inputs.integers(4) : nil)
  }

  /// The first place and the number of places; bounds count from the back where negative, and are
  /// clamped to the axis.
  private static func places(_ extent: Int, _ start: Int, _ end: Int, _ step: Int) -> (Int, Int) {
    let lowest = step > 0 ? 0 : -1
    let highest = step > 0 ? extent : extent - 1
    func clamped(_ bound: Int) -> Int {
      max(lowest, min(bound < 0 ? bound.saturatingSum(extent) : bound, highest))
    }
    let (first, last) = (clamped(start), clamped(end))
    let distance = step > 0 ? last - first : first - last
    guard distance > 0 else { return (0, 0) }
    return (first, 1 + Int(UInt(distance - 1) / step.magnitude))
  }
}

extension Slice: Viewing {
  func view(_ output: Int, of whole: StridedView, _ inputs: Facts) throws(ModelError)
    -> StridedView?
  {
    var view: StridedView? = whole
    for place in try places(inputs) {
      view = view?.sliced(place.axis, from: place.first, step: place.step, count: place.count)
    }
    return view
  }
}

/// The input cut into parts along an axis.
struct Split: Operator {
  let axis: Int
  let fixedSizes: [Int]?
  let partCount: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: 0)
    fixedSizes = try node.ints("split")
    partCount = try node.int("num_outputs") ?? node.outputCount
    guard partCount == node.outputCount else {
      throw node.invalid("num_outputs", expected: "\(node.outputCount)", got: partCount)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axis = try axis.axis(ofRank: shape.count)
    var facts: [Fact] = []
    for size in try sizes(inputs, extent: shape[axis]) {
      var part = shape
      part[axis] = size
      facts.append(Fact(try inputs.type(0), part))
    }
    return facts
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let axis = try axis.axis(ofRank: shape.count)
    var first = 0
    var moves: [RegionMove] = []
    for (index, size) in try sizes(inputs, extent: shape[axis]).enumerated() {
      let source = Region(shape).sliced(axis, from: first, count: size)
      moves.append(RegionMove(output: index, source: source, target: Region(source.extents)))
      first += size
    }
    return moves.computation(of: try inputs.type(0))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axis = try axis.axis(ofRank: shape.count)
    var first = 0
    for (index, size) in try sizes(inputs.facts, extent: shape[axis]).enumerated() {
      if outputs.wants(index) {
        outputs[index].copy(
          inputs[0], from: Region(shape).sliced(axis, from: first, count: size),
          on: outputs.context.crew)
      }
      first += size
    }
  }

  /// As given, or equal; the last part alone may be smaller.
  private func sizes(_ inputs: Facts, extent: Int) throws(ModelError) -> [Int] {
    guard inputs.has(1) || fixedSizes != nil else {
      let size = (extent + partCount - 1) / partCount
      return (0..<partCount).map { max(0, min(size, extent - $0 * size)) }
    }
    let sizes = inputs.has(1) ? try inputs.integers(1) : fixedSizes!
    guard sizes.count == partCount else {
      throw .unexpected("elements of split", expected: "\(partCount)", got: "\(sizes.count)")
    }
    guard sizes.allSatisfy({ $0 >= 0 }), sizes.saturatingSum() == extent else {
      throw .unexpected(
        "split", expected: "sizes that add up to \(extent)", got: "[\(sizes.joined)]")
    }
    return sizes
  }
}

extension Split: Viewing {
  func view(_ output: Int, of whole: StridedView, _ inputs: Facts) throws(ModelError)
    -> StridedView?
  {
    let shape = whole.shape
    let axis = try axis.axis(ofRank: shape.count)
    let sizes = try sizes(inputs, extent: shape[axis])
    return whole.sliced(axis, from: sizes[..<output].reduce(0, +), count: sizes[output])
  }
}

extension [Int] {
  func saturatingSum() -> Int { reduce(0) { $0.saturatingSum($1) } }
}

/// Tensors joined along an axis.
struct Concat: Operator {
  let axis: Int

  init(axis: Int) { self.axis = axis }

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let axis = try node.int("axis") ?? (node.version < 4 ? 1 : nil) else {
      throw node.missing("axis")
    }
    self.axis = axis
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shapes: [Shape] = []
    try inputs.requireAll()
    for index in 0..<inputs.count { shapes.append(try inputs.shape(index)) }
    return [Fact(try inputs.type(0), try Shape.joined(shapes, along: axis))]
  }

  func concatenates(_ inputs: Facts) -> Bool {
    guard let shape = try? inputs.shape(0), let axis = try? axis.axis(ofRank: shape.count) else {
      return false
    }
    return shape.prefix(axis).allSatisfy { $0 == 1 }
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    guard let shape = outputs[0]?.shape else { return nil }
    let axis = try axis.axis(ofRank: shape.count)
    var first = 0
    var moves: [RegionMove] = []
    for index in 0..<inputs.count {
      let part = try inputs.shape(index)
      let target = Region(shape).sliced(axis, from: first, count: part[axis])
      moves.append(RegionMove(input: index, source: Region(part), target: target))
      first += part[axis]
    }
    return moves.computation(of: try inputs.type(0))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try outputs[0].join(
      (0..<inputs.count).map { inputs[$0] }, along: axis, on: outputs.context.crew)
  }
}

extension [Int] {
  /// The shape of tensors of the given shapes joined along an axis.
  static func joined(_ shapes: [Shape], along axis: Int) throws(ModelError) -> Shape {
    guard var result = shapes.first else {
      throw .unexpected("tensors to join", expected: "at least one", got: "none")
    }
    let axis = try axis.axis(ofRank: result.count)
    var interruption = Interruption()
    for (index, shape) in shapes.enumerated().dropFirst() {
      if interruption.isDue(after: 200) { try Interruption.check() }
      var expected = result
      if shape.count == result.count { expected[axis] = shape[axis] }
      guard shape == expected else {
        throw .unexpected(
          "shape of input \(index)", expected: "[\(shapes[0].joined)] but for axis \(axis)",
          got: "[\(shape.joined)]")
      }
      result[axis] = result[axis].saturatingSum(shape[axis])
    }
    return result
  }
}

extension Destination {
  /// Fills this tensor with others, one after the other along an axis.
  func join(_ tensors: [Tensor], along axis: Int, on crew: Crew) throws(ModelError) {
    let axis = try axis.axis(ofRank: shape.count)
    var first = 0
    var interruption = Interruption()
    for tensor in tensors {
      if interruption.isDue(after: 300) { return }
      let count = tensor.shape[axis]
      defer { first += count }
      // Where the plan let it be made here.
      let place = unsafe bytes + first * shape.dropFirst(axis + 1).reduce(1, *) * type.byteCount
      if shape.prefix(axis).allSatisfy({ $0 == 1 }), unsafe tensor.bytes == UnsafeRawPointer(place)
      {
        continue
      }
      copy(
        tensor, from: Region(tensor.shape),
        to: Region(shape).sliced(axis, from: first, count: count), on: crew)
    }
  }
}

/// The middle of the input, or the input amid zeros, in a given size.
struct CenterCropPad: Operator {
  let axes: [Int]?

  init(_ node: inout NodeReader) throws(ModelError) { axes = try node.ints("axes") }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shape = try inputs.shape(0)
    let sizes = try inputs.integers(1)
    let axes = try (axes ?? Array(shape.indices)).axes(ofRank: shape.count)
    guard sizes.count == axes.count, sizes.allSatisfy({ $0 >= 0 }) else {
      throw .unexpected(
        "shape", expected: "\(axes.count) extents from 0", got: "[\(sizes.joined)]")
    }
    for (axis, size) in zip(axes, sizes) { shape[axis] = size }
    return [Fact(try inputs.type(0), shape)]
  }

  /// An odd remainder is cut off or added behind.
  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let (old, new) = (inputs[0].shape, outputs[0].shape)
    var source = Region(old)
    var target = Region(new)
    for axis in old.indices {
      let count = min(old[axis], new[axis])
      source = source.sliced(axis, from: (old[axis] - count) / 2, count: count)
      target = target.sliced(axis, from: (new[axis] - count) / 2, count: count)
    }
    if old != new { outputs[0].clear() }
    outputs[0].copy(inputs[0], from: source, to: target, on: outputs.context.crew)
  }
}
