extension Int {
  /// This axis counted from the front; ONNX counts a negative one from the back.
  /// - Throws: ``ModelError`` where a tensor of that rank has no such axis.
  func axis(ofRank rank: Int, _ subject: String = "axis") throws(ModelError) -> Int {
    guard self >= -rank, self < rank else {
      let expected = rank == 0 ? "none, as the rank is 0" : "\(-rank) to \(rank - 1)"
      throw .unexpected(subject, expected: expected, got: "\(self)")
    }
    return self < 0 ? self + rank : self
  }

  /// This index along an axis, counted from the front.
  /// - Throws: ``ModelError`` where the axis has no such place.
  func index(within extent: Int, _ subject: String = "indices") throws(ModelError) -> Int {
    guard self >= -extent, self < extent else {
      let expected = extent == 0 ? "none, as the axis is empty" : "\(-extent) to \(extent - 1)"
      throw .unexpected(subject, expected: expected, got: "\(self)")
    }
    return self < 0 ? self + extent : self
  }
}

extension [Int] {
  /// These axes counted from the front.
  /// - Throws: ``ModelError`` where a tensor of that rank has no such axis, or one comes twice.
  func axes(ofRank rank: Int, _ subject: String = "axes") throws(ModelError) -> [Int] {
    var axes: [Int] = []
    for axis in self {
      let counted = try axis.axis(ofRank: rank, subject)
      guard !axes.contains(counted) else {
        throw .unexpected(subject, expected: "each axis once", got: "[\(joined)]")
      }
      axes.append(counted)
    }
    return axes
  }
}
