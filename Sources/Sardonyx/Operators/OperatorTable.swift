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
    ("com.microsoft", microsoftAttention),
    ("com.microsoft", microsoftBiasedActivations),
    ("com.microsoft", microsoftMatrixProducts),
    ("com.microsoft", microsoftMovement),
    ("com.microsoft", microsoftQuantization),
    ("com.microsoft", microsoftTexts),
    ("com.microsoft", microsoftVision),
  ]

  /// Operators that become nodes of others at load, one line per family file.
  static let expansions: [(domain: String, family: [String: NodeComposition.Rule])] = [
    ("com.microsoft", microsoftAttentionExpansions),
    ("com.microsoft", microsoftFusions),
    ("com.microsoft", microsoftQuantizedExpansions),
  ]

  /// The families of each domain: those of the few operators that a model has are looked through faster
  /// than all are put into one table.
  private static let byDomain: [String: [OperatorFamily]] = {
    // What derivatives and models in double are written with is no promise to models, so it is in no list.
    let own = [derivatives, quantizationInDouble].map {
      (domain: DerivativeWriter.domain, family: $0)
    }
    return Dictionary(grouping: families + own, by: \.domain).mapValues { $0.map(\.family) }
  }()

  /// How to make the named operator, if this build has it.
  static func find(_ name: String, domain: String)
    -> (@Sendable (inout NodeReader) throws(ModelError) -> any Operator)?
  {
    byDomain[domain]?.lazy.compactMap { $0[name] }.first
  }

  /// How nodes of the named operator are written as nodes of others, if they are.
  static func expansion(of name: String, domain: String) -> NodeComposition.Rule? {
    expansionsByDomain[domain]?[name]
  }

  private static let expansionsByDomain: [String: [String: NodeComposition.Rule]] = {
    var table: [String: [String: NodeComposition.Rule]] = [:]
    for (domain, family) in expansions {
      table[domain, default: [:]].merge(family) { _, last in last }
    }
    return table
  }()

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

  /// The domains of all operators, sorted.
  static var domains: [String] {
    Set(families.map(\.domain) + expansions.map(\.domain)).sorted()
  }

  /// The names of a domain's operators, sorted.
  static func names(domain: String) -> [String] {
    let own = families.filter { $0.domain == domain }.flatMap { $0.family.keys }
    return (own + expansions.filter { $0.domain == domain }.flatMap { $0.family.keys }).sorted()
  }
}
