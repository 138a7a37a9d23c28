/// The sum or the product of what bytes with their channels last stand for, as bytes.
///
/// The second input has the shape of the first, or one byte for each image and channel.
struct ChannelsLastCombination: Operator {
  let arithmetic: ByteArithmetic

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (a, b) = (try inputs.shape(0), try inputs.shape(1))
    guard b == a || isPerChannel(a, b) else {
      throw .unexpected(
        "shape of B", expected: "[\(a.joined)] or [\(a[0]),1,…,\(a.last ?? 1)]",
        got: "[\(b.joined)]")
    }
    return [Fact(.uint8, a)]
  }

  private func isPerChannel(_ a: Shape, _ b: Shape) -> Bool {
    a.count == b.count && a.first == b.first && a.last == b.last
      && b.dropFirst().dropLast().allSatisfy { $0 == 1 }
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (a, b) = (try inputs.shape(0), try inputs.shape(1))
    let arithmetic = arithmetic
    if a == b {
      let count = a.elementCount
      return { addresses, crew in
        unsafe arithmetic.run(
          count, addresses.input(0), addresses.input(1), into: addresses.output(), on: crew)
      }
    }
    let (images, channels) = (a[0], a[a.count - 1])
    let places = a.dropFirst().dropLast().reduce(1, *)
    return { addresses, crew in
      unsafe arithmetic.run(
        images: images, places: places, channels: channels, addresses.input(0),
        addresses.input(1), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// Each byte as a table has it: what elementwise operators between two quantizations come to.
struct ByteTable: Operator {
  /// 256 bytes.
  let table: [UInt8]

  var reusableInput: Int? { 0 }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.uint8, try inputs.shape(0))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (count, table) = (try inputs.shape(0).elementCount, table)
    return { addresses, crew in
      unsafe ByteArithmetic.lookUp(
        count, addresses.input(0), table, into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// Maxima or averages of windows, or of whole planes, of bytes with their channels last.
struct ChannelsLastPool: Operator {
  /// nil for whole planes.
  let window: Window?
  let kind: ChannelsLastPooling.Kind

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    return [Fact(.uint8, [shape[0]] + (try axes(shape)).outputExtents + [shape.last!])]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let shape = try inputs.shape(0)
    let pooling = ChannelsLastPooling(
      kind, batch: shape[0], channels: shape.last!, try axes(shape))
    return { addresses, crew in
      unsafe pooling.run(addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }

  private func axes(_ shape: Shape) throws(ModelError) -> [WindowAxis] {
    let extents = Array(shape.dropFirst().dropLast())
    if let window { return try window.axes(over: extents) }
    return extents.map {
      WindowAxis(input: $0, output: 1, kernel: $0, stride: 1, dilation: 1)
    }
  }
}
