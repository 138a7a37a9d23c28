/// How many elements of an axis of the output there are for each of the input: a quotient of
/// numbers that are exact, so that a point on the boundary of two elements is found to lie there.
struct AxisScale: Sendable, Comparable {
  let outputs: Double
  let inputs: Double

  /// The scale that makes one extent of another.
  init(output: Int, input: Int) { (outputs, inputs) = (Double(output), Double(input)) }

  /// A scale that the model states in single precision: where its product with the extent is a
  /// whole number in that precision, it stands for the quotient of the two.
  init(_ stated: Double, of input: Int) {
    let product = Float(stated) * Float(input)
    let isQuotient = input < 1 << 24 && product < 0x1p52 && product == product.rounded(.down)
    (outputs, inputs) = isQuotient ? (Double(product), Double(input)) : (stated, 1)
  }

  var quotient: Double { outputs / inputs }

  /// The extent that an extent becomes, its fraction cut off.
  func extent(of input: Int) -> Int {
    input == 0 ? 0 : (Double(input) * outputs / inputs).rounded(.down).saturated()
  }

  /// The extent that an extent becomes, rounded half up.
  func roundedExtent(of input: Int) -> Int {
    let twice = 2 * Double(input) * outputs + inputs
    return input == 0 ? 0 : (twice / (2 * inputs)).rounded(.down).saturated()
  }

  static func == (left: Self, right: Self) -> Bool {
    left.outputs * right.inputs == right.outputs * left.inputs
  }

  static func < (left: Self, right: Self) -> Bool {
    left.outputs * right.inputs < right.outputs * left.inputs
  }
}

/// An axis whose extent changes.
struct ResizedAxis: Sendable {
  let input: Int
  let output: Int
  let scale: AxisScale
  /// The part of the input that is seen, as fractions of the axis.
  var region: (first: Double, last: Double) = (0, 1)

  /// Whether the output is the input.
  var isIdentity: Bool { scale.outputs == scale.inputs && output == input && region == (0, 1) }
}

/// How Resize finds an element of its output: which point of the input it stands for, and which
/// neighbours of that point count how much.
///
/// Interpolation separates into axes, so each axis has a short list of neighbours per output.
struct ResizeSampling: Sendable {
  enum Mode: String, CaseIterable { case nearest, linear, cubic, bilinear }

  /// The attribute `coordinate_transformation_mode`.
  enum Mapping: String, CaseIterable {
    case asymmetric
    case alignCorners = "align_corners"
    case halfPixel = "half_pixel"
    case halfPixelSymmetric = "half_pixel_symmetric"
    case halfPixelPyTorch = "pytorch_half_pixel"
    case halfPixelForNearest = "tf_half_pixel_for_nn"
    case cropAndResize = "tf_crop_and_resize"
  }

  enum Rounding: String, CaseIterable {
    case halfDown = "round_prefer_floor"
    case halfUp = "round_prefer_ceil"
    case floor
    case ceil
  }

  let mapping: Mapping
  private let mode: Mode
  /// nil as in version 10: down when growing, up when shrinking.
  private let rounding: Rounding?
  private let cubicCoefficient: Double
  private let excludesOutside: Bool
  private let extrapolation: Double
  private let antialiases: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    let isSimple = node.version < 11
    mode = try node.choice("mode", default: .nearest)
    mapping = try node.choice(
      "coordinate_transformation_mode", default: isSimple ? .asymmetric : .halfPixel)
    rounding = isSimple ? nil : try node.choice("nearest_mode", default: .halfDown)
    cubicCoefficient = Double(try node.float("cubic_coeff_a", default: -0.75))
    excludesOutside = try node.bool("exclude_outside")
    extrapolation = Double(try node.float("extrapolation_value", default: 0))
    antialiases = try node.bool("antialias")
  }

  /// That of Upsample.
  init(upsampling node: inout NodeReader) throws(ModelError) {
    mode = try node.choice("mode", default: .nearest)
    mapping = .asymmetric
    rounding = .floor
    (cubicCoefficient, excludesOutside, extrapolation, antialiases) = (0, false, 0, false)
  }

  /// What resizes the axes of a tensor of single precision that are not nil; nil where nothing is
  /// summed, or nothing is there.
  /// - Parameter picks: whether single elements are summed, too.
  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end.
  func kernel(
    _ shape: Shape, _ axes: [ResizedAxis?], picks: Bool = false
  ) throws(ModelError) -> ResamplingKernel? {
    let output = zip(shape, axes).map { $1?.output ?? $0 }
    guard picks || mode != .nearest || mapping == .cropAndResize,
      axes.contains(where: { $0 != nil }), !shape.contains(0), !output.contains(0),
      shape.allSatisfy({ $0 <= Int(Int32.max) })
    else { return nil }
    var taps = [ResamplingKernel.Taps?](repeating: nil, count: axes.count)
    for case (let index, let axis?) in axes.enumerated() {
      taps[index] = ResamplingKernel.Taps(axis.output) { neighbours(of: $0, axis) }
    }
    try Interruption.check()
    return ResamplingKernel(shape, taps, filler: Float(extrapolation))
  }

  func computation(_ facts: Facts, _ axes: [ResizedAxis?]) throws(ModelError) -> Computation? {
    guard try facts.type(0) == .float, let kernel = try kernel(try facts.shape(0), axes)
    else {
      return nil
    }
    return { addresses, crew in
      unsafe kernel.run(addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  /// Resizes the axes of a tensor that are not nil.
  func resize(
    _ x: Tensor, _ axes: [ResizedAxis?], _ destination: Destination, on crew: Crew
  ) throws(ModelError) {
    if destination.elementCount == 0 { return }
    for case let axis? in axes where axis.input == 0 {
      throw .unexpected("extent of a resized axis", expected: "at least 1", got: "0")
    }
    if mode == .nearest, mapping != .cropAndResize {
      return try pickNearest(x, axes, destination, crew)
    }
    guard x.type.computed != nil else {
      throw .unexpected("type of X", expected: "numbers, as mode is \(mode)", got: "\(x.type)")
    }
    if x.type == .float, let kernel = try kernel(x.shape, axes) {
      return unsafe kernel.run(
        x.pointer(as: Float.self), into: destination.pointer(as: Float.self), on: crew)
    }
    let numbers = try interpolated(x.converted(to: Double.self), x.shape, axes)
    destination.store(x.type.isFloatingPoint ? numbers : numbers.map { x.type.saturated($0) })
  }

  /// The numbers of a tensor resized along one axis after the other.
  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end.
  func interpolated(
    _ x: [Double], _ shape: Shape, _ axes: [ResizedAxis?]
  ) throws(ModelError) -> [Double] {
    var (shape, numbers) = (shape, x)
    for (index, axis) in axes.enumerated() {
      guard let axis else { continue }
      let claim = Interruption.claim()
      let near = Interruption.map(axis.output, cost: 100) { output in
        let near = neighbours(of: output, axis)
        claim?.expect(Self.listByteCount(near))
        return near
      }
      try Interruption.check()
      numbers = interpolate(numbers, AxisBlock(shape, axis: index), near)
      shape[index] = axis.output
    }
    return numbers
  }

  /// About how many bytes a list of neighbours takes in a list of such lists.
  private static func listByteCount(_ near: [(index: Int, weight: Double)]?) -> Int {
    16 + (near.map { 48 + 16 * $0.count } ?? 0)
  }

  /// Copies each output's nearest element, of whatever type.
  private func pickNearest(
    _ x: Tensor, _ axes: [ResizedAxis?], _ destination: Destination, _ crew: Crew
  ) throws(ModelError) {
    if let region = repeated(x.shape, axes) {
      return destination.copy(x, from: region, to: Region(region.extents), on: crew)
    }
    let strides = x.shape.strides
    // Axes at the end that stay as they are move in blocks.
    let last = (axes.lastIndex { $0 != nil } ?? -1) + 1
    let places = axes.indices.prefix(last).map { index -> [Int] in
      let axis = axes[index]
      return Interruption.map(axis?.output ?? x.shape[index], cost: 20) { place in
        (axis.map { nearest(to: place, $0) } ?? place) * strides[index]
      }
    }
    try Interruption.check()
    destination.gather(x, blocksOf: x.shape.dropFirst(last).reduce(1, *), along: places)
  }

  /// The elements of X each repeated a whole number of times along the axes, where that is what
  /// comes out: two axes for each, the second of which stands still.
  private func repeated(_ shape: Shape, _ axes: [ResizedAxis?]) -> Region? {
    var region = Region([])
    for (index, stride) in shape.strides.enumerated() {
      let times = (axes[index]?.output ?? shape[index]) / shape[index]
      if let axis = axes[index] {
        guard times > 0, axis.output == times * axis.input,
          repeats(axis, times: times)
        else { return nil }
      }
      region.extents += [shape[index], times]
      region.strides += [stride, 0]
    }
    return region
  }

  /// Whether each element of an axis comes so many times; false where the run is to end.
  private func repeats(_ axis: ResizedAxis, times: Int) -> Bool {
    var interruption = Interruption()
    return (0..<axis.output).allSatisfy {
      !interruption.isDue(after: 20) && nearest(to: $0, axis) == $0 / times
    }
  }

  private func nearest(to output: Int, _ axis: ResizedAxis) -> Int {
    let point = point(of: output, axis)
    let nearest: Double
    switch rounding {
    case .halfDown: nearest = (point - 0.5).rounded(.up)
    case .halfUp: nearest = (point + 0.5).rounded(.down)
    case .floor: nearest = point.rounded(.down)
    case .ceil: nearest = point.rounded(.up)
    case nil: nearest = point.rounded(axis.scale.quotient < 1 ? .up : .down)
    }
    return min(max(nearest.saturated(), 0), axis.input - 1)
  }

  /// The point of the input that an output stands for; element i is the point i.
  ///
  /// ONNX's formulas, each brought over one denominator and divided once: what is a whole number or
  /// a half comes out as such. The output's extent that they name is scale · input, not rounded.
  private func point(of output: Int, _ axis: ResizedAxis) -> Double {
    let (outputs, inputs) = (axis.scale.outputs, axis.scale.inputs)
    let place = Double(output)
    let last = Double(axis.input - 1)
    // From the first output to the last, and the way between them that is behind, both · inputs.
    let way = outputs * Double(axis.input) - inputs
    let gone = place * inputs
    switch mapping {
    case .asymmetric: return gone / outputs
    case .alignCorners: return axis.output == 1 ? 0 : gone * last / way
    case .halfPixelPyTorch where axis.output == 1: return 0
    case .halfPixel, .halfPixelPyTorch: return (2 * gone + inputs - outputs) / (2 * outputs)
    case .halfPixelForNearest: return (2 * gone + inputs) / (2 * outputs)
    case .halfPixelSymmetric:
      let fromCenter = 2 * place + 1 - Double(axis.output)
      return (outputs * last + inputs * fromCenter) / (2 * outputs)
    case .cropAndResize where axis.output == 1:
      return (axis.region.first + axis.region.last) * last / 2
    case .cropAndResize:
      return (axis.region.first * (way - gone) + axis.region.last * gone) * last / way
    }
  }

  /// The elements an output is made of with their weights; nil outside of what may be seen.
  private func neighbours(of output: Int, _ axis: ResizedAxis) -> [(index: Int, weight: Double)]? {
    let point = point(of: output, axis)
    guard mapping != .cropAndResize || (point >= 0 && point <= Double(axis.input - 1)) else {
      return nil
    }
    if mode == .nearest { return [(nearest(to: output, axis), 1)] }
    let shrinking = antialiases ? min(axis.scale.quotient, 1) : 1
    let reach = (mode == .cubic ? 2 : 1) / shrinking
    let bound = 4 * axis.input + 8
    let first: Int = max((point - reach).rounded(.down).saturated(), -bound)
    let last: Int = min((point + reach).rounded(.up).saturated(), bound)
    var neighbours = (first...max(first, last)).map {
      ($0, weight((Double($0) - point) * shrinking))
    }
    if excludesOutside { neighbours.removeAll { $0.0 < 0 || $0.0 >= axis.input } }
    let sum = excludesOutside || antialiases ? neighbours.reduce(0) { $0 + $1.1 } : 1
    return neighbours.filter { $0.1 != 0 }.map {
      (min(max($0.0, 0), axis.input - 1), sum == 0 ? 0 : $0.1 / sum)
    }
  }

  /// How much an element at a distance counts: the triangle of linear, Keys' kernel of cubic
  /// interpolation.
  private func weight(_ distance: Double) -> Double {
    let x = abs(distance)
    guard mode == .cubic else { return max(0, 1 - x) }
    let a = cubicCoefficient
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }

  private func interpolate(
    _ x: [Double], _ view: AxisBlock, _ neighbours: [[(index: Int, weight: Double)]?]
  ) -> [Double] {
    var y = [Double](
      repeating: extrapolation, untilDue: view.outer * neighbours.count * view.inner)
    var interruption = Interruption()
    var row = 0
    for outer in 0..<view.outer {
      for near in neighbours {
        if interruption.isDue(after: 2 &* view.inner &* (near?.count ?? 1)) { return y }
        defer { row += view.inner }
        guard let near else { continue }
        for place in row..<row + view.inner { y[place] = 0 }
        for (index, weight) in near {
          var source = view.range(outer: outer, index).lowerBound
          for place in row..<row + view.inner {
            y[place] += weight * x[source]
            source += 1
          }
        }
      }
    }
    return y
  }
}

extension ElementType {
  /// A number rounded to the nearest integer, half to even, within the bounds of this type.
  fileprivate func saturated(_ number: Double) -> Double {
    let bounds: (Double, Double)
    switch self {
    case .uint8: bounds = (0, 255)
    case .int8: bounds = (-128, 127)
    case .uint16: bounds = (0, 65535)
    case .int16: bounds = (-32768, 32767)
    case .uint32: bounds = (0, 4_294_967_295)
    case .int32: bounds = (-2_147_483_648, 2_147_483_647)
    default: bounds = (-.infinity, .infinity)
    }
    return min(max(number.rounded(.toNearestOrEven), bounds.0), bounds.1)
  }
}
