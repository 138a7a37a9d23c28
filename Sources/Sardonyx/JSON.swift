/// A value of JSON, whose text is its ``description``.
package enum JSON: CustomStringConvertible {
  case null
  case bool(Bool)
  /// The digits as they shall stand.
  case number(String)
  case string(String)
  case array([JSON])
  /// In the order given.
  case object([(key: String, value: JSON)])

  package static func number(_ value: Int) -> JSON { .number(String(value)) }

  /// The shortest digits that read back as the same number; JSON knows no others than finite ones,
  /// so those become "NaN", "Infinity" and "-Infinity".
  package static func number<T: BinaryFloatingPoint & LosslessStringConvertible>(_ value: T) -> JSON
  {
    if value.isFinite { return .number(String(value)) }
    return .string(value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity")
  }

  /// Objects take a line a member, everything else stands on one line.
  package var description: String { text(indentation: "") }

  /// All of it on one line.
  package var line: String {
    switch self {
    case .array(let elements): "[" + elements.map(\.line).joined(separator: ", ") + "]"
    case .object(let members):
      "{" + members.map { "\(Self.quoted($0.key)): \($0.value.line)" }.joined(separator: ", ") + "}"
    default: description
    }
  }

  private func text(indentation: String) -> String {
    switch self {
    case .null: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .number(let digits): return digits
    case .string(let value): return Self.quoted(value)
    case .array(let elements):
      let inner = indentation + "  "
      guard elements.contains(where: \.isObject) else {
        return "[" + elements.map { $0.text(indentation: inner) }.joined(separator: ", ") + "]"
      }
      return Self.block("[", elements.map { $0.text(indentation: inner) }, "]", indentation)
    case .object(let members):
      let inner = indentation + "  "
      let lines = members.map { "\(Self.quoted($0.key)): \($0.value.text(indentation: inner))" }
      return Self.block("{", lines, "}", indentation)
    }
  }

  private var isObject: Bool {
    if case .object = self { true } else { false }
  }

  private static func block(
    _ open: String, _ lines: [String], _ close: String, _ indentation: String
  ) -> String {
    guard !lines.isEmpty else { return open + close }
    let separator = ",\n\(indentation)  "
    return "\(open)\n\(indentation)  \(lines.joined(separator: separator))\n\(indentation)\(close)"
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case let scalar where scalar.steers:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
