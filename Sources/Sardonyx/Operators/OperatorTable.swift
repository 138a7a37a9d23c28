/// All operators of this build, by domain and name.
enum OperatorTable {
  /// One line per family file.
  static let families: [(domain: String, family: OperatorFamily)] = [
    ("", accumulations),
    ("", activations),
    ("", arithmetic),
    ("", attention),
    ("", boxSelection),
    ("", casts),
    ("", comparisons),
    ("", controlFlow),
    ("", convolutions),
    ("", elementwiseFunctions),
    ("", extrema),
    ("", folds),
    ("", gathers),
    ("", generators),
    ("", images),
    ("", losses),
    ("", matrixProducts),
    ("", normalizations),
    ("", optionals),
    ("", padding),
    ("", parametricActivations),
    ("", pooling),
    ("", quantization),
    ("", quantizedConvolutions),
    ("", quantizedProducts),
    ("", randomness),
    ("", recurrentNetworks),
    ("", reductions),
    ("", regionPooling),
    ("", resizing),
    ("", scatters),
    ("", selections),
    ("", sequences),
    ("", shapes),
    ("", signals),
    ("", slices),
    ("", softmaxes),
    ("", texts),
    ("", transpositions),
    ("ai.onnx.ml", dictionaries),
    ("ai.onnx.ml", featureTransforms),
    ("ai.onnx.ml", labelEncodings),
    ("ai.onnx.ml", linearModels),
    ("ai.onnx.ml", supportVectorMachines),
    ("ai.onnx.ml", treeEnsembles),
    ("ai.onnx.preview", attentionPreviews),
    ("ai.onnx.preview.training", optimizers),
    ("com.microsoft", microsoftActivations),
    ("com.microsoft", microsoftBiasedActivations),
    ("com.microsoft", microsoftQuantization),
    ("com.microsoft", microsoftTexts),
  ]

  /// Every operator by `domain:name`.
  private static let byName: OperatorFamily = {
    var table: OperatorFamily = [:]
    // What derivatives are written with is no promise to models, so it is in no list.
    for (domain, family) in families + [(DerivativeWriter.domain, derivatives)] {
      for (name, make) in family { table["\(domain):\(name)"] = make }
    }
    return table
  }()

  /// How to make the named operator, if this build has it.
  static func find(_ name: String, domain: String)
    -> (@Sendable (inout NodeReader) throws(ModelError) -> any Operator)?
  {
    byName["\(domain):\(name)"]
  }

  /// The operator of a node that has no bodies.
  static func make(_ node: NodeDefinition, operatorSet: Int) throws(ModelError) -> any Operator {
    guard let make = find(node.operatorName, domain: node.domain) else {
      throw ModelError(.unsupported, "operator \(node.operatorName) of domain \"\(node.domain)\"")
    }
    let schema = Schema.find(node.operatorName, domain: node.domain, operatorSet: operatorSet)
    var reader = NodeReader(
      node, operatorSet: operatorSet, version: schema?.since ?? operatorSet)
    return try make(&reader)
  }

  /// The names of a domain's operators, sorted.
  static func names(domain: String) -> [String] {
    families.filter { $0.domain == domain }.flatMap { $0.family.keys }.sorted()
  }
}
