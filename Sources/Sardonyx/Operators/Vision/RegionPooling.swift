/// Poolings of regions of images, such as the boxes of detectors.
let regionPooling: OperatorFamily = ["MaxRoiPool": MaxRoiPool.init, "RoiAlign": RoiAlign.init]

/// The largest numbers of a grid of cells laid over each region of interest.
///
/// X is N×C×H×W; a region is (image, x₁, y₁, x₂, y₂), its corners inclusive after scaling. What is
/// rounded to indices is computed in the precision of X, in which models state their regions.
struct MaxRoiPool: Operator {
  private let pooled: [Int]
  private let scale: Float

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let pooled = try node.ints("pooled_shape") else { throw node.missing("pooled_shape") }
    guard pooled.count == 2, pooled.allSatisfy({ $0 > 0 }) else {
      throw node.invalid("pooled_shape", expected: "2 positive numbers", got: pooled)
    }
    self.pooled = pooled
    scale = try node.float("spatial_scale", default: 1)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (x, regions) = (try inputs.shape(0), try inputs.shape(1))
    try checkRank(x, 4, "X")
    guard regions.count == 2, regions[1] == 5 else {
      throw .unexpected("shape of rois", expected: "[regions,5]", got: "[\(regions.joined)]")
    }
    return [Fact(try inputs.type(0), [regions[0], x[1]] + pooled)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let x: [T] = inputs[0].converted()
      let regions: [T] = inputs[1].converted()
      var y: [T] = []
      var interruption = Interruption()
      for first in stride(from: 0, to: regions.count, by: 5) {
        let image = try imageIndex(regions[first].asDouble.saturated(), of: shape[0])
        let corners = regions[first + 1..<first + 5].map { ($0 * T(scale)).rounded() }
        let columns = cells(from: corners[0], to: corners[2], pooled[1], within: shape[3])
        let rows = cells(from: corners[1], to: corners[3], pooled[0], within: shape[2])
        for channel in 0..<shape[1] {
          let plane = (image * shape[1] + channel) * shape[2] * shape[3]
          for row in rows {
            for column in columns {
              if interruption.isDue(after: row.count &* column.count &+ 2) { return }
              var maximum: T? = nil
              for h in row {
                for w in column {
                  let value = x[plane + h * shape[3] + w]
                  maximum = maximum.map { max($0, value) } ?? value
                }
              }
              y.append(maximum ?? 0)
            }
          }
        }
      }
      outputs[0].store(y)
    }
    try compute(inputs[0].type.real)
  }

  /// The indices of each of `count` cells between two inclusive ends; cells may overlap.
  private func cells<T: RealNumber>(
    from first: T, to last: T, _ count: Int, within extent: Int
  ) -> [Range<Int>] {
    let size = max(last - first + 1, 1) / T(count)
    return (0..<count).map { cell in
      let low: Int = (first + (T(cell) * size).rounded(.down)).asDouble.saturated()
      let high: Int = (first + (T(cell + 1) * size).rounded(.up)).asDouble.saturated()
      let start = min(max(low, 0), extent)
      return start..<max(start, min(high, extent))
    }
  }
}

/// Numbers of a grid of bins laid over each region of interest, each the mean or the maximum of
/// points interpolated linearly.
///
/// X is N×C×H×W, a region is (x₁, y₁, x₂, y₂), batch_indices tell its image.
struct RoiAlign: Operator {
  private let isMaximum: Bool
  private let pooled: [Int]
  private let samplingRatio: Int
  private let scale: Float
  private let isHalfPixel: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    let mode = try node.string("mode", default: "avg").lowercased()
    guard mode == "avg" || mode == "max" else {
      throw node.invalid("mode", expected: "avg or max", got: mode)
    }
    isMaximum = mode == "max"
    pooled = [
      try node.int("output_height", default: 1), try node.int("output_width", default: 1),
    ]
    samplingRatio = try node.int("sampling_ratio", default: 0)
    scale = try node.float("spatial_scale", default: 1)
    let fallback = node.version < 16 ? "output_half_pixel" : "half_pixel"
    let mapping = try node.string("coordinate_transformation_mode", default: fallback)
    isHalfPixel = mapping == "half_pixel"
    guard isHalfPixel || mapping == "output_half_pixel" else {
      throw node.invalid(
        "coordinate_transformation_mode", expected: "half_pixel or output_half_pixel", got: mapping)
    }
    guard pooled.allSatisfy({ $0 > 0 }), samplingRatio >= 0 else {
      throw node.invalid(
        "output_height, output_width, sampling_ratio", expected: "positive numbers",
        got: pooled + [samplingRatio])
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (x, regions) = (try inputs.shape(0), try inputs.shape(1))
    try checkRank(x, 4, "X")
    guard regions.count == 2, regions[1] == 4 else {
      throw .unexpected("shape of rois", expected: "[regions,4]", got: "[\(regions.joined)]")
    }
    let indices = try inputs.shape(2)
    guard indices == [regions[0]] else {
      throw .unexpected(
        "shape of batch_indices", expected: "[\(regions[0])]", got: "[\(indices.joined)]")
    }
    return [Fact(try inputs.type(0), [regions[0], x[1]] + pooled)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let images = inputs.integers(2)
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let x: [T] = inputs[0].converted()
      let regions: [T] = inputs[1].converted()
      let binCount = pooled[0] * pooled[1]
      var y = [T](zerosUntilDue: outputs[0].elementCount)
      for region in images.indices {
        let image = try imageIndex(images[region], of: shape[0])
        let (rows, columns) = try places(Array(regions[region * 4..<region * 4 + 4]))
        for bin in 0..<binCount {
          try outputs.context.checkCancellation()
          let (row, column) = bin.quotientAndRemainder(dividingBy: pooled[1])
          let points = rows[row].flatMap { y in
            columns[column].map { x in point(x, y, shape[2], shape[3]) }
          }
          for channel in 0..<shape[1] {
            let plane = (image * shape[1] + channel) * shape[2] * shape[3]
            y[(region * shape[1] + channel) * binCount + bin] = value(
              of: points, in: x, from: plane)
          }
        }
      }
      outputs[0].store(y)
    }
    try compute(inputs[0].type.real)
  }

  /// A point of a bin: the indices of its four neighbours, and their weights.
  private typealias Point = [(index: Int, weight: Double)]

  /// The coordinates of the points of a region's bins along each axis.
  private func places<T: RealNumber>(_ region: [T]) throws(ModelError) -> (
    rows: [[Double]], columns: [[Double]]
  ) {
    let offset: T = isHalfPixel ? 0.5 : 0
    let corners = region.map { $0 * T(scale) - offset }
    let columns = try places(from: corners[0], to: corners[2], pooled[1])
    let rows = try places(from: corners[1], to: corners[3], pooled[0])
    return (rows, columns)
  }

  /// The coordinates of the points of each bin along one axis; their number is rounded up from what
  /// the precision of X makes of the region.
  private func places<T: RealNumber>(from first: T, to last: T, _ count: Int) throws(ModelError)
    -> [[Double]]
  {
    let extent = isHalfPixel ? last - first : max(last - first, 1)
    let size = extent / T(count)
    let points: Int =
      samplingRatio > 0 ? samplingRatio : size.rounded(.up).asDouble.saturated()
    guard points <= 1 << 10 else {
      throw .unexpected("points of a bin", expected: "at most 1024 a side", got: "\(points)")
    }
    return (0..<count).map { bin in
      (0..<max(points, 0)).map {
        (first + T(bin) * size + (T($0) + 0.5) * size / T(points)).asDouble
      }
    }
  }

  private func point(_ x: Double, _ y: Double, _ height: Int, _ width: Int) -> Point {
    guard y >= -1, y <= Double(height), x >= -1, x <= Double(width), height > 0, width > 0 else {
      return []
    }
    func neighbours(_ coordinate: Double, _ extent: Int) -> [(Int, Double)] {
      let low = Int(max(coordinate, 0))
      guard low < extent - 1 else { return [(extent - 1, 1), (extent - 1, 0)] }
      let fraction = max(coordinate, 0) - Double(low)
      return [(low, 1 - fraction), (low + 1, fraction)]
    }
    let columns = neighbours(x, width)
    return neighbours(y, height).flatMap { row, share in
      columns.map { (row * width + $0, share * $1) }
    }
  }

  private func value<T: RealNumber>(of bin: [Point], in x: [T], from plane: Int) -> T {
    if isMaximum {
      // The weighted neighbours themselves are compared, as ONNX's tests have it.
      let maxima = bin.map { point in
        point.map { x[plane + $0.index].asDouble * $0.weight }.max() ?? 0
      }
      return T(converting: maxima.max() ?? 0)
    }
    let sum = bin.reduce(0.0) { sum, point in
      point.reduce(sum) { $0 + x[plane + $1.index].asDouble * $1.weight }
    }
    return T(converting: sum / Double(max(bin.count, 1)))
  }
}

/// Checks the rank of an input.
func checkRank(_ shape: Shape, _ rank: Int, _ name: String) throws(ModelError) {
  guard shape.count == rank else {
    throw .unexpected("rank of \(name)", expected: "\(rank)", got: "\(shape.count)")
  }
}

/// Checks a region's image.
private func imageIndex(_ index: Int, of count: Int) throws(ModelError) -> Int {
  guard index >= 0, index < count else {
    throw .unexpected(
      "image of a region", expected: "a number below \(count)", got: "\(index)")
  }
  return index
}
