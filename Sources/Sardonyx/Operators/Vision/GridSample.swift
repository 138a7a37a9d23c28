/// Samples each image at the points of a grid: Y[n, c, place] = X[n, c] at grid[n, place].
///
/// X is N×C×spatial, grid is N×places×rank; its coordinates run from -1 to 1, the last axis first.
struct GridSample: Operator {
  private enum Mode { case nearest, linear, cubic }
  private enum Padding: String, CaseIterable { case zeros, border, reflection }

  private let mode: Mode
  private let padding: Padding
  private let alignsCorners: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    let name = try node.string("mode", default: "linear")
    switch name {
    case "nearest": mode = .nearest
    case "linear", "bilinear": mode = .linear
    case "cubic", "bicubic": mode = .cubic
    default: throw node.invalid("mode", expected: "linear, nearest or cubic", got: name)
    }
    padding = try node.choice("padding_mode", default: .zeros)
    alignsCorners = try node.bool("align_corners")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (x, grid) = (try inputs.shape(0), try inputs.shape(1))
    guard x.count >= 3 else {
      throw .unexpected("rank of X", expected: "at least 3", got: "\(x.count)")
    }
    guard grid.count == x.count, grid[0] == x[0], grid.last == x.count - 2 else {
      throw .unexpected(
        "shape of grid", expected: "[\(x[0]),…,\(x.count - 2)] of rank \(x.count)",
        got: "[\(grid.joined)]")
    }
    let places = Shape(grid.dropFirst().dropLast())
    guard x.dropFirst(2).allSatisfy({ $0 > 0 }) || places.elementCount == 0 else {
      throw .unexpected(
        "shape of X", expected: "no empty axis where there are points", got: "[\(x.joined)]")
    }
    return [Fact(try inputs.type(0), x.prefix(2) + places)]
  }

  /// Elements along each axis that a point is made of.
  private var reach: Int {
    switch mode {
    case .nearest: 1
    case .linear: 2
    case .cubic: 4
    }
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (shape, grid) = (try inputs.shape(0), try inputs.shape(1))
    let extents = Shape(shape.dropFirst(2))
    let points = grid.dropFirst().dropLast().reduce(1, *)
    guard try inputs.type(0) == .float, try inputs.type(1) == .float, extents.count <= 3,
      extents.elementCount <= Int(Int32.max)
    else { return nil }
    let taps = extents.reduce(1) { count, _ in count * reach }
    let isBilinear = mode == .linear && extents.count == 2
    return { addresses, crew in
      nonisolated(unsafe) let coordinates: UnsafePointer<Float> = unsafe addresses.input(1)
      unsafe PointTaps.interpolate(
        taps: taps, batch: shape[0], planes: shape[1], points: points,
        planeSize: extents.elementCount, addresses.input(0), into: addresses.output(), on: crew
      ) { image, point, table, index in
        let first = unsafe coordinates + (image * points + point) * extents.count
        if isBilinear {
          unsafe setPair(table, index, first, height: extents[0], width: extents[1])
        } else {
          unsafe setTaps(table, index, first, extents)
        }
      }
    }
  }

  /// The same as ``setTaps(_:_:_:_:)`` for two elements along each of two axes, the most frequent case.
  @inline(__always)
  private func setPair(
    _ table: PointTaps, _ point: Int, _ coordinates: UnsafePointer<Float>, height: Int, width: Int
  ) {
    let (y, x) = unsafe (coordinate(coordinates[1], height), coordinate(coordinates[0], width))
    guard y.isFinite, x.isFinite, abs(y) < 0x1p52, abs(x) < 0x1p52 else {
      for tap in 0..<4 { table.set(tap, of: point, -1, 0) }
      return
    }
    let (top, left) = (Int(y) - (y < Double(Int(y)) ? 1 : 0), Int(x) - (x < Double(Int(x)) ? 1 : 0))
    let (down, right) = (y - Double(top), x - Double(left))
    if top >= 0, left >= 0, top < height - 1, left < width - 1 {
      let place = top * width + left
      table.set(0, of: point, place, (1 - down) * (1 - right))
      table.set(1, of: point, place + 1, (1 - down) * right)
      table.set(2, of: point, place + width, down * (1 - right))
      table.set(3, of: point, place + width + 1, down * right)
      return
    }
    for row in 0..<2 {
      for column in 0..<2 {
        let weight = (row == 0 ? 1 - down : down) * (column == 0 ? 1 - right : right)
        let (outer, inner) = (index(top + row, height), index(left + column, width))
        let place = outer.flatMap { outer in inner.map { outer * width + $0 } }
        table.set(2 * row + column, of: point, place ?? -1, weight)
      }
    }
  }

  /// The elements that a point is made of, those along the last axis next to each other.
  private func setTaps(
    _ table: PointTaps, _ point: Int, _ coordinates: UnsafePointer<Float>, _ extents: Shape
  ) {
    var (axisPlaces, axisWeights) = (
      InlineArray<12, Int>(repeating: 0), InlineArray<12, Double>(repeating: 0)
    )
    let (rank, reach) = (extents.count, reach)
    // The reach is a power of two.
    let shift = reach.trailingZeroBitCount
    for axis in 0..<rank {
      let place = unsafe coordinate(coordinates[rank - 1 - axis], extents[axis])
      let isNowhere = !place.isFinite || abs(place) >= 0x1p52
      let first = isNowhere ? 0 : Int(place) - (place < Double(Int(place)) ? 1 : 0)
      for tap in 0..<reach {
        axisPlaces[axis * 4 + tap] =
          isNowhere
          ? -1 : index(mode == .cubic ? first - 1 + tap : first + tap, extents[axis]) ?? -1
        axisWeights[axis * 4 + tap] = weight(tap, isNowhere ? 0 : place - Double(first))
      }
    }
    for tap in 0..<table.count {
      var (rest, place, weight, stride) = (tap, 0, 1.0, 1)
      for axis in (0..<rank).reversed() {
        let number = axis * 4 + rest & (reach - 1)
        rest >>= shift
        place = place < 0 || axisPlaces[number] < 0 ? -1 : place + axisPlaces[number] * stride
        weight *= axisWeights[number]
        stride *= extents[axis]
      }
      table.set(tap, of: point, place, weight)
    }
  }

  /// The weight of one of the elements around a place that lies so far behind the first of the middle two.
  private func weight(_ tap: Int, _ x: Double) -> Double {
    let a = -0.75
    func far(_ d: Double) -> Double { ((a * d - 5 * a) * d + 8 * a) * d - 4 * a }
    func near(_ d: Double) -> Double { ((a + 2) * d - (a + 3)) * d * d + 1 }
    switch (mode, tap) {
    case (.nearest, _): return 1
    case (.linear, 0): return 1 - x
    case (.linear, _): return x
    case (.cubic, 0): return far(x + 1)
    case (.cubic, 1): return near(x)
    case (.cubic, 2): return near(1 - x)
    case (.cubic, _): return far(2 - x)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    if try compute(inputs, outputs) { return }
    try runPlainly(inputs, outputs)
  }

  /// The same point by point, for all types, in any number of axes.
  private func runPlainly(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (shape, extents) = (inputs[0].shape, Shape(inputs[0].shape.dropFirst(2)))
    let places = outputs[0].shape.dropFirst(2).reduce(1, *)
    func compute<T: Number, C: RealNumber>(_: T.Type, _: C.Type) {
      let x: [T] = inputs[0].converted()
      let grid: [C] = inputs[1].converted()
      var y = [T](zerosUntilDue: outputs[0].elementCount)
      var interruption = Interruption()
      for n in 0..<shape[0] {
        for place in 0..<places {
          if interruption.isDue(after: 2000 + 100 * shape[1]) { break }
          let first = (n * places + place) * extents.count
          let point = (0..<extents.count).map {
            coordinate(grid[first + extents.count - 1 - $0], extents[$0])
          }
          let neighbours = neighbours(of: point, extents)
          for c in 0..<shape[1] {
            let plane = (n * shape[1] + c) * extents.elementCount
            y[(n * shape[1] + c) * places + place] = interpolated(x, plane, neighbours)
          }
        }
      }
      outputs[0].store(y)
    }
    compute(try inputs[0].type.number(), inputs[1].type.real)
  }

  private func interpolated<T: Number>(
    _ x: [T], _ plane: Int, _ neighbours: [(index: Int, weight: Double)]
  ) -> T {
    if mode == .nearest { return neighbours.first.map { x[plane + $0.index] } ?? 0 }
    return T(
      converting: neighbours.reduce(0.0) { $0 + x[plane + $1.index].asDouble * $1.weight })
  }

  /// A coordinate of the grid as a place along an axis, brought inside where the padding says so.
  private func coordinate<C: RealNumber>(_ coordinate: C, _ extent: Int) -> Double {
    let count = C(extent)
    var place =
      alignsCorners ? (coordinate + 1) / 2 * (count - 1) : ((coordinate + 1) * count - 1) / 2
    if mode == .nearest { place = place.rounded(.toNearestOrEven) }
    let (low, high) = borders(extent)
    guard place.asDouble < low || place.asDouble > high else { return place.asDouble }
    switch padding {
    case .zeros: return place.asDouble
    case .border:
      // Elements beyond a border count as those at it; so does a place from which a cubic curve reaches none
      // inside, but between the two the curve has values of its own.
      let reach = mode == .cubic ? 3.0 : 0
      return min(max(place.asDouble, -reach), Double(extent - 1) + reach)
    case .reflection: return reflected(place.asDouble, low, high)
    }
  }

  /// Where an axis ends: at the centres or at the edges of its outer elements.
  private func borders(_ extent: Int) -> (low: Double, high: Double) {
    alignsCorners ? (0, Double(extent - 1)) : (-0.5, Double(extent) - 0.5)
  }

  /// A place beyond a border thrown back, and forth again, until it is inside.
  private func reflected(_ place: Double, _ low: Double, _ high: Double) -> Double {
    let range = high - low
    guard range > 0, place < low || place > high else { return min(max(place, low), high) }
    let distance = place < low ? low - place : place - high
    let turns = (distance / range).rounded(.towardZero)
    let rest = distance - turns * range
    let isBack = (turns.truncatingRemainder(dividingBy: 2) == 0) == (place < low)
    return isBack ? low + rest : high - rest
  }

  /// The elements that make up a point, by their index in a plane; those that are 0 are left out.
  private func neighbours(of point: [Double], _ extents: Shape) -> [(index: Int, weight: Double)] {
    var neighbours: [(index: Int, weight: Double)] = [(0, 1)]
    for (coordinate, extent) in zip(point, extents) {
      let near = weights(at: coordinate).compactMap { place, weight in
        index(place, extent).map { ($0, weight) }
      }
      neighbours = neighbours.flatMap { outer in
        near.map { (outer.index * extent + $0.0, outer.weight * $0.1) }
      }
    }
    return neighbours
  }

  private func weights(at coordinate: Double) -> [(place: Int, weight: Double)] {
    guard coordinate.isFinite, abs(coordinate) < 0x1p52 else { return [] }
    let floor = coordinate.rounded(.down)
    let first = Int(floor) - (mode == .cubic ? 1 : 0)
    return (0..<reach).map { (first + $0, weight($0, coordinate - floor)) }
  }

  /// The element that a place along an axis stands for; nil where it is 0.
  private func index(_ place: Int, _ extent: Int) -> Int? {
    if place >= 0, place < extent { return place }
    switch padding {
    case .zeros: return nil
    case .border: return min(max(place, 0), extent - 1)
    case .reflection:
      let (low, high) = borders(extent)
      return min(max(Int(reflected(Double(place), low, high)), 0), extent - 1)
    }
  }
}

/// The grid that GridSample needs for an affine map: each place of the output times theta.
struct AffineGrid: Operator {
  private let alignsCorners: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    alignsCorners = try node.bool("align_corners")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let theta = try inputs.shape(0)
    let size = try inputs.integers(1)
    let rank = size.count - 2
    guard rank == 2 || rank == 3, size.allSatisfy({ $0 >= 0 }) else {
      throw .unexpected(
        "size", expected: "4 or 5 numbers from 0 on", got: "[\(size.joined)]")
    }
    guard theta == [size[0], rank, rank + 1] else {
      throw .unexpected(
        "shape of theta", expected: "[\(size[0]),\(rank),\(rank + 1)]", got: "[\(theta.joined)]")
    }
    return [Fact(try inputs.type(0), [size[0]] + size.dropFirst(2) + [rank])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let extents = Shape(outputs[0].shape.dropFirst().dropLast())
    let rank = extents.count
    let theta: [Double] = inputs[0].converted()
    var grid: [Double] = []
    grid.reserveCapacity(outputs[0].elementCount)
    var interruption = Interruption()
    for n in 0..<outputs[0].shape[0] {
      extents.forEachIndex { place in
        if interruption.isDue(after: 200) { return }
        // theta takes the last axis first.
        let point = (0..<rank).reversed().map { coordinate(place[$0], extents[$0]) } + [1]
        for row in 0..<rank {
          let first = (n * rank + row) * (rank + 1)
          grid.append(zip(theta[first...], point).reduce(0) { $0 + $1.0 * $1.1 })
        }
      }
    }
    outputs[0].store(grid)
  }

  private func coordinate(_ place: Int, _ extent: Int) -> Double {
    guard alignsCorners else { return Double(2 * place + 1) / Double(extent) - 1 }
    return extent == 1 ? 0 : 2 * Double(place) / Double(extent - 1) - 1
  }
}
