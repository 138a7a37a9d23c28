/// A rearrangement of some of a dense tensor's elements that copies none: what Reshape, Transpose, Slice,
/// Split, Squeeze and their like, one after the other, show of it.
///
/// An axis is a list of factors, the last one running fastest, so that axes which do not adjoin in
/// memory may be joined for a while.
struct StridedView: Sendable {
  private struct AxisFactor: Sendable {
    let extent: Int
    let stride: Int
  }

  private(set) var start = 0
  /// Without factors of extent 1.
  private var axes: [[AxisFactor]]

  /// All elements of a tensor of this shape.
  init(_ shape: Shape) {
    axes = zip(shape, shape.strides).map { $0 == 1 ? [] : [AxisFactor(extent: $0, stride: $1)] }
  }

  var shape: Shape { axes.map { $0.reduce(1) { $0 * $1.extent } } }

  /// The axes in another order: axis i is axis `permutation[i]` of this view.
  func permuted(_ permutation: [Int]) -> StridedView {
    var view = self
    view.axes = permutation.map { axes[$0] }
    return view
  }

  /// Every `step`-th place along an axis, `count` in all; nil where the axis is joined of several.
  func sliced(_ axis: Int, from first: Int, step: Int = 1, count: Int) -> StridedView? {
    if first == 0, step == 1, count == shape[axis] { return self }
    guard axes[axis].count == 1, count > 0 else { return nil }
    var view = self
    let factor = axes[axis][0]
    view.start += first * factor.stride
    view.axes[axis] =
      count == 1 ? [] : [AxisFactor(extent: count, stride: factor.stride * step)]
    return view
  }

  /// The same elements in another shape; nil where its axes divide the factors of these.
  func reshaped(to shape: Shape) -> StridedView? {
    guard !shape.contains(0) else { return nil }
    var factors = axes.flatMap(\.self)[...]
    var view = self
    view.axes = []
    for extent in shape {
      var (axis, rest): ([AxisFactor], Int) = ([], extent)
      while rest > 1 {
        guard let next = factors.popFirst() else { return nil }
        if rest % next.extent == 0 {
          axis.append(next)
          rest /= next.extent
        } else {
          let (inner, remainder) = next.extent.quotientAndRemainder(dividingBy: rest)
          guard remainder == 0 else { return nil }
          axis.append(AxisFactor(extent: rest, stride: next.stride * inner))
          factors = [AxisFactor(extent: inner, stride: next.stride)] + factors
          rest = 1
        }
      }
      view.axes.append(axis)
    }
    return factors.isEmpty ? view : nil
  }

  /// The view as a region; nil where an axis is joined of several that do not adjoin.
  var region: Region? {
    var region = Region(shape)
    region.start = start
    for (number, axis) in axes.enumerated() {
      region.strides[number] = axis.last?.stride ?? 0
      for (outer, inner) in zip(axis, axis.dropFirst())
      where outer.stride != inner.stride * inner.extent { return nil }
    }
    return region
  }
}
