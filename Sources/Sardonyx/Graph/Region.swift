/// A rectangular choice of a dense tensor's elements: from where, how many along each axis, and how
/// far neighbours lie apart, all counted in elements.
///
/// Slices, reversals, permutations and broadcasts are only other regions of the same memory; a copy
/// from one region to another is the one way in which operators move data.
struct Region: Sendable, Equatable {
  var start = 0
  var extents: Shape
  var strides: [Int]

  /// All elements of a tensor of this shape.
  init(_ shape: Shape) {
    extents = shape
    strides = shape.strides
  }

  /// Whether its elements lie side by side in row-major order.
  var isDense: Bool {
    zip(extents, zip(strides, extents.strides)).allSatisfy { $0 <= 1 || $1.0 == $1.1 }
  }

  var isEmpty: Bool { extents.contains(0) }

  /// The region with its axes in another order: axis i is axis `permutation[i]` of this one.
  func permuted(_ permutation: [Int]) -> Region {
    var region = self
    region.extents = permutation.map { extents[$0] }
    region.strides = permutation.map { strides[$0] }
    return region
  }

  /// Every `step`-th place along an axis (backwards where it is negative), `count` in all.
  func sliced(_ axis: Int, from first: Int, step: Int = 1, count: Int) -> Region {
    var region = self
    region.start &+= first &* strides[axis]
    // A single place has no neighbour; its step, which the caller may have made huge, is dropped.
    region.strides[axis] = count > 1 ? strides[axis] &* step : 0
    region.extents[axis] = count
    return region
  }

  /// The region repeated to a shape that it broadcasts to.
  func broadcast(to shape: Shape) -> Region {
    var region = self
    let missing = shape.count - extents.count
    region.extents = shape
    region.strides = shape.indices.map { axis in
      axis < missing || extents[axis - missing] == 1 ? 0 : strides[axis - missing]
    }
    return region
  }

  /// Where its elements lie, in row-major order.
  var offsets: [Int] {
    zip(extents, strides).reduce([start]) { offsets, axis in
      Interruption.map(offsets.count * axis.0, cost: 4) {
        offsets[$0 / axis.0] + $0 % axis.0 * axis.1
      }
    }
  }

  /// Whether all its elements are among the first `count`.
  func lies(within count: Int) -> Bool {
    if isEmpty { return true }
    var first = start
    var last = start
    for (extent, stride) in zip(extents, strides) {
      let span = (extent - 1) * stride
      if span < 0 { first += span } else { last += span }
    }
    return first >= 0 && last < count
  }
}
