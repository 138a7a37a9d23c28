/// How several tensors line up under ONNX's multidirectional (numpy's) broadcasting.
///
/// Neighbouring axes along which every input goes on, or stands still, are merged, so that the rows
/// in which the result is computed are as long as can be. Along a row an input steps by 1 or by 0.
struct Broadcast: Sendable {
  /// The shape of the result.
  let shape: Shape
  /// The merged axes; the last one is the row.
  private let extents: [Int]
  /// For each input, its stride along each merged axis.
  private let strides: [[Int]]

  /// - Throws: ``ModelError`` where the shapes do not fit each other.
  init(_ shapes: [Shape]) throws(ModelError) {
    shape = try .broadcast(shapes)
    var extents: [Int] = []
    var strides = [[Int]](repeating: [], count: shapes.count)
    let spread = shapes.map { [shape] in Self.strides(of: $0, in: shape) }
    for (axis, extent) in shape.enumerated() where extent != 1 {
      let goesOn = shapes.indices.allSatisfy { input in
        strides[input].last.map { $0 == spread[input][axis] &* extent } ?? false
      }
      if goesOn {
        extents[extents.count - 1] &*= extent
        for input in shapes.indices { strides[input][extents.count - 1] = spread[input][axis] }
      } else {
        extents.append(extent)
        for input in shapes.indices { strides[input].append(spread[input][axis]) }
      }
    }
    self.extents = extents
    self.strides = strides
  }

  /// This broadcast, which has a single row, cut to so many elements of it.
  func stretch(of count: Int) -> Broadcast {
    Broadcast(
      shape: [count], extents: [count], strides: strides.indices.map { [step(of: $0)] })
  }

  private init(shape: Shape, extents: [Int], strides: [[Int]]) {
    (self.shape, self.extents, self.strides) = (shape, extents, strides)
  }

  var elementCount: Int { shape.elementCount }
  var rowLength: Int { extents.last ?? 1 }
  var rowCount: Int { extents.dropLast().elementCount }

  /// How far an input goes from one element of a row to the next: 1 or 0.
  func step(of input: Int) -> Int { strides[input].last ?? 0 }

  /// The element of an input that a row starts with.
  func start(ofRow row: Int, in input: Int) -> Int {
    var rest = row
    var offset = 0
    for axis in extents.indices.dropLast().reversed() {
      offset += rest % extents[axis] * strides[input][axis]
      rest /= extents[axis]
    }
    return offset
  }

  /// The stride of each axis of `shape`, 0 where the tensor is repeated along it.
  private static func strides(of tensor: Shape, in shape: Shape) -> [Int] {
    let missing = shape.count - tensor.count
    let own = tensor.strides
    return shape.indices.map { axis in
      axis < missing || tensor[axis - missing] == 1 ? 0 : own[axis - missing]
    }
  }
}

extension ArraySlice<Int> {
  fileprivate var elementCount: Int { reduce(1, &*) }
}

extension Broadcast {
  /// function(x, y) for each element of the result, the inputs being those of this broadcast.
  /// Fewer where the run is to end.
  func combine<T, Result>(_ x: [T], _ y: [T], _ function: (T, T) -> Result) -> [Result] {
    unsafe x.withUnsafeBufferPointer { x in
      unsafe y.withUnsafeBufferPointer { y in unsafe combine(x, y, function) }
    }
  }

  /// The same of numbers in memory.
  func combine<T, Result>(
    _ x: UnsafeBufferPointer<T>, _ y: UnsafeBufferPointer<T>, _ function: (T, T) -> Result
  ) -> [Result] {
    let (xStep, yStep) = (step(of: 0), step(of: 1))
    var results: [Result] = []
    Interruption.expect(elementCount, Result.self)
    results.reserveCapacity(elementCount)
    guard elementCount > 0 else { return results }
    precondition(
      start(ofRow: rowCount - 1, in: 0) + (rowLength - 1) * xStep < x.count
        && start(ofRow: rowCount - 1, in: 1) + (rowLength - 1) * yStep < y.count,
      "fewer numbers than the broadcast has")
    var interruption = Interruption()
    for row in 0..<rowCount {
      var (xIndex, yIndex) = (start(ofRow: row, in: 0), start(ofRow: row, in: 1))
      for _ in 0..<rowLength {
        if interruption.isDue(after: 4) { return results }
        unsafe results.append(function(x[xIndex], y[yIndex]))
        xIndex += xStep
        yIndex += yStep
      }
    }
    return results
  }
}
