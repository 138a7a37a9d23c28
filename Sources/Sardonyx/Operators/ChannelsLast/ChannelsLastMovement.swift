/// Brings bytes [N, C, spatial…] into the order of ``ChannelsLast``.
struct PutChannelsLast: Operator {
  let isSigned: Bool

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count >= 2 else {
      throw .unexpected("rank of X", expected: "at least 2", got: "\(shape.count)")
    }
    return [Fact(.uint8, ChannelsLast.ordered(shape))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (shape, isSigned) = (try inputs.shape(0), isSigned)
    return { addresses, crew in
      unsafe ByteReorder.channelsLast(
        shape, isSigned: isSigned, addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// Brings bytes out of that order again.
struct PutChannelsFirst: Operator {
  let isSigned: Bool

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(isSigned ? .int8 : .uint8, ChannelsLast.plain(try inputs.shape(0)))]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let (shape, isSigned) = (ChannelsLast.plain(try inputs.shape(0)), isSigned)
    return { addresses, crew in
      unsafe ByteReorder.channelsFirst(
        shape, isSigned: isSigned, addresses.input(0), into: addresses.output(), on: crew)
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}

/// Bytes [N, 1, …, 1, C] as [N, C].
struct FlattenChannelsLast: Operator {
  var isView: Bool { true }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard let channels = shape.last, shape.dropFirst().dropLast().allSatisfy({ $0 == 1 }) else {
      throw .unexpected(
        "shape to flatten", expected: "[N,1,…,1,C]", got: "[\(shape.joined)]")
    }
    return [Fact(.uint8, [shape[0], channels])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) { outputs[0].copy(inputs[0]) }
}

/// Concat of bytes along their channels, which come last; each input's bytes go through a table of its
/// own, where it has one.
struct ChannelsLastConcat: Operator {
  /// 256 bytes for each input, or none.
  let tables: [[UInt8]?]

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shape = try inputs.shape(0)
    for index in tables.indices.dropFirst() {
      let other = try inputs.shape(index)
      guard other.count == shape.count, other.dropLast() == shape.dropLast() else {
        throw .unexpected(
          "shape of input \(index)", expected: "[\(shape.dropLast().joined),…] as input 0",
          got: "[\(other.joined)]")
      }
      shape[shape.count - 1] += other.last!
    }
    return [Fact(.uint8, shape)]
  }

  func computation(_ inputs: Facts, _ outputs: [Fact?]) throws(ModelError) -> Computation? {
    let places = try inputs.shape(0).dropLast().reduce(1, *)
    var parts: [ByteConcatenation.Part] = []
    for (index, table) in tables.enumerated() {
      parts.append(ByteConcatenation.Part(channels: try inputs.shape(index).last!, table: table))
    }
    let concatenation = ByteConcatenation(places: places, parts: parts)
    return { addresses, crew in
      for index in concatenation.parts.indices {
        unsafe concatenation.put(
          index, addresses.input(index), into: addresses.output(), on: crew)
      }
    }
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    _ = try compute(inputs, outputs)
  }
}
