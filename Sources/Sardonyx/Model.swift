/// A model as loaded: its graph, ready to be prepared for running by a ``Session``.
public struct Model: Sendable {
  /// What the file says of the model: producer, versions, metadata.
  public let definition: ModelDefinition
  /// The graph exactly as written, BatchNormalization and all.
  let graph: Graph

  /// Loads a model file.
  ///
  /// Weights stay in the mapped file; external data is looked for beside it.
  /// - Throws: ``ModelError``: unreadable, malformed, invalid, or unsupported, the last naming all
  ///   nodes that this build has no operator for.
  public init(path: String) throws(ModelError) {
    do throws(ModelError) {
      try self.init(try ModelFile(path: path), folder: folderName(path))
    } catch {
      throw error.in(file: path)
    }
  }

  /// Loads a model from the bytes of its file.
  /// - Parameters:
  ///   - bytes: all of the file's.
  ///   - directory: where external data is looked for; nil refuses it.
  public init(bytes: [UInt8], directory: String? = nil) throws(ModelError) {
    try self.init(ModelFile(bytes: bytes), folder: directory)
  }

  private init(_ file: ModelFile, folder: String?) throws(ModelError) {
    try self.init(try ModelDefinition(file, folder: folder))
  }

  /// The model a definition describes.
  /// - Throws: ``ModelError``: invalid, or unsupported, which names all nodes that this build has no
  ///   operator for.
  public init(_ definition: ModelDefinition) throws(ModelError) {
    self.definition = definition
    do throws(ModelError) { graph = try Graph(definition) } catch {
      throw error.in(file: definition.file)
    }
  }

  /// The inputs a caller gives, in the file's order; those with a default may be left out.
  public var inputs: [ValueDefinition] { graph.inputs.map(graph.definition(of:)) }

  /// The outputs, in the file's order.
  public var outputs: [ValueDefinition] { graph.outputs.map(graph.definition(of:)) }

  /// The names of the values that nodes of the graph make, bodies left out, in the graph's order.
  public var valueNames: [String] {
    let nodes = graph.nodes.span
    var names: [String] = []
    for position in nodes.indices {
      for case let id? in nodes[position].outputs { names.append(graph.values[id].name) }
    }
    return names
  }

  /// The names of inputs that an initializer of the file stands in for.
  public var optionalInputs: Set<String> { Set(graph.defaults.keys.map { graph.values[$0].name }) }

  /// Runs `body` and adds the model's file to what it throws.
  func naming<Result>(_ body: () throws(ModelError) -> Result) throws(ModelError) -> Result {
    do throws(ModelError) { return try body() } catch {
      throw error.in(file: definition.file)
    }
  }
}

extension Graph {
  func definition(of id: ValueID) -> ValueDefinition {
    ValueDefinition(name: values[id].name, type: values[id].type, shape: values[id].shape)
  }
}
