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
        for lane in 0..<filter.lanes {
          let (channel, tap) = lane.quotientAndRemainder(dividingBy: shape.taps)
          unsafe spread(
            strip + lane * columns, rows: first..<first + columns / length, tap,
            over: y + channel * shape.output.elementCount, crew.instructions)
        }
      }
    }
  }

  /// Adds what one tap makes of some rows of the input to a plane of the output.
  private func spread(
    _ x: UnsafePointer<Float>, rows: Range<Int>, _ tap: Int,
    over y: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    let last = shape.input.count - 1
    let taps = indices(of: tap, within: shape.kernel)
    let steps = shape.output.strides
    // Along the last axis the inputs whose tap falls into the output are a range.
    let shift = taps[last] * shape.dilations[last] - shape.padsBegin[last]
    let (stride, length) = (shape.strides[last], shape.input[last])
    let begin = shift >= 0 ? 0 : (-shift + stride - 1) / stride
    let room = shape.output[last] - 1 - shift
    let end = room < 0 ? 0 : min(length, room / stride + 1)
    guard begin < end else { return }
    for row in rows {
      let place = indices(of: row, within: Array(shape.input.dropLast()))
      var start = begin * stride + shift
      var isInside = true
      for axis in 0..<last {
        let index =
          place[axis] * shape.strides[axis] + taps[axis] * shape.dilations[axis]
          - shape.padsBegin[axis]
        isInside = isInside && (0..<shape.output[axis]).contains(index)
        start += index * steps[axis]
      }
      guard isInside else { continue }
      unsafe instructions.kernels.add_spread(
        end - begin, x + ((row - rows.lowerBound) * length + begin), y + start, stride)
    }
  }
}
