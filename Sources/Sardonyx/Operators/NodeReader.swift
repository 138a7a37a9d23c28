/// Reads the attributes of one node, and tells afterwards which it was not asked for.
struct NodeReader {
  let name: String
  let operatorName: String
  let domain: String
  /// The imported version of the operator set.
  let operatorSet: Int
  /// The version of the operator itself: the newest not above ``operatorSet``.
  let version: Int
  /// How many inputs the node names, captured values not counted.
  let inputCount: Int
  let outputCount: Int
  /// Whether each output is wanted (named).
  let outputsWanted: [Bool]
  /// Captured values follow the ``inputCount`` own inputs.
  let captureCount: Int
  private let attributes: [String: Attribute]
  private var bodies: [String: Body]
  private var unread: Set<String>

  init(
    _ node: NodeDefinition, operatorSet: Int, version: Int, captureCount: Int = 0,
    bodies: [String: Body] = [:]
  ) {
    name = node.name
    operatorName = node.operatorName
    domain = node.domain
    self.operatorSet = operatorSet
    self.version = version
    inputCount = node.inputs.count
    outputCount = node.outputs.count
    outputsWanted = node.outputs.map { !$0.isEmpty }
    self.captureCount = captureCount
    attributes = node.attributes
    self.bodies = bodies
    unread = Set(node.attributes.keys)
  }

  /// Attributes the operator did not read.
  var unreadAttributes: [String] { unread.sorted() }

  /// Whether the attribute is present.
  func has(_ attribute: String) -> Bool { attributes[attribute] != nil }

  func hasOutput(_ index: Int) -> Bool { index < outputsWanted.count && outputsWanted[index] }

  mutating func float(_ name: String) throws(ModelError) -> Float? {
    guard let attribute = take(name) else { return nil }
    guard case .float(let value) = attribute else { throw wrongKind(name, "float", attribute) }
    return value
  }

  mutating func float(_ name: String, default value: Float) throws(ModelError) -> Float {
    try float(name) ?? value
  }

  /// What extents, axes and counts may be, so that their sums and products need no second look.
  static let countable = -Shape.largestExtent...Shape.largestExtent
  /// For numbers that stand for themselves: labels, bounds that are clamped.
  static let any = Int.min...Int.max

  mutating func int(_ name: String, within bounds: ClosedRange<Int> = countable)
    throws(ModelError) -> Int?
  {
    guard let attribute = take(name) else { return nil }
    guard case .int(let value) = attribute else { throw wrongKind(name, "int", attribute) }
    return try checked(value, name, bounds)
  }

  mutating func int(
    _ name: String, default value: Int, within bounds: ClosedRange<Int> = countable
  ) throws(ModelError) -> Int {
    try int(name, within: bounds) ?? value
  }

  private func checked(_ value: Int, _ name: String, _ bounds: ClosedRange<Int>)
    throws(ModelError) -> Int
  {
    guard bounds.contains(value) else {
      throw invalid(name, expected: "\(bounds.lowerBound) to \(bounds.upperBound)", got: value)
    }
    return value
  }

  mutating func bool(_ name: String, default value: Bool = false) throws(ModelError) -> Bool {
    try int(name, within: Self.any).map { $0 != 0 } ?? value
  }

  mutating func string(_ name: String) throws(ModelError) -> String? {
    guard let attribute = take(name) else { return nil }
    guard case .string(let value) = attribute else { throw wrongKind(name, "string", attribute) }
    return value
  }

  mutating func string(_ name: String, default value: String) throws(ModelError) -> String {
    try string(name) ?? value
  }

  /// A string attribute that names one case of an enumeration.
  mutating func choice<T: RawRepresentable<String> & CaseIterable>(
    _ name: String, default value: T
  ) throws(ModelError) -> T {
    guard let text = try string(name) else { return value }
    guard let choice = T(rawValue: text) else {
      let names = T.allCases.map(\.rawValue).joined(separator: ", ")
      throw invalid(name, expected: "one of \(names)", got: text)
    }
    return choice
  }

  mutating func ints(_ name: String, within bounds: ClosedRange<Int> = countable)
    throws(ModelError) -> [Int]?
  {
    switch take(name) {
    case nil: return nil
    case .ints(let values)?:
      for value in values { _ = try checked(value, name, bounds) }
      return values
    // Exporters write an empty list without a usable type.
    case .floats(let values)? where values.isEmpty: return []
    case let attribute?: throw wrongKind(name, "list of ints", attribute)
    }
  }

  mutating func floats(_ name: String) throws(ModelError) -> [Float]? {
    switch take(name) {
    case nil: return nil
    case .floats(let values)?: return values
    case .ints(let values)? where values.isEmpty: return []
    case let attribute?: throw wrongKind(name, "list of floats", attribute)
    }
  }

  mutating func strings(_ name: String) throws(ModelError) -> [String]? {
    switch take(name) {
    case nil: return nil
    case .strings(let values)?: return values
    case .ints(let values)? where values.isEmpty: return []
    case let attribute?: throw wrongKind(name, "list of strings", attribute)
    }
  }

  mutating func tensor(_ name: String) throws(ModelError) -> Tensor? {
    guard let attribute = take(name) else { return nil }
    guard case .tensor(let value) = attribute else { throw wrongKind(name, "tensor", attribute) }
    return value
  }

  mutating func type(_ name: String) throws(ModelError) -> ValueType? {
    guard let attribute = take(name) else { return nil }
    guard case .type(let value, _) = attribute else { throw wrongKind(name, "type", attribute) }
    return value
  }

  /// An element type, which ONNX writes as the number of its `TensorProto.DataType`.
  mutating func elementType(_ name: String) throws(ModelError) -> ElementType? {
    guard let number = try int(name, within: Self.any) else { return nil }
    guard let type = ElementType(rawValue: Int32(clamping: number)) else {
      throw invalid(name, expected: "the number of an element type", got: number)
    }
    return type
  }

  /// A graph attribute, built and ready to run.
  mutating func body(_ name: String) throws(ModelError) -> Body {
    unread.remove(name)
    guard let body = bodies[name] else { throw missing(name) }
    return body
  }

  /// The error for a required attribute that is not there.
  func missing(_ name: String) -> ModelError {
    ModelError(.invalid, "\(operatorName)-\(version) needs the attribute \(name), which is missing")
  }

  /// The error for an attribute whose value the operator does not allow.
  func invalid(_ name: String, expected: String, got: some Any) -> ModelError {
    .unexpected("attribute \(name)", expected: expected, got: "\(got)", code: .invalid)
  }

  /// Those of the named attributes that are there, for another node that reads them.
  mutating func take(_ names: String...) -> [String: Attribute] {
    unread.subtract(names)
    return attributes.filter { names.contains($0.key) }
  }

  /// Reads and drops attributes without meaning for inference.
  mutating func ignore(_ names: String...) { unread.subtract(names) }

  private mutating func take(_ name: String) -> Attribute? {
    unread.remove(name)
    return attributes[name]
  }

  private func wrongKind(_ name: String, _ expected: String, _ got: Attribute) -> ModelError {
    .unexpected("attribute \(name)", expected: expected, got: got.kind, code: .invalid)
  }
}
