/// Writes the nodes of a derivative, one call at a time.
struct DerivativeWriter {
  /// The domain of operators that only derivatives need.
  static let domain = "ai.sardonyx"
  /// The operator set that ``derivativeRules`` are written in, whatever the model imports.
  private static let operatorSet = 17

  private let prefix: String
  /// All names in use anywhere in the model.
  private(set) var taken: Set<String>
  private var written: [NodeDefinition] = []

  init(prefix: String, taken: Set<String>) {
    self.prefix = prefix
    self.taken = taken
  }

  /// Adds a node and returns the name of its first output.
  @discardableResult
  mutating func callAsFunction(
    _ operatorName: String, _ inputs: String..., attributes: [String: Attribute] = [:]
  ) -> String {
    self(operatorName, inputs, attributes: attributes, outputs: 1)[0]
  }

  /// Adds a node and returns the names of its outputs.
  mutating func callAsFunction(
    _ operatorName: String, _ inputs: [String], attributes: [String: Attribute], outputs: Int
  ) -> [String] {
    let isOwn = derivatives[operatorName] != nil
    let name = unique(operatorName)
    let names = (0..<outputs).map { $0 == 0 ? name : unique("\(operatorName)_\($0)") }
    append(
      NodeDefinition(
        name: name, operatorName: operatorName, domain: isOwn ? Self.domain : "",
        operatorSet: isOwn ? 1 : Self.operatorSet, inputs: inputs, outputs: names,
        attributes: attributes))
    return names
  }

  mutating func append(_ node: NodeDefinition) { written.append(node) }

  /// A name that starts with the gradient's own and is not taken.
  mutating func unique(_ name: String) -> String {
    Sardonyx.unique("\(prefix)/\(name)", &taken)
  }

  /// Gives a value a second name.
  mutating func name(_ value: String, _ name: String) {
    append(
      NodeDefinition(
        name: unique("Identity"), operatorName: "Identity", operatorSet: Self.operatorSet,
        inputs: [value], outputs: [name]))
  }

  /// The nodes that the given outputs need.
  func nodes(for outputs: [String]) -> [NodeDefinition] {
    var needed = Set(outputs)
    var kept: [NodeDefinition] = []
    for node in written.reversed() where node.outputs.contains(where: needed.contains) {
      needed.formUnion(node.inputs)
      kept.append(node)
    }
    return kept.reversed()
  }
}

// MARK: - Frequent values

extension DerivativeWriter {
  /// A number in the type of another value.
  mutating func number(_ value: Float, like other: String) -> String {
    self("ConstantLike", other, attributes: ["value": .float(value)])
  }

  /// A tensor of the shape of another, filled with a number.
  mutating func filled(like other: String, _ value: Float) -> String {
    let number = number(value, like: other)
    return self("Expand", number, self("Shape", other))
  }

  /// A value spread over the shape of another.
  mutating func expanded(_ value: String, like other: String) -> String {
    self("Expand", value, self("Shape", other))
  }

  mutating func reshaped(_ value: String, like other: String) -> String {
    self("Reshape", value, self("Shape", other))
  }

  /// 1 / (number of elements of `large` for each of `small`).
  mutating func share(of large: String, for small: String) -> String {
    let counts = [small, large].map { self("CastLike", self("Size", $0), large) }
    return self("Div", counts[0], counts[1])
  }

  /// The sum along axes, which stay with extent 1.
  mutating func sum(_ value: String, axes: [Int], keepsAxes: Bool = true) -> String {
    let constant = self(
      "Constant", attributes: ["value_ints": .ints(axes)])
    return self("ReduceSum", value, constant, attributes: ["keepdims": .int(keepsAxes ? 1 : 0)])
  }
}
