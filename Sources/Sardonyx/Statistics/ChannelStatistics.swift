/// Count, mean and sum of squared deviations of a channel's numbers, in double.
public struct ChannelMoments: Sendable, Equatable {
  /// How many numbers.
  public private(set) var count = 0
  /// Their mean; 0 of none.
  public private(set) var mean = 0.0
  private var squares = 0.0

  /// The moments of no numbers.
  public init() {}

  /// The variance over all numbers, as BatchNormalization takes it: Σ(x − mean)² / count.
  public var variance: Double { count > 0 ? squares / Double(count) : 0 }

  /// Adds the numbers that others are of.
  ///
  /// Source: Chan, Golub, LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing Sample
  /// Variances* (1979).
  public mutating func merge(_ other: ChannelMoments) {
    guard other.count > 0 else { return }
    let total = Double(count + other.count)
    let difference = other.mean - mean
    squares += other.squares + difference * difference * Double(count) * Double(other.count) / total
    mean += difference * Double(other.count) / total
    count += other.count
  }

  /// The moments of some numbers: their mean first, then the deviations from it.
  init(_ numbers: some Collection<Double>) {
    count = numbers.count
    guard count > 0 else { return }
    mean = numbers.reduce(0, +) / Double(count)
    squares = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
  }
}

/// The moments of each channel of tensors [N, C, …].
public struct ChannelStatistics: Sendable {
  /// One for each channel; empty before the first tensor.
  public private(set) var channels: [ChannelMoments] = []
  /// How many samples, the sum of the N.
  public private(set) var sampleCount = 0

  /// Those of nothing.
  public init() {}

  /// Adds the elements of a floating-point tensor [N, C, …], or [C] as one sample.
  /// - Throws: ``ModelError`` (mismatch) where it has other channels than those before.
  public mutating func add(_ tensor: Tensor) throws(ModelError) {
    let shape = tensor.shape.count > 1 ? tensor.shape : [1] + tensor.shape
    guard shape.count > 1, channels.isEmpty || channels.count == shape[1] else {
      throw .unexpected(
        "channels", expected: "\(channels.count)", got: "shape [\(tensor.shape.joined)]")
    }
    if channels.isEmpty { channels = Array(repeating: ChannelMoments(), count: shape[1]) }
    sampleCount += shape[0]
    let numbers = tensor.converted(to: Double.self)
    let inner = Shape(shape.dropFirst(2)).elementCount
    for row in 0..<shape[0] * shape[1] {
      channels[row % shape[1]].merge(ChannelMoments(numbers[row * inner..<(row + 1) * inner]))
    }
  }
}
