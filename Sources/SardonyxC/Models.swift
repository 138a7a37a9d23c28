public import CSardonyx
import Sardonyx

/// A model with the texts that C reads of it.
@safe final class ModelHandle: Handle, @unchecked Sendable {
  let model: Model
  let inputs: [sardonyx_description]
  let outputs: [sardonyx_description]
  let information: sardonyx_information
  let metadata: [(key: UnsafePointer<CChar>, text: UnsafePointer<CChar>)]
  let operatorSets: [(domain: UnsafePointer<CChar>, version: Int)]
  private let memory: CMemory

  init(_ model: Model) {
    self.model = model
    let memory = CMemory()
    self.memory = memory
    let optional = model.optionalInputs
    unsafe inputs = unsafe model.inputs.map {
      unsafe sardonyx_description($0, memory, hasDefault: optional.contains($0.name))
    }
    unsafe outputs = unsafe model.outputs.map {
      unsafe sardonyx_description($0, memory, hasDefault: false)
    }
    let definition = model.definition
    unsafe information = unsafe sardonyx_information(
      size: MemoryLayout<sardonyx_information>.size,
      producer_name: memory.text(definition.producerName),
      producer_version: memory.text(definition.producerVersion),
      domain: memory.text(definition.domain),
      documentation: memory.text(definition.documentation),
      graph_name: memory.text(definition.graphName),
      graph_documentation: memory.text(definition.graphDocumentation),
      model_version: definition.modelVersion, ir_version: definition.irVersion)
    unsafe metadata = unsafe definition.metadata.sorted { $0.key < $1.key }.map {
      unsafe (memory.text($0.key), memory.text($0.value))
    }
    unsafe operatorSets = unsafe definition.operatorSets.sorted { $0.key < $1.key }.map {
      unsafe (memory.text($0.key), $0.value)
    }
  }
}

extension sardonyx_description {
  fileprivate init(_ value: ValueDefinition, _ memory: CMemory, hasDefault: Bool) {
    let shape = value.type?.elementType == nil ? nil : value.shape
    let extents = shape?.map { dimension -> Int64 in
      if case .known(let extent) = dimension { Int64(extent) } else { -1 }
    }
    let symbols = unsafe shape?.map { dimension -> UnsafePointer<CChar>? in
      if case .symbol(let name) = dimension { unsafe memory.text(name) } else { nil }
    }
    unsafe self.init(
      size: MemoryLayout<sardonyx_description>.size, name: memory.text(value.name),
      type: memory.text(value.type?.description),
      element_type: value.type?.elementType?.rawValue ?? 0, rank: Int32(shape?.count ?? -1),
      extents: memory.array(extents ?? []), symbols: memory.array(symbols ?? []),
      has_default: hasDefault)
  }
}

/// `sardonyx_model_open` of sardonyx.h.
@_cdecl("sardonyx_model_open")
public func modelOpen(
  _ path: UnsafePointer<CChar>?, _ model: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(model, "model")
    unsafe result.pointee = unsafe ModelHandle(try Model(path: text(path, "path"))).retained
  }
}

/// `sardonyx_model_open_bytes` of sardonyx.h.
@_cdecl("sardonyx_model_open_bytes")
public func modelOpenBytes(
  _ bytes: UnsafeRawPointer?, _ byteCount: Int, _ directory: UnsafePointer<CChar>?,
  _ model: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(model, "model")
    let file = try unsafe array(bytes?.assumingMemoryBound(to: UInt8.self), byteCount, "bytes")
    let folder = try unsafe directory.map { pointer throws(ModelError) in
      unsafe try text(pointer, "directory")
    }
    unsafe result.pointee = unsafe ModelHandle(try Model(bytes: Array(file), directory: folder))
      .retained
  }
}

/// `sardonyx_model_release` of sardonyx.h.
@_cdecl("sardonyx_model_release")
public func modelRelease(_ model: OpaquePointer?) { unsafe ModelHandle.release(model) }

/// `sardonyx_model_input_count` of sardonyx.h.
@_cdecl("sardonyx_model_input_count")
public func modelInputCount(_ model: OpaquePointer?) -> Int {
  unsafe ModelHandle.borrowed(model)?.inputs.count ?? 0
}

/// `sardonyx_model_output_count` of sardonyx.h.
@_cdecl("sardonyx_model_output_count")
public func modelOutputCount(_ model: OpaquePointer?) -> Int {
  unsafe ModelHandle.borrowed(model)?.outputs.count ?? 0
}

/// `sardonyx_model_input` of sardonyx.h.
@_cdecl("sardonyx_model_input")
public func modelInput(
  _ model: OpaquePointer?, _ index: Int, _ description: UnsafeMutablePointer<sardonyx_description>?
) -> Bool {
  unsafe fill(description, ModelHandle.borrowed(model)?.inputs[at: index])
}

/// `sardonyx_model_output` of sardonyx.h.
@_cdecl("sardonyx_model_output")
public func modelOutput(
  _ model: OpaquePointer?, _ index: Int, _ description: UnsafeMutablePointer<sardonyx_description>?
) -> Bool {
  unsafe fill(description, ModelHandle.borrowed(model)?.outputs[at: index])
}

/// `sardonyx_model_information` of sardonyx.h.
@_cdecl("sardonyx_model_information")
public func modelInformation(
  _ model: OpaquePointer?, _ information: UnsafeMutablePointer<sardonyx_information>?
) -> Bool {
  unsafe fill(information, ModelHandle.borrowed(model)?.information)
}

/// `sardonyx_model_metadata_count` of sardonyx.h.
@_cdecl("sardonyx_model_metadata_count")
public func modelMetadataCount(_ model: OpaquePointer?) -> Int {
  unsafe ModelHandle.borrowed(model)?.metadata.count ?? 0
}

/// `sardonyx_model_metadata` of sardonyx.h.
@_cdecl("sardonyx_model_metadata")
public func modelMetadata(
  _ model: OpaquePointer?, _ index: Int, _ key: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ text: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> Bool {
  guard let entry = unsafe ModelHandle.borrowed(model)?.metadata[at: index] else { return false }
  unsafe key?.pointee = unsafe entry.key
  unsafe text?.pointee = unsafe entry.text
  return true
}

/// `sardonyx_model_operator_set_count` of sardonyx.h.
@_cdecl("sardonyx_model_operator_set_count")
public func modelOperatorSetCount(_ model: OpaquePointer?) -> Int {
  unsafe ModelHandle.borrowed(model)?.operatorSets.count ?? 0
}

/// `sardonyx_model_operator_set` of sardonyx.h.
@_cdecl("sardonyx_model_operator_set")
public func modelOperatorSet(
  _ model: OpaquePointer?, _ index: Int, _ domain: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ version: UnsafeMutablePointer<Int64>?
) -> Bool {
  guard let entry = unsafe ModelHandle.borrowed(model)?.operatorSets[at: index] else {
    return false
  }
  unsafe domain?.pointee = unsafe entry.domain
  unsafe version?.pointee = unsafe Int64(entry.version)
  return true
}

/// `sardonyx_model_fold` of sardonyx.h.
@_cdecl("sardonyx_model_fold")
public func modelFold(
  _ model: OpaquePointer?, _ folded: UnsafeMutablePointer<OpaquePointer?>?,
  _ notes: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(folded, "folded")
    let made = try unsafe FoldedModel(ModelHandle.given(model, "model").model)
    let handle = ModelHandle(try Model(made.definition))
    unsafe result.pointee = unsafe handle.retained
    unsafe notes?.pointee = unsafe NotesHandle(made.notes).retained
  }
}

/// `sardonyx_model_write` of sardonyx.h.
@_cdecl("sardonyx_model_write")
public func modelWrite(
  _ model: OpaquePointer?, _ path: UnsafePointer<CChar>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let model = try unsafe ModelHandle.given(model, "model").model
    try unsafe model.definition.write(to: text(path, "path"))
  }
}

/// `sardonyx_model_bytes` of sardonyx.h.
@_cdecl("sardonyx_model_bytes")
public func modelBytes(
  _ model: OpaquePointer?, _ bytes: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(bytes, "bytes")
    let file = try unsafe ModelHandle.given(model, "model").model.definition.bytes()
    unsafe result.pointee = unsafe ValueHandle(.tensor(try Tensor(file, shape: [file.count])))
      .retained
  }
}
