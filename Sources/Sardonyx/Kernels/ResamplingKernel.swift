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

    init(_ neighbours: [[(index: Int, weight: Double)]?]) {
      outputs = neighbours.count
      let most = max(1, neighbours.map { $0?.count ?? 0 }.max() ?? 0)
      count = most
      places = (0..<most).flatMap { tap in
        neighbours.map { near in
          guard let near, let last = near.last else { return 0 }
          return Int32(tap < near.count ? near[tap].index : last.index)
        }
      }
      weights = (0..<most).flatMap { tap in
        neighbours.map { near in
          guard let near, tap < near.count else { return 0 }
          return Float(near[tap].weight)
        }
      }
      empty = neighbours.indices.filter { neighbours[$0] == nil }
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
