/// The different elements, or slices along an axis; where each was first, which each element is,
/// and how often each occurs.
struct Unique: Operator {
  let axis: Int?
  let isSorted: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis")
    isSorted = try node.bool("sorted", default: true)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(try inputs.type(0), nil)] + Array(repeating: Fact(.int64, nil), count: 3)
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = axis == nil ? [inputs[0].elementCount] : inputs[0].shape
    let axis = try (axis ?? 0).axis(ofRank: shape.count)
    let groups = try Groups(try inputs[0].reshaped(shape).slices(axis), isSorted: isSorted)
    var uniqueShape = shape
    uniqueShape[axis] = groups.first.count
    if outputs.wants(0) {
      let unique = try outputs.place(0, inputs[0].type, uniqueShape)
      if Shape(shape[..<axis]).elementCount == 1 {
        let length = Shape(shape[(axis + 1)...]).elementCount
        let places = groups.first.interruptibleMap(cost: 1) { $0 * length }
        try Interruption.check()
        unique.gather(inputs[0], blocksOf: length, at: places)
      } else {
        let (source, target) = (Region(shape), Region(uniqueShape))
        for (place, first) in groups.first.enumerated() {
          try Interruption.check()
          unique.copy(
            inputs[0], from: source.sliced(axis, from: first, count: 1),
            to: target.sliced(axis, from: place, count: 1), on: outputs.context.crew)
        }
      }
    }
    for (index, list) in [groups.first, groups.membership, groups.counts].enumerated()
    where outputs.wants(index + 1) {
      try outputs.place(index + 1, .int64, [list.count])
        .store(elements: list.interruptibleMap(cost: 1) { Int64($0) })
    }
  }
}

extension Tensor {
  /// The slices along an axis, each as a list that compares in the order of its elements.
  func slices(_ axis: Int) throws(ModelError) -> any SliceList {
    let parts = partsOfComplex
    let inner = Shape(parts.shape[(axis + 1)...]).elementCount
    let extent = shape[axis]
    let outer = Shape(parts.shape[..<axis]).elementCount
    func list<T: Comparable>(_ elements: [T]) throws(ModelError) -> any SliceList {
      try Interruption.check()
      return Slices(elements: elements, outer: outer, extent: extent, inner: inner)
    }
    if type == .string {
      return try list(try strings().interruptibleMap(cost: 50) { CodePoints($0) })
    }
    func numbers<T: Number>(_: T.Type) throws(ModelError) -> any SliceList {
      try list(parts.converted(to: T.self, asPlaces: false))
    }
    return try numbers(try parts.type.number())
  }
}

/// Slices of a tensor that can be compared.
protocol SliceList {
  var extent: Int { get }
  /// Whether slice `left` comes before slice `right`; nil where they are equal.
  func precedes(_ left: Int, _ right: Int) -> Bool?
}

/// The slices along the middle axis of a tensor of shape [outer, extent, inner].
private struct Slices<T: Comparable>: SliceList {
  let elements: [T]
  let outer: Int
  let extent: Int
  let inner: Int

  func precedes(_ left: Int, _ right: Int) -> Bool? {
    var interruption = Interruption()
    for block in 0..<outer {
      for index in 0..<inner {
        if interruption.isDue(after: 16) { return nil }
        let a = elements[(block * extent + left) * inner + index]
        let b = elements[(block * extent + right) * inner + index]
        if a == b { continue }
        // NaN, which differs from itself, is taken as one number above all others.
        guard a == a else {
          if b == b { return false }
          continue
        }
        return b == b ? a < b : true
      }
    }
    return nil
  }
}

/// A text in the order of its code points, not that of any language.
private struct CodePoints: Comparable {
  let text: [UInt8]
  init(_ text: String) { self.text = Array(text.utf8) }
  static func < (left: CodePoints, right: CodePoints) -> Bool {
    left.text.lexicographicallyPrecedes(right.text)
  }
}

/// Equal slices put together.
struct Groups {
  /// The first slice of each group.
  let first: [Int]
  /// The group of each slice.
  let membership: [Int]
  let counts: [Int]

  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end.
  init(_ slices: some SliceList, isSorted: Bool) throws(ModelError) {
    var (first, counts): ([Int], [Int]) = ([], [])
    var membership = [Int](repeating: 0, untilDue: slices.extent)
    let sorted = Interruption.map(slices.extent, cost: 1) { $0 }
      .sortedUntilDue { slices.precedes($0, $1) ?? ($0 < $1) }
    try Interruption.check()
    var interruption = Interruption()
    for (position, slice) in sorted.enumerated() {
      if interruption.isDue(after: 32) { try Interruption.check() }
      if position == 0 || slices.precedes(sorted[position - 1], slice) != nil {
        first.append(slice)
        counts.append(0)
      }
      membership[slice] = first.count - 1
      counts[first.count - 1] += 1
    }
    if !isSorted {
      let order = Interruption.map(first.count, cost: 1) { $0 }
        .sortedUntilDue { first[$0] < first[$1] }
      var place = [Int](repeating: 0, untilDue: order.count)
      try Interruption.check()
      for (new, old) in order.enumerated() {
        if interruption.isDue(after: 4) { try Interruption.check() }
        place[old] = new
      }
      first = order.interruptibleMap(cost: 4) { first[$0] }
      counts = order.interruptibleMap(cost: 4) { counts[$0] }
      membership = membership.interruptibleMap(cost: 4) { place[$0] }
      try Interruption.check()
    }
    (self.first, self.membership, self.counts) = (first, membership, counts)
  }
}
