/// The k largest or smallest elements along an axis, and where they were; of equals the first comes
/// first, and NaN is above all numbers.
struct TopK: Operator {
  let axis: Int
  let fixedCount: Int?
  let wantsLargest: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: -1)
    fixedCount = try node.int("k")
    wantsLargest = try node.bool("largest", default: true)
    // Where no order is asked for, sorted order serves too.
    node.ignore("sorted")
    if node.version < 10 && fixedCount == nil { throw node.missing("k") }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shape = try inputs.shape(0)
    let axis = try axis.axis(ofRank: shape.count)
    let counts = if let fixedCount { [fixedCount] } else { try inputs.integers(1) }
    guard counts.count == 1, counts[0] >= 0, counts[0] <= shape[axis] else {
      throw .unexpected("K", expected: "0 to \(shape[axis])", got: counts.joined)
    }
    shape[axis] = counts[0]
    return [Fact(try inputs.type(0), shape), Fact(.int64, shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axis = try axis.axis(ofRank: shape.count)
    let count =
      outputs.wants(0) ? outputs[0].shape[axis] : outputs.wants(1) ? outputs[1].shape[axis] : 0
    let ranking = Ranking(shape, axis, count: count, wantsLargest: wantsLargest)
    // Not all rows may have been listed.
    try Interruption.check()
    let places = try ranking.places(inputs[0])
    try Interruption.check()
    if outputs.wants(1) {
      outputs[1].store(elements: places.interruptibleMap(cost: 2) { Int64($0) })
    }
    if outputs.wants(0) {
      let offsets = ranking.offsets(of: places)
      try Interruption.check()
      outputs[0].gather(inputs[0], blocksOf: 1, at: offsets)
    }
  }
}

/// The order of the numbers along one axis of a tensor.
private struct Ranking {
  /// Where each row of the axis starts.
  private let rows: [Int]
  private let extent: Int
  private let stride: Int
  private let count: Int
  private let wantsLargest: Bool

  init(_ shape: Shape, _ axis: Int, count: Int, wantsLargest: Bool) {
    rows = Region(shape).sliced(axis, from: 0, count: 1).offsets
    extent = shape[axis]
    stride = shape.strides[axis]
    self.count = count
    self.wantsLargest = wantsLargest
  }

  /// For each element of the result, its place along the axis of the tensor.
  func places(_ tensor: Tensor) throws(ModelError) -> [Int] {
    places(tensor, try tensor.type.number())
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  @_specialize(where T == Int64)
  private func places<T: Number>(_ tensor: Tensor, _: T.Type) -> [Int] {
    let numbers = tensor.converted(to: T.self)
    var places = [Int](repeating: 0, untilDue: rows.count * count)
    for (row, start) in rows.enumerated() {
      if Interruption.isDue { break }
      for (rank, place) in first(numbers, from: start).enumerated() {
        places[element(row, rank)] = place
      }
    }
    return places
  }

  /// Where the result holds the number of a rank in a row.
  private func element(_ row: Int, _ rank: Int) -> Int {
    (row / stride * count + rank) * stride + row % stride
  }

  /// Where those places lie in the tensor.
  func offsets(of places: [Int]) -> [Int] {
    var offsets = places
    for (row, start) in rows.enumerated() {
      if Interruption.isDue { break }
      for rank in 0..<count {
        let element = element(row, rank)
        offsets[element] = start + places[element] * stride
      }
    }
    return offsets
  }

  /// The places of a row's numbers that come first, in order.
  ///
  /// At most twice as many are kept at a time, so that a short list out of a long row costs one
  /// comparison for most numbers.
  private func first<T: Number>(_ numbers: [T], from start: Int) -> [Int] {
    func precedes(_ left: Int, _ right: Int) -> Bool {
      let (a, b) = (numbers[start + left * stride], numbers[start + right * stride])
      if a == b || (a.isNaN && b.isNaN) { return left < right }
      return (a > b || a.isNaN) == wantsLargest
    }
    guard count > 0 else { return [] }
    var chosen: [Int] = []
    var last: Int?
    var interruption = Interruption()
    for place in 0..<extent {
      if interruption.isDue(after: 4) { break }
      if let last, !precedes(place, last) { continue }
      chosen.append(place)
      if chosen.count == 2 * count {
        chosen = chosen.sortedUntilDue(by: precedes)
        chosen.removeLast(count)
        last = chosen.last
      }
    }
    return Array(chosen.sortedUntilDue(by: precedes).prefix(count))
  }
}
