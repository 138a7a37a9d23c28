/// A model whose BatchNormalizations store the statistics of other data, all else as it was.
///
/// Layer after layer in the graph's order: each meets the data as the layers before it, recalibrated already, hand
/// them on.
public struct Recalibration: Sendable {
  /// What has changed in a layer.
  public struct Layer: Sendable {
    /// The node's name.
    public let node: String
    /// How far the data were from what was stored (``Drift/Layer/distance``).
    public let distance: Double
    /// How many numbers of a channel were met.
    public let count: Int
  }

  /// The layers in the graph's order.
  public let layers: [Layer]
  /// The model with the new statistics.
  public let definition: ModelDefinition

  /// Re-estimates the statistics of all layers that store some.
  /// - Parameters:
  ///   - model: whose layers they are.
  ///   - options: how it is run.
  ///   - batches: calls its argument with the inputs of each run; it is asked once for each layer.
  /// - Throws: ``ModelError``: invalid where the model has no such layer, or one in a function; mismatch where
  ///   there are fewer than two numbers for a channel, or some that are not finite; and what runs and `batches`
  ///   throw.
  public init(
    _ model: Model, options: Session.Options = Session.Options(),
    batches: (_ run: ([String: Value]) throws(ModelError) -> Void) throws(ModelError) -> Void
  ) throws(ModelError) {
    let all = StoredNormalization.all(in: model)
    guard !all.isEmpty else { throw StoredNormalization.missing(in: model) }
    var definition = model.definition
    var layers: [Layer] = []
    for stored in all {
      let observer = try NormalizationObserver(
        Model(definition.ending(at: stored.input)), [stored], options)
      var statistics = [ChannelStatistics()]
      try batches { (inputs) throws(ModelError) in try observer.observe(inputs, &statistics) }
      let channels = statistics[0].channels
      guard let count = channels.first?.count, count > 1 else {
        throw ModelError(
          .mismatch,
          "node \"\(stored.node)\": expected at least two numbers for each channel, got "
            + "\(channels.first?.count ?? 0)", hint: "give more data")
      }
      if let channel = channels.firstIndex(where: { !$0.mean.isFinite || !$0.variance.isFinite }) {
        throw ModelError(
          .mismatch,
          "node \"\(stored.node)\": expected finite numbers, got others in channel \(channel)",
          hint: "leave out samples that hold NaN or infinity, or that make them")
      }
      let drift = Drift.Layer(stored, statistics[0])
      layers.append(Layer(node: stored.node, distance: drift.distance, count: count))
      try definition.replaceStatistics(
        of: stored, mean: channels.map(\.mean), variance: channels.map(\.variance))
    }
    self.layers = layers
    self.definition = definition
  }
}

extension ModelDefinition {
  /// The part of the model that makes one value.
  fileprivate func ending(at name: String) -> ModelDefinition {
    var part = self
    // An output that is an input makes no graph; all of it runs then.
    guard !graph.inputs.contains(where: { $0.name == name }) else { return self }
    part.graph.outputs = [ValueDefinition(name: name, type: nil, shape: nil)]
    return part
  }

  /// Stores other statistics in a BatchNormalization, in tensors of its own where it shared them.
  fileprivate mutating func replaceStatistics(
    of stored: StoredNormalization, mean: [Double], variance: [Double]
  ) throws(ModelError) {
    guard let position = graph.nodes.firstIndex(where: { $0.outputs.first == stored.output }) else {
      throw ModelError(
        .invalid, "node \"\(stored.node)\" stands in a function of the model",
        hint: "inline functions first, such as by onnx.inliner")
    }
    for (index, numbers) in [(3, mean), (4, variance)] {
      let name = graph.nodes[position].inputs[index]
      guard let place = graph.initializers.firstIndex(where: { $0.0 == name }) else {
        throw ModelError(
          .invalid,
          "node \"\(stored.node)\": expected its \(index == 3 ? "mean" : "var") to be an "
            + "initializer, got \"\(name)\", which a node makes")
      }
      let old = graph.initializers[place].1
      let tensor = Tensor(converting: numbers, to: old.type, old.shape)
      if graph.nodes.reduce(0, { $0 + $1.inputs.count { $0 == name } }) == 1 {
        graph.initializers[place].1 = tensor
      } else {
        var own = name
        repeat { own += "_recalibrated" } while graph.initializers.contains { $0.0 == own }
        graph.initializers.append((own, tensor))
        graph.nodes[position].inputs[index] = own
      }
    }
  }
}
