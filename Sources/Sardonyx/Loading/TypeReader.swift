internal import COnnx

/// The type and shape a `TypeProto` declares; nil where it leaves the type open.
func declaredType(_ field: UnsafeMutablePointer<Onnx__TypeProto>?) throws(ModelError)
  -> (type: ValueType, shape: [Dimension]?)?
{
  guard let proto = unsafe field?.pointee else { return nil }
  switch unsafe proto.value_case {
  case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
    guard let tensor = unsafe proto.tensor_type?.pointee, unsafe tensor.elem_type != 0 else {
      return nil
    }
    return unsafe (.tensor(try elementType(tensor.elem_type)), try dimensions(tensor.shape))
  case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
    guard let tensor = unsafe proto.sparse_tensor_type?.pointee, unsafe tensor.elem_type != 0
    else { return nil }
    return unsafe (.sparseTensor(try elementType(tensor.elem_type)), try dimensions(tensor.shape))
  case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
    let element = unsafe try declaredType(proto.sequence_type?.pointee.elem_type)
    return element.map { (.sequence($0.type), nil) }
  case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
    let element = unsafe try declaredType(proto.optional_type?.pointee.elem_type)
    return element.map { (.optional($0.type), nil) }
  case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
    guard let map = unsafe proto.map_type?.pointee,
      let value = unsafe try declaredType(map.value_type)
    else { return nil }
    return (.map(key: try elementType(unsafe map.key_type), value: value.type), nil)
  default: return nil
  }
}

/// A declared shape; nil where not even the rank is.
private func dimensions(_ field: UnsafeMutablePointer<Onnx__TensorShapeProto>?)
  throws(ModelError) -> [Dimension]?
{
  guard let shape = unsafe field?.pointee else { return nil }
  let dimensions = unsafe messages(shape.n_dim, shape.dim).map { dimension -> Dimension in
    switch unsafe dimension.value_case {
    case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE:
      let extent = unsafe Int(dimension.dim_value)
      return extent >= 0 ? .known(extent) : .unknown
    case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM:
      let name = unsafe text(dimension.dim_param)
      return name.isEmpty ? .unknown : .symbol(name)
    default: return .unknown
    }
  }
  _ = try checkedShape(
    dimensions.map { if case .known(let extent) = $0 { Int64(extent) } else { 1 } })
  return dimensions
}
