/// Operators that write elements at places that another tensor names.
let scatters: OperatorFamily = [
  "Col2Im": Col2Im.init,
  "Scatter": ScatterElements.init,
  "ScatterElements": ScatterElements.init,
  "ScatterND": ScatterND.init,
  "TensorScatter": TensorScatter.init,
]

/// How an update joins the element it is written to.
private enum ScatterReduction: String {
  case none, add, mul, max, min

  init(_ node: inout NodeReader) throws(ModelError) {
    let name = try node.string("reduction", default: "none")
    let isExtremum = name == "max" || name == "min"
    guard let reduction = ScatterReduction(rawValue: name), !isExtremum || node.version >= 18 else {
      let all = node.version >= 18 ? "none, add, mul, max or min" : "none, add or mul"
      throw node.invalid("reduction", expected: all, got: name)
    }
    self = reduction
  }

  func joined<T: Number>(_ old: T, _ new: T) -> T {
    switch self {
    case .none: new
    case .add: T.sum(old, new)
    case .mul: T.product(old, new)
    case .max: old.isNaN || old > new ? old : new
    case .min: old.isNaN || old < new ? old : new
    }
  }

  /// Checks that elements of a type can be joined so.
  func check(_ type: ElementType) throws(ModelError) {
    guard self == .none || type.computed != nil else {
      throw .unexpected("type of data", expected: "numbers for \(self)", got: "\(type)")
    }
  }
}

extension Destination {
  /// Becomes `data` with block i of `updates` joined to the block at element `offsets[i]`.
  fileprivate func scatter(
    _ data: Tensor, _ updates: Tensor, blocksOf length: Int, at offsets: [Int],
    _ reduction: ScatterReduction
  ) throws(ModelError) {
    guard reduction != .none, updates.elementCount > 0 else {
      copy(data)
      if updates.elementCount > 0 { scatter(updates, blocksOf: length, at: offsets) }
      return
    }
    let number: any Number.Type = try type.number()
    join(data, updates, blocksOf: length, at: offsets, reduction, as: number)
  }

  @_specialize(where T == Float)
  @_specialize(where T == Int64)
  private func join<T: Number>(
    _ data: Tensor, _ updates: Tensor, blocksOf length: Int, at offsets: [Int],
    _ reduction: ScatterReduction, as _: T.Type
  ) {
    var numbers = data.converted(to: T.self, asPlaces: false)
    let updates = updates.converted(to: T.self, asPlaces: false)
    var interruption = Interruption()
    for (block, offset) in offsets.enumerated() {
      for index in 0..<length {
        if interruption.isDue(after: 8) { return }
        numbers[offset + index] = reduction.joined(
          numbers[offset + index], updates[block * length + index])
      }
    }
    store(numbers)
  }
}

/// `data` with the elements whose place along an axis `indices` names replaced by `updates`.
struct ScatterElements: Operator {
  let axis: Int
  private let reduction: ScatterReduction

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: 0)
    reduction = try ScatterReduction(&node)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (data, indices) = (try inputs.shape(0), try inputs.shape(1))
    try indices.checkElementIndices(of: data, axis: axis)
    try inputs.checkUpdates(indices)
    try reduction.check(try inputs.type(0))
    return [Fact(try inputs.type(0), data)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let offsets = try inputs[1].elementOffsets(in: inputs[0].shape, axis: axis)
    try outputs[0].scatter(inputs[0], inputs[2], blocksOf: 1, at: offsets, reduction)
  }

  var reusableInput: Int? { 0 }
}

extension Facts {
  fileprivate func checkUpdates(_ expected: Shape) throws(ModelError) {
    guard try shape(2) == expected else {
      throw .unexpected(
        "shape of updates", expected: "[\(expected.joined)]", got: "[\(try shape(2).joined)]")
    }
  }
}

/// `data` with the slices whose first coordinates `indices` holds replaced by `updates`.
struct ScatterND: Operator {
  private let reduction: ScatterReduction

  init(_ node: inout NodeReader) throws(ModelError) { reduction = try ScatterReduction(&node) }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (data, indices) = (try inputs.shape(0), try inputs.shape(1))
    let length = try indices.coordinateCount(in: data)
    try inputs.checkUpdates(indices.dropLast() + data[length...])
    try reduction.check(try inputs.type(0))
    return [Fact(try inputs.type(0), data)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    let offsets = try inputs[1].sliceOffsets(in: shape)
    let length = Shape(shape[inputs[1].shape.last!...]).elementCount
    try outputs[0].scatter(inputs[0], inputs[2], blocksOf: length, at: offsets, reduction)
  }

  var reusableInput: Int? { 0 }
}

/// A cache with `update` written from place `write_indices[b]` on, along an axis of batch b.
struct TensorScatter: Operator {
  let axis: Int
  let isCircular: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: -2)
    let mode = try node.string("mode", default: "linear")
    guard mode == "linear" || mode == "circular" else {
      throw node.invalid("mode", expected: "linear or circular", got: mode)
    }
    isCircular = mode == "circular"
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (cache, update) = (try inputs.shape(0), try inputs.shape(1))
    let axis = try axis.axis(ofRank: cache.count)
    var expected = cache
    if update.count == cache.count { expected[axis] = min(update[axis], cache[axis]) }
    guard axis > 0, update == expected else {
      throw .unexpected(
        "shape of update", expected: "[\(cache.joined)] or less along an axis from 1",
        got: "[\(update.joined)] along axis \(axis)")
    }
    if inputs.has(2), try inputs.shape(2) != [cache[0]] {
      throw .unexpected(
        "shape of write_indices", expected: "[\(cache[0])]",
        got: "[\(try inputs.shape(2).joined)]")
    }
    return [Fact(try inputs.type(0), cache)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (cache, update) = (Region(inputs[0].shape), Region(inputs[1].shape))
    let axis = try axis.axis(ofRank: cache.extents.count)
    let (room, length) = (cache.extents[axis], update.extents[axis])
    outputs[0].copy(inputs[0])
    guard length > 0 else { return }
    let starts = inputs.has(2) ? inputs.integers(2) : Array(repeating: 0, count: cache.extents[0])
    var interruption = Interruption()
    for (batch, index) in starts.enumerated() {
      if interruption.isDue(after: 2000) { return }
      guard isCircular || (index >= 0 && index <= room - length) else {
        throw .unexpected("write_indices", expected: "0 to \(room - length)", got: "\(index)")
      }
      let start = (index % room + room) % room
      let beforeEnd = min(length, room - start)
      for (from, to, count) in [(0, start, beforeEnd), (beforeEnd, 0, length - beforeEnd)] {
        outputs[0].copy(
          inputs[1],
          from: update.sliced(0, from: batch, count: 1).sliced(axis, from: from, count: count),
          to: cache.sliced(0, from: batch, count: 1).sliced(axis, from: to, count: count),
          on: outputs.context.crew)
      }
    }
  }

  var reusableInput: Int? { 0 }
}

/// Sums the columns that a sliding block has cut an image into: [n, c·block, positions] to
/// [n, c, image…].
struct Col2Im: Operator {
  let dilations: [Int]?
  let pads: [Int]?
  let strides: [Int]?

  init(_ node: inout NodeReader) throws(ModelError) {
    dilations = try node.ints("dilations")
    pads = try node.ints("pads")
    strides = try node.ints("strides")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    let (image, block) = (try inputs.integers(1), try inputs.integers(2))
    guard shape.count == 3 else {
      throw .unexpected("rank of input", expected: "3", got: "\(shape.count)")
    }
    let axes = try axes(image, block)
    guard let size = block.checkedElementCount, shape[1] % size == 0 else {
      throw .unexpected(
        "channels of input", expected: "a multiple of the elements of [\(block.joined)]",
        got: "\(shape[1])")
    }
    let positions = axes.map(\.positions)
    let columns = positions.checkedElementCount
    guard shape[2] == columns else {
      throw .unexpected(
        "columns of input",
        expected: columns.map(String.init) ?? "fewer than [\(positions.joined)]",
        got: "\(shape[2])")
    }
    return [Fact(try inputs.type(0), [shape[0], shape[1] / size] + image)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (image, block) = (inputs.integers(1), inputs.integers(2))
    let places = places(try axes(image, block), image)
    let planeSize = image.elementCount
    try Interruption.check()
    func sum<T: Number>(_: T.Type) {
      let columns = inputs[0].converted(to: T.self)
      var pixels = [T](zerosUntilDue: outputs[0].elementCount)
      var interruption = Interruption()
      for (index, column) in columns.enumerated() {
        if interruption.isDue(after: 8) { return }
        guard let place = places[index % places.count] else { continue }
        let pixel = index / places.count * planeSize + place
        pixels[pixel] = T.sum(pixels[pixel], column)
      }
      outputs[0].store(pixels)
    }
    guard let number = outputs[0].type.computed else {
      throw .unexpected("type of input", expected: "numbers", got: "\(outputs[0].type)")
    }
    sum(number)
  }

  private struct Axis {
    let extent: Int
    let block: Int
    let dilation: Int
    let stride: Int
    let padBefore: Int
    let positions: Int
  }

  private func axes(_ image: [Int], _ block: [Int]) throws(ModelError) -> [Axis] {
    let rank = image.count
    let dilations = dilations ?? Array(repeating: 1, count: rank)
    let strides = strides ?? Array(repeating: 1, count: rank)
    let pads = pads ?? Array(repeating: 0, count: 2 * rank)
    guard block.count == rank, dilations.count == rank, strides.count == rank,
      pads.count == 2 * rank, (image + block + dilations + strides).allSatisfy({ $0 > 0 }),
      pads.allSatisfy({ $0 >= 0 }),
      (image + block + dilations + strides + pads).allSatisfy({ $0 < 1 << 31 })
    else {
      throw .unexpected(
        "image_shape, block_shape, dilations, strides and pads",
        expected: "positive numbers for each axis, pads from 0",
        got: [image, block, dilations, strides, pads].map { "[\($0.joined)]" }
          .joined(separator: ", "))
    }
    return image.indices.map { axis in
      let room = image[axis] + pads[axis] + pads[rank + axis]
      let span = dilations[axis] * (block[axis] - 1) + 1
      return Axis(
        extent: image[axis], block: block[axis], dilation: dilations[axis], stride: strides[axis],
        padBefore: pads[axis], positions: room < span ? 0 : (room - span) / strides[axis] + 1)
    }
  }

  /// Where in the image each element of the block lies at each position, block-major; nil in the
  /// padding; fewer where the run is to end.
  private func places(_ axes: [Axis], _ image: [Int]) -> [Int?] {
    let extents = axes.map(\.block) + axes.map(\.positions)
    let (steps, strides) = (extents.strides, image.strides)
    return Interruption.map(extents.elementCount, cost: 20 * axes.count) { index in
      var place = 0
      for (number, axis) in axes.enumerated() {
        let inBlock = index / steps[number] % axis.block
        let position = index / steps[axes.count + number] % axis.positions
        let coordinate = position * axis.stride - axis.padBefore + inBlock * axis.dilation
        guard coordinate >= 0 && coordinate < axis.extent else { return nil }
        place += coordinate * strides[number]
      }
      return place
    }
  }
}
