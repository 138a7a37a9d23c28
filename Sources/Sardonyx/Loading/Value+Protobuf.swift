extension Value {
  /// Reads a TensorProto, SequenceProto or OptionalProto, whichever `type` asks for.
  public init(protobuf bytes: [UInt8], as type: ValueType) throws(ModelError) {
    throw ModelError(.unsupported, "reading protobuf values")
  }

  /// The value as a TensorProto, SequenceProto or OptionalProto.
  public func protobuf() throws(ModelError) -> [UInt8] {
    throw ModelError(.unsupported, "writing protobuf values")
  }
}
