/// Operators that read elements at places that another tensor names.
let gathers: OperatorFamily = [
  "Gather": Gather.init,
  "GatherElements": GatherElements.init,
  "GatherND": GatherND.init,
]

/// The slices along an axis that `indices` names, in its order and shape.
struct Gather: Operator {
  let axis: Int

  init(_ node: inout NodeReader) throws(ModelError) { axis = try node.int("axis", default: 0) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let axis = try axis.axis(ofRank: shape.count)
    let indices = try inputs.shape(1)
    return [Fact(try inputs.type(0), shape[..<axis] + indices + shape[(axis + 1)...])]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let block = AxisBlock(shape, axis: try axis.axis(ofRank: shape.count))
    let (size, count) = (try inputs.type(0).byteCount, try inputs.shape(1).elementCount)
    return switch try inputs.type(1) {
    case .int64: block.gatherComputation(size, count: count, by: Int64.self)
    case .int32: block.gatherComputation(size, count: count, by: Int32.self)
    default: nil
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let axis = try axis.axis(ofRank: shape.count)
    let inner = Shape(shape[(axis + 1)...]).elementCount
    let outer = Shape(shape[..<axis]).elementCount
    var places: [Int] = []
    var interruption = Interruption()
    for index in inputs.integers(1) {
      if interruption.isDue(after: 4) { return }
      places.append(try index.index(within: shape[axis]) &* inner)
    }
    guard outputs[0].elementCount > 0 else { return }
    let offsets = Interruption.map(outer * places.count, cost: 8) {
      $0 / places.count * shape[axis] * inner + places[$0 % places.count]
    }
    try Interruption.check()
    outputs[0].gather(inputs[0], blocksOf: inner, at: offsets)
  }
}

extension Gather: Viewing {
  /// A single place along the axis, which is dropped.
  func view(_ output: Int, of whole: StridedView, _ inputs: Facts) throws(ModelError)
    -> StridedView?
  {
    var shape = whole.shape
    let axis = try axis.axis(ofRank: shape.count)
    guard try inputs.shape(1).isEmpty, let index = try inputs.integers(1).first else { return nil }
    let place = try index.index(within: shape[axis])
    shape.remove(at: axis)
    return whole.sliced(axis, from: place, count: 1)?.reshaped(to: shape)
  }
}

/// The elements whose place along an axis `indices` names, and along the others is its own.
struct GatherElements: Operator {
  let axis: Int

  init(_ node: inout NodeReader) throws(ModelError) { axis = try node.int("axis", default: 0) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try inputs.shape(1).checkElementIndices(of: try inputs.shape(0), axis: axis)
    return [Fact(try inputs.type(0), try inputs.shape(1))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let offsets = try inputs[1].elementOffsets(in: inputs[0].shape, axis: axis)
    outputs[0].gather(inputs[0], blocksOf: 1, at: offsets)
  }
}

/// The slices whose first coordinates the last axis of `indices` holds, batch by batch.
struct GatherND: Operator {
  let batchAxes: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    batchAxes = try node.int("batch_dims", default: 0)
    guard batchAxes >= 0 else {
      throw node.invalid("batch_dims", expected: "a number from 0", got: batchAxes)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (data, indices) = (try inputs.shape(0), try inputs.shape(1))
    let length = try indices.coordinateCount(in: data, batchAxes: batchAxes)
    return [Fact(try inputs.type(0), indices.dropLast() + data[(batchAxes + length)...])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let offsets = try inputs[1].sliceOffsets(in: shape, batchAxes: batchAxes)
    guard outputs[0].elementCount > 0 else { return }
    let length = Shape(shape[(batchAxes + inputs[1].shape.last!)...]).elementCount
    outputs[0].gather(inputs[0], blocksOf: length, at: offsets)
  }
}

extension [Int] {
  /// Checks that indices of this shape name elements of a tensor of shape `data` along an axis.
  func checkElementIndices(of data: Shape, axis: Int) throws(ModelError) {
    let axis = try axis.axis(ofRank: data.count)
    guard count == data.count else {
      throw .unexpected("rank of indices", expected: "\(data.count)", got: "\(count)")
    }
    for other in indices where other != axis && self[other] > data[other] {
      throw .unexpected(
        "extent of axis \(other) of indices", expected: "at most \(data[other])",
        got: "\(self[other])")
    }
  }

  /// How many coordinates each index of indices of this shape gives into a tensor of shape `data`.
  func coordinateCount(in data: Shape, batchAxes: Int = 0) throws(ModelError) -> Int {
    guard batchAxes < Swift.min(count, data.count), prefix(batchAxes) == data.prefix(batchAxes)
    else {
      throw .unexpected(
        "shapes", expected: "the same first \(batchAxes) of more axes",
        got: "[\(data.joined)] and [\(joined)]")
    }
    guard let length = last, length > 0, length <= data.count - batchAxes else {
      throw .unexpected(
        "last extent of indices", expected: "1 to \(data.count - batchAxes)", got: "\(last ?? 0)")
    }
    return length
  }
}

extension Tensor {
  /// For each element of this tensor of indices, where the element it names lies in a tensor.
  func elementOffsets(in data: Shape, axis: Int) throws(ModelError) -> [Int] {
    let axis = try axis.axis(ofRank: data.count)
    var region = Region(data)
    region.extents = shape
    let stride = region.strides[axis]
    region.strides[axis] = 0
    var offsets = region.offsets
    try Interruption.check()
    var interruption = Interruption()
    for (position, index) in converted(to: Int64.self).enumerated() {
      if interruption.isDue(after: 8) { try Interruption.check() }
      offsets[position] += try Int(index).index(within: data[axis]) * stride
    }
    return offsets
  }

  /// For each tuple of coordinates along the last axis, where the slice it names starts.
  func sliceOffsets(in data: Shape, batchAxes: Int = 0) throws(ModelError) -> [Int] {
    let length = try shape.coordinateCount(in: data, batchAxes: batchAxes)
    let coordinates = converted(to: Int64.self, asPlaces: false)
    try Interruption.check()
    let strides = data.strides
    let batches = Shape(shape[..<batchAxes]).elementCount
    let tuplesPerBatch = batches == 0 ? 0 : coordinates.count / length / batches
    let batchStride = Shape(data[batchAxes...]).elementCount
    var offsets: [Int] = []
    var interruption = Interruption()
    for tuple in 0..<coordinates.count / length {
      if interruption.isDue(after: 8 &* length) { try Interruption.check() }
      var offset = tuple / tuplesPerBatch * batchStride
      for axis in 0..<length {
        let place = try Int(coordinates[tuple * length + axis]).index(
          within: data[batchAxes + axis])
        offset += place &* strides[batchAxes + axis]
      }
      offsets.append(offset)
    }
    return offsets
  }
}
