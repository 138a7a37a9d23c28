/// How a kernel slides over the spatial axes: the attributes that convolutions and poolings share.
struct Window: Sendable {
  /// Who chooses the padding.
  enum AutoPad: String, Sendable, CaseIterable {
    /// The attribute `pads`.
    case notSet = "NOTSET"
    /// As many outputs as inputs divided by the stride; an odd padding is larger at the end.
    case sameUpper = "SAME_UPPER"
    /// The same with an odd padding larger at the beginning.
    case sameLower = "SAME_LOWER"
    /// No padding.
    case valid = "VALID"
  }

  /// nil where the weights tell it.
  let kernelShape: [Int]?
  private let strides: [Int]?
  private let dilations: [Int]?
  /// The beginnings of all axes, then their ends.
  private let pads: [Int]?
  let autoPad: AutoPad
  /// Whether a last, partial step over the input counts.
  let isCeiling: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    kernelShape = try node.ints("kernel_shape")
    strides = try node.ints("strides")
    dilations = try node.ints("dilations")
    pads = try node.ints("pads")
    isCeiling = try node.bool("ceil_mode")
    autoPad = try node.choice("auto_pad", default: .notSet)
  }

  /// The window on each spatial axis of an input with the given extents.
  /// - Parameter kernel: the extents of the weights, for operators that have some.
  func axes(over extents: [Int], kernel weights: [Int]? = nil) throws(ModelError) -> [WindowAxis] {
    var axes = try unpaddedAxes(over: extents, kernel: weights)
    let pads = try checkedPads(axisCount: extents.count)
    for axis in axes.indices {
      axes[axis].input = extents[axis]
      switch autoPad {
      case .sameUpper, .sameLower:
        axes[axis].padToSame(moreAtEnd: autoPad == .sameUpper)
      case .valid:
        try axes[axis].countOutputs(isCeiling: isCeiling, axis)
      case .notSet:
        axes[axis].padBefore = pads[axis]
        axes[axis].padAfter = pads[axis + extents.count]
        try axes[axis].countOutputs(isCeiling: isCeiling, axis)
      }
    }
    return axes
  }

  /// The kernel, strides and dilations for axes of the given extents, checked; the rest is left at 0.
  func unpaddedAxes(over extents: [Int], kernel weights: [Int]? = nil) throws(ModelError)
    -> [WindowAxis]
  {
    let count = extents.count
    if let large = extents.first(where: { $0 > Self.limit }) {
      throw .unexpected(
        "extent of a spatial axis", expected: "at most \(Self.limit)", got: "\(large)")
    }
    guard let kernel = weights ?? kernelShape else {
      throw ModelError(.invalid, "the attribute kernel_shape is missing")
    }
    if let kernelShape, kernelShape != kernel {
      throw .unexpected(
        "attribute kernel_shape", expected: "[\(kernel.joined)] as W has",
        got: "[\(kernelShape.joined)]")
    }
    let steps = strides ?? Array(repeating: 1, count: count)
    let gaps = dilations ?? Array(repeating: 1, count: count)
    try Self.check("kernel_shape", kernel, count: count, atLeast: 1)
    try Self.check("strides", steps, count: count, atLeast: 1)
    try Self.check("dilations", gaps, count: count, atLeast: 1)
    return (0..<count).map {
      WindowAxis(kernel: kernel[$0], stride: steps[$0], dilation: gaps[$0])
    }
  }

  /// The attribute `pads`, zeros where it is left out.
  func checkedPads(axisCount: Int) throws(ModelError) -> [Int] {
    let pads = pads ?? Array(repeating: 0, count: 2 * axisCount)
    try Self.check("pads", pads, count: 2 * axisCount, atLeast: 0)
    return pads
  }

  /// The attribute `strides`, ones where it is left out.
  func strides(axisCount: Int) -> [Int] { strides ?? Array(repeating: 1, count: axisCount) }

  /// The attribute `dilations`, ones where it is left out.
  func dilations(axisCount: Int) -> [Int] { dilations ?? Array(repeating: 1, count: axisCount) }

  /// Whether the taps of the kernel adjoin.
  var isDense: Bool { dilations?.allSatisfy { $0 == 1 } ?? true }

  /// Numbers beyond this bound could only overflow later arithmetic.
  private static let limit = Int(Int32.max)

  private static func check(_ name: String, _ values: [Int], count: Int, atLeast least: Int)
    throws(ModelError)
  {
    guard values.count == count, values.allSatisfy({ $0 >= least && $0 <= limit }) else {
      throw .unexpected(
        "attribute \(name)", expected: "\(count) numbers from \(least) on",
        got: "[\(values.joined)]", code: .invalid)
    }
  }
}

/// A window on one spatial axis of an input of known extent: output o sees, through tap k of the
/// kernel, the input at o·stride + k·dilation - padBefore.
struct WindowAxis: Sendable, Hashable {
  var input = 0
  var output = 0
  var kernel: Int
  var stride: Int
  var dilation: Int
  var padBefore = 0
  var padAfter = 0

  /// The extent of the kernel with its gaps.
  var span: Int { (kernel - 1) * dilation + 1 }

  /// The input under tap 0 of an output; negative inside the padding.
  func start(of position: Int) -> Int { position * stride - padBefore }

  /// The taps of an output that lie on the input.
  func taps(of position: Int) -> Range<Int> {
    let start = start(of: position)
    let first = min(kernel, (-start).dividedUp(by: dilation))
    return first..<max(first, min(kernel, (input - start).dividedUp(by: dilation)))
  }

  /// How many taps of an output lie on the input or its padding.
  func paddedTapCount(of position: Int) -> Int {
    min(kernel, (input + padAfter - start(of: position)).dividedUp(by: dilation))
  }

  /// The taps from the first to the last that lie on the input for some output.
  var metTaps: Range<Int> {
    guard input > 0, output > 0 else { return 0..<0 }
    let first = min(kernel, (padBefore - (output - 1) * stride).dividedUp(by: dilation))
    return first..<max(first, min(kernel, (input + padBefore).dividedUp(by: dilation)))
  }

  /// The outputs for which a tap lies on the input.
  func positions(of tap: Int) -> Range<Int> {
    let offset = tap * dilation - padBefore
    let first = min(output, (-offset).dividedUp(by: stride))
    return first..<max(first, min(output, (input - offset).dividedUp(by: stride)))
  }

  fileprivate mutating func padToSame(moreAtEnd: Bool) {
    output = input.dividedUp(by: stride)
    let total = max(0, (output - 1) * stride + span - input)
    padBefore = moreAtEnd ? total / 2 : total - total / 2
    padAfter = total - padBefore
  }

  fileprivate mutating func countOutputs(isCeiling: Bool, _ axis: Int) throws(ModelError) {
    let room = input + padBefore + padAfter - span
    guard room >= 0 || input == 0 else {
      throw .unexpected(
        "spatial axis \(axis) with its padding",
        expected: "at least \(span), the extent of the kernel", got: "\(room + span)")
    }
    guard room >= 0 else {
      output = 0
      return
    }
    output = (isCeiling ? room.dividedUp(by: stride) : room / stride) + 1
    // A last window has to begin on the input or the padding before it.
    if isCeiling, (output - 1) * stride >= input + padBefore { output -= 1 }
  }
}

extension Int {
  /// The quotient rounded up, for a positive divisor; 0 for negative dividends.
  func dividedUp(by divisor: Int) -> Int { self <= 0 ? 0 : (self - 1) / divisor + 1 }
}

/// One tap of a kernel over one row: `count` outputs from `output` on, which lie side by side, and
/// the input elements they see from `input` on, which lie the last axis's stride apart.
struct WindowRun: Sendable {
  let tap: Int
  let input: Int
  let output: Int
  let count: Int
}

extension [WindowAxis] {
  var outputExtents: [Int] { map(\.output) }
  var inputCount: Int { map(\.input).elementCount }
  var outputCount: Int { map(\.output).elementCount }
  var tapCount: Int { map(\.kernel).elementCount }

  /// Whether the axes with their padding are of about their own size: kernels make copies of them.
  var paddingIsModest: Bool {
    allSatisfy { $0.padBefore + $0.input + $0.padAfter + $0.span <= 8 * $0.input + 1 << 16 }
  }

  /// Whether the rows of taps of all rows of outputs are about as many as the inputs: kernels make
  /// lists of them.
  var rowsAreModest: Bool {
    let counts = dropLast().map { (Swift.min($0.kernel, $0.input) &+ 1) * $0.output }
    return (counts as Shape).checkedElementCount ?? .max <= 8 * inputCount + 1 << 20
  }

  /// All runs of a kernel over one plane, by tap and then by row; offsets count from the plane's
  /// first element. Together they touch each pair of an input and an output exactly once.
  ///
  /// Only taps that meet the input at all are walked, however large the kernel; fewer runs are made
  /// where the run of the model is to end.
  var runs: [WindowRun] {
    var runs: [WindowRun] = []
    var interruption = Interruption()
    let (met, claim) = (map(\.metTaps), Interruption.claim())
    met.map(\.count).forEachIndex { places in
      if interruption.isDue(after: 50) { return }
      let taps = zip(met, places).map { $0.lowerBound + $1 }
      let ranges = zip(self, taps).map { $0.positions(of: $1) }
      guard let columns = ranges.last, !columns.isEmpty else { return }
      let tap = zip(taps, map(\.kernel)).reduce(0) { $0 * $1.1 + $1.0 }
      ranges.dropLast().map(\.count).forEachIndex { row in
        if interruption.isDue(after: 50) { return }
        var input = 0
        var output = 0
        for (index, axis) in enumerated() {
          let position = ranges[index].lowerBound + (index < row.count ? row[index] : 0)
          input = input * axis.input + axis.start(of: position) + taps[index] * axis.dilation
          output = output * axis.output + position
        }
        // Arrays that grow hold their elements twice for a while.
        claim?.expect(2 * MemoryLayout<WindowRun>.stride)
        runs.append(WindowRun(tap: tap, input: input, output: output, count: columns.count))
      }
    }
    return runs
  }
}

extension [Int] {
  /// Calls `body` with each index of a tensor of this shape, in row-major order; with fewer where the
  /// run is to end.
  func forEachIndex(_ body: ([Int]) -> Void) {
    guard !contains(0) else { return }
    var index = [Int](repeating: 0, count: count)
    var interruption = Interruption()
    while true {
      if interruption.isDue(after: 40) { return }
      body(index)
      var axis = count - 1
      while axis >= 0 {
        index[axis] += 1
        if index[axis] < self[axis] { break }
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}
