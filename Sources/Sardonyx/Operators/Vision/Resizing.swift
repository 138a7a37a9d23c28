/// Tensors made larger or smaller, or sampled at given points.
let resizing: OperatorFamily = [
  "AffineGrid": AffineGrid.init,
  "GridSample": GridSample.init,
  "Resize": Resize.init,
  "Upsample": Upsample.init,
]

/// Resizes axes by interpolation.
struct Resize: Operator {
  let sampling: ResizeSampling
  private let axes: [Int]?
  private let policy: AspectPolicy
  /// The positions of the inputs roi, scales and sizes; version 10 has scales alone.
  private let inputs: (roi: Int?, scales: Int, sizes: Int?)

  /// What becomes of `sizes` that would change the ratio of the extents.
  private enum AspectPolicy: String, CaseIterable {
    case stretch
    case notLarger = "not_larger"
    case notSmaller = "not_smaller"
  }

  init(_ node: inout NodeReader) throws(ModelError) {
    sampling = try ResizeSampling(&node)
    axes = try node.ints("axes")
    policy = try node.choice("keep_aspect_ratio_policy", default: .stretch)
    inputs = node.version == 10 ? (nil, 1, nil) : (1, 2, 3)
  }

  func outputs(_ facts: Facts) throws(ModelError) -> [Fact] {
    let axes = try resizedAxes(facts)
    let shape = try facts.shape(0)
    return [Fact(try facts.type(0), shape.indices.map { axes[$0]?.output ?? shape[$0] })]
  }

  func computation(_ facts: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    try sampling.computation(facts, try resizedAxes(facts))
  }

  func run(_ values: Inputs, _ outputs: Outputs) throws(ModelError) {
    let axes = try resizedAxes(values.facts)
    try sampling.resize(values[0], axes, outputs[0], on: outputs.context.crew)
  }

  /// The change of each axis of X, nil for one that stays as it is.
  func resizedAxes(_ facts: Facts) throws(ModelError) -> [ResizedAxis?] {
    let shape = try facts.shape(0)
    let axes = try axes?.axes(ofRank: shape.count) ?? Array(shape.indices)
    let roi = try regionOfInterest(facts, count: axes.count)
    let changes = try changes(facts, axes.map { shape[$0] })
    var resized = [ResizedAxis?](repeating: nil, count: shape.count)
    for (index, axis) in axes.enumerated() {
      let change = ResizedAxis(
        input: shape[axis], output: changes[index].output, scale: changes[index].scale,
        region: roi.map { ($0[index], $0[index + axes.count]) } ?? (0, 1))
      resized[axis] = change.isIdentity ? nil : change
    }
    return resized
  }

  private func regionOfInterest(_ facts: Facts, count: Int) throws(ModelError) -> [Double]? {
    guard sampling.mapping == .cropAndResize, let index = inputs.roi, facts.has(index) else {
      return nil
    }
    let roi = try facts.numbers(index)
    guard roi.count == 2 * count else {
      throw .unexpected("elements of roi", expected: "\(2 * count)", got: "\(roi.count)")
    }
    return roi
  }

  /// The scale and the new extent of each resized axis.
  private func changes(_ facts: Facts, _ extents: [Int]) throws(ModelError)
    -> [(scale: AxisScale, output: Int)]
  {
    if let index = inputs.sizes, facts.has(index), try facts.shape(index) != [0] {
      return fitted(try checkedSizes(facts.integers(index), count: extents.count), extents)
    }
    guard facts.has(inputs.scales) else {
      throw ModelError(.mismatch, "scales and sizes: expected one of them, got neither")
    }
    let scales = try checkedScales(facts.numbers(inputs.scales), count: extents.count)
    return zip(scales, extents).map {
      let scale = AxisScale($0, of: $1)
      return (scale, scale.extent(of: $1))
    }
  }

  private func checkedSizes(_ sizes: [Int], count: Int) throws(ModelError) -> [Int] {
    guard sizes.count == count, sizes.allSatisfy({ $0 >= 0 }) else {
      throw .unexpected(
        "sizes", expected: "\(count) numbers from 0 on", got: "[\(sizes.joined)]")
    }
    return sizes
  }

  private func fitted(_ sizes: [Int], _ extents: [Int]) -> [(scale: AxisScale, output: Int)] {
    let scales = zip(sizes, extents).map { AxisScale(output: $0, input: $1) }
    let common: AxisScale?
    switch policy {
    case .stretch: common = nil
    case .notLarger: common = scales.min()
    case .notSmaller: common = scales.max()
    }
    guard let common else { return Array(zip(scales, sizes)) }
    return extents.map { (common, common.roundedExtent(of: $0)) }
  }
}

/// Checks scales: one positive number for each axis.
private func checkedScales(_ scales: [Double], count: Int) throws(ModelError) -> [Double] {
  guard scales.count == count, scales.allSatisfy({ $0 > 0 && $0.isFinite }) else {
    throw .unexpected("scales", expected: "\(count) positive numbers", got: "\(scales)")
  }
  return scales
}

/// The operator that Resize took the place of: every axis by its scale, from its first element on.
struct Upsample: Operator {
  let sampling: ResizeSampling
  /// The scales where they are attributes, as before version 9.
  private let scales: [Double]?

  init(_ node: inout NodeReader) throws(ModelError) {
    sampling = try ResizeSampling(upsampling: &node)
    switch node.version {
    case 1:
      guard let height = try node.float("height_scale") else { throw node.missing("height_scale") }
      guard let width = try node.float("width_scale") else { throw node.missing("width_scale") }
      scales = [1, 1, Double(height), Double(width)]
    case ..<9:
      guard let given = try node.floats("scales") else { throw node.missing("scales") }
      scales = given.map { Double($0) }
    default: scales = nil
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axes = try resizedAxes(inputs)
    return [Fact(try inputs.type(0), shape.indices.map { axes[$0]?.output ?? shape[$0] })]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    try sampling.computation(inputs, try resizedAxes(inputs))
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let axes = try resizedAxes(inputs.facts)
    try sampling.resize(inputs[0], axes, outputs[0], on: outputs.context.crew)
  }

  func resizedAxes(_ inputs: Facts) throws(ModelError) -> [ResizedAxis?] {
    let shape = try inputs.shape(0)
    let given: [Double]
    if let scales { given = scales } else { given = try inputs.numbers(1) }
    let scales = try checkedScales(given, count: shape.count)
    return zip(shape, scales).map { extent, number in
      let scale = AxisScale(number, of: extent)
      let change = ResizedAxis(input: extent, output: scale.extent(of: extent), scale: scale)
      return change.isIdentity ? nil : change
    }
  }
}
