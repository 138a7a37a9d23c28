import CKernels

/// The sizes of a transposed convolution over any number of spatial axes.
struct TransposedConvolutionShape: Hashable, Sendable {
  var batch: Int
  var groups: Int
  var inputChannels: Int
  var outputChannels: Int
  var input: [Int]
  /// Output padding included; places that no tap reaches hold the bias.
  var output: [Int]
  var kernel: [Int]
  var strides: [Int]
  var dilations: [Int]
  var padsBegin: [Int]

  var taps: Int { kernel.elementCount }

  fileprivate var outputsPerGroup: Int { outputChannels / groups }

  /// Output channels that a chunk makes: enough for a few tiles of products.
  fileprivate var blockChannels: Int { max(1, 56 / max(1, taps)) }

  fileprivate var blocksPerGroup: Int { (outputsPerGroup + blockChannels - 1) / blockChannels }
}

/// The weights [C, M / groups, taps] of a transposed convolution, a left factor for each block of
/// output channels.
struct PackedTransposedFilter: Sendable {
  /// Fewer where the run is to end.
  fileprivate let blocks: [PackedMatrix]

  init(
    _ weights: UnsafePointer<Float>, _ shape: TransposedConvolutionShape,
    for instructions: InstructionSet = .current
  ) {
    let depth = shape.inputChannels / shape.groups
    let row = shape.outputsPerGroup * shape.taps
    let cost = 300 &+ depth &* shape.blockChannels &* shape.taps
    blocks = Interruption.map(shape.groups * shape.blocksPerGroup, cost: cost) { index in
      let group = index / shape.blocksPerGroup
      let first = index % shape.blocksPerGroup * shape.blockChannels
      let channels = min(shape.blockChannels, shape.outputsPerGroup - first)
      return unsafe PackedMatrix(
        .left, lanes: channels * shape.taps, depth: depth,
        from: weights + (group * depth * row + first * shape.taps), laneStep: 1, depthStep: row,
        for: instructions)
    }
  }
}

/// A transposed convolution of float32 [N, C, …]: products of the weights with each input place,
/// added where their taps fall. A chunk owns its output channels, so nothing is added twice at
/// once.
struct TransposedConvolution: Sendable {
  let shape: TransposedConvolutionShape

  init(_ shape: TransposedConvolutionShape) { self.shape = shape }

  func run(
    _ x: UnsafePointer<Float>, _ filter: PackedTransposedFilter, bias: UnsafePointer<Float>?,
    activation: Activation = .none, into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    let blocks = shape.groups * shape.blocksPerGroup
    let outputs = shape.output.elementCount
    guard outputs > 0, filter.blocks.count == blocks else { return }
    nonisolated(unsafe) let (x, y, bias) = unsafe (x, y, bias)
    crew.perform(shape.batch * blocks) { [shape] chunk in
      let (image, block) = chunk.quotientAndRemainder(dividingBy: blocks)
      let group = block / shape.blocksPerGroup
      let first =
        group * shape.outputsPerGroup + block % shape.blocksPerGroup * shape.blockChannels
      let channels = filter.blocks[block].lanes / max(1, shape.taps)
      let depth = shape.inputChannels / shape.groups
      let source = unsafe x + (image * shape.groups + group) * depth * shape.input.elementCount
      let result = unsafe y + (image * shape.outputChannels + first) * outputs
      for channel in 0..<channels {
        let start = unsafe bias.map { unsafe $0[first + channel] } ?? 0
        let plane = unsafe result + channel * outputs
        Interruption.inStretches(of: outputs, for: crew) {
          unsafe (plane + $0.lowerBound).update(repeating: start, count: $0.count)
        }
      }
      unsafe add(source, filter.blocks[block], channels, to: result, crew)
      unsafe activation.apply(channels * outputs, at: result, with: crew.instructions)
    }
  }

  /// Goes through the input in strips of rows, or of a row, whose products fit the cache.
  private func add(
    _ x: UnsafePointer<Float>, _ filter: PackedMatrix, _ channels: Int,
    to y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    let length = shape.input.last ?? 1
    let rows = shape.input.dropLast().reduce(1, *)
    guard rows * length > 0, filter.depth > 0, filter.lanes > 0 else { return }
    let places = max(1, (1 << 17) / filter.lanes)
    let stripRows = min(rows, max(1, places / length))
    let stripColumns = min(length, places)
    var interruption = Interruption(of: crew)
    unsafe crew.scratch.withFloats(filter.lanes * stripRows * stripColumns) { products in
      for row in stride(from: 0, to: rows, by: stripRows) {
        for column in stride(from: 0, to: length, by: stripColumns) {
          let strip = Strip(
            rows: row..<min(row + stripRows, rows),
            columns: column..<min(column + stripColumns, length))
          let parts = unsafe MatrixProduct.Parts(
            left: .packed(filter),
            right: .strided(x + row * length + column, laneStep: 1, depthStep: rows * length),
            result: products, resultStep: strip.count)
          let size = MatrixProduct.Shape(
            rows: filter.lanes, columns: strip.count, depth: filter.depth)
          unsafe MatrixProduct.multiply(parts, size, on: crew)
          for tap in 0..<shape.taps {
            if interruption.isDue(after: 300 &+ channels &* strip.count) { return }
            let falling = Tap(tap, shape)
            for channel in 0..<channels {
              unsafe spread(
                products + (channel * shape.taps + tap) * strip.count, strip, falling,
                over: y + channel * shape.output.elementCount, crew.instructions)
            }
          }
        }
      }
    }
  }

  /// Places of the input whose products are made together.
  private struct Strip {
    let rows: Range<Int>
    let columns: Range<Int>

    var count: Int { rows.count * columns.count }
  }

  /// Adds what one tap makes of a strip of the input to a plane of the output.
  private func spread(
    _ x: UnsafePointer<Float>, _ strip: Strip, _ tap: Tap,
    over y: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    let columns = tap.columns.clamped(to: strip.columns)
    guard !columns.isEmpty else { return }
    let stride = shape.strides.last ?? 1
    let firstColumn = tap.firstColumn + (columns.lowerBound - tap.columns.lowerBound) * stride
    for row in strip.rows {
      guard let start = tap.start(of: row, shape) else { continue }
      let from = (row - strip.rows.lowerBound) * strip.columns.count
      unsafe instructions.kernels.add_spread(
        columns.count, x + (from + columns.lowerBound - strip.columns.lowerBound),
        y + (start + firstColumn), stride)
    }
  }

  /// Where the products of a tap fall.
  private struct Tap {
    /// By axis, where in the output the product of input 0 falls, beside it too.
    private let shifts: [Int]
    /// The inputs of a row whose products fall into it, and where the first does.
    let columns: Range<Int>
    let firstColumn: Int

    init(_ index: Int, _ shape: TransposedConvolutionShape) {
      let last = shape.input.count - 1
      let tap = indices(of: index, within: shape.kernel)
      shifts = tap.indices.map { tap[$0] * shape.dilations[$0] - shape.padsBegin[$0] }
      let (shift, stride) = (shifts[last], shape.strides[last])
      let begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride
      let room = shape.output[last] - 1 - shift
      columns = begin..<max(begin, room < 0 ? 0 : min(shape.input[last], room / stride + 1))
      firstColumn = begin * stride + shift
    }

    /// Where a row of the input falls in a plane of the output; nil for beside it.
    func start(of row: Int, _ shape: TransposedConvolutionShape) -> Int? {
      var (rest, start, step) = (row, 0, shape.output.last ?? 1)
      for axis in shifts.indices.dropLast().reversed() {
        let index: Int
        (rest, index) = rest.quotientAndRemainder(dividingBy: shape.input[axis])
        let place = index * shape.strides[axis] + shifts[axis]
        guard place >= 0, place < shape.output[axis] else { return nil }
        start += place * step
        step *= shape.output[axis]
      }
      return start
    }
  }
}
