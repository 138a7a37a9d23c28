import CSardonyx
import Sardonyx
import Synchronization

/// A value with what C reads of it.
@safe final class ValueHandle: Handle, @unchecked Sendable {
  let value: Value
  let type: UnsafePointer<CChar>
  let extents: UnsafePointer<Int64>?
  private let memory: CMemory
  /// The texts of a string tensor, made when the first is asked for.
  private let texts = Mutex<Texts?>(nil)

  init(_ value: Value) {
    let memory = CMemory()
    (self.value, self.memory) = (value, memory)
    unsafe type = unsafe memory.text(value.type.description)
    unsafe extents = unsafe value.tensor.map { unsafe memory.array($0.shape.map(Int64.init)) }
  }

  /// The text of this place, and its length.
  func text(_ index: Int) -> (start: UnsafePointer<CChar>, length: Int)? {
    guard let tensor = value.tensor, tensor.type == .string, index >= 0,
      index < tensor.elementCount
    else { return nil }
    return unsafe texts.withLock { texts in
      let known = texts ?? Texts(tensor)
      texts = known
      return unsafe known[index]
    }
  }

  var parts: [Value] {
    switch value {
    case .tensor: []
    case .sequence(let elements, _): elements
    case .optional(let value, _): value.map { [$0] } ?? []
    case .map(let keys, let values): [.tensor(keys), .tensor(values)]
    }
  }
}

/// Texts one after the other, each with a zero behind it.
@safe private final class Texts {
  private let memory = CMemory()
  private let bytes: UnsafePointer<CChar>
  private var ends: [Int] = []

  init(_ tensor: Tensor) {
    var all: [CChar] = []
    for text in (try? tensor.strings()) ?? [] {
      all += text.utf8.lazy.map(CChar.init(bitPattern:))
      ends.append(all.count)
      all.append(0)
    }
    unsafe bytes = unsafe memory.array(all)
  }

  subscript(index: Int) -> (start: UnsafePointer<CChar>, length: Int) {
    let start = index == 0 ? 0 : ends[index - 1] + 1
    return unsafe (bytes + start, ends[index] - start)
  }
}

/// Stands for the caller, who keeps borrowed memory alive.
private final class Lender: Sendable {
  static let shared = Lender()
}

/// The shape that C gives.
private func shape(_ extents: UnsafePointer<Int64>?, _ rank: Int) throws(ModelError) -> Shape {
  try unsafe array(extents, rank, "extents").map { Int($0) }
}

/// The type of that name.
private func valueType(_ name: UnsafePointer<CChar>?, _ expected: String) throws(ModelError)
  -> ValueType
{
  let name = try unsafe text(name, "type")
  guard let type = ValueType(name) else {
    throw ModelError(.mismatch, "type: expected one such as \"\(expected)\", got \"\(name)\"")
  }
  return type
}

/// A tensor in the caller's memory.
private func borrowedTensor(
  _ elementType: Int32, _ extents: UnsafePointer<Int64>?, _ rank: Int,
  _ elements: UnsafeRawPointer?, _ byteCount: Int
) throws(ModelError) -> Tensor {
  guard let type = ElementType(rawValue: elementType) else {
    throw ModelError(
      .mismatch, "element_type: expected a number of TensorProto.DataType, got \(elementType)")
  }
  _ = try unsafe array(elements?.assumingMemoryBound(to: UInt8.self), byteCount, "elements")
  return try unsafe Tensor(
    borrowing: UnsafeRawBufferPointer(start: elements, count: byteCount), as: type,
    shape: shape(extents, rank), owner: Lender.shared)
}

/// `sardonyx_tensor_borrow` of sardonyx.h.
@_cdecl("sardonyx_tensor_borrow")
public func tensorBorrow(
  _ elementType: Int32, _ extents: UnsafePointer<Int64>?, _ rank: Int,
  _ elements: UnsafeRawPointer?, _ byteCount: Int, _ value: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(value, "value")
    let tensor = try unsafe borrowedTensor(elementType, extents, rank, elements, byteCount)
    unsafe result.pointee = unsafe ValueHandle(.tensor(tensor)).retained
  }
}

/// `sardonyx_tensor_copy` of sardonyx.h.
@_cdecl("sardonyx_tensor_copy")
public func tensorCopy(
  _ elementType: Int32, _ extents: UnsafePointer<Int64>?, _ rank: Int,
  _ elements: UnsafeRawPointer?, _ byteCount: Int, _ value: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(value, "value")
    let tensor = unsafe Value.tensor(
      try borrowedTensor(elementType, extents, rank, elements, byteCount))
    unsafe result.pointee = unsafe ValueHandle(tensor.apart(from: [tensor])).retained
  }
}

/// `sardonyx_tensor_of_strings` of sardonyx.h.
@_cdecl("sardonyx_tensor_of_strings")
public func tensorOfStrings(
  _ extents: UnsafePointer<Int64>?, _ rank: Int, _ texts: UnsafePointer<UnsafePointer<CChar>?>?,
  _ lengths: UnsafePointer<Int>?, _ count: Int, _ value: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(value, "value")
    var strings: [String] = []
    let pointers = try unsafe array(texts, count, "texts")
    for index in pointers.indices {
      let pointer = unsafe pointers[index]
      let argument = "texts[\(strings.count)]"
      if let lengths = unsafe lengths {
        let bytes = try unsafe array(pointer, lengths[strings.count], argument)
        unsafe strings.append(String(decoding: UnsafeRawBufferPointer(bytes), as: UTF8.self))
      } else {
        unsafe strings.append(try text(pointer, argument))
      }
    }
    let tensor = try unsafe Tensor(strings: strings, shape: shape(extents, rank))
    unsafe result.pointee = unsafe ValueHandle(.tensor(tensor)).retained
  }
}

/// `sardonyx_sequence` of sardonyx.h.
@_cdecl("sardonyx_sequence")
public func sequence(
  _ type: UnsafePointer<CChar>?, _ parts: UnsafePointer<OpaquePointer?>?, _ count: Int,
  _ value: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(value, "value")
    let type = try unsafe valueType(type, "seq(tensor(float))")
    guard case .sequence(let element) = type else {
      throw ModelError(.mismatch, "type: expected that of a sequence, got \(type)")
    }
    var elements: [Value] = []
    let pointers = try unsafe array(parts, count, "parts")
    for index in pointers.indices {
      let part = unsafe pointers[index]
      let value = try unsafe ValueHandle.given(part, "parts[\(elements.count)]").value
      guard value.type == element else {
        throw ModelError(
          .mismatch, "parts[\(elements.count)]: expected \(element), got \(value.type)")
      }
      elements.append(value)
    }
    unsafe result.pointee = unsafe ValueHandle(.sequence(elements, of: element)).retained
  }
}

/// `sardonyx_optional` of sardonyx.h.
@_cdecl("sardonyx_optional")
public func optional(
  _ type: UnsafePointer<CChar>?, _ part: OpaquePointer?,
  _ value: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(value, "value")
    let type = try unsafe valueType(type, "optional(tensor(float))")
    guard case .optional(let element) = type else {
      throw ModelError(.mismatch, "type: expected that of an optional, got \(type)")
    }
    let held = unsafe ValueHandle.borrowed(part)?.value
    guard held == nil || held!.type == element else {
      throw ModelError(.mismatch, "part: expected \(element), got \(held!.type)")
    }
    unsafe result.pointee = unsafe ValueHandle(.optional(held, of: element)).retained
  }
}

/// `sardonyx_map` of sardonyx.h.
@_cdecl("sardonyx_map")
public func map(
  _ keys: OpaquePointer?, _ elements: OpaquePointer?,
  _ value: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  unsafe attempt(error) { () throws(ModelError) in
    let result = try unsafe place(value, "value")
    let (keys, values) = try unsafe (
      ValueHandle.given(keys, "keys").value, ValueHandle.given(elements, "elements").value
    )
    guard case .tensor(let left) = keys, case .tensor(let right) = values, left.shape.count == 1,
      left.elementCount == right.elementCount, left.type.isInteger || left.type == .string
    else {
      throw ModelError(
        .mismatch,
        "a map: expected integers or texts as keys along one axis and as many elements, got \(keys.caption) and \(values.caption)"
      )
    }
    unsafe result.pointee = unsafe ValueHandle(.map(keys: left, values: right)).retained
  }
}

extension Value {
  fileprivate var caption: String {
    guard let tensor else { return "\(type)" }
    return "\(tensor.type)[\(tensor.shape.map(String.init).joined(separator: ","))]"
  }
}

/// `sardonyx_value_kind` of sardonyx.h.
@_cdecl("sardonyx_value_kind")
public func valueKind(_ value: OpaquePointer?) -> Int32 {
  switch unsafe ValueHandle.borrowed(value)?.value {
  case nil: 0
  case .tensor: Int32(SARDONYX_TENSOR)
  case .sequence: Int32(SARDONYX_SEQUENCE)
  case .optional: Int32(SARDONYX_OPTIONAL)
  case .map: Int32(SARDONYX_MAP)
  }
}

/// `sardonyx_value_type` of sardonyx.h.
@_cdecl("sardonyx_value_type")
public func valueTypeText(_ value: OpaquePointer?) -> UnsafePointer<CChar>? {
  unsafe ValueHandle.borrowed(value)?.type
}

/// `sardonyx_value_element_type` of sardonyx.h.
@_cdecl("sardonyx_value_element_type")
public func valueElementType(_ value: OpaquePointer?) -> Int32 {
  unsafe ValueHandle.borrowed(value)?.value.tensor?.type.rawValue ?? 0
}

/// `sardonyx_value_rank` of sardonyx.h.
@_cdecl("sardonyx_value_rank")
public func valueRank(_ value: OpaquePointer?) -> Int {
  unsafe ValueHandle.borrowed(value)?.value.tensor?.shape.count ?? 0
}

/// `sardonyx_value_extents` of sardonyx.h.
@_cdecl("sardonyx_value_extents")
public func valueExtents(_ value: OpaquePointer?) -> UnsafePointer<Int64>? {
  unsafe ValueHandle.borrowed(value)?.extents
}

/// The tensor of a value, unless its elements are texts.
private func plainTensor(_ value: OpaquePointer?) -> Tensor? {
  guard let tensor = unsafe ValueHandle.borrowed(value)?.value.tensor, tensor.type != .string else {
    return nil
  }
  return tensor
}

/// `sardonyx_value_byte_count` of sardonyx.h.
@_cdecl("sardonyx_value_byte_count")
public func valueByteCount(_ value: OpaquePointer?) -> Int {
  unsafe plainTensor(value)?.byteCount ?? 0
}

/// `sardonyx_value_elements` of sardonyx.h.
@_cdecl("sardonyx_value_elements")
public func valueElements(_ value: OpaquePointer?) -> UnsafeRawPointer? {
  unsafe plainTensor(value)?.address
}

/// `sardonyx_value_string` of sardonyx.h.
@_cdecl("sardonyx_value_string")
public func valueString(
  _ value: OpaquePointer?, _ index: Int, _ length: UnsafeMutablePointer<Int>?
) -> UnsafePointer<CChar>? {
  guard let text = unsafe ValueHandle.borrowed(value)?.text(index) else { return nil }
  unsafe length?.pointee = unsafe text.length
  return unsafe text.start
}

/// `sardonyx_value_part_count` of sardonyx.h.
@_cdecl("sardonyx_value_part_count")
public func valuePartCount(_ value: OpaquePointer?) -> Int {
  unsafe ValueHandle.borrowed(value)?.parts.count ?? 0
}

/// `sardonyx_value_part` of sardonyx.h.
@_cdecl("sardonyx_value_part")
public func valuePart(_ value: OpaquePointer?, _ index: Int) -> OpaquePointer? {
  unsafe ValueHandle.borrowed(value)?.parts[at: index].map { unsafe ValueHandle($0).retained }
}

/// `sardonyx_value_release` of sardonyx.h.
@_cdecl("sardonyx_value_release")
public func valueRelease(_ value: OpaquePointer?) { unsafe ValueHandle.release(value) }
