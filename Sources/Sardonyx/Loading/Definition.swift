/// A model as its file states it: names, not yet resolved to one another.
///
/// The loader reads it from protobuf, the writer writes it back, `GraphBuilder` makes a `Graph`.
public struct ModelDefinition: Sendable {
  /// The version of the file format.
  public var irVersion: Int64 = 0
  /// The tool that wrote the file.
  public var producerName = ""
  /// The tool's version.
  public var producerVersion = ""
  /// The model's namespace, such as `com.example`.
  public var domain = ""
  /// The model's own version.
  public var modelVersion: Int64 = 0
  /// What the author says of the model.
  public var documentation = ""
  /// Operator-set version by domain; the domain of ONNX itself is "".
  public var operatorSets: [String: Int] = [:]
  /// Further remarks by key.
  public var metadata: [String: String] = [:]
  /// The graph's name.
  public var graphName: String { graph.name }
  /// What the author says of the graph.
  public var graphDocumentation: String { graph.documentation }
  var graph = GraphDefinition()
  var functions: [FunctionDefinition] = []
  /// The file it came from, for messages.
  var file: String?
}

/// A graph of a model, or of an attribute of If, Loop, Scan and their like.
struct GraphDefinition: Sendable {
  var name = ""
  var documentation = ""
  var inputs: [ValueDefinition] = []
  var outputs: [ValueDefinition] = []
  /// Types and shapes of inner values, as far as the file states them.
  var values: [ValueDefinition] = []
  /// Constants by name; a sparse one is already dense here.
  var initializers: [(name: String, tensor: Tensor)] = []
  var nodes: [NodeDefinition] = []
}

/// A name with the type and shape declared for it.
public struct ValueDefinition: Sendable {
  /// The value's name.
  public var name: String
  /// The declared type; nil where the file is silent.
  public var type: ValueType?
  /// nil where no rank is declared, and for values that are not tensors.
  public var shape: [Dimension]?

  /// A name with what is declared for it.
  public init(name: String, type: ValueType? = nil, shape: [Dimension]? = nil) {
    self.name = name
    self.type = type
    self.shape = shape
  }
}

/// A call of an operator or a function.
struct NodeDefinition: Sendable {
  var name = ""
  var operatorName = ""
  /// "" for ONNX's own operators ("ai.onnx" is read as "").
  var domain = ""
  var overload = ""
  /// The version of its operator set where that is not the model's: in a node of a function.
  var operatorSet: Int?
  /// Names; "" for one left out.
  var inputs: [String] = []
  var outputs: [String] = []
  var attributes: [String: Attribute] = [:]
}

extension NodeDefinition {
  /// `"name" (Operator)`, as errors begin.
  var label: String { nodeLabel(name, operatorName, domain: domain) }

  /// The graphs among the attributes, by name in alphabetical order.
  var bodies: [(attribute: String, graph: GraphDefinition)] {
    if attributes.isEmpty { return [] }
    return attributes.sorted { $0.key < $1.key }.compactMap { name, value in
      if case .graph(let graph) = value { (name, graph) } else { nil }
    }
  }
}

extension GraphDefinition {
  /// The names this graph itself gives a value to.
  var definedNames: Set<String> {
    var names = Set(inputs.map(\.name))
    names.formUnion(initializers.map(\.name))
    for node in nodes { names.formUnion(node.outputs) }
    names.remove("")
    return names
  }

  /// The names of its inputs and outputs and those that nodes read, here and in the graphs inside.
  var readNames: Set<String> {
    var names = Set(inputs.map(\.name) + outputs.map(\.name))
    for node in nodes {
      names.formUnion(node.inputs)
      for body in node.bodies { names.formUnion(body.graph.readNames) }
    }
    return names
  }

  /// The names that this graph, or a graph in it, reads from the graphs around it, each once.
  var capturedNames: [String] {
    var seen = definedNames
    var captured: [String] = []
    func read(_ name: String) {
      if !name.isEmpty && seen.insert(name).inserted { captured.append(name) }
    }
    for node in nodes {
      node.inputs.forEach(read)
      for body in node.bodies { body.graph.capturedNames.forEach(read) }
    }
    outputs.map(\.name).forEach(read)
    return captured
  }
}

/// A function of a model: a named graph whose attributes are set by the caller.
struct FunctionDefinition: Sendable {
  var name = ""
  var domain = ""
  var overload = ""
  var inputs: [String] = []
  var outputs: [String] = []
  /// Attributes without a default.
  var attributeNames: [String] = []
  /// Attributes with their defaults.
  var attributeDefaults: [String: Attribute] = [:]
  var operatorSets: [String: Int] = [:]
  var nodes: [NodeDefinition] = []
}

/// The value of a node's attribute.
indirect enum Attribute: Sendable {
  case float(Float)
  case int(Int)
  case string(String)
  case tensor(Tensor)
  case graph(GraphDefinition)
  case type(ValueType, shape: [Dimension]?)
  case floats([Float])
  case ints([Int])
  case strings([String])
  case tensors([Tensor])
  case graphs([GraphDefinition])
  /// Inside a function: the caller's attribute of this name.
  case reference(String)

  /// The word for this kind in messages.
  var kind: String {
    switch self {
    case .float: "float"
    case .int: "int"
    case .string: "string"
    case .tensor: "tensor"
    case .graph: "graph"
    case .type: "type"
    case .floats: "list of floats"
    case .ints: "list of ints"
    case .strings: "list of strings"
    case .tensors: "list of tensors"
    case .graphs: "list of graphs"
    case .reference(let name): "reference to \(name)"
    }
  }
}

extension [String: Attribute] {
  /// The integer of that name; nil where there is none.
  func int(_ name: String) -> Int? {
    if case .int(let value)? = self[name] { value } else { nil }
  }

  /// The number of that name; nil where there is none.
  func float(_ name: String) -> Float? {
    if case .float(let value)? = self[name] { value } else { nil }
  }
}
