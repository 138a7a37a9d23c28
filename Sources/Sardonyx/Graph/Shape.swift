/// The extent of each axis of a tensor; empty for a scalar.
public typealias Shape = [Int]

extension [Int] {
  /// The number of elements of a tensor of this shape; 1 for a scalar.
  ///
  /// Wraps on overflow; shapes from outside are checked with ``checkedElementCount`` first.
  var elementCount: Int { reduce(1, &*) }

  /// What no extent of a tensor is above: the product of two extents, of one tensor or of two, is
  /// always a number.
  static let largestExtent = 1 << 31

  /// The number of elements, or nil where an extent is negative or above ``largestExtent``, or the
  /// product of those that are not 0 is no number of bytes: so extents of a tensor may be
  /// multiplied, and places along its axes added, without a second look.
  var checkedElementCount: Int? {
    var count = 1
    for extent in self where extent != 0 {
      guard extent > 0, extent <= Self.largestExtent else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow, product <= Int.max / 16 else { return nil }
      count = product
    }
    return contains(0) ? 0 : count
  }

  /// The distance in elements between neighbours along each axis of a dense row-major tensor.
  var strides: [Int] {
    var strides = [Int](repeating: 1, count: count)
    for axis in indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] &* self[axis + 1]
    }
    return strides
  }

  /// `[2, 3, 4]` as `2,3,4`; of more axes than anybody reads, the first ones and how many there are.
  var joined: String {
    let shown = prefix(32).map(String.init).joined(separator: ",")
    return count > 32 ? "\(shown),… (\(count) axes)" : shown
  }

  /// The shape that both broadcast to by ONNX's multidirectional (numpy's) rule.
  /// - Throws: ``ModelError`` where an axis differs and neither extent is 1.
  static func broadcast(_ shapes: [[Int]]) throws(ModelError) -> [Int] {
    // As they are nearly always.
    if let first = shapes.first, shapes.allSatisfy({ $0 == first }) { return first }
    let rank = shapes.lazy.map { $0.count }.max() ?? 0
    var result = [Int](repeating: 1, count: rank)
    for shape in shapes {
      for (axis, extent) in zip((rank - shape.count)..., shape) where extent != 1 {
        guard result[axis] == 1 || result[axis] == extent else {
          throw .unexpected(
            "shapes", expected: "extents that are equal or 1 on each axis from the right",
            got: shapes.map { "[\($0.joined)]" }.joined(separator: " and "))
        }
        result[axis] = extent
      }
    }
    return result
  }
}

/// An axis of a declared shape: a number, a name such as `batch`, or nothing.
public enum Dimension: Sendable, Hashable, CustomStringConvertible {
  /// A number.
  case known(Int)
  /// A name that the model gives the extent, such as `batch`; runs do not insist that axes of one name are equal.
  case symbol(String)
  /// Anything.
  case unknown

  /// The extent, the symbol, or `?`.
  public var description: String {
    switch self {
    case .known(let extent): String(extent)
    case .symbol(let name): name
    case .unknown: "?"
    }
  }
}
