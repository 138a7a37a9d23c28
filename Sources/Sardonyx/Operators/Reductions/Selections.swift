/// Operators that choose elements by their value.
let selections: OperatorFamily = [
  "Compress": Compress.init,
  "NonZero": NonZero.init,
  "OneHot": OneHot.init,
  "TopK": TopK.init,
  "Unique": Unique.init,
]

/// The slices along an axis, or the elements, for which `condition` is true.
struct Compress: Operator {
  let axis: Int?

  init(_ node: inout NodeReader) throws(ModelError) { axis = try node.int("axis") }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shape = try inputs.shape(0)
    let condition = try inputs.tensor(1)
    if let axis {
      let axis = try axis.axis(ofRank: shape.count)
      shape[axis] = condition.trueCount(ofFirst: shape[axis])
    } else {
      shape = [condition.trueCount(ofFirst: shape.elementCount)]
    }
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = axis == nil ? [inputs[0].elementCount] : inputs[0].shape
    let axis = try (axis ?? 0).axis(ofRank: shape.count)
    let source = Region(shape)
    let target = Region(outputs[0].shape)
    var place = 0
    let condition = unsafe inputs[1].pointer(as: UInt8.self)
    var interruption = Interruption()
    for index in 0..<min(inputs[1].elementCount, shape[axis]) {
      if interruption.isDue(after: 2) { return }
      guard unsafe condition[index] != 0 else { continue }
      outputs[0].copy(
        inputs[0], from: source.sliced(axis, from: index, count: 1),
        to: target.sliced(axis, from: place, count: 1), on: outputs.context.crew)
      place += 1
    }
  }
}

extension Tensor {
  /// How many of so many bools, or of all there are, are true: all are counted, as a shape follows from it.
  fileprivate func trueCount(ofFirst most: Int) -> Int {
    let condition = unsafe pointer(as: UInt8.self)
    var trueCount = 0
    for index in 0..<min(most, elementCount) where unsafe condition[index] != 0 { trueCount += 1 }
    return trueCount
  }
}

/// The coordinates of the elements that are not 0 (or ""), one column each.
struct NonZero: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(.int64, nil)] }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tensor = inputs[0]
    let places = try tensor.nonZeroPlaces()
    try Interruption.check()
    let target = try outputs.place(0, .int64, [tensor.shape.count, places.count])
    var next = unsafe target.pointer(as: Int64.self)
    var interruption = Interruption()
    for (extent, stride) in zip(tensor.shape, tensor.shape.strides) {
      for place in places {
        if interruption.isDue(after: 8) { return }
        unsafe next.pointee = Int64(place / stride % extent)
        unsafe next += 1
      }
    }
  }
}

extension Tensor {
  /// The numbers of the elements that are not 0 (or ""); any where the run is to end.
  fileprivate func nonZeroPlaces() throws(ModelError) -> [Int] {
    if type == .string {
      let strings = try strings()
      return strings.indices.filter { !strings[$0].isEmpty }
    }
    func places<T: Number>(_: T.Type) -> [Int] {
      let numbers = partsOfComplex.converted(to: T.self, asPlaces: false)
      let parts = type.isComplex ? 2 : 1
      var places: [Int] = []
      var interruption = Interruption()
      for element in 0..<elementCount {
        if interruption.isDue(after: 4) { break }
        if numbers[element * parts] != 0 || numbers[(element + 1) * parts - 1] != 0 {
          places.append(element)
        }
      }
      return places
    }
    return places(try partsOfComplex.type.number())
  }

  /// Complex numbers as pairs of real and imaginary part along one more axis; others unchanged.
  var partsOfComplex: Tensor {
    guard type.isComplex else { return self }
    return Tensor(
      type == .complex64 ? .float : .double, shape + [2], storage: storage, byteOffset: byteOffset)
  }
}

/// One more axis, where `values[1]` stands at the place that `indices` names and `values[0]` else.
struct OneHot: Operator {
  let axis: Int

  init(_ node: inout NodeReader) throws(ModelError) { axis = try node.int("axis", default: -1) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shape = try inputs.shape(0)
    let depth = try inputs.numbers(1)
    guard depth.count == 1, depth[0] >= 0, depth[0] < 0x1p62 else {
      throw .unexpected("depth", expected: "one number from 0", got: "\(depth)")
    }
    guard try inputs.shape(2) == [2] else {
      throw .unexpected(
        "shape of values", expected: "[2]", got: "[\(try inputs.shape(2).joined)]")
    }
    shape.insert(Int(depth[0]), at: try axis.axis(ofRank: shape.count + 1))
    return [Fact(try inputs.type(2), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = outputs[0].shape
    let axis = try axis.axis(ofRank: shape.count)
    let depth = shape[axis]
    let inner = Shape(shape[(axis + 1)...]).elementCount
    var chosen: [Int] = []
    var interruption = Interruption()
    unsafe inputs[0].withNumbers(as: Int64.self) { indices in
      for position in 0..<indices.count {
        if interruption.isDue(after: 8) { return }
        let index = unsafe Int(indices[position])
        let place = index < 0 ? index + depth : index
        guard place >= 0 && place < depth else { continue }
        chosen.append((position / inner * depth + place) * inner + position % inner)
      }
    }
    try Interruption.check()
    outputs[0].fill(inputs[2], on: outputs.context.crew)
    outputs[0].scatter(element: 1, of: inputs[2], to: chosen)
  }
}
