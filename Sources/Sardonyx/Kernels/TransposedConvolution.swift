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
  fileprivate let blocks: [PackedMatrix]

  init(
    _ weights: UnsafePointer<Float>, _ shape: TransposedConvolutionShape,
    for instructions: InstructionSet = .current
  ) {
    let depth = shape.inputChannels / shape.groups
    let row = shape.outputsPerGroup * shape.taps
    blocks = (0..<shape.groups * shape.blocksPerGroup).map { index in
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
    guard outputs > 0 else { return }
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
        unsafe (result + channel * outputs).update(repeating: start, count: outputs)
      }
      unsafe add(source, filter.blocks[block], channels, to: result, crew)
      unsafe activation.apply(channels * outputs, at: result, with: crew.instructions)
    }
  }

  /// Goes through the input in strips of rows, whose products fit the cache.
  private func add(
    _ x: UnsafePointer<Float>, _ filter: PackedMatrix, _ channels: Int,
    to y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    let length = shape.input.last ?? 1
    let rows = shape.input.dropLast().reduce(1, *)
    guard rows * length > 0, filter.depth > 0, filter.lanes > 0 else { return }
    let stripRows = min(rows, max(1, (1 << 17) / (filter.lanes * length)))
    unsafe crew.scratch.withFloats(filter.lanes * stripRows * length) { strip in
      for first in stride(from: 0, to: rows, by: stripRows) {
        let columns = min(stripRows, rows - first) * length
        let product = unsafe MatrixProduct.Parts(
          left: .packed(filter),
          right: .strided(x + first * length, laneStep: 1, depthStep: rows * length),
          result: strip, resultStep: columns)
        let size = MatrixProduct.Shape(rows: filter.lanes, columns: columns, depth: filter.depth)
        unsafe MatrixProduct.multiply(product, size, on: crew)
        for tap in 0..<shape.taps {
          let falling = Tap(tap, shape)
          for channel in 0..<channels {
            unsafe spread(
              strip + (channel * shape.taps + tap) * columns,
              rows: first..<first + columns / length, falling,
              over: y + channel * shape.output.elementCount, crew.instructions)
          }
        }
      }
    }
  }

  /// Adds what one tap makes of some rows of the input to a plane of the output.
  private func spread(
    _ x: UnsafePointer<Float>, rows: Range<Int>, _ tap: Tap,
    over y: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    guard !tap.columns.isEmpty else { return }
    let (length, stride) = (shape.input.last ?? 1, shape.strides.last ?? 1)
    for row in rows {
      guard let start = tap.start(of: row) else { continue }
      unsafe instructions.kernels.add_spread(
        tap.columns.count, x + ((row - rows.lowerBound) * length + tap.columns.lowerBound),
        y + (start + tap.firstColumn), stride)
    }
  }

  /// Where the products of a tap fall.
  private struct Tap {
    /// By axis but the last, where in a plane of the output the products of each index fall; -1 for
    /// beside it.
    private let places: [[Int]]
    /// The inputs of a row whose products fall into it, and where the first does.
    let columns: Range<Int>
    let firstColumn: Int

    init(_ index: Int, _ shape: TransposedConvolutionShape) {
      let last = shape.input.count - 1
      let tap = indices(of: index, within: shape.kernel)
      let shifts = tap.indices.map { tap[$0] * shape.dilations[$0] - shape.padsBegin[$0] }
      let steps = shape.output.strides
      places = (0..<last).map { axis in
        (0..<shape.input[axis]).map { index in
          let place = index * shape.strides[axis] + shifts[axis]
          return (0..<shape.output[axis]).contains(place) ? place * steps[axis] : -1
        }
      }
      let (shift, stride) = (shifts[last], shape.strides[last])
      let begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride
      let room = shape.output[last] - 1 - shift
      columns = begin..<max(begin, room < 0 ? 0 : min(shape.input[last], room / stride + 1))
      firstColumn = begin * stride + shift
    }

    /// Where a row of the input falls in a plane of the output; nil for beside it.
    func start(of row: Int) -> Int? {
      var (rest, start) = (row, 0)
      for axis in places.indices.reversed() {
        let index: Int
        (rest, index) = rest.quotientAndRemainder(dividingBy: places[axis].count)
        guard places[axis][index] >= 0 else { return nil }
        start += places[axis][index]
      }
      return start
    }
  }
}
