#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// How far the data that reach a model's BatchNormalizations are from those whose statistics it stores.
///
/// Each layer normalises with the mean and the variance that it met in training. Where live data have others, its
/// output no longer has mean β and deviation γ, and everything behind it sees numbers it was not trained on.
public struct Drift: Sendable {
  /// A layer's channels: stored statistics against those met.
  public struct Layer: Sendable {
    /// The node's name.
    public let node: String
    /// |mean met − mean stored| / √(variance stored + ε), per channel.
    public let meanShift: [Double]
    /// (Variance met + ε) / (variance stored + ε), per channel.
    public let varianceRatio: [Double]
    /// Kullback-Leibler divergence of the Gaussian met from the stored one, per channel, in nats.
    public let divergence: [Double]
    /// How many numbers of a channel were met.
    public let count: Int

    /// How many samples these come from.
    public let sampleCount: Int

    /// The root mean square over the channels of the 2-Wasserstein distance of the Gaussian met from the stored
    /// one, in deviations of the latter: √(shift² + (√ratio − 1)²). Layers are ranked by it; it is infinite
    /// where numbers that are not finite were met.
    public var distance: Double {
      guard !meanShift.isEmpty else { return 0 }
      let squares = zip(meanShift, varianceRatio).map { shift, ratio in
        let deviation = ratio.squareRoot() - 1
        return shift * shift + deviation * deviation
      }
      let distance = (squares.reduce(0, +) / Double(squares.count)).squareRoot()
      return distance.isNaN ? .infinity : distance
    }

    /// The distance from which on the data are others than those stored: ``Drift/tolerance``, and what chance
    /// alone makes of so many independent samples: 1/n for the mean and half of that for the deviation.
    public var allowance: Double {
      (Drift.tolerance * Drift.tolerance + 1.5 / Double(max(1, sampleCount))).squareRoot()
    }

    /// Whether the data are others than those stored.
    public var hasDrifted: Bool { distance > allowance }
  }

  /// Deviations that make no difference, chosen by what the bundled classifiers show: clean test images stay below
  /// 0.17 in each layer; inverted ones are 0.69 and 1.14 away in the first, dimmed ones 0.64 and 0.72.
  public static let tolerance = 0.35

  /// The layers in the graph's order.
  public let layers: [Layer]

  /// Whether a layer meets other data than the model was trained on: the first where the data themselves are others,
  /// later ones where what is made of them is.
  public var hasDrifted: Bool { layers.contains { $0.hasDrifted } }

  /// Runs a model as written over batches of data and compares what its BatchNormalizations meet with what they
  /// store.
  /// - Parameters:
  ///   - model: what is run.
  ///   - options: how it is run.
  ///   - batches: calls its argument with the inputs of each run.
  /// - Throws: ``ModelError``: invalid where the model has no BatchNormalization with stored statistics, mismatch
  ///   where there are no data, and what runs and `batches` throw.
  public init(
    _ model: Model, options: Session.Options = Session.Options(),
    batches: (_ run: ([String: Value]) throws(ModelError) -> Void) throws(ModelError) -> Void
  ) throws(ModelError) {
    let stored = StoredNormalization.all(in: model)
    guard !stored.isEmpty else { throw StoredNormalization.missing(in: model) }
    let observer = try NormalizationObserver(model, stored, options)
    var statistics = stored.map { _ in ChannelStatistics() }
    try batches { (inputs) throws(ModelError) in try observer.observe(inputs, &statistics) }
    guard statistics[0].channels.contains(where: { $0.count > 0 }) else {
      throw ModelError(.mismatch, "there are no data to compare with")
    }
    layers = zip(stored, statistics).map { Layer($0, $1) }
  }
}

extension Drift.Layer {
  init(_ stored: StoredNormalization, _ met: ChannelStatistics) {
    node = stored.node
    count = met.channels.first?.count ?? 0
    sampleCount = met.sampleCount
    let epsilon = stored.epsilon
    let variances = stored.variance.map { max($0 + epsilon, .leastNormalMagnitude) }
    let differences = zip(met.channels, stored.mean).map { $0.mean - $1 }
    meanShift = zip(differences, variances).map { abs($0) / $1.squareRoot() }
    varianceRatio = zip(met.channels, variances).map { max($0.variance + epsilon, 0) / $1 }
    // ½(r + d² − 1 − ln r) for the ratio r of variances and the shift d of means in deviations.
    divergence = zip(varianceRatio, meanShift).map { ratio, shift in
      0.5 * (ratio + shift * shift - 1 - log(max(ratio, .leastNormalMagnitude)))
    }
  }
}

/// Runs a model as written, and looks at what reaches some of its BatchNormalizations.
struct NormalizationObserver {
  private let session: Session
  private let names: [String]

  init(_ model: Model, _ normalizations: [StoredNormalization], _ options: Session.Options)
    throws(ModelError)
  {
    var options = options
    options.batchNormalization = .unfolded
    names = normalizations.map(\.input)
    let inputs = Set(model.inputs.map(\.name))
    options.taps = names.filter { !inputs.contains($0) }
    session = try Session(model, options: options)
  }

  func observe(_ inputs: [String: Value], _ statistics: inout [ChannelStatistics])
    throws(ModelError)
  {
    let known = Set(session.options.taps)
    let values = try session.run(inputs, outputs: names.filter(known.contains))
    for (index, name) in names.enumerated() {
      guard let tensor = (values[name] ?? inputs[name])?.tensor else { continue }
      try statistics[index].add(tensor)
    }
  }
}
