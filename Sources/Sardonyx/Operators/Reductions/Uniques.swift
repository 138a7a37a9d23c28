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
    let groups = Groups(try inputs[0].reshaped(shape).slices(axis), isSorted: isSorted)
    var uniqueShape = shape
    uniqueShape[axis] = groups.first.count
    if outputs.wants(0) {
      let unique = try outputs.place(0, inputs[0].type, uniqueShape)
      let (source, target) = (Region(shape), Region(uniqueShape))
      for (place, first) in groups.first.enumerated() {
        unique.copy(
          inputs[0], from: source.sliced(axis, from: first, count: 1),
          to: target.sliced(axis, from: place, count: 1), on: outputs.context.crew)
      }
    }
    for (index, list) in [groups.first, groups.membership, groups.counts].enumerated()
    where outputs.wants(index + 1) {
      try outputs.place(index + 1, .int64, [list.count]).store(elements: list.map(Int64.init))
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
    func list<T: Comparable>(_ elements: [T]) -> any SliceList {
      Slices(elements: elements, outer: outer, extent: extent, inner: inner)
    }
    if type == .string { return list(try strings().map(CodePoints.init)) }
    func numbers<T: Number>(_: T.Type) -> any SliceList {
      list(parts.converted(to: T.self).map(Ordered.init))
    }
    return numbers(try parts.type.number())
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
    for block in 0..<outer {
      if Interruption.isDue { return nil }
      for index in 0..<inner {
        let a = elements[(block * extent + left) * inner + index]
        let b = elements[(block * extent + right) * inner + index]
        if a != b { return a < b }
      }
    }
    return nil
  }
}

/// A number under a total order, in which NaN equals itself and is above all others.
private struct Ordered<T: Number>: Comparable {
  let number: T
  static func == (left: Ordered, right: Ordered) -> Bool {
    left.number == right.number || (left.number.isNaN && right.number.isNaN)
  }
  static func < (left: Ordered, right: Ordered) -> Bool {
    left.number < right.number || (right.number.isNaN && !left.number.isNaN)
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
  var first: [Int] = []
  /// The group of each slice.
  var membership: [Int]
  var counts: [Int] = []

  init(_ slices: some SliceList, isSorted: Bool) {
    membership = Array(repeating: 0, count: slices.extent)
    let sorted = Array(0..<slices.extent).sortedUntilDue { slices.precedes($0, $1) ?? ($0 < $1) }
    for (position, slice) in sorted.enumerated() {
      if position == 0 || slices.precedes(sorted[position - 1], slice) != nil {
        first.append(slice)
        counts.append(0)
      }
      membership[slice] = first.count - 1
      counts[first.count - 1] += 1
    }
    guard !isSorted else { return }
    let order = first.indices.sorted { first[$0] < first[$1] }
    var place = order
    for (new, old) in order.enumerated() { place[old] = new }
    first = order.map { first[$0] }
    counts = order.map { counts[$0] }
    membership = membership.map { place[$0] }
  }
}
