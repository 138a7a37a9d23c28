import CKernels

/// Which lanes of which blocks make up each block of a result.
struct LaneSelection: Sendable {
  /// A block of a tensor, and the lane that each lane of the result takes from it, or −1.
  private struct Part: Sendable {
    let input: Int
    let block: Int
    var lanes: [Int32]
  }

  /// Per block of the result.
  private let parts: [[Part]]

  var blocks: Int { parts.count }

  init(_ sources: [BlockedSelection.Source], for instructions: InstructionSet = .current) {
    let lanes = BlockLayout(for: instructions).lanes
    parts = stride(from: 0, to: sources.count, by: lanes).map { first in
      var parts: [Part] = []
      for (lane, source) in sources[first..<min(first + lanes, sources.count)].enumerated() {
        let block = source.channel / lanes
        var index = parts.firstIndex { $0.input == source.input && $0.block == block }
        if index == nil {
          index = parts.count
          parts.append(
            Part(
              input: source.input, block: block, lanes: Array(repeating: -1, count: lanes)))
        }
        parts[index!].lanes[lane] = Int32(source.channel % lanes)
      }
      return parts
    }
  }

  /// - Parameters:
  ///   - inputBlocks: the blocks of each input.
  ///   - size: the floats of a plane.
  ///   - input: where an input begins.
  func select(
    _ inputBlocks: [Int], images: Int, size: Int, into y: UnsafeMutablePointer<Float>,
    on crew: Crew, input: (Int) -> UnsafePointer<Float>
  ) {
    let lanes = BlockLayout(for: crew.instructions).lanes
    let planes = images * blocks
    nonisolated(unsafe) let xs = unsafe inputBlocks.indices.map { unsafe input($0) }
    nonisolated(unsafe) let y = unsafe y
    crew.performRanges(of: planes, by: max(1, (1 << 15) / max(1, size))) { range in
      for plane in range {
        let (image, block) = plane.quotientAndRemainder(dividingBy: blocks)
        let sources = unsafe parts[block].map { part in
          unsafe xs[part.input] + (image * inputBlocks[part.input] + part.block) * size
        }
        unsafe crew.instructions.kernels.select_lanes(
          size / lanes, sources.count, sources, parts[block].flatMap(\.lanes), y + plane * size)
      }
    }
  }
}
