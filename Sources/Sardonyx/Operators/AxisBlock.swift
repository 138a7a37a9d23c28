/// A tensor seen from one of its axes: [outer, count, inner].
///
/// Blocks without elements are no blocks: where `inner` is 0 `outer` is, too, whatever the shape says.
struct AxisBlock: Sendable, Equatable {
  let outer: Int
  let count: Int
  let inner: Int

  /// The axes of `shape` in `axes` become one; those before and behind it, too.
  init(_ shape: Shape, axes: Range<Int>) {
    self.init(
      outer: shape[..<axes.lowerBound].reduce(1, &*), count: shape[axes].reduce(1, &*),
      inner: shape[axes.upperBound...].reduce(1, &*))
  }

  /// One axis, with everything before and behind it made one.
  init(_ shape: Shape, axis: Int) { self.init(shape, axes: axis..<axis + 1) }

  init(outer: Int, count: Int, inner: Int) {
    (self.outer, self.count, self.inner) = (inner == 0 ? 0 : outer, count, inner)
  }

  /// Every element for itself.
  init(elements: Int) { (outer, count, inner) = (elements, 1, 1) }

  /// The places of a line that starts at `first`.
  func places(from first: Int) -> StrideTo<Int> {
    stride(from: first, to: first + count * inner, by: max(inner, 1))
  }

  /// The adjoining elements at an index of the axis.
  func range(outer index: Int, _ place: Int) -> Range<Int> {
    let first = (index &* count &+ place) &* inner
    return first..<first &+ inner
  }

  /// Calls `body` with the place of the first element of each line along the axis, whose elements
  /// lie ``inner`` apart; for fewer lines where the run is to end.
  func forEachLine(_ body: (Int) -> Void) {
    var interruption = Interruption()
    for block in 0..<outer {
      for place in 0..<inner {
        if interruption.isDue(after: 8 &* count &+ 4) { return }
        body(block &* count &* inner &+ place)
      }
    }
  }
}
