/// A BatchNormalization that uses stored statistics, as the file has it.
struct StoredNormalization: Sendable {
  let node: String
  /// The value it makes, by which the file's node is found.
  let output: String
  /// The value it normalises, and where in the file its statistics stand.
  let input: String
  let meanName: String
  let varianceName: String
  let epsilon: Double
  let mean: [Double]
  let variance: [Double]

  /// Those of a model's graph in their order; of bodies and of statistics that nodes compute there are none.
  static func all(in model: Model) -> [StoredNormalization] {
    let graph = model.graph
    return graph.nodes.compactMap { node in
      guard let normalization = node.implementation as? BatchNormalization,
        normalization.isInference, normalization.isSpatial, let input = node.inputs[0],
        let output = node.outputs[0], let meanID = node.inputs[3], let varianceID = node.inputs[4],
        let mean = graph.stored(meanID), let variance = graph.stored(varianceID)
      else { return nil }
      return StoredNormalization(
        node: node.name, output: graph.values[output].name, input: graph.values[input].name,
        meanName: graph.values[meanID].name,
        varianceName: graph.values[varianceID].name, epsilon: normalization.epsilon,
        mean: mean.converted(to: Double.self), variance: variance.converted(to: Double.self))
    }
  }

  /// What is wrong where there are none.
  static func missing(in model: Model) -> ModelError {
    ModelError(
      .invalid, "the model has no BatchNormalization with stored statistics",
      hint: "they may be folded already, or stand in the body of an If, Loop or Scan",
      file: model.definition.file)
  }
}

extension Graph {
  /// The tensor that the file gives for a value, whether a caller may override it or not.
  func stored(_ id: ValueID) -> Tensor? { values[id].constant ?? defaults[id] }
}
