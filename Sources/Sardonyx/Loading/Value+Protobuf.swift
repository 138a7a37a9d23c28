internal import COnnx

extension Value {
  /// Reads a value from the bytes of a `TensorProto`, or of the message that the type calls for:
  /// `SequenceProto`, `OptionalProto`, `MapProto`, `SparseTensorProto` (made dense).
  /// - Throws: ``ModelError``: malformed, unsupported.
  public init(protobuf bytes: [UInt8], as type: ValueType) throws(ModelError) {
    try self.init(ModelFile(bytes: bytes), as: type)
  }

  /// Reads a value from a file of such bytes.
  public init(protobufAt path: String, as type: ValueType) throws(ModelError) {
    do throws(ModelError) {
      try self.init(try ModelFile(path: path), as: type)
    } catch {
      throw error.in(file: path)
    }
  }

  private init(_ file: ModelFile, as type: ValueType) throws(ModelError) {
    let reader = ValueReader(tensors: TensorReader(file, folder: nil))
    switch type {
    case .tensor:
      self = unsafe try withMessage(of: file, onnx__tensor_proto__init) {
        (proto) throws(ModelError) in unsafe .tensor(try reader.tensors.tensor(proto))
      }
    case .sparseTensor:
      self = unsafe try withMessage(of: file, onnx__sparse_tensor_proto__init) {
        (proto) throws(ModelError) in unsafe .tensor(try reader.tensors.sparse(proto).tensor)
      }
    case .sequence(let element):
      self = unsafe try withMessage(of: file, onnx__sequence_proto__init) {
        (proto) throws(ModelError) in unsafe try reader.sequence(proto, of: element)
      }
    case .optional(let element):
      self = unsafe try withMessage(of: file, onnx__optional_proto__init) {
        (proto) throws(ModelError) in unsafe try reader.optional(proto, of: element)
      }
    case .map:
      self = unsafe try withMessage(of: file, onnx__map_proto__init) {
        (proto) throws(ModelError) in unsafe try reader.map(proto)
      }
    }
  }
}

/// Turns the messages of `onnx-data.proto` into values.
private struct ValueReader {
  let tensors: TensorReader

  func sequence(_ proto: Onnx__SequenceProto, of element: ValueType) throws(ModelError) -> Value {
    let elements: [Value] =
      switch element {
      case .tensor:
        unsafe try messages(proto.n_tensor_values, proto.tensor_values)
          .map { (tensor) throws(ModelError) in unsafe .tensor(try tensors.tensor(tensor)) }
      case .sparseTensor:
        unsafe try messages(proto.n_sparse_tensor_values, proto.sparse_tensor_values)
          .map { (sparse) throws(ModelError) in unsafe .tensor(try tensors.sparse(sparse).tensor) }
      case .sequence(let inner):
        unsafe try messages(proto.n_sequence_values, proto.sequence_values)
          .map { (value) throws(ModelError) in unsafe try sequence(value, of: inner) }
      case .optional(let inner):
        unsafe try messages(proto.n_optional_values, proto.optional_values)
          .map { (value) throws(ModelError) in unsafe try optional(value, of: inner) }
      case .map:
        unsafe try messages(proto.n_map_values, proto.map_values).map(map)
      }
    return .sequence(elements, of: element)
  }

  func optional(_ proto: Onnx__OptionalProto, of element: ValueType) throws(ModelError) -> Value {
    var value: Value?
    switch element {
    case .tensor:
      if let tensor = unsafe proto.tensor_value?.pointee {
        value = .tensor(unsafe try tensors.tensor(tensor))
      }
    case .sparseTensor:
      if let sparse = unsafe proto.sparse_tensor_value?.pointee {
        value = .tensor(unsafe try tensors.sparse(sparse).tensor)
      }
    case .sequence(let inner):
      if let sequence = unsafe proto.sequence_value?.pointee {
        value = unsafe try self.sequence(sequence, of: inner)
      }
    case .optional(let inner):
      if let optional = unsafe proto.optional_value?.pointee {
        value = unsafe try self.optional(optional, of: inner)
      }
    case .map:
      if let map = unsafe proto.map_value?.pointee { value = unsafe try self.map(map) }
    }
    return .optional(value, of: element)
  }

  /// A map, whose values are scalars.
  func map(_ proto: Onnx__MapProto) throws(ModelError) -> Value {
    let type = try elementType(unsafe proto.key_type)
    let keys =
      if type == .string {
        unsafe Tensor(
          strings: texts(proto.n_string_keys, proto.string_keys), [proto.n_string_keys])
      } else if type.isInteger {
        unsafe Tensor(converting: numbers(proto.n_keys, proto.keys), to: type, [proto.n_keys])
      } else {
        throw .unexpected(
          "keys of a map", expected: "integers or strings", got: "\(type)", code: .malformed)
      }
    var values: [Tensor] = []
    if let sequence = unsafe proto.values?.pointee {
      values = unsafe try messages(sequence.n_tensor_values, sequence.tensor_values)
        .map(tensors.tensor)
    }
    guard values.count == keys.elementCount else {
      throw .unexpected(
        "values of a map", expected: "\(keys.elementCount), one per key", got: "\(values.count)",
        code: .malformed)
    }
    return .map(keys: keys, values: try joined(values))
  }

  /// Scalars of one type as a tensor of rank 1.
  private func joined(_ scalars: [Tensor]) throws(ModelError) -> Tensor {
    let type = scalars.first?.type ?? .float
    guard scalars.allSatisfy({ $0.type == type && $0.elementCount == 1 }) else {
      throw ModelError(.malformed, "values of a map: expected scalars of one type, got others")
    }
    if type == .string {
      return Tensor(
        strings: try scalars.map { (scalar) throws(ModelError) in try scalar.strings()[0] },
        [scalars.count])
    }
    let joined = Tensor(zeros: type, [scalars.count])
    for (index, scalar) in scalars.enumerated() {
      unsafe joined.storage.base.advanced(by: index * type.byteCount).copyMemory(
        from: scalar.bytes, byteCount: type.byteCount)
    }
    return joined
  }
}

// MARK: - Writing

extension Value {
  /// The bytes of the message that ``init(protobuf:as:)`` reads.
  public func protobuf(name: String = "") -> [UInt8] {
    var message =
      switch self {
      case .tensor: unsafe MessageWriter(onnx__tensor_proto__init)
      case .sequence: unsafe MessageWriter(onnx__sequence_proto__init)
      case .optional: unsafe MessageWriter(onnx__optional_proto__init)
      case .map: unsafe MessageWriter(onnx__map_proto__init)
      }
    message.put(self, name: name)
    return message.bytes
  }
}

extension MessageWriter {
  /// A value as the message of its kind.
  fileprivate mutating func put(_ value: Value, name: String) {
    switch value {
    case .tensor(let tensor): put(tensor, name: name)
    case .sequence(let elements, let type):
      put(optional: "name", name)
      put("elem_type", type.kind.number)
      for element in elements { put(type.kind.field + "s") { $0.put(element, name: "") } }
    case .optional(let element, let type):
      put(optional: "name", name)
      put("elem_type", type.kind.number)
      if let element { put(type.kind.field) { $0.put(element, name: "") } }
    case .map(let keys, let values):
      put(optional: "name", name)
      put("key_type", Int(keys.type.rawValue))
      if let strings = try? keys.strings() {
        for key in strings { put("string_keys", key) }
      } else {
        for key in keys.converted(to: Int64.self) { put("keys", key) }
      }
      put("values") {
        $0.put("elem_type", ValueType.tensor(values.type).kind.number)
        for index in 0..<values.elementCount {
          let scalar = Tensor(
            values.type, [], storage: values.storage,
            byteOffset: values.byteOffset + index * values.type.byteCount, texts: values.texts)
          $0.put("tensor_values") { $0.put(scalar, name: "") }
        }
      }
    }
  }
}

extension ValueType {
  /// `SequenceProto.DataType` and the field of an element of this type, alike in `OptionalProto`.
  fileprivate var kind: (number: Int, field: String) {
    switch self {
    case .tensor: (1, "tensor_value")
    case .sparseTensor: (2, "sparse_tensor_value")
    case .sequence: (3, "sequence_value")
    case .map: (4, "map_value")
    case .optional: (5, "optional_value")
    }
  }
}
