import CKernels

/// A factor of a matrix product in the order in which kernels read it, packed once for many
/// products.
///
/// Rows of the left factor, or columns of the right one, are its lanes: a panel holds as many lanes
/// as a tile has rows or columns, as [depth][width], the last one filled up with zeros.
struct PackedMatrix: Sendable {
  enum Side: Sendable { case left, right }

  let lanes: Int
  let depth: Int
  let width: Int
  private let memory: AlignedMemory

  /// Packs `lanes` rows (left) or columns (right), whose element (lane, k) is number first +
  /// lane·laneStep + k·depthStep of the source.
  init(
    _ side: Side, lanes: Int, depth: Int, from source: PackingSource, first: Int = 0, laneStep: Int,
    depthStep: Int, for instructions: InstructionSet = .current
  ) {
    self.lanes = lanes
    self.depth = depth
    width = instructions.width(of: side)
    let panels = (lanes + width - 1) / width
    memory = WeightArena.take(panels * width * depth * MemoryLayout<Float>.stride)
    guard lanes > 0, depth > 0 else { return }
    let packing = PanelPacking(
      lanes: lanes, depth: depth, width: width, source: source, first: first, laneStep: laneStep,
      depthStep: depthStep, memory: memory, instructions: instructions)
    packing.run()
  }

  /// The same of numbers in memory.
  init(
    _ side: Side, lanes: Int, depth: Int, from start: UnsafePointer<Float>, laneStep: Int,
    depthStep: Int, for instructions: InstructionSet = .current
  ) {
    unsafe self.init(
      side, lanes: lanes, depth: depth, from: PackingSource(start), laneStep: laneStep,
      depthStep: depthStep, for: instructions)
  }

  var start: UnsafePointer<Float> { unsafe UnsafePointer(memory.floats) }
}

/// How the panels of a matrix are filled: in parts that read a stretch of the source each.
private struct PanelPacking: Sendable {
  let lanes: Int
  let depth: Int
  let width: Int
  let source: PackingSource
  let first: Int
  let laneStep: Int
  let depthStep: Int
  let memory: AlignedMemory
  let instructions: InstructionSet
  /// Whom parts ask, on whatever thread, whether the run is to end.
  let crew = Interruption.crew

  func run() {
    // A step of depth is a stretch of lanes, or a lane is a stretch of depth.
    if laneStep == 1, depthStep >= lanes {
      let steps = min(max(PackingSource.releaseCount / depthStep, 32), depth)
      PackingSource.perform((depth + steps - 1) / steps) { part in
        packSteps(part * steps..<min((part + 1) * steps, depth))
      }
    } else if depthStep == 1, laneStep >= depth {
      PackingSource.perform((lanes + width - 1) / width) { panel in
        packLanes(panel * width..<min((panel + 1) * width, lanes))
      }
    } else {
      packLanes(0..<lanes)
    }
  }

  /// Steps of depth of all panels; of some where the run is to end.
  private func packSteps(_ steps: Range<Int>) {
    let group = min(max(PackingSource.pieceCount / depthStep, 16), steps.count)
    var interruption = Interruption(of: crew)
    for start in stride(from: steps.lowerBound, to: steps.upperBound, by: group) {
      let own = start..<min(start + group, steps.upperBound)
      let place = first + start * depthStep
      unsafe source.withNumbers(place..<place + (own.count - 1) * depthStep + lanes) { numbers in
        for lane in stride(from: 0, to: lanes, by: width) {
          if interruption.isDue(after: 20 &+ own.count &* width) { return }
          unsafe instructions.kernels.pack_panels(
            own.count, min(width, lanes - lane), width, numbers + lane, 1, depthStep,
            memory.floats + lane * depth + start * width, width * depth)
        }
      }
    }
    source.letGo(
      first + steps.lowerBound * depthStep..<first + (steps.upperBound - 1) * depthStep + lanes)
  }

  /// Whole panels.
  private func packLanes(_ lanes: Range<Int>) {
    let place = first + lanes.lowerBound * laneStep
    let range = place..<place + (lanes.count - 1) * laneStep + (depth - 1) * depthStep + 1
    var interruption = Interruption(of: crew)
    unsafe source.withNumbers(range) { numbers in
      for lane in stride(from: 0, to: lanes.count, by: width) {
        let panel = unsafe memory.floats + (lanes.lowerBound + lane) * depth
        for k in stride(from: 0, to: depth, by: PackingSource.pieceCount / width) {
          let count = min(depth - k, PackingSource.pieceCount / width)
          if interruption.isDue(after: count &* width) { return }
          unsafe instructions.kernels.pack_panels(
            count, min(width, lanes.count - lane), width,
            numbers + (lane * laneStep + k * depthStep), laneStep, depthStep, panel + k * width,
            width * depth)
        }
      }
    }
    source.letGo(range)
  }
}

extension InstructionSet {
  /// Lanes in a panel of a packed matrix.
  func width(of side: PackedMatrix.Side) -> Int {
    switch side {
    case .left: unsafe kernels.tile_rows
    case .right: unsafe kernels.tile_columns
    }
  }
}
