/// Operators on values that may be missing.
let optionals: OperatorFamily = [
  "Optional": OptionalOperator.init,
  "OptionalGetElement": OptionalGetElement.init,
  "OptionalHasElement": OptionalHasElement.init,
]

/// An optional with the input inside, or one of the attribute's type with nothing.
struct OptionalOperator: Operator {
  let type: ValueType?

  init(_ node: inout NodeReader) throws(ModelError) { type = try node.type("type") }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let element = inputs.has(0) ? inputs[0].type : type
    return [Fact(type: element.map { .optional($0) })]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let value = inputs.value(0)
    guard let element = value?.type ?? type else {
      throw ModelError(.invalid, "Optional without an input needs the attribute type")
    }
    outputs.set(0, .optional(value, of: element))
  }
}

/// Whether the input holds something; a tensor or a sequence always does, a missing input never.
struct OptionalHasElement: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(.bool, [])] }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let holds =
      switch inputs.value(0) {
      case nil, .optional(nil, _): false
      default: true
      }
    outputs[0].store(elements: [holds])
  }
}

/// What the optional holds; a tensor or a sequence is its own element.
struct OptionalGetElement: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) -> [Fact] {
    if case .optional(let element)? = inputs[0].type { return [Fact(type: element)] }
    var fact = inputs[0]
    fact.value = nil
    return [fact]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    switch inputs.value(0) {
    case .tensor(let tensor): outputs[0].copy(tensor)
    case .optional(let element?, _): outputs.set(0, element)
    case .optional(nil, _), nil:
      throw .unexpected("input", expected: "an optional that holds an element", got: "an empty one")
    case .some(let value): outputs.set(0, value)
    }
  }
}
