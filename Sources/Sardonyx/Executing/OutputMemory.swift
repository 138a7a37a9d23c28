/// Memory of the caller's that a run writes outputs to, by name.
@safe struct OutputMemory {
  private let places: [String: UnsafeMutableRawBufferPointer]
  private let type: ElementType?

  static var none: OutputMemory { unsafe OutputMemory([:]) }

  /// - Parameter type: what the caller takes the elements for, if it said so.
  @unsafe init(_ places: [String: UnsafeMutableRawBufferPointer], of type: ElementType? = nil) {
    unsafe self.places = places
    self.type = type
  }

  var names: [String] { unsafe places.keys.sorted() }

  /// - Parameter wanted: the names of the outputs that are asked for.
  /// - Throws: ``ModelError`` (mismatch) where a place is for none of them, or overlaps another or an input.
  func check(_ inputs: [String: Value], wanted: some Sequence<String>) throws(ModelError) {
    guard unsafe !places.isEmpty else { return }
    let wanted = Array(wanted)
    if let name = names.first(where: { !wanted.contains($0) }) {
      throw .unexpected(
        "memory for output \"\(name)\"", expected: "one of \(wanted.quotedList)", got: "\"\(name)\""
      )
    }
    var taken: [(what: String, start: UInt, end: UInt)] = []
    for (name, value) in inputs {
      guard let tensor = value.tensor, tensor.byteCount > 0 else { continue }
      let bytes = unsafe tensor.unalignedBytes
      let start = UInt(bitPattern: bytes.baseAddress)
      taken.append(("input \"\(name)\"", start, start + UInt(tensor.byteCount)))
    }
    for name in names {
      guard let place = unsafe places[name], unsafe !place.isEmpty else { continue }
      let start = UInt(bitPattern: place.baseAddress)
      let end = start + UInt(place.count)
      if let other = taken.first(where: { start < $0.end && $0.start < end }) {
        throw .unexpected(
          "output \"\(name)\"", expected: "memory of its own", got: "some of \(other.what)")
      }
      taken.append(("output \"\(name)\"", start, end))
    }
  }

  /// The results with those for which there is memory in it, and no other there.
  /// - Throws: ``ModelError`` (mismatch) where memory is too small, or a result has no bytes.
  func settle(_ results: [String: Value]) throws(ModelError) -> [String: Value] {
    var (settled, placed) = (results, [Value]())
    for name in names {
      guard let result = results[name] else { continue }
      let value = try settle(result, name)
      settled[name] = value
      placed.append(value)
    }
    for (name, result) in results where unsafe places[name] == nil {
      settled[name] = result.apart(from: placed)
    }
    return settled
  }

  /// The storages that steps of a plan may write to at once: of tensors whose size is known and
  /// whose place is aligned.
  func targets(_ plan: Plan) -> [Graph.ValueID: Storage] {
    guard unsafe !places.isEmpty else { return [:] }
    var targets: [Graph.ValueID: Storage] = [:]
    for id in plan.graph.outputs {
      guard let fact = plan.facts[id], let type = fact.elementType, let byteCount = fact.byteCount,
        type == self.type ?? type,
        let place = unsafe places[plan.graph.values[id].name],
        let storage = unsafe storage(place, type, byteCount)
      else { continue }
      targets[id] = storage
    }
    return targets
  }

  /// The result as it lies in the memory for it; as it is, where there is none.
  /// - Throws: ``ModelError`` (mismatch) where the memory is too small, or the result has no bytes.
  private func settle(_ result: Value, _ name: String) throws(ModelError) -> Value {
    guard let place = unsafe places[name] else { return result }
    guard let tensor = result.tensor, tensor.type != .string else {
      let got = result.tensor.map { "\($0.type)" } ?? "\(result.type)"
      throw .unexpected(
        "output \"\(name)\"", expected: "a tensor of plain bytes for the memory given", got: got)
    }
    if let type, type != tensor.type {
      throw .unexpected(
        "element type of output \"\(name)\"", expected: "\(type)", got: "\(tensor.type)")
    }
    guard place.count >= tensor.byteCount else {
      throw .unexpected(
        "memory for output \"\(name)\"",
        expected: "\(tensor.byteCount) bytes or more for \(tensor.type)[\(tensor.shape.joined)]",
        got: "\(place.count)")
    }
    guard let base = place.baseAddress, tensor.byteCount > 0 else { return result }
    if unsafe tensor.bytes == UnsafeRawPointer(base) { return result }
    unsafe base.copyMemory(from: tensor.bytes, byteCount: tensor.byteCount)
    let storage = unsafe Storage(
      borrowing: base, byteCount: tensor.byteCount, alignment: tensor.type.alignment,
      owner: Lender.shared)
    return .tensor(Tensor(tensor.type, tensor.shape, storage: storage))
  }

  private func storage(
    _ place: UnsafeMutableRawBufferPointer, _ type: ElementType, _ byteCount: Int
  ) -> Storage? {
    guard type != .string, place.count >= byteCount, let base = place.baseAddress,
      Int(bitPattern: base) % type.alignment == 0
    else { return nil }
    return unsafe Storage(borrowing: base, byteCount: byteCount, owner: Lender.shared)
  }
}

/// Stands for the caller, who keeps the memory alive.
private final class Lender: Sendable {
  static let shared = Lender()
}

extension ElementType {
  /// What the address of an element must be a multiple of.
  var alignment: Int { Swift.min(byteCount, 8) }
}
