/// What a model file holds, node by node and value by value, whether or not this build can run it.
public struct ModelListing: Sendable {
  /// A node as the file has it.
  public struct Node: Sendable {
    /// As in the file; empty where the file gives none.
    public let name: String
    /// The operator or function.
    public let operatorName: String
    /// "" for ONNX's own.
    public let domain: String
    /// The names of its inputs; "" for one left out.
    public let inputs: [String]
    /// The names of its outputs; "" for one left out.
    public let outputs: [String]
    /// Names and values of the attributes, by name; graphs and large tensors are told in short.
    public let attributes: [(name: String, value: String)]
    /// How many graphs lie around it besides the model's own.
    public let depth: Int
  }

  /// A constant of the file.
  public struct Weight: Sendable {
    /// Its name.
    public let name: String
    /// Its elements.
    public let tensor: Tensor

    /// What can be said of its numbers; nil for none, and for strings and complex numbers.
    public var statistics: Statistics? { Statistics(of: tensor) }
  }

  /// Of finite numbers.
  public struct Statistics: Sendable, Equatable {
    /// The least.
    public let minimum: Double
    /// The greatest.
    public let maximum: Double
    /// Their sum by their count.
    public let mean: Double
    /// The root of the mean square distance from the mean.
    public let deviation: Double
    /// How many are exactly 0.
    public let zeroCount: Int
    /// How many are infinite or NaN, which count for nothing else.
    public let notFiniteCount: Int

    /// - Returns: nil where no element is a finite number.
    init?(of tensor: Tensor) {
      guard tensor.type.computed != nil else { return nil }
      var (least, most, sum, squares) = (Double.infinity, -Double.infinity, 0.0, 0.0)
      var (finiteCount, zeroCount) = (0, 0)
      tensor.forEachStretch { _, numbers in
        for number in numbers where number.isFinite {
          (least, most) = (min(least, number), max(most, number))
          sum += number
          finiteCount += 1
          if number == 0 { zeroCount += 1 }
        }
      }
      guard finiteCount > 0 else { return nil }
      let mean = sum / Double(finiteCount)
      tensor.forEachStretch { _, numbers in
        for number in numbers where number.isFinite { squares += (number - mean) * (number - mean) }
      }
      (minimum, maximum, self.mean) = (least, most, mean)
      deviation = (squares / Double(finiteCount)).squareRoot()
      self.zeroCount = zeroCount
      notFiniteCount = tensor.elementCount - finiteCount
    }
  }

  /// An operator of the model.
  public struct Operator: Sendable {
    /// Its name.
    public let name: String
    /// "" for ONNX's own.
    public let domain: String
    /// The operator set that is imported; nil where the model imports none.
    public let operatorSet: Int?
    /// How often it is used, bodies and functions included.
    public let count: Int
    /// Whether this build has it, or the model defines it as a function.
    public let isSupported: Bool
  }

  /// The nodes in the file's order, those of a body behind the node that holds it.
  public let nodes: [Node]
  /// Inputs, outputs and inner values with the types and shapes that are declared or follow from the
  /// inputs'.
  public let values: [ValueDefinition]
  /// The initializers, bodies included.
  public let weights: [Weight]
  /// By domain and name.
  public let operators: [Operator]

  /// The operators that this build lacks.
  public var missingOperators: [Operator] { operators.filter { !$0.isSupported } }

  /// Lists a model of which nothing but the file need be sound.
  /// - Parameter definition: as ``ModelDefinition/init(path:)`` reads it.
  public init(_ definition: ModelDefinition) {
    var nodes: [Node] = []
    var weights: [Weight] = []
    Self.list(definition.graph, depth: 0, &nodes, &weights)
    self.nodes = nodes
    self.weights = weights
    values = Self.values(definition)
    operators = Self.operators(of: definition)
  }

  /// The operators of a model by domain and name, without a list of all else.
  /// - Parameter definition: as ``ModelDefinition/init(path:)`` reads it.
  public static func operators(of definition: ModelDefinition) -> [Operator] {
    var counts: [String: [String: Int]] = [:]
    func count(_ nodes: [NodeDefinition]) {
      for node in nodes {
        counts[node.domain, default: [:]][node.operatorName, default: 0] += 1
        for body in node.bodies { count(body.graph.nodes) }
      }
    }
    count(definition.graph.nodes)
    for function in definition.functions { count(function.nodes) }
    let functions = Set(definition.functions.map { [$0.domain, $0.name] })
    return counts.sorted { $0.key < $1.key }.flatMap { domain, counts in
      counts.sorted { $0.key < $1.key }.map { name, count in
        Operator(
          name: name, domain: domain, operatorSet: definition.operatorSets[domain], count: count,
          isSupported: OperatorTable.find(name, domain: domain) != nil
            || OperatorTable.expansion(of: name, domain: domain) != nil
            || functions.contains([domain, name]))
      }
    }
  }

  private static func list(
    _ graph: GraphDefinition, depth: Int, _ nodes: inout [Node], _ weights: inout [Weight]
  ) {
    weights += graph.initializers.map { Weight(name: $0.name, tensor: $0.tensor) }
    for node in graph.nodes {
      nodes.append(
        Node(
          name: node.name, operatorName: node.operatorName, domain: node.domain,
          inputs: node.inputs, outputs: node.outputs,
          attributes: node.attributes.sorted { $0.key < $1.key }.map { ($0.key, $0.value.text) },
          depth: depth))
      for body in node.bodies { list(body.graph, depth: depth + 1, &nodes, &weights) }
    }
  }

  /// With what follows from the inputs where the graph can be built, else as declared.
  private static func values(_ definition: ModelDefinition) -> [ValueDefinition] {
    guard let graph = try? Graph(definition) else {
      let own = definition.graph
      let declared = Dictionary(
        (own.inputs + own.values + own.outputs).map { ($0.name, $0) }, uniquingKeysWith: { $1 })
      let made = own.nodes.flatMap(\.outputs).filter { !$0.isEmpty }
      return (own.inputs.map(\.name) + made).map { declared[$0] ?? ValueDefinition(name: $0) }
    }
    let shapes = SymbolicShapes(graph).facts
    let made = graph.nodes.flatMap(\.outputs).compactMap(\.self)
    return (graph.inputs + made).map { id in
      let record = graph.values[id]
      return ValueDefinition(
        name: record.name, type: shapes[id].type ?? record.type,
        shape: shapes[id].shape ?? record.shape)
    }
  }
}

extension ModelDefinition {
  /// Reads a model file without asking whether this build can run it.
  /// - Parameter path: external data is looked for beside it.
  /// - Throws: ``ModelError``: unreadable, malformed or invalid.
  public init(path: String) throws(ModelError) {
    do throws(ModelError) {
      try self.init(try ModelFile(path: path), folder: folderName(path))
    } catch {
      throw error.in(file: path)
    }
  }

  /// Reads a model from the bytes of its file, without asking whether this build can run it.
  /// - Parameters:
  ///   - bytes: all of the file's.
  ///   - directory: where external data is looked for; nil refuses it.
  /// - Throws: ``ModelError``: unreadable, malformed or invalid.
  public init(bytes: [UInt8], directory: String? = nil) throws(ModelError) {
    try self.init(ModelFile(bytes: bytes), folder: directory)
  }
}

extension Attribute {
  /// How a listing shows it.
  fileprivate var text: String {
    func list(_ texts: [String]) -> String {
      let shown = texts.prefix(16).joined(separator: ", ")
      return "[\(shown)\(texts.count > 16 ? ", … \(texts.count) in all" : "")]"
    }
    switch self {
    case .float(let number): return "\(number)"
    case .int(let number): return "\(number)"
    case .string(let text): return "\"\(text)\""
    case .tensor(let tensor): return Self.text(tensor)
    case .graph(let graph): return "graph of \(graph.nodes.count) nodes"
    case .type(let type, _): return "\(type)"
    case .floats(let numbers): return list(numbers.map { "\($0)" })
    case .ints(let numbers): return list(numbers.map { "\($0)" })
    case .strings(let texts): return list(texts.map { "\"\($0)\"" })
    case .tensors(let tensors): return list(tensors.map(Self.text))
    case .graphs(let graphs): return "\(graphs.count) graphs"
    case .reference(let name): return "the caller's \(name)"
    }
  }

  private static func text(_ tensor: Tensor) -> String {
    let caption = "\(tensor.type)[\(tensor.shape.joined)]"
    guard tensor.elementCount <= 8, let numbers = try? tensor.numbers() else { return caption }
    let texts = numbers.map { tensor.type.isFloatingPoint ? "\($0)" : "\($0.saturated() as Int)" }
    return "\(caption) {\(texts.joined(separator: ", "))}"
  }
}
