#if canImport(Glibc)
  private import Glibc
#else
  private import Darwin
#endif

/// Operators of signal processing.
let signals: OperatorFamily = [
  "BlackmanWindow": WindowFunction.init,
  "DFT": DFT.init,
  "HammingWindow": WindowFunction.init,
  "HannWindow": WindowFunction.init,
  "MelWeightMatrix": MelWeightMatrix.init,
  "STFT": STFT.init,
]

extension Facts {
  /// The number that a scalar integer input holds.
  fileprivate func integer(_ index: Int, _ name: String) throws(ModelError) -> Int {
    let numbers = try integers(index)
    guard numbers.count == 1 else {
      throw .unexpected(name, expected: "one element", got: "\(numbers.count)")
    }
    return numbers[0]
  }

  /// The number of a scalar input that has to be positive.
  fileprivate func positive(_ index: Int, _ name: String) throws(ModelError) -> Int {
    let number = try integer(index, name)
    guard number > 0, number < 1 << 31 else {
      throw .unexpected(name, expected: "a positive number", got: "\(number)")
    }
    return number
  }

  /// Checks the last axis of a signal: 1 for real numbers, 2 for complex ones.
  fileprivate func checkSignal(_ shape: Shape) throws(ModelError) {
    guard let last = shape.last, last == 1 || last == 2 else {
      throw .unexpected("last extent of input", expected: "1 or 2", got: "\(shape.last ?? 0)")
    }
  }
}

/// The discrete Fourier transform along an axis, or its inverse; of real signals half of it says all.
struct DFT: Operator {
  private let isInverse: Bool
  private let isOneSided: Bool
  private let fixedAxis: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    isInverse = try node.bool("inverse")
    isOneSided = try node.bool("onesided")
    fixedAxis = try node.int("axis", default: node.version < 20 ? 1 : -2)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let (axis, length) = try axisAndLength(inputs)
    var shape = try inputs.shape(0)
    shape[axis] = isOneSided && !isInverse ? length / 2 + 1 : length
    shape[shape.count - 1] = isOneSided && isInverse ? 1 : 2
    return [Fact(try inputs.type(0), shape)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let (axis, length) = try axisAndLength(inputs.facts)
    let (input, output) = (inputs[0], outputs[0])
    let numbers = input.converted(to: Double.self)
    var result = [Double](repeating: 0, count: output.elementCount)
    let transform = FourierTransform(length: length)
    let (from, to) = (Region(input.shape), Region(output.shape))
    let parts = (input.shape.last!, output.shape.last!)
    let half = isOneSided && isInverse
    let given = min(input.shape[axis], half ? length / 2 + 1 : length)
    for (source, target) in zip(from.lines(axis), to.lines(axis)) {
      var line = [Complex](repeating: .zero, count: length)
      for index in 0..<given {
        let place = source + index * from.strides[axis]
        line[index] = Complex(numbers[place], parts.0 == 2 ? numbers[place + 1] : 0)
      }
      if half { Self.completeSpectrum(&line) }
      if isInverse { transform.invert(&line) } else { transform.transform(&line) }
      for index in 0..<output.shape[axis] {
        let place = target + index * to.strides[axis]
        result[place] = line[index].real
        if parts.1 == 2 { result[place + 1] = line[index].imaginary }
      }
    }
    output.store(result)
  }

  /// Adds the upper half of a real signal's spectrum, which mirrors the lower.
  private static func completeSpectrum(_ line: inout [Complex]) {
    let length = line.count
    line[0].imaginary = 0
    if length % 2 == 0 { line[length / 2].imaginary = 0 }
    for index in 0..<(length - 1) / 2 { line[length - 1 - index] = line[index + 1].conjugate }
  }

  private func axisAndLength(_ inputs: Facts) throws(ModelError) -> (Int, Int) {
    let shape = try inputs.shape(0)
    try inputs.checkSignal(shape)
    let named = inputs.has(2) ? try inputs.integer(2, "axis") : fixedAxis
    let axis = try named.axis(ofRank: shape.count)
    guard axis < shape.count - 1 else {
      throw .unexpected("axis", expected: "one before the last", got: "\(named)")
    }
    if inputs.has(1) { return (axis, try inputs.positive(1, "dft_length")) }
    let length = isInverse && isOneSided ? 2 * (shape[axis] - 1) : shape[axis]
    guard length > 0 else {
      throw .unexpected("extent of axis \(axis)", expected: "a signal", got: "\(shape[axis])")
    }
    return (axis, length)
  }
}

extension Region {
  /// Where the lines of complex numbers along an axis start.
  fileprivate func lines(_ axis: Int) -> [Int] {
    sliced(axis, from: 0, count: 1).sliced(extents.count - 1, from: 0, count: 1).offsets
  }
}

/// The Fourier transforms of frames of a signal: [batch, length, 1 or 2] to [batch, frames, bins, 2].
struct STFT: Operator {
  private let isOneSided: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    isOneSided = try node.bool("onesided", default: true)
  }

  private struct Frames {
    let step: Int
    let length: Int
    let count: Int
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let frames = try frames(inputs)
    let bins = isOneSided ? frames.length / 2 + 1 : frames.length
    return [Fact(try inputs.type(0), [try inputs.shape(0)[0], frames.count, bins, 2])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let frames = try frames(inputs.facts)
    let signal = inputs[0].converted(to: Double.self)
    let window = inputs.tensor(2)?.converted(to: Double.self)
    let (length, parts) = (inputs[0].shape[1], inputs[0].shape[2])
    let transform = FourierTransform(length: frames.length)
    var result: [Double] = []
    result.reserveCapacity(outputs[0].elementCount)
    for batch in 0..<inputs[0].shape[0] {
      for frame in 0..<frames.count {
        var line = [Complex](repeating: .zero, count: frames.length)
        for index in 0..<(window?.count ?? frames.length) {
          let place = (batch * length + frame * frames.step + index) * parts
          let weight = window?[index] ?? 1
          line[index] = Complex(
            signal[place] * weight, parts == 2 ? signal[place + 1] * weight : 0)
        }
        transform.transform(&line)
        for value in line.prefix(outputs[0].shape[2]) { result += [value.real, value.imaginary] }
      }
    }
    outputs[0].store(result)
  }

  private func frames(_ inputs: Facts) throws(ModelError) -> Frames {
    let shape = try inputs.shape(0)
    guard shape.count == 3 else {
      throw .unexpected("rank of signal", expected: "3", got: "\(shape.count)")
    }
    try inputs.checkSignal(shape)
    let step = try inputs.positive(1, "frame_step")
    let window = inputs.has(2) ? try inputs.shape(2) : nil
    let length = inputs.has(3) ? try inputs.positive(3, "frame_length") : window?.first ?? shape[1]
    guard length > 0, length <= shape[1] else {
      throw .unexpected("frame_length", expected: "1 to \(shape[1])", got: "\(length)")
    }
    if let window, window.count != 1 || window[0] > length {
      throw .unexpected(
        "shape of window", expected: "[\(length)]", got: "[\(window.joined)]")
    }
    return Frames(step: step, length: length, count: (shape[1] - length) / step + 1)
  }
}

/// A window that is a sum of cosines: Σ cᵢ·cos(2πi·n/N), for n < size.
struct WindowFunction: Operator {
  private let coefficients: [Double]
  /// Whether the window repeats after its last element, rather than ends with the first mirrored.
  private let isPeriodic: Bool
  private let type: ElementType

  init(_ node: inout NodeReader) throws(ModelError) {
    coefficients =
      switch node.operatorName {
      case "BlackmanWindow": [0.42, -0.5, 0.08]
      case "HammingWindow": [25.0 / 46, -21.0 / 46]
      default: [0.5, -0.5]
      }
    isPeriodic = try node.bool("periodic", default: true)
    type = try node.elementType("output_datatype") ?? .float
    guard type.computed != nil else {
      throw node.invalid("output_datatype", expected: "numbers", got: type)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let size = try inputs.integer(0, "size")
    guard size >= 0 else {
      throw .unexpected("size", expected: "a number from 0", got: "\(size)")
    }
    return [Fact(type, [size])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let size = outputs[0].elementCount
    let period = Double(isPeriodic ? size : size - 1)
    outputs[0].store(
      (0..<size).map { place -> Double in
        if period == 0 { return 1 }
        var sum = 0.0
        for (order, coefficient) in coefficients.enumerated() {
          sum += coefficient * cos(2 * Double.pi * Double(order * place) / period)
        }
        return sum
      })
  }
}

/// The triangles that turn a spectrum into bands evenly spaced in mels, mel(f) = 2595·lg(1 + f/700):
/// [dft_length / 2 + 1, num_mel_bins].
struct MelWeightMatrix: Operator {
  private let type: ElementType

  init(_ node: inout NodeReader) throws(ModelError) {
    type = try node.elementType("output_datatype") ?? .float
    guard type.computed != nil else {
      throw node.invalid("output_datatype", expected: "numbers", got: type)
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let bandCount = try inputs.positive(0, "num_mel_bins")
    let length = try inputs.positive(1, "dft_length")
    _ = try inputs.positive(2, "sample_rate")
    for index in 3...4 where try inputs.numbers(index).count != 1 {
      throw .unexpected("edges", expected: "one number each", got: "other counts")
    }
    return [Fact(type, [length / 2 + 1, bandCount])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let (rowCount, bandCount) = (outputs[0].shape[0], outputs[0].shape[1])
    let edges = edges(inputs, bandCount)
    var weights = [Double](repeating: 0, count: rowCount * bandCount)
    func set(_ row: Int, _ band: Int, _ weight: Double) {
      if row >= 0 && row < rowCount { weights[row * bandCount + band] = weight }
    }
    for band in 0..<bandCount {
      let (left, centre, right) = (edges[band], edges[band + 1], edges[band + 2])
      set(centre, band, 1)
      for row in max(left, 0)..<max(left, 0, min(centre, rowCount)) {
        set(row, band, Double(row - left) / Double(centre - left))
      }
      for row in max(centre, 0)..<max(centre, 0, min(right, rowCount)) {
        set(row, band, Double(right - row) / Double(right - centre))
      }
    }
    outputs[0].store(weights)
  }

  /// The rows where the bands' triangles start, peak and end.
  private func edges(_ inputs: Inputs, _ bandCount: Int) -> [Int] {
    let number = { (index: Int) in inputs[index].converted(to: Double.self)[0] }
    func mel(_ frequency: Double) -> Double { 2595 * log10(1 + frequency / 700) }
    let lowest = mel(number(3))
    let step = (mel(number(4)) - lowest) / Double(bandCount + 2)
    return (0..<bandCount + 2).map { band in
      let frequency = 700 * (pow(10, (Double(band) * step + lowest) / 2595) - 1)
      let row = ((number(1) + 1) * frequency / number(2)).rounded(.down)
      return max(-1 << 40, min(row.saturated(), 1 << 40))
    }
  }
}
