#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
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
  func integer(_ index: Int, _ name: String) throws(ModelError) -> Int {
    let numbers = try integers(index)
    guard numbers.count == 1 else {
      throw .unexpected(name, expected: "one element", got: "\(numbers.count)")
    }
    return numbers[0]
  }

  /// The number of a scalar input that has to be positive.
  func positive(_ index: Int, _ name: String) throws(ModelError) -> Int {
    let number = try integer(index, name)
    guard number > 0, number < 1 << 31 else {
      throw .unexpected(name, expected: "a positive number", got: "\(number)")
    }
    return number
  }

  /// Checks the last axis of a signal: 1 for real numbers, 2 for complex ones.
  func checkSignal(_ shape: Shape) throws(ModelError) {
    guard let last = shape.last, last == 1 || last == 2 else {
      throw .unexpected("last extent of input", expected: "1 or 2", got: "\(shape.last ?? 0)")
    }
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

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let size = outputs[0].elementCount
    let period = Double(isPeriodic ? size : size - 1)
    // In stretches, as a size may be far larger than was meant.
    for first in stride(from: 0, to: size, by: 1 << 14) {
      try outputs.context.checkCancellation()
      let stretch = first..<min(first + (1 << 14), size)
      outputs[0].part(stretch).store(stretch.map { element($0, period) })
    }
  }

  private func element(_ place: Int, _ period: Double) -> Double {
    if period == 0 { return 1 }
    var sum = 0.0
    for (order, coefficient) in coefficients.enumerated() {
      sum += coefficient * cos(2 * Double.pi * Double(order * place) / period)
    }
    return sum
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
