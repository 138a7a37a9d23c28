import CKernels

/// Weighted sums along axes of a tensor of single precision, one axis after the other.
struct ResamplingKernel: Sendable {
  /// The elements that the outputs of an axis are made of.
  struct Taps: Sendable {
    let outputs: Int
    /// Of each output; those with fewer have weights of 0.
    let count: Int
    /// [tap][output].
    let places: [Int32]
    let weights: [Float]
    /// Outputs that are made of nothing.
    let empty: [Int]

    /// Counts the lists as long as they are there.
    private let claim: MemoryClaim?

    /// - Parameter neighbours: what an output is made of; nil for nothing.
    ///
    /// Lists that are not whole are made where the run is to end.
    init(_ outputs: Int, of neighbours: (Int) -> [(index: Int, weight: Double)]?) {
      let claim = Interruption.claim()
      var (count, places, weights, empty) = (0, [Int32](), [Float](), [Int]())
      var interruption = Interruption()
      /// Outputs with fewer taps see their last element again, with a weight of 0.
      func addTap() {
        claim?.expect(2 * outputs * (MemoryLayout<Int32>.stride + MemoryLayout<Float>.stride))
        if Interruption.isDue { return }
        let first = (count - 1) * outputs
        places.reserveCapacity(first + 2 * outputs)
        weights.reserveCapacity(first + 2 * outputs)
        Interruption.inStretches(of: outputs) { range in
          places +=
            count == 0
            ? Array(repeating: 0, count: range.count)
            : Array(places[first + range.lowerBound..<first + range.upperBound])
          weights += repeatElement(0, count: range.count)
        }
        if weights.count == (count + 1) * outputs { count += 1 }
      }
      addTap()
      making: for output in 0..<outputs {
        if interruption.isDue(after: 100) || count == 0 { break }
        guard let near = neighbours(output) else {
          empty.append(output)
          continue
        }
        while count < near.count {
          let before = count
          addTap()
          if count == before { break making }
        }
        for tap in 0..<(near.isEmpty ? 0 : count) {
          places[tap * outputs + output] = Int32(near[min(tap, near.count - 1)].index)
          weights[tap * outputs + output] = tap < near.count ? Float(near[tap].weight) : 0
        }
      }
      (self.outputs, self.count, self.claim) = (outputs, count, claim)
      (self.places, self.weights, self.empty) = (places, weights, empty)
    }
  }

  private struct Step: Sendable {
    let block: AxisBlock
    let taps: Taps
  }

  private let steps: [Step]
  private let filler: Float
  /// Floats of the largest result between two steps.
  private let room: Int

  /// - Parameters:
  ///   - taps: of each axis; nil for those that stay as they are, at least one is not.
  ///   - filler: what outputs without elements are.
  init(_ shape: Shape, _ taps: [Taps?], filler: Float) {
    let axes = taps.indices.filter { taps[$0] != nil }
    // What shrinks goes first, and then what grows from the end: whole rows are summed faster than
    // the elements of one.
    let growing = axes.filter { taps[$0]!.outputs > shape[$0] }
    let order = axes.filter { !growing.contains($0) } + growing.reversed()
    var shape = shape
    var steps: [Step] = []
    var room = 0
    for axis in order {
      steps.append(Step(block: AxisBlock(shape, axis: axis), taps: taps[axis]!))
      shape[axis] = taps[axis]!.outputs
      if axis != order.last { room = max(room, shape.elementCount) }
    }
    (self.steps, self.filler, self.room) = (steps, filler, room)
  }

  func run(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, on crew: Crew) {
    guard steps.count > 1 else { return unsafe run(steps[0], x, y, crew) }
    unsafe crew.scratch.withFloats(2 * room) { scratch in
      var source = unsafe x
      for (index, step) in steps.enumerated() {
        let isLast = index == steps.count - 1
        let target = unsafe isLast ? y : scratch + index % 2 * room
        unsafe run(step, source, target, crew)
        unsafe source = UnsafePointer(target)
      }
    }
  }

  private func run(
    _ step: Step, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    let (block, taps) = (step.block, step.taps)
    let line = taps.outputs * block.inner
    let work = max(1, line * taps.count)
    // Some microseconds a chunk: parts of a line, or some lines.
    let atOnce = min(taps.outputs, max(1, taps.outputs * (1 << 15) / work))
    let parts = (taps.outputs + atOnce - 1) / atOnce
    crew.performRanges(of: block.outer * parts, by: max(1, (1 << 15) / work)) { range in
      unsafe taps.places.withUnsafeBufferPointer { places in
        unsafe taps.weights.withUnsafeBufferPointer { weights in
          var resampling = unsafe Resampling(
            outputs: taps.outputs, inner: block.inner, taps: taps.count,
            places: places.baseAddress!, weights: weights.baseAddress!)
          for index in range {
            let (outer, part) = index.quotientAndRemainder(dividingBy: parts)
            let first = part * atOnce
            unsafe crew.instructions.kernels.resample(
              &resampling, x + outer * block.count * block.inner, first,
              min(first + atOnce, taps.outputs), y + outer * line + first * block.inner)
          }
        }
      }
    }
    guard !taps.empty.isEmpty else { return }
    for outer in 0..<block.outer {
      for output in taps.empty {
        unsafe (y + outer * line + output * block.inner).update(
          repeating: filler, count: block.inner)
      }
    }
  }
}
