/// What is known of a value before it is computed: its type, its shape, perhaps the value itself.
///
/// Operators describe their outputs by facts (``Operator/outputs(_:)``), the planner stores them.
struct Fact: Sendable {
  /// nil while the type depends on data not yet seen.
  var type: ValueType?
  /// The shape of a tensor; nil while it depends on data not yet seen, and for other values.
  var shape: Shape?
  /// The value itself, where it is a constant or already computed.
  var value: Value? {
    get { known?.value }
    set { known = newValue.map(Known.init) }
  }

  /// A value in a place of its own: few of a large graph are known.
  private final class Known: Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
  }

  private var known: Known?

  init(_ type: ElementType, _ shape: Shape?) {
    self.type = .tensor(type)
    self.shape = shape
  }

  init(type: ValueType?) { self.type = type }

  init(_ value: Value) {
    self.type = value.type
    self.shape = value.tensor?.shape
    self.value = value
  }

  init(_ tensor: Tensor) { self.init(.tensor(tensor)) }

  static let unknown = Fact(type: nil)

  var elementType: ElementType? { type?.elementType }
}

extension Fact: CustomStringConvertible {
  /// `float32[1,3,640,640]`-like text for error messages.
  var description: String {
    guard let type else { return "?" }
    guard case .tensor(let element) = type else { return "\(type)" }
    return "\(element)[\(shape.map(\.joined) ?? "…")]"
  }
}
