import Sardonyx

extension Value {
  /// Type and shape, such as `float[1,10]` or `seq(tensor(float)) of 3`.
  var caption: String {
    switch self {
    case .tensor(let tensor):
      return "\(tensor.type)[\(tensor.shape.map(String.init).joined(separator: ","))]"
    case .sequence(let elements, _): return "\(type) of \(elements.count)"
    case .optional(let value, _): return value.map { "optional \($0.caption)" } ?? "\(type), empty"
    case .map(let keys, _): return "\(type) of \(keys.elementCount)"
    }
  }

  /// Lines for people: the caption, the range of numbers, the first elements.
  func summary(indentation: String = "  ") -> String {
    switch self {
    case .tensor(let tensor): return "\(caption)\(tensor.summary(indentation))"
    case .optional(let value?, _): return "optional \(value.summary(indentation: indentation))"
    case .optional(nil, _): return caption
    case .map(let keys, let values):
      return
        "\(caption)\n\(indentation)keys \(Value.tensor(keys).summary(indentation: indentation))"
        + "\n\(indentation)values \(Value.tensor(values).summary(indentation: indentation))"
    case .sequence(let elements, _):
      let shown = elements.prefix(8).enumerated().map { index, element in
        "\n\(indentation)[\(index)] \(element.summary(indentation: indentation + "  "))"
      }
      return caption + shown.joined() + (elements.count > 8 ? "\n\(indentation)…" : "")
    }
  }

  /// The whole value for programs.
  var json: JSON {
    switch self {
    case .tensor(let tensor):
      return .object([
        ("type", .string("\(tensor.type)")),
        ("shape", .array(tensor.shape.map { .number($0) })),
        ("values", .array(tensor.jsonElements)),
      ])
    case .sequence(let elements, let element):
      return .object([
        ("type", .string("\(ValueType.sequence(element))")),
        ("elements", .array(elements.map(\.json))),
      ])
    case .optional(let value, _): return value?.json ?? .null
    case .map(let keys, let values):
      return .object([
        ("type", .string("\(type)")), ("keys", .array(keys.jsonElements)),
        ("values", .array(values.jsonElements)),
      ])
    }
  }
}

extension Tensor {
  private static let shownCount = 10

  fileprivate func summary(_ indentation: String) -> String {
    guard elementCount > 0 else { return "" }
    let more = elementCount > Self.shownCount ? ", …" : ""
    return "\(range)\n\(indentation)\(texts(Self.shownCount).joined(separator: ", "))\(more)"
  }

  /// `  min 0.01  mean 0.1  max 0.9`, and how many are not finite.
  private var range: String {
    guard elementCount > 1, type != .bool, let numbers = try? numbers() else { return "" }
    let finite = numbers.filter(\.isFinite)
    let count = finite.count
    guard let least = finite.min(), let most = finite.max() else { return "  nothing finite" }
    let mean = finite.reduce(0) { $0 + $1 / Double(count) }
    let rest = count < numbers.count ? "  not finite \(numbers.count - count)" : ""
    return "  min \(least.text())  mean \(mean.text())  max \(most.text())\(rest)"
  }

  /// The first elements as people read them.
  private func texts(_ count: Int) -> [String] {
    if let strings = try? strings() { return strings.prefix(count).map { "\"\($0.visible)\"" } }
    switch type {
    case .int64, .uint64, .complex64, .complex128:
      // These are no doubles, or rounded ones.
      let count = Swift.min(count, elementCount)
      let bytes = Array(rawBytes.prefix(count * type.byteCount))
      return (try? Tensor(type, [count], bytes: bytes))?.jsonElements.map(\.description) ?? []
    default:
      let numbers = ((try? numbers()) ?? []).prefix(count)
      if type == .bool { return numbers.map { $0 == 0 ? "false" : "true" } }
      return numbers.map { type.isInteger ? String(Int($0)) : $0.text(digits: 6) }
    }
  }

  /// All elements: numbers with the digits of their own type, pairs for complex numbers.
  var jsonElements: [JSON] {
    switch type {
    case .string: return ((try? strings()) ?? []).map(JSON.string)
    case .bool: return ((try? numbers()) ?? []).map { .bool($0 != 0) }
    case .double: return ((try? elements(of: Double.self)) ?? []).map { .number($0) }
    case .int64: return ((try? elements(of: Int64.self)) ?? []).map { .number("\($0)") }
    case .uint64: return ((try? elements(of: UInt64.self)) ?? []).map { .number("\($0)") }
    case .complex64, .complex128: return complexElements
    default:
      let numbers = (try? numbers()) ?? []
      if type.isInteger { return numbers.map { .number(Int($0)) } }
      return numbers.map { .number(Float($0)) }
    }
  }

  private var complexElements: [JSON] {
    let size = type.byteCount / 2
    let part: ElementType = type == .complex64 ? .float : .double
    let bytes = rawBytes
    let tensor = try? Tensor(part, [bytes.count / size], bytes: bytes)
    let parts = tensor?.jsonElements ?? []
    return stride(from: 0, to: parts.count - 1, by: 2).map { .array([parts[$0], parts[$0 + 1]]) }
  }
}
