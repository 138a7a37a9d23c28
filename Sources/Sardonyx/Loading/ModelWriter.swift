internal import COnnx

extension ModelDefinition {
  /// The version written for models that state none: the first with all we write.
  private static let irVersion: Int64 = 10

  /// The bytes of the model's file.
  /// - Throws: ``ModelError`` (limit) where protobuf allows no message as long.
  public func bytes() throws(ModelError) -> [UInt8] { try message().bytes }

  /// Writes the model's file: whole or not at all, in place of one that was there.
  /// - Throws: ``ModelError`` (unreadable, limit).
  public func write(to path: String) throws(ModelError) {
    let message = try message()
    try unsafe replaceFile(path) { (write) throws(ModelError) in
      try unsafe message.forEachBlock(write)
    }
  }

  private func message() throws(ModelError) -> MessageWriter {
    var message = unsafe MessageWriter(onnx__model_proto__init)
    message.put("ir_version", irVersion == 0 ? Self.irVersion : irVersion)
    message.put(optional: "producer_name", producerName)
    message.put(optional: "producer_version", producerVersion)
    message.put(optional: "domain", domain)
    if modelVersion != 0 { message.put("model_version", modelVersion) }
    message.put(optional: "doc_string", documentation)
    message.put("graph") { $0.put(graph) }
    message.put(operatorSets)
    message.put(entries: metadata, as: "metadata_props")
    for function in functions { message.put("functions") { $0.put(function) } }
    guard message.byteCount <= Int(Int32.max) else {
      throw .unexpected(
        "the model's file", expected: "at most \(Int32.max) bytes", got: "\(message.byteCount)",
        code: .limit)
    }
    return message
  }
}

extension MessageWriter {
  /// `GraphProto`.
  fileprivate mutating func put(_ graph: GraphDefinition) {
    for node in graph.nodes { put("node") { $0.put(node) } }
    put("name", graph.name)
    for (name, tensor) in graph.initializers {
      put("initializer") { $0.put(tensor, name: name) }
    }
    put(optional: "doc_string", graph.documentation)
    for value in graph.inputs { put("input") { $0.put(value) } }
    for value in graph.outputs { put("output") { $0.put(value) } }
    for value in graph.values { put("value_info") { $0.put(value) } }
  }

  /// `NodeProto`.
  private mutating func put(_ node: NodeDefinition) {
    for input in node.inputs { put("input", input) }
    for output in node.outputs { put("output", output) }
    put(optional: "name", node.name)
    put("op_type", node.operatorName)
    put(optional: "domain", node.domain)
    put(optional: "overload", node.overload)
    put(node.attributes, as: "attribute")
  }

  /// `FunctionProto`.
  fileprivate mutating func put(_ function: FunctionDefinition) {
    put("name", function.name)
    put(optional: "domain", function.domain)
    put(optional: "overload", function.overload)
    for input in function.inputs { put("input", input) }
    for output in function.outputs { put("output", output) }
    for attribute in function.attributeNames { put("attribute", attribute) }
    put(function.attributeDefaults, as: "attribute_proto")
    for node in function.nodes { put("node") { $0.put(node) } }
    put(function.operatorSets)
  }

  fileprivate mutating func put(_ operatorSets: [String: Int]) {
    for (domain, version) in operatorSets.sorted(by: { $0.key < $1.key }) {
      put("opset_import") {
        $0.put("domain", domain)
        $0.put("version", version)
      }
    }
  }

  fileprivate mutating func put(entries: [String: String], as field: String) {
    for (key, value) in entries.sorted(by: { $0.key < $1.key }) {
      put(field) {
        $0.put("key", key)
        $0.put("value", value)
      }
    }
  }

  // MARK: - Attributes

  private mutating func put(_ attributes: [String: Attribute], as field: String) {
    for (name, attribute) in attributes.sorted(by: { $0.key < $1.key }) {
      put(field) {
        $0.put("name", name)
        $0.put(attribute)
      }
    }
  }

  /// The value of an `AttributeProto`, with its type.
  private mutating func put(_ attribute: Attribute) {
    typealias Kind = Onnx__AttributeProto__AttributeType
    func kind(_ kind: Kind) -> Int { Int(kind.rawValue) }
    switch attribute {
    case .float(let value):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT))
      put("f", value)
    case .int(let value):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT))
      put("i", value)
    case .string(let value):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING))
      put("s", value)
    case .tensor(let value):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR))
      put("t") { $0.put(value, name: "") }
    case .graph(let value):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH))
      put("g") { $0.put(value) }
    case .type(let type, let shape):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO))
      put("tp") { $0.put(type, shape: shape) }
    case .floats(let values):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS))
      for value in values { put("floats", value) }
    case .ints(let values):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS))
      for value in values { put("ints", value) }
    case .strings(let values):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS))
      for value in values { put("strings", value) }
    case .tensors(let values):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS))
      for value in values { put("tensors") { $0.put(value, name: "") } }
    case .graphs(let values):
      put("type", kind(ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS))
      for value in values { put("graphs") { $0.put(value) } }
    case .reference(let name):
      put("ref_attr_name", name)
    }
  }

  // MARK: - Types

  /// `ValueInfoProto`.
  private mutating func put(_ value: ValueDefinition) {
    put("name", value.name)
    if let type = value.type { put("type") { $0.put(type, shape: value.shape) } }
  }

  /// `TypeProto`.
  private mutating func put(_ type: ValueType, shape: [Dimension]? = nil) {
    switch type {
    case .tensor(let element): put(tensor: "tensor_type", element, shape)
    case .sparseTensor(let element): put(tensor: "sparse_tensor_type", element, shape)
    case .sequence(let element):
      put("sequence_type") { $0.put("elem_type") { $0.put(element) } }
    case .optional(let element):
      put("optional_type") { $0.put("elem_type") { $0.put(element) } }
    case .map(let key, let value):
      put("map_type") {
        $0.put("key_type", Int(key.rawValue))
        $0.put("value_type") { $0.put(value) }
      }
    }
  }

  private mutating func put(tensor field: String, _ type: ElementType, _ shape: [Dimension]?) {
    put(field) {
      $0.put("elem_type", Int(type.rawValue))
      guard let shape else { return }
      $0.put("shape") { $0.put(shape) }
    }
  }

  /// `TensorShapeProto`.
  private mutating func put(_ shape: [Dimension]) {
    for dimension in shape {
      put("dim") {
        switch dimension {
        case .known(let extent): $0.put("dim_value", extent)
        case .symbol(let name): $0.put("dim_param", name)
        case .unknown: break
        }
      }
    }
  }

  /// `TensorProto`: strings in their field, everything else as raw data.
  mutating func put(_ tensor: Tensor, name: String) {
    for extent in tensor.shape { put("dims", extent) }
    put("data_type", Int(tensor.type.rawValue))
    put(optional: "name", name)
    if let strings = try? tensor.strings() {
      for text in strings { put("string_data", text) }
    } else if tensor.type.fileBitCount < 8 {
      let elements = tensor.reinterpreted(as: .uint8).array(of: UInt8.self)
      put("raw_data", bytes: packed(elements, tensor.type))
    } else {
      put("raw_data", elementsOf: tensor)
    }
  }
}
