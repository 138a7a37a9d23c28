internal import COnnx

extension ModelDefinition {
  /// Reads a model from its file.
  /// - Parameter folder: where external data is looked for; nil refuses it.
  init(_ file: ModelFile, folder: String?) throws(ModelError) {
    guard file.byteCount > 0 else { throw ModelError(.malformed, "the file is empty") }
    self = unsafe try withMessage(of: file, onnx__model_proto__init) { (proto) throws(ModelError) in
      guard unsafe proto.graph != nil else {
        throw ModelError(.malformed, "the file holds no graph", hint: file.appearance)
      }
      return unsafe try ModelReader(tensors: TensorReader(file, folder: folder)).model(proto)
    }
    self.file = file.path
  }
}

/// Turns unpacked protobuf messages into definitions.
struct ModelReader {
  let tensors: TensorReader

  func model(_ proto: Onnx__ModelProto) throws(ModelError) -> ModelDefinition {
    var model = ModelDefinition()
    model.irVersion = unsafe proto.ir_version
    model.producerName = unsafe text(proto.producer_name)
    model.producerVersion = unsafe text(proto.producer_version)
    model.domain = unsafe text(proto.domain)
    model.modelVersion = unsafe proto.model_version
    model.documentation = unsafe text(proto.doc_string)
    model.operatorSets = unsafe try operatorSets(proto.n_opset_import, proto.opset_import)
    // Imports came with IR 3; before, there was one operator set.
    if model.operatorSets.isEmpty && model.irVersion < 3 { model.operatorSets[""] = 1 }
    model.metadata = unsafe dictionary(proto.n_metadata_props, proto.metadata_props)
    model.graph = unsafe try graph(proto.graph.pointee)
    model.functions = unsafe try messages(proto.n_functions, proto.functions)
      .map { (function) throws(ModelError) in unsafe try self.function(function) }
    return model
  }

  private func operatorSets(
    _ count: Int,
    _ field: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__OperatorSetIdProto>?>?
  ) throws(ModelError) -> [String: Int] {
    var sets: [String: Int] = [:]
    let entries = unsafe messages(count, field).map {
      unsafe (domainName($0.domain), Int($0.version))
    }
    for (domain, version) in entries {
      if let other = sets[domain], other != version {
        throw ModelError(
          .invalid,
          "operator set \"\(domain)\": expected one version, got \(other) and \(version)")
      }
      sets[domain] = version
    }
    return sets
  }

  func graph(_ proto: Onnx__GraphProto) throws(ModelError) -> GraphDefinition {
    var graph = GraphDefinition()
    graph.name = unsafe text(proto.name)
    graph.documentation = unsafe text(proto.doc_string)
    graph.inputs = unsafe try messages(proto.n_input, proto.input).map(value)
    graph.outputs = unsafe try messages(proto.n_output, proto.output).map(value)
    graph.values = unsafe try messages(proto.n_value_info, proto.value_info).map(value)
    graph.nodes = unsafe try messages(proto.n_node, proto.node).map(node)
    graph.initializers = unsafe try initializers(
      messages(proto.n_initializer, proto.initializer), of: graph)
    graph.initializers += unsafe try messages(
      proto.n_sparse_initializer, proto.sparse_initializer
    ).map(tensors.sparse)
    return graph
  }

  /// The initializers of a graph, but for those that nothing reads and whose external data are
  /// missing: tools that cut a model leave them behind.
  private func initializers(_ protos: [Onnx__TensorProto], of graph: GraphDefinition)
    throws(ModelError) -> [(name: String, tensor: Tensor)]
  {
    var initializers: [(name: String, tensor: Tensor)] = []
    var read: Set<String>?
    for index in unsafe protos.indices {
      let proto = unsafe protos[index]
      let name = unsafe text(proto.name)
      do throws(ModelError) {
        initializers.append((name, unsafe try tensors.tensor(proto)))
      } catch {
        let names = read ?? graph.readNames
        read = names
        guard error.code == .unreadable, !names.contains(name) else { throw error }
      }
    }
    return initializers
  }

  private func value(_ proto: Onnx__ValueInfoProto) throws(ModelError) -> ValueDefinition {
    let name = unsafe text(proto.name)
    let declared = try about("value \"\(name)\"") { () throws(ModelError) in
      unsafe try declaredType(proto.type)
    }
    return ValueDefinition(name: name, type: declared?.type, shape: declared?.shape)
  }

  private func node(_ proto: Onnx__NodeProto) throws(ModelError) -> NodeDefinition {
    var node = NodeDefinition()
    node.name = unsafe text(proto.name)
    node.operatorName = unsafe text(proto.op_type)
    node.domain = unsafe domainName(proto.domain)
    node.overload = unsafe text(proto.overload)
    node.inputs = unsafe texts(proto.n_input, proto.input)
    node.outputs = unsafe texts(proto.n_output, proto.output)
    do throws(ModelError) {
      node.attributes = unsafe try attributes(messages(proto.n_attribute, proto.attribute))
    } catch {
      throw error.at(node: node.label)
    }
    // A sparse tensor is dense from here on.
    if node.operatorName == "Constant", let value = node.attributes["sparse_value"] {
      node.attributes["sparse_value"] = nil
      node.attributes["value"] = value
    }
    return node
  }

  private func function(_ proto: Onnx__FunctionProto) throws(ModelError) -> FunctionDefinition {
    var function = FunctionDefinition()
    function.name = unsafe text(proto.name)
    function.domain = unsafe domainName(proto.domain)
    function.overload = unsafe text(proto.overload)
    function.inputs = unsafe texts(proto.n_input, proto.input)
    function.outputs = unsafe texts(proto.n_output, proto.output)
    function.attributeNames = unsafe texts(proto.n_attribute, proto.attribute)
    function.attributeDefaults = unsafe try attributes(
      messages(proto.n_attribute_proto, proto.attribute_proto))
    function.operatorSets = unsafe try operatorSets(proto.n_opset_import, proto.opset_import)
    function.nodes = unsafe try messages(proto.n_node, proto.node).map(node)
    return function
  }

  // MARK: - Attributes

  private func attributes(_ protos: [Onnx__AttributeProto]) throws(ModelError)
    -> [String: Attribute]
  {
    var attributes: [String: Attribute] = [:]
    let pairs = unsafe try protos.map { (proto) throws(ModelError) in
      unsafe (text(proto.name), try attribute(proto))
    }
    for (name, attribute) in pairs {
      guard attributes.updateValue(attribute, forKey: name) == nil else {
        throw ModelError(.invalid, "the attribute \(name) is given twice")
      }
    }
    return attributes
  }

  private func attribute(_ proto: Onnx__AttributeProto) throws(ModelError) -> Attribute {
    let reference = unsafe text(proto.ref_attr_name)
    if !reference.isEmpty { return .reference(reference) }
    switch unsafe kind(proto) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: return .float(unsafe proto.f)
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: return .int(unsafe Int(proto.i))
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING: return .string(unsafe text(proto.s))
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
      return .floats(unsafe numbers(proto.n_floats, proto.floats))
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
      return .ints(unsafe numbers(proto.n_ints, proto.ints).map(Int.init))
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
      return .strings(unsafe texts(proto.n_strings, proto.strings))
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
      if let tensor = unsafe proto.t { return .tensor(unsafe try tensors.tensor(tensor.pointee)) }
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR:
      if let sparse = unsafe proto.sparse_tensor {
        return .tensor(unsafe try tensors.sparse(sparse.pointee).1)
      }
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
      if let graph = unsafe proto.g { return .graph(unsafe try self.graph(graph.pointee)) }
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO:
      if let declared = unsafe try declaredType(proto.tp) {
        return .type(declared.type, shape: declared.shape)
      }
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS:
      return .tensors(unsafe try messages(proto.n_tensors, proto.tensors).map(tensors.tensor))
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS:
      return .graphs(unsafe try messages(proto.n_graphs, proto.graphs).map(graph))
    default: break
    }
    throw ModelError(
      .malformed,
      "attribute \(unsafe text(proto.name)): expected a value of its type, got none")
  }

  /// The kind of an attribute; IR 1 does not state it.
  private func kind(_ proto: Onnx__AttributeProto) -> Onnx__AttributeProto__AttributeType {
    let stated = unsafe proto.type
    guard stated == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED else { return stated }
    if unsafe proto.t != nil { return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR }
    if unsafe proto.g != nil { return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH }
    if unsafe proto.n_floats > 0 { return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS }
    if unsafe proto.n_ints > 0 { return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS }
    if unsafe proto.n_strings > 0 { return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS }
    if unsafe proto.s.len > 0 { return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING }
    if unsafe proto.f != 0 { return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT }
    return ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT
  }
}

/// A domain's name; ONNX's own has two spellings.
private func domainName(_ field: UnsafePointer<CChar>?) -> String {
  let name = unsafe text(field)
  return name == "ai.onnx" ? "" : name
}

/// Entries of a key and a value; the last of a key counts.
func dictionary(
  _ count: Int,
  _ field: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__StringStringEntryProto>?>?
) -> [String: String] {
  let pairs = unsafe messages(count, field).map { unsafe (text($0.key), text($0.value)) }
  return Dictionary(pairs) { _, last in last }
}
