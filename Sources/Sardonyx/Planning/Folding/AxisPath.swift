/// Where the numbers of one axis lie when a tensor gets another shape or another order of axes.
struct AxisPath {
  /// The axis that they lie on.
  let axis: Int
  /// How often each stands in a row, and how often all of them come one after another.
  var (inner, outer) = (1, 1)

  /// Numbers of an axis up to which they are followed.
  static var largestExtent: Int { 1 << 22 }

  private init(_ axis: Int) { self.axis = axis }

  /// Follows an axis of a value from one side of a node that moves elements to the other.
  ///
  /// The number of an element is its place divided by `inner`, the product of the extents behind its axis;
  /// an axis of the other shape tells it if the quotient of both products is whole and its extent a multiple
  /// of that many of them.
  /// - Parameters:
  ///   - axis: of the shape `from`.
  ///   - isBackward: whether `from` is that of the node's output.
  init?(
    _ axis: Int, from: [Dimension]?, to: [Dimension]?, through node: Node, isBackward: Bool
  ) {
    switch node.operatorName {
    case "Identity": self.init(axis)
    case "Transpose":
      guard let rank = from?.count, axis < rank else { return nil }
      var order = Array((0..<rank).reversed())
      if case .ints(let stated)? = node.attributes["perm"] { order = stated }
      guard order.count == rank else { return nil }
      if isBackward {
        self.init(order[axis])
      } else {
        guard let place = order.firstIndex(of: axis) else { return nil }
        self.init(place)
      }
    case "Reshape", "Flatten", "Squeeze", "Unsqueeze":
      guard let from, let to else { return nil }
      self.init(axis, reshaping: from, to: to)
    default: return nil
    }
  }

  private init?(_ axis: Int, reshaping from: [Dimension], to: [Dimension]) {
    guard axis < from.count, case .known(let count) = from[axis], count > 0 else { return nil }
    let isPrefixSame =
      axis < to.count && from[...axis] == to[...axis] && !from[...axis].contains(.unknown)
    if isPrefixSame {
      self.init(axis)
      return
    }
    guard let product = Self.product(from[(axis + 1)...]) else { return nil }
    for place in to.indices.reversed() {
      guard let behind = Self.product(to[(place + 1)...]), behind > 0 else { return nil }
      guard product % behind == 0, case .known(let extent) = to[place] else { continue }
      let inner = product / behind
      let (period, overflows) = inner.multipliedReportingOverflow(by: count)
      guard inner > 0, !overflows, extent % period == 0 else { continue }
      guard extent <= Self.largestExtent else { return nil }
      self.init(place)
      (self.inner, outer) = (inner, extent / period)
      return
    }
    return nil
  }

  private static func product(_ extents: ArraySlice<Dimension>) -> Int? {
    var product = 1
    for extent in extents {
      guard case .known(let number) = extent else { return nil }
      let (result, overflows) = product.multipliedReportingOverflow(by: number)
      if overflows { return nil }
      product = result
    }
    return product
  }
}
