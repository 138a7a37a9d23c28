/// What went wrong with a file, a model or a value, said once for people and for programs.
///
/// The place that finds a fault states the facts in `message`; each layer above adds the context it
/// knows (node, file) with `at(node:)` and `in(file:)`. ``description`` words the whole.
public struct ModelError: Error, Sendable, Equatable {
  /// The kind of fault, for programs that react to it.
  public enum Code: String, Sendable {
    /// A file cannot be opened or read.
    case unreadable
    /// The bytes are not a well-formed model or tensor.
    case malformed
    /// The model is valid ONNX, but uses something this build does not have.
    case unsupported
    /// The model contradicts the ONNX specification or itself.
    case invalid
    /// A value given by the caller does not fit the model.
    case mismatch
    /// A size, depth or time limit was passed.
    case limit
    /// The caller cancelled the run.
    case cancelled
    /// A shape or value is not known before the run; never leaves the library.
    case undetermined
  }

  /// The kind of fault.
  public var code: Code
  /// The fact, with what was expected and what was found.
  public var message: String
  /// What the reader can do about it, where that is known.
  public var hint: String?
  /// The node, its operator, and the types and shapes of its inputs.
  public var node: String?
  /// The file the fault lies in.
  public var file: String?

  /// An error with what is known of it so far.
  public init(
    _ code: Code, _ message: String, hint: String? = nil, node: String? = nil, file: String? = nil
  ) {
    self.code = code
    self.message = message
    self.hint = hint
    self.node = node
    self.file = file
  }

  /// A fault of the form `subject: expected …, got …`.
  package static func unexpected(
    _ subject: String, expected: String, got: String, code: Code = .mismatch,
    hint: String? = nil
  ) -> ModelError {
    ModelError(code, "\(subject): expected \(expected), got \(got)", hint: hint)
  }

  /// This error with the node it arose in, unless a deeper layer has said that already.
  func at(node description: @autoclosure () -> String) -> ModelError {
    guard node == nil else { return self }
    var copy = self
    copy.node = description()
    return copy
  }

  /// This error with the file it arose in, unless a deeper layer has said that already.
  package func `in`(file path: String?) -> ModelError {
    guard file == nil else { return self }
    var copy = self
    copy.file = path
    return copy
  }
}

extension ModelError: CustomStringConvertible {
  /// `file: node "name" (Operator; inputs): message`, and the hint on a line of its own; characters
  /// that would steer a terminal are escaped.
  public var description: String {
    var sentence = ""
    if let file { sentence += "\(file.visible): " }
    if let node { sentence += "node \(node.visible): " }
    sentence += message.visibleLines
    if let hint { sentence += "\n  hint: \(hint.visibleLines)" }
    return sentence
  }
}

extension Sequence<String> {
  /// `"a", "b"`, for messages.
  package var quotedList: String { map { "\"\($0)\"" }.joined(separator: ", ") }
}
