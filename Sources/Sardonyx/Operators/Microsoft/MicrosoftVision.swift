/// ONNX Runtime's own operators on images.
let microsoftVision: OperatorFamily = [
  "CropAndResize": CropAndResize.init,
  "GridSample": GridSample.init,
]

/// Parts of images N×C×H×W, each resized to `crop_size`, height and width.
///
/// A region is (y₁, x₁, y₂, x₂) as fractions of the image's last row and column, batch_indices tell
/// its image; what lies outside becomes the extrapolation value.
struct CropAndResize: Operator {
  private enum Mode: String, CaseIterable { case bilinear, nearest }

  private let mode: Mode
  private let extrapolation: Float

  init(_ node: inout NodeReader) throws(ModelError) {
    mode = try node.choice("mode", default: .bilinear)
    extrapolation = try node.float("extrapolation_value", default: 0)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (x, regions) = (try inputs.shape(0), try inputs.shape(1))
    try checkRank(x, 4, "X")
    guard regions.count == 2, regions[1] == 4 else {
      throw .unexpected("shape of rois", expected: "[regions,4]", got: "[\(regions.joined)]")
    }
    guard try inputs.shape(2) == [regions[0]] else {
      throw .unexpected(
        "shape of batch_indices", expected: "[\(regions[0])]",
        got: "[\(try inputs.shape(2).joined)]")
    }
    let size = try inputs.integers(3)
    guard size.count == 2, size.allSatisfy({ $0 > 0 && $0 <= Int(Int32.max) }) else {
      throw .unexpected("crop_size", expected: "2 positive numbers", got: "[\(size.joined)]")
    }
    return [Fact(try inputs.type(0), [regions[0], x[1]] + size)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (shape, target) = (inputs[0].shape, outputs[0].shape)
    let images = inputs.integers(2)
    if let wrong = images.first(where: { $0 < 0 || $0 >= shape[0] }) {
      throw .unexpected(
        "image of a region", expected: "a number below \(shape[0])", got: "\(wrong)")
    }
    func compute<T: RealNumber>(_: T.Type) throws(ModelError) {
      let x: [T] = inputs[0].converted()
      let regions: [T] = inputs[1].converted()
      var y: [T] = []
      y.reserveCapacity(outputs[0].elementCount)
      for (index, image) in images.enumerated() {
        try outputs.context.checkCancellation()
        let region = Array(regions[index * 4..<index * 4 + 4])
        let rows = points(from: region[0], to: region[2], target[2], shape[2])
        let columns = points(from: region[1], to: region[3], target[3], shape[3])
        for channel in 0..<shape[1] {
          let plane = (image * shape[1] + channel) * shape[2] * shape[3]
          for row in rows {
            for column in columns {
              y.append(value(x, plane, row, column, width: shape[3]))
            }
          }
        }
      }
      outputs[0].store(y)
    }
    try compute(inputs[0].type.real)
  }

  /// The points of the input along an axis that the outputs stand for; nil outside.
  private func points<T: RealNumber>(
    from first: T, to last: T, _ count: Int, _ extent: Int
  ) -> [T?] {
    let end = T(extent - 1)
    return (0..<count).map { index in
      let point =
        count > 1
        ? first * end + T(index) * ((last - first) * end / T(count - 1))
        : 0.5 * (first + last) * end
      return point >= 0 && point <= end ? point : nil
    }
  }

  private func value<T: RealNumber>(
    _ x: [T], _ plane: Int, _ row: T?, _ column: T?, width: Int
  ) -> T {
    guard let row, let column else { return T(extrapolation) }
    func at(_ row: T, _ column: T) -> T { x[plane + Int(row) * width + Int(column)] }
    if mode == .nearest { return at(row.rounded(), column.rounded()) }
    let (top, left) = (row.rounded(.down), column.rounded(.down))
    let (bottom, right) = (row.rounded(.up), column.rounded(.up))
    let (down, over) = (row - top, column - left)
    let upper = at(top, left) + (at(top, right) - at(top, left)) * over
    let lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * over
    return upper + (lower - upper) * down
  }
}
