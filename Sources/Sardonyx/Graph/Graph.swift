/// A directed acyclic graph of operators over numbered values: what passes rewrite and plans run.
///
/// Nodes stand in an order in which every value is made before it is used. Values captured by the
/// bodies of If, Loop and Scan are ordinary inputs of those nodes, so a graph has no environment.
struct Graph: Sendable {
  /// The index of a value in ``values``.
  typealias ValueID = Int

  /// What a graph knows of one value.
  struct ValueRecord: Sendable {
    /// ONNX's name; unique within the graph. A pass that lets another node compute a value keeps
    /// the name, so layers of two plans of one model match by name.
    var name: String
    /// As declared in the file; nil where it is silent.
    var type: ValueType?
    var shape: [Dimension]?
    /// What few values have, in a place of its own: a large graph has many values.
    private var details: Details?

    init(name: String, type: ValueType? = nil, shape: [Dimension]? = nil, constant: Tensor? = nil) {
      (self.name, self.type, self.shape) = (name, type, shape)
      if constant != nil { self.constant = constant }
    }

    /// The tensor, for a constant that no caller can override.
    var constant: Tensor? {
      get { details?.constant }
      set { change { $0.constant = newValue } }
    }

    /// For a value in blocks of channels (``BlockLayout``), how many channels it has.
    var blockedChannels: Int? {
      get { details?.blockedChannels }
      set { change { $0.blockedChannels = newValue } }
    }

    /// For unsigned bytes with their channels last (``ChannelsLast``), the type that they have in the file.
    var bytesWithChannelsLast: ElementType? {
      get { details?.bytesWithChannelsLast }
      set { change { $0.bytesWithChannelsLast = newValue } }
    }

    /// For numbers of a 16-bit type that are kept in single precision, that type.
    var widenedType: ElementType? {
      get { details?.widenedType }
      set { change { $0.widenedType = newValue } }
    }

    /// Whether this is another value in another layout, and so none of the file's.
    var isReordered: Bool {
      get { details?.isReordered ?? false }
      set { change { $0.isReordered = newValue } }
    }

    private final class Details: Sendable {
      let constant: Tensor?
      let blockedChannels: Int?
      let bytesWithChannelsLast: ElementType?
      let widenedType: ElementType?
      let isReordered: Bool

      init(_ parts: Parts) {
        (constant, blockedChannels) = (parts.constant, parts.blockedChannels)
        bytesWithChannelsLast = parts.bytesWithChannelsLast
        (widenedType, isReordered) = (parts.widenedType, parts.isReordered)
      }
    }

    private struct Parts {
      var constant: Tensor?
      var blockedChannels: Int?
      var bytesWithChannelsLast: ElementType?
      var widenedType: ElementType?
      var isReordered = false

      init(_ details: Details?) {
        guard let details else { return }
        (constant, blockedChannels) = (details.constant, details.blockedChannels)
        bytesWithChannelsLast = details.bytesWithChannelsLast
        (widenedType, isReordered) = (details.widenedType, details.isReordered)
      }
    }

    private mutating func change(_ body: (inout Parts) -> Void) {
      var parts = Parts(details)
      body(&parts)
      details = Details(parts)
    }
  }

  var name = ""
  var values: [ValueRecord] = []
  var inputs: [ValueID] = []
  var outputs: [ValueID] = []
  var nodes: [Node] = []
  /// Inputs the caller may leave out, with the initializer that then stands in (IR 4 and later).
  var defaults: [ValueID: Tensor] = [:]
  /// What passes did, and what they nearly did, with the reason.
  var notes: [Note] = []
  /// How constants that passes folded came about, by name.
  var origins: [String: FoldOrigin] = [:]
  /// What passes have found of the values' shapes; see ``symbolicShapes()``.
  var shapesFound: SymbolicShapes?
}

/// How a folded constant came about.
struct FoldOrigin: Sendable {
  /// In words, the names of its sources in quotation marks; what was done first comes first.
  var steps: [String]
  /// The names of all constants that it was computed from.
  var sources: [String]
}

/// One call of an operator.
struct Node: Sendable {
  /// Which operator is called; one object for the many nodes that a model's file has of it.
  final class Kind: Sendable {
    let operatorName: String
    let domain: String
    let operatorSet: Int
    /// nil in domains that ONNX does not define.
    let schema: Schema?

    init(_ operatorName: String, domain: String, operatorSet: Int) {
      (self.operatorName, self.domain, self.operatorSet) = (operatorName, domain, operatorSet)
      schema = Schema.find(operatorName, domain: domain, operatorSet: operatorSet)
    }
  }

  var name: String
  private var kind: Kind
  var inputs: [Graph.ValueID?]
  var outputs: [Graph.ValueID?]
  /// As in the file, but for graphs, which are the operator's ``Operator/bodies``.
  var attributes: [String: Attribute]
  /// The operator with its attributes read.
  var implementation: any Operator

  init(
    name: String, kind: Kind, inputs: [Graph.ValueID?], outputs: [Graph.ValueID?],
    attributes: [String: Attribute], implementation: any Operator
  ) {
    (self.name, self.kind, self.inputs, self.outputs) = (name, kind, inputs, outputs)
    (self.attributes, self.implementation) = (attributes, implementation)
  }

  init(
    name: String, operatorName: String, domain: String, operatorSet: Int,
    inputs: [Graph.ValueID?], outputs: [Graph.ValueID?], attributes: [String: Attribute],
    implementation: any Operator
  ) {
    self.init(
      name: name, kind: Kind(operatorName, domain: domain, operatorSet: operatorSet),
      inputs: inputs, outputs: outputs, attributes: attributes, implementation: implementation)
  }

  var operatorName: String {
    get { kind.operatorName }
    set { kind = Kind(newValue, domain: domain, operatorSet: operatorSet) }
  }

  var domain: String {
    get { kind.domain }
    set { kind = Kind(operatorName, domain: newValue, operatorSet: operatorSet) }
  }

  /// What ONNX states of the operator; nil in domains that it does not define.
  var schema: Schema? { kind.schema }

  /// The version of the operator set its domain is imported at.
  var operatorSet: Int {
    get { kind.operatorSet }
    set { kind = Kind(operatorName, domain: domain, operatorSet: newValue) }
  }
}

/// A remark of a pass on a node, shown by `inspect --plan`.
public struct Note: Sendable {
  /// Whether the pass did what the remark says or declined to do it.
  public enum Kind: String, Sendable {
    /// It did.
    case done
    /// It did not.
    case declined
  }
  /// The name of the pass.
  public let pass: String
  /// Done or declined.
  public let kind: Kind
  /// The node's name.
  public let node: String
  /// What was done, or why not.
  public let text: String
}

extension Graph {
  /// Adds a value and returns its number.
  mutating func addValue(
    _ name: String, type: ValueType? = nil, shape: [Dimension]? = nil, constant: Tensor? = nil
  ) -> ValueID {
    values.append(ValueRecord(name: name, type: type, shape: shape, constant: constant))
    return values.count - 1
  }

  /// Adds a constant under a name that starts with `name` and is not taken.
  /// - Parameter taken: the names of all values.
  mutating func addConstant(_ name: String, _ tensor: Tensor, _ taken: inout Set<String>)
    -> ValueID
  {
    addValue(
      unique(name, &taken), type: .tensor(tensor.type), shape: tensor.shape.map { .known($0) },
      constant: tensor)
  }

  /// The constant a node reads as input `index`, if it is one of a type that the schema allows; a
  /// node with another is refused when it is planned.
  func constant(_ node: Node, _ index: Int) -> Tensor? {
    guard node.inputs.indices.contains(index), let id = node.inputs[index],
      let tensor = values[id].constant, node.allows(.tensor(tensor.type), at: index)
    else { return nil }
    return tensor
  }

  /// The number that a constant of single precision holds, if it is a single one.
  func scalar(_ id: ValueID?) -> Float? {
    guard let tensor = id.flatMap({ values[$0].constant }), tensor.type == .float,
      tensor.elementCount == 1, tensor.shape.count <= 1
    else { return nil }
    return tensor.converted(to: Float.self)[0]
  }

  /// For each value, the positions of the nodes that read it (once per reading).
  func readers() -> Readers { Readers(self) }

  /// For each value, the position of the node that makes it.
  func producers() -> [Int?] {
    var producers = [Int?](repeating: nil, count: values.count)
    let nodes = nodes.span
    for position in nodes.indices {
      for case let id? in nodes[position].outputs { producers[id] = position }
    }
    return producers
  }

  /// Records a remark of a pass.
  mutating func note(_ pass: String, _ kind: Note.Kind, _ node: Node, _ text: String) {
    notes.append(Note(pass: pass, kind: kind, node: node.name, text: text))
  }
}

extension Node {
  /// `"name" (Operator)`, as errors begin.
  var label: String { nodeLabel(name, operatorName, domain: domain) }

  /// The label with the types and shapes of the inputs.
  func label(_ inputs: some Sequence<Fact?>) -> String {
    let facts = inputs.map { $0.map(\.description) ?? "–" }.joined(separator: ", ")
    return nodeLabel(name, operatorName, domain: domain, details: "; \(facts)")
  }

  /// Makes the operator anew after a change of operator, inputs or attributes.
  mutating func remake() throws(ModelError) {
    let definition = NodeDefinition(
      name: name, operatorName: operatorName, domain: domain,
      inputs: inputs.map { $0.map(String.init) ?? "" },
      outputs: outputs.map { $0.map(String.init) ?? "" }, attributes: attributes)
    implementation = try OperatorTable.make(definition, operatorSet: operatorSet)
  }

  func hasInput(_ index: Int) -> Bool { inputs.indices.contains(index) && inputs[index] != nil }
}

/// `"name" (domain.Operator…)`, as errors begin.
func nodeLabel(
  _ name: String, _ operatorName: String, domain: String, details: String = ""
) -> String {
  "\"\(name)\" (\(domain.isEmpty ? "" : domain + ".")\(operatorName)\(details))"
}
