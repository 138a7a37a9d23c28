/// The operator that picks among the boxes of detectors.
let boxSelection: OperatorFamily = ["NonMaxSuppression": NonMaxSuppression.init]

/// Picks the boxes of the highest scores, and drops those that overlap a picked one too much.
///
/// boxes is images×boxes×4, scores images×classes×boxes; the result has a row (image, class, box)
/// for each picked box.
struct NonMaxSuppression: Operator {
  /// Whether boxes are (x, y, width, height) around a centre instead of two opposite corners.
  private let isCentred: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    isCentred = try node.bool("center_point_box")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (boxes, scores) = (try inputs.shape(0), try inputs.shape(1))
    guard boxes.count == 3, boxes[2] == 4 else {
      throw .unexpected("shape of boxes", expected: "[images,boxes,4]", got: "[\(boxes.joined)]")
    }
    guard scores.count == 3, scores[0] == boxes[0], scores[2] == boxes[1] else {
      throw .unexpected(
        "shape of scores", expected: "[\(boxes[0]),classes,\(boxes[1])]",
        got: "[\(scores.joined)]")
    }
    return [Fact(.int64, nil)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (shape, count) = (inputs[1].shape, inputs[1].shape[2])
    let corners: [Float] = inputs[0].converted()
    let scores: [Float] = inputs[1].converted()
    let most = inputs.has(2) ? inputs.integers(2).first ?? 0 : 0
    let overlap: Float = inputs.tensor(3)?.converted(to: Float.self).first ?? 0
    let threshold: Float? = inputs.tensor(4)?.converted(to: Float.self).first
    var picked: [Int64] = []
    var interruption = Interruption()
    // Of no boxes there may be any number of images and classes.
    for image in 0..<(count > 0 && most > 0 ? shape[0] : 0) {
      let boxes = Interruption.map(count, cost: 60) { index in
        Box(corners[((image * count + index) * 4)...].prefix(4), isCentred: isCentred)
      }
      try Interruption.check()
      for category in 0..<shape[1] {
        if interruption.isDue(after: 10 &* count &+ 200) { try Interruption.check() }
        let row = (image * shape[1] + category) * count
        let candidates = (0..<count).filter { index in
          threshold.map { scores[row + index] > $0 } ?? true
        }
        .sortedUntilDue { (scores[row + $0], $1) > (scores[row + $1], $0) }
        for box in pick(candidates, boxes, most: most, overlap) {
          picked += [Int64(image), Int64(category), Int64(box)]
        }
      }
    }
    try outputs.place(0, .int64, [picked.count / 3, 3]).store(elements: picked)
  }

  /// The first candidates that do not overlap an earlier one.
  private func pick(_ candidates: [Int], _ boxes: [Box], most: Int, _ overlap: Float) -> [Int] {
    var picked: [Int] = []
    var interruption = Interruption()
    for candidate in candidates {
      if picked.count >= most || interruption.isDue(after: 4 * picked.count + 4) { break }
      if picked.allSatisfy({ !boxes[candidate].overlaps(boxes[$0], more: overlap) }) {
        picked.append(candidate)
      }
    }
    return picked
  }
}

/// A box by its sides.
private struct Box {
  private let left: Float
  private let right: Float
  private let top: Float
  private let bottom: Float

  init(_ numbers: ArraySlice<Float>, isCentred: Bool) {
    let box = Array(numbers)
    if isCentred {
      (left, right) = (box[0] - box[2] / 2, box[0] + box[2] / 2)
      (top, bottom) = (box[1] - box[3] / 2, box[1] + box[3] / 2)
    } else {
      (left, right) = (min(box[1], box[3]), max(box[1], box[3]))
      (top, bottom) = (min(box[0], box[2]), max(box[0], box[2]))
    }
  }

  private var area: Float { (right - left) * (bottom - top) }

  /// Whether the common area is more than a fraction of the joint one.
  func overlaps(_ other: Box, more fraction: Float) -> Bool {
    let width = min(right, other.right) - max(left, other.left)
    let height = min(bottom, other.bottom) - max(top, other.top)
    guard width > 0, height > 0, area > 0, other.area > 0 else { return false }
    let common = width * height
    let joint = area + other.area - common
    return joint > 0 && common / joint > fraction
  }
}
