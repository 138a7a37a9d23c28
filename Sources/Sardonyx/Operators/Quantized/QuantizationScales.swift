/// Which of several scales (and zero points) belongs to which element of a tensor.
///
/// One for the whole tensor, one for each index of an axis, or one for each block of indices of an
/// axis.
struct QuantizationScales: Sendable {
  /// The tensor from the axis of quantization.
  private let block: AxisBlock
  /// Indices of the axis that share a scale; nil where the scales are not by blocks.
  private let blockSize: Int?
  private let isPerTensor: Bool

  /// - Throws: ``ModelError`` where the shape of the scales does not fit that of the tensor.
  init(_ shape: Shape, scales: Shape, axis: Int, blockSize: Int) throws(ModelError) {
    isPerTensor = scales.elementCount == 1 && scales.count <= 1
    guard !isPerTensor else {
      (block, self.blockSize) = (AxisBlock(elements: shape.elementCount), nil)
      return
    }
    let axis = try axis.axis(ofRank: shape.count)
    block = AxisBlock(shape, axes: axis..<axis + 1)
    self.blockSize = scales.count == 1 ? nil : blockSize
    var expected = shape
    if scales.count == 1 {
      expected = [shape[axis]]
    } else {
      guard blockSize > 0 else {
        throw .unexpected(
          "attribute block_size",
          expected: "a positive number for scales of shape [\(scales.joined)]",
          got: "\(blockSize)", code: .invalid)
      }
      expected[axis] = (shape[axis] &+ blockSize &- 1) / blockSize
    }
    guard scales == expected else {
      throw .unexpected(
        "shape of the scales", expected: "[] or [\(expected.joined)]", got: "[\(scales.joined)]")
    }
  }

  /// Calls `body` with each stretch of neighbouring elements that share a scale, and its index.
  func forEachRun(_ body: (Range<Int>, _ scale: Int) -> Void) {
    let (count, inner) = (block.count, block.inner)
    if isPerTensor { return body(0..<block.outer, 0) }
    var interruption = Interruption()
    for line in 0..<block.outer * count {
      // A run costs more than its numbers.
      if interruption.isDue(after: (blockSize == nil ? 200 : 200 &* inner) &+ 8 &* inner) { return }
      let first = line * inner
      guard let blockSize else {
        body(first..<first + inner, line % count)
        continue
      }
      let blocks = (count - 1) / blockSize + 1
      let scale = (line / count * blocks + line % count / blockSize) * inner
      for place in 0..<inner { body(first + place..<first + place + 1, scale + place) }
    }
  }

  /// The same in pieces of what takes a moment each, for a `body` that does not look at the clock itself.
  /// - Parameter cost: about how many nanoseconds an element takes.
  func forEachPiece(cost: Int, _ body: (Range<Int>, _ scale: Int) -> Void) {
    var interruption = Interruption()
    forEachRun { run, scale in
      for first in stride(from: run.lowerBound, to: run.upperBound, by: Self.pieceCount) {
        let piece = first..<min(first + Self.pieceCount, run.upperBound)
        if interruption.isDue(after: cost &* piece.count) { return }
        body(piece, scale)
      }
    }
  }

  private static let pieceCount = 1 << 14
}
