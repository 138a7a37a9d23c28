import CKernels

/// The sizes of a convolution over any number of spatial axes; pads are not negative.
struct ConvolutionShape: Hashable, Sendable {
  var batch: Int
  var groups: Int
  var inputChannels: Int
  var outputChannels: Int
  var input: [Int]
  var kernel: [Int]
  var strides: [Int]
  var dilations: [Int]
  var padsBegin: [Int]
  var padsEnd: [Int]

  var output: [Int] {
    input.indices.map { axis in
      let room = padded[axis] - dilations[axis] * (kernel[axis] - 1) - 1
      return room < 0 ? 0 : room / strides[axis] + 1
    }
  }

  /// The input's spatial axes with their padding.
  var padded: [Int] { input.indices.map { padsBegin[$0] + input[$0] + padsEnd[$0] } }

  var taps: Int { kernel.elementCount }

  var isPadded: Bool { padsBegin != padsEnd || padsBegin.contains { $0 != 0 } }

  /// The axes that are not of extent 1 with a single tap and no padding, at least one: what the
  /// others add to a place is nothing.
  var trueAxes: [Int] {
    let axes = input.indices.filter {
      input[$0] != 1 || kernel[$0] != 1 || padsBegin[$0] != 0 || padsEnd[$0] != 0
    }
    return axes.isEmpty ? [0] : axes
  }

  /// The same without all other axes.
  func keeping(_ axes: [Int]) -> ConvolutionShape {
    func kept(_ values: [Int]) -> [Int] { axes.map { values[$0] } }
    return ConvolutionShape(
      batch: batch, groups: groups, inputChannels: inputChannels, outputChannels: outputChannels,
      input: kept(input), kernel: kept(kernel), strides: kept(strides), dilations: kept(dilations),
      padsBegin: kept(padsBegin), padsEnd: kept(padsEnd))
  }

  /// Every output channel sees one input channel, in a plane.
  var isDepthwise: Bool { groups == inputChannels && groups > 1 && (1...2).contains(input.count) }

  /// Every output sees one input place, its own.
  var isPointwise: Bool { taps == 1 && !isPadded && strides.allSatisfy { $0 == 1 } }
}

/// The weights [M, C / groups, taps] of a convolution in the order in which its algorithm reads
/// them.
struct PackedFilter: Sendable {
  fileprivate enum Layout: Sendable {
    /// A left factor for each group.
    case factors([PackedMatrix])
    /// As they came.
    case taps(AlignedMemory)
  }

  fileprivate let layout: Layout

  init(
    _ weights: PackingSource, _ shape: ConvolutionShape,
    for instructions: InstructionSet = .current
  ) {
    let rows = shape.outputChannels / shape.groups
    let depth = shape.inputChannels / shape.groups * shape.taps
    if shape.isDepthwise {
      let count = shape.outputChannels * shape.taps
      let memory = WeightArena.take(count * MemoryLayout<Float>.stride)
      unsafe weights.withNumbers(0..<count) { numbers in
        unsafe memory.floats.initialize(from: numbers, count: count)
      }
      layout = .taps(memory)
    } else {
      layout = .factors(
        (0..<shape.groups).map { group in
          PackedMatrix(
            .left, lanes: rows, depth: depth, from: weights, first: group * rows * depth,
            laneStep: depth, depthStep: 1, for: instructions)
        })
    }
  }

  /// The same of weights in memory.
  init(
    _ weights: UnsafePointer<Float>, _ shape: ConvolutionShape,
    for instructions: InstructionSet = .current
  ) {
    unsafe self.init(PackingSource(weights), shape, for: instructions)
  }
}

/// A convolution of float32 [N, C, …] prepared for one shape: y = activation(x ∗ filter + bias +
/// residual).
///
/// An operator packs its constant filter once (`PackedFilter`), makes one of these for each input
/// shape, and calls `run`.
struct Convolution: Sendable {
  let shape: ConvolutionShape
  private let algorithm: Algorithm
  /// Of channel and tap in a group's input, and of an output's place in a channel: their sum is
  /// what a tap meets.
  private let depthOffsets: [Int32]
  private let outputOffsets: [Int32]

  private enum Algorithm {
    /// A product with the input as it is.
    case pointwise
    /// A product with panels gathered from the input, padded in a copy if need be.
    case gathered
    /// Plane by plane.
    case depthwise
  }

  /// What is added to the result, and the function it goes through.
  @unsafe struct Epilogue {
    /// One number for each output channel.
    var bias: UnsafePointer<Float>?
    /// As large as the result, and may be the result.
    var residual: UnsafePointer<Float>?
    var activation = Activation.none
  }

  init(_ shape: ConvolutionShape) {
    self.shape = shape
    algorithm =
      shape.isDepthwise ? .depthwise : shape.isPointwise ? .pointwise : .gathered
    guard algorithm == .gathered else {
      (depthOffsets, outputOffsets) = ([], [])
      return
    }
    let steps = shape.padded.strides
    let channels = shape.inputChannels / shape.groups
    depthOffsets = lattice(
      [channels] + shape.kernel,
      [shape.padded.elementCount] + zip(steps, shape.dilations).map { $0 * $1 })
    outputOffsets = lattice(shape.output, zip(steps, shape.strides).map { $0 * $1 })
  }

  func run(
    _ x: UnsafePointer<Float>, _ filter: PackedFilter, _ epilogue: Epilogue,
    into y: UnsafeMutablePointer<Float>, on crew: Crew
  ) {
    guard shape.batch > 0, shape.outputChannels > 0, shape.output.elementCount > 0 else { return }
    switch (algorithm, filter.layout) {
    case (.pointwise, .factors(let factors)):
      let size = shape.input.elementCount
      unsafe multiply(x, factors, epilogue, y, plane: size, crew) { start in
        unsafe .strided(start, laneStep: 1, depthStep: size)
      }
    case (.gathered, .factors(let factors)):
      unsafe withPadded(x, crew) { padded, end in
        nonisolated(unsafe) let end = unsafe end
        unsafe depthOffsets.withUnsafeBufferPointer { depths in
          unsafe outputOffsets.withUnsafeBufferPointer { outputs in
            guard let outputs = outputs.baseAddress else { return }
            // Without channels there is no depth, and nothing to read.
            nonisolated(unsafe) let depths = unsafe depths.baseAddress ?? outputs
            nonisolated(unsafe) let places = unsafe outputs
            unsafe multiply(padded, factors, epilogue, y, plane: shape.padded.elementCount, crew) {
              unsafe .gathered($0, end: end, laneOffsets: places, depthOffsets: depths)
            }
          }
        }
      }
    case (.depthwise, .taps(let taps)):
      unsafe correlate(x, UnsafePointer(taps.floats), epilogue, y, crew)
    default:
      preconditionFailure("the filter was packed for a convolution of another kind")
    }
  }

  /// A product for each image and group, whose right factor `right` makes of the place where its
  /// channels begin.
  private func multiply(
    _ x: UnsafePointer<Float>, _ factors: [PackedMatrix], _ epilogue: Epilogue,
    _ y: UnsafeMutablePointer<Float>, plane: Int, _ crew: Crew,
    right: @escaping @Sendable (UnsafePointer<Float>) -> MatrixProduct.Factor
  ) {
    nonisolated(unsafe) let (x, y, epilogue) = unsafe (x, y, epilogue)
    let groups = shape.groups
    let rows = shape.outputChannels / groups
    let channels = shape.inputChannels / groups
    let outputs = shape.output.elementCount
    let product = MatrixProduct.Shape(rows: rows, columns: outputs, depth: channels * shape.taps)
    unsafe MatrixProduct.multiplyEach(shape.batch * groups, product, on: crew) { index in
      let group = index % groups
      let place = index * rows * outputs
      return unsafe MatrixProduct.Parts(
        left: .packed(factors[group]), right: right(x + index * channels * plane),
        result: y + place, resultStep: outputs,
        epilogue: .init(
          rowBias: epilogue.bias.map { unsafe $0 + group * rows },
          residual: epilogue.residual.map { unsafe $0 + place }, activation: epilogue.activation))
    }
  }

  /// The input with zeros around each plane, and where that ends.
  private func withPadded(
    _ x: UnsafePointer<Float>, _ crew: Crew,
    _ body: (UnsafePointer<Float>, UnsafePointer<Float>) -> Void
  ) {
    let planes = shape.batch * shape.inputChannels
    let size = shape.padded.elementCount
    guard shape.isPadded else { return unsafe body(x, x + planes * size) }
    unsafe crew.scratch.withFloats(planes * size) { scratch in
      nonisolated(unsafe) let (x, padded) = unsafe (x, scratch)
      let padding = Padding(shape)
      crew.performRanges(of: planes, by: max(1, (1 << 15) / max(1, size))) { range in
        for plane in range {
          unsafe padding.clear(padded + plane * size)
          unsafe padding.copy(x + plane * padding.inputSize, into: padded + plane * size, on: crew)
        }
      }
      unsafe body(scratch, scratch + planes * size)
    }
  }

  private func correlate(
    _ x: UnsafePointer<Float>, _ taps: UnsafePointer<Float>, _ epilogue: Epilogue,
    _ y: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, taps, epilogue) = unsafe (x, y, taps, epilogue)
    let plane = PlaneGeometry(shape)
    let shape = shape
    let padding = Padding(shape)
    let size = shape.padded.elementCount
    let channels = shape.outputChannels
    let perInput = channels / shape.groups
    let activation = unsafe epilogue.activation
    let room = unsafe size + crew.instructions.kernels.lanes * (plane.columnStride + 1)
    let work = plane.outputs * (shape.taps + 4) + size
    crew.performRanges(of: shape.batch * channels, by: max(1, (1 << 18) / work)) { range in
      unsafe crew.scratch.withFloats(room) { padded in
        unsafe padding.clear(padded)
        for index in range {
          let channel = index % channels
          if index == range.lowerBound || channel % perInput == 0 {
            unsafe padding.copy(x + index / perInput * padding.inputSize, into: padded, on: crew)
          }
          let place = unsafe y + index * plane.outputs
          let bias = unsafe epilogue.bias.map { unsafe $0[channel] } ?? 0
          guard let residual = unsafe epilogue.residual else {
            unsafe plane.correlate(
              padded, taps + channel * shape.taps, bias, activation, place, crew.instructions)
            unsafe activation.finish(
              rows: 1, columns: plane.outputs, at: place, step: 0, with: crew.instructions)
            continue
          }
          unsafe crew.scratch.withFloats(plane.outputs) { result in
            unsafe plane.correlate(
              padded, taps + channel * shape.taps, bias, .none, result, crew.instructions)
            unsafe crew.instructions.kernels.add(
              plane.outputs, result, 1, residual + index * plane.outputs, 1, place)
          }
          unsafe activation.apply(plane.outputs, at: place, with: crew.instructions)
        }
      }
    }
  }
}

/// How a plane of the input is copied into a larger one.
private struct Padding: Sendable {
  let inputSize: Int
  private let size: Int
  private let rowLength: Int
  private let rowStarts: [Int32]

  init(_ shape: ConvolutionShape) {
    inputSize = shape.input.elementCount
    size = shape.padded.elementCount
    rowLength = shape.input.last ?? 1
    let steps = shape.padded.strides
    let origin = zip(steps, shape.padsBegin).reduce(0) { $0 + $1.0 * $1.1 }
    rowStarts = lattice(shape.input.dropLast(), steps.dropLast(), from: origin)
  }

  /// Fills a plane with zeros.
  func clear(_ padded: UnsafeMutablePointer<Float>) {
    unsafe padded.update(repeating: 0, count: size)
  }

  /// Copies the input into a plane that holds zeros around it.
  func copy(_ x: UnsafePointer<Float>, into padded: UnsafeMutablePointer<Float>, on crew: Crew) {
    var interruption = Interruption(of: crew)
    for (row, start) in rowStarts.enumerated() {
      if interruption.isDue(after: rowLength &+ 4) { return }
      unsafe (padded + Int(start)).update(from: x + row * rowLength, count: rowLength)
    }
  }
}

/// A depthwise convolution's plane; a single axis is a plane of one row.
private struct PlaneGeometry: Sendable {
  let outputs: Int
  let columnStride: Int
  private let rows: Int
  private let columns: Int
  private let pitch: Int
  private let rowStride: Int
  private let kernel: (rows: Int, columns: Int)
  private let dilation: (row: Int, column: Int)

  init(_ shape: ConvolutionShape) {
    let output = shape.output
    let last = output.count - 1
    outputs = output.elementCount
    columns = output[last]
    rows = last > 0 ? output[0] : 1
    pitch = shape.padded[last]
    columnStride = shape.strides[last]
    rowStride = last > 0 ? shape.strides[0] : 1
    kernel = (last > 0 ? shape.kernel[0] : 1, shape.kernel[last])
    dilation = (last > 0 ? shape.dilations[0] : 1, shape.dilations[last])
  }

  func correlate(
    _ x: UnsafePointer<Float>, _ taps: UnsafePointer<Float>, _ bias: Float,
    _ activation: Activation, _ y: UnsafeMutablePointer<Float>, _ instructions: InstructionSet
  ) {
    let bounds = activation.bounds
    var plane = unsafe PlaneCorrelation(
      rows: rows, columns: columns, x: x, x_row: pitch, x_stride: columnStride,
      y_stride: rowStride, tap_rows: kernel.rows, tap_columns: kernel.columns,
      tap_row_step: dilation.row * pitch, tap_column_step: dilation.column, taps: taps,
      bias: bias, slope: bounds.slope, low: bounds.low, high: bounds.high, y: y)
    unsafe instructions.kernels.correlate_plane(&plane)
  }
}
