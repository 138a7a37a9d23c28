/// ONNX Runtime's own operators that move elements or count with them.
let microsoftMovement: OperatorFamily = [
  "ExpandDims": ExpandDims.init,
  "GatherBlockQuantized": GatherBlockQuantized.init,
  "GatherND": GatherND.init,
  "MurmurHash3": MurmurHash3.init,
  "Pad": Pad.init,
  "Range": RangeOperator.init,
  "Trilu": Trilu.init,
  "Unique": UniqueInOrder.init,
]

/// The input with an axis of extent 1 more, in front of the axis that is at its place now.
struct ExpandDims: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    var shape = try inputs.shape(0)
    let numbers = try inputs.integers(1)
    guard numbers.count == 1 else {
      throw .unexpected("elements of axis", expected: "1", got: "\(numbers.count)")
    }
    shape.insert(1, at: try numbers[0].axis(ofRank: shape.count + 1))
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) { outputs[0].copy(inputs[0]) }

  var isView: Bool { true }
}

/// The different elements of a list in the order in which they first occur, which of them each
/// element is, and how often each occurs.
struct UniqueInOrder: Operator {
  init(_ node: inout NodeReader) throws(ModelError) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try checkRank(inputs.shape(0), 1, "x")
    return [Fact(try inputs.type(0), nil), Fact(.int64, nil), Fact(.int64, nil)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tensor = inputs[0]
    let groups = try Groups(try tensor.reshaped([tensor.elementCount]).slices(0), isSorted: false)
    if outputs.wants(0) {
      try outputs.place(0, tensor.type, [groups.first.count])
        .gather(tensor, blocksOf: 1, at: groups.first)
    }
    for (index, list) in [groups.membership, groups.counts].enumerated()
    where outputs.wants(index + 1) {
      try outputs.place(index + 1, .int64, [list.count])
        .store(elements: list.interruptibleMap(cost: 1) { Int64($0) })
    }
  }
}

/// MurmurHash3 (32 bits, for x86) of each element's bytes, or of a text's.
///
/// Source: Austin Appleby, MurmurHash3, in the public domain.
struct MurmurHash3: Operator {
  private let seed: UInt32
  private let isPositive: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    seed = UInt32(truncatingIfNeeded: try node.int("seed", default: 0))
    isPositive = try node.bool("positive", default: true)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(isPositive ? .uint32 : .int32, try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    var interruption = Interruption()
    let hashes: [Int64]
    if inputs[0].type == .string {
      hashes = Interruption.map(inputs[0].elementCount, cost: 50) { index in
        var text = unsafe TextPool.text(inputs[0].pointer(as: TextReference.self)[index])
        return text.withUTF8 { unsafe hash(UnsafeRawBufferPointer($0), &interruption) }
      }
    } else {
      let size = inputs[0].type.byteCount
      hashes = Interruption.map(inputs[0].elementCount, cost: 10 * size) { index in
        unsafe hash(
          UnsafeRawBufferPointer(start: inputs[0].bytes + index * size, count: size), &interruption)
      }
    }
    try Interruption.check()
    outputs[0].store(hashes)
  }

  private func hash(_ bytes: UnsafeRawBufferPointer, _ interruption: inout Interruption) -> Int64 {
    var hash = seed
    for first in stride(from: 0, to: bytes.count, by: 4) {
      if interruption.isDue(after: 4) { return 0 }
      let count = min(4, bytes.count - first)
      var word = (0..<count).reduce(UInt32(0)) { unsafe $0 | UInt32(bytes[first + $1]) << (8 * $1) }
      word = (word &* 0xCC9E_2D51).rotated(by: 15) &* 0x1B87_3593
      hash ^= word
      if count == 4 { hash = hash.rotated(by: 13) &* 5 &+ 0xE654_6B64 }
    }
    hash ^= UInt32(truncatingIfNeeded: bytes.count)
    hash = (hash ^ (hash >> 16)) &* 0x85EB_CA6B
    hash = (hash ^ (hash >> 13)) &* 0xC2B2_AE35
    return Int64(hash ^ (hash >> 16))
  }
}

extension UInt32 {
  fileprivate func rotated(by count: UInt32) -> UInt32 { self << count | self >> (32 - count) }
}
