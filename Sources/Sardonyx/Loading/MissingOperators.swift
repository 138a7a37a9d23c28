/// The operators a model uses and this build lacks, gathered to be told all at once.
struct MissingOperators {
  private struct Operator: Hashable {
    let name: String
    let domain: String
    let operatorSet: Int
  }

  /// Where onnxruntime keeps operators on tensors in the blocks of one processor.
  private static let layoutDomain = "com.microsoft.nchwc"

  /// In the order of the first node of each.
  private var operators: [Operator] = []
  private var nodes: [Operator: [String]] = [:]

  mutating func add(_ node: NodeDefinition, operatorSet: Int) {
    let missing = Operator(
      name: node.operatorName, domain: node.domain, operatorSet: operatorSet)
    if nodes[missing] == nil { operators.append(missing) }
    nodes[missing, default: []].append(node.name)
  }

  /// The error that names them all, if there are any.
  var error: ModelError? {
    guard !operators.isEmpty else { return nil }
    let list = operators.map(sentence).joined(separator: "; ")
    var hints = operators.filter { $0.domain != Self.layoutDomain }.compactMap(hint)
    if operators.contains(where: { $0.domain == Self.layoutDomain }) {
      hints.append(
        "\(Self.layoutDomain) is how onnxruntime lays tensors out for one processor, which files do not tell; "
          + "save the model with graph_optimization_level ORT_ENABLE_EXTENDED, or take the one it was made from"
      )
    }
    return ModelError(
      .unsupported, "no operator of this build does \(list)",
      hint: hints.isEmpty ? nil : hints.joined(separator: "; "))
  }

  private func sentence(_ missing: Operator) -> String {
    let names = nodes[missing, default: []]
    let shown = names.prefix(3).quotedList
    let rest = names.count > 3 ? " and \(names.count - 3) more" : ""
    let domain = missing.domain.isEmpty ? "ai.onnx" : missing.domain
    return "\(missing.name) (\(domain) \(missing.operatorSet)) of "
      + "\(names.count == 1 ? "node" : "nodes") \(shown)\(rest)"
  }

  private func hint(_ missing: Operator) -> String? {
    let elsewhere = OperatorTable.domains.first {
      OperatorTable.names(domain: $0).contains(missing.name)
    }
    if let elsewhere {
      let domain = elsewhere.isEmpty ? "ai.onnx" : elsewhere
      return "\(missing.name) is known in the domain \(domain)"
    }
    return OperatorTable.names(domain: missing.domain).nearest(to: missing.name)
      .map { "the nearest name to \(missing.name) is \($0)" }
  }
}
