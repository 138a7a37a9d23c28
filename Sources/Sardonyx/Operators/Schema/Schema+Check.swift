/// The proof that the types of a node's inputs were checked against its schema.
///
/// No operator can be asked or run without one: ``Facts`` and ``Inputs`` are made of it alone.
struct TypesChecked: Sendable { fileprivate init() {} }

extension Node {
  /// Checks the types of the inputs, by position; nil for those left out or not yet known.
  /// - Throws: ``ModelError`` (invalid).
  func check(types: [ValueType?]) throws(ModelError) -> TypesChecked {
    try schema?.check(types: types) ?? TypesChecked()
  }

  /// Checks the types of the outputs that an operator tells.
  /// - Throws: ``ModelError`` (invalid).
  func check(made types: [ValueType?]) throws(ModelError) {
    guard let schema else { return }
    for (position, type) in types.enumerated() {
      guard let type, position < outputs.count, outputs[position] != nil,
        let output = schema.parameter(at: position, of: schema.outputs),
        !output.types.contains(type)
      else { continue }
      throw .unexpected(
        "type of output \(output.name) of \(schema.label)", expected: output.types.description,
        got: "\(type)", code: .invalid)
    }
  }

  /// Checks the types of the values that the inputs have in a run; nil for those that have none.
  /// - Throws: ``ModelError`` (invalid) also where one is needed that nobody has given a value, as
  ///   the caller of a graph may leave its inputs out.
  func check(given types: [ValueType?]) throws(ModelError) -> TypesChecked {
    for (position, type) in types.enumerated() where type == nil {
      if let name = schema?.requiredInput(at: position) {
        throw ModelError(
          .invalid, "\(schema!.label) needs input \(name), which has no value in this run")
      }
    }
    return try check(types: types)
  }

  /// Whether the schema lets input `index` have a type.
  func allows(_ type: ValueType, at index: Int) -> Bool {
    schema?.allows(type, at: index) ?? true
  }
}

extension Schema {
  /// Checks the types of the inputs of a call of an operator.
  ///
  /// - Throws: ``ModelError`` (invalid).
  static func check(
    types: [ValueType?], of name: String, domain: String, operatorSet: Int
  ) throws(ModelError) -> TypesChecked {
    try find(name, domain: domain, operatorSet: operatorSet)?.check(types: types) ?? TypesChecked()
  }

  /// Checks a node's inputs, outputs and attributes, as far as they are known without types.
  /// - Throws: ``ModelError`` (invalid).
  func check(_ node: NodeDefinition) throws(ModelError) {
    try check(node.inputs, as: inputs, "input")
    try check(node.outputs, as: outputs, "output")
    if !node.attributes.isEmpty {
      for (name, attribute) in node.attributes.sorted(by: { $0.key < $1.key }) {
        try check(name, attribute)
      }
    }
    for rule in attributes where rule.isRequired && node.attributes[String(rule.name)] == nil {
      if Self.obsolete.contains(rule.name) { continue }
      throw ModelError(.invalid, "\(label) needs the attribute \(rule.name), which is missing")
    }
  }

  /// Checks the types of a node's inputs: each allowed, and one type per type variable.
  /// - Parameter types: by position; nil for inputs left out or not yet known.
  /// - Throws: ``ModelError`` (invalid).
  @discardableResult func check(types: [ValueType?]) throws(ModelError) -> TypesChecked {
    for (position, type) in types.enumerated() {
      guard let type, let input = parameter(at: position, of: inputs) else { continue }
      if input.isHomogeneous, let variable = input.variable,
        let (other, earlier) = last(of: variable, in: types[..<position]), other != type
      {
        throw conflict(earlier, other, position, type)
      }
      guard input.types.contains(type) else {
        throw .unexpected(
          "\(label) does not allow \(Self.name(type)) for input \(input.name)",
          expected: input.types.description, got: Self.word(type), code: .invalid,
          hint: newerVersion(allowing: type, at: position))
      }
    }
    return TypesChecked()
  }

  /// The last of these inputs with a known type of the variable, and where it stands.
  private func last(
    of variable: Substring, in types: ArraySlice<ValueType?>
  ) -> (type: ValueType, position: Int)? {
    for position in types.indices.reversed() {
      if let type = types[position], let input = parameter(at: position, of: inputs),
        input.isHomogeneous, input.variable == variable
      {
        return (type, position)
      }
    }
    return nil
  }

  /// The name of the input at a position, where no call can do without it.
  fileprivate func requiredInput(at position: Int) -> Substring? {
    guard position < inputs.count else { return nil }
    let input = inputs[position]
    // Operators that take any number of inputs look themselves.
    return input.isOptional || input.repetitions != nil ? nil : input.name
  }

  /// The fault of two inputs that are to have one type.
  private func conflict(
    _ first: Int, _ firstType: ValueType, _ second: Int, _ secondType: ValueType
  ) -> ModelError {
    let names = [first, second].map { position in
      let input = parameter(at: position, of: inputs)!
      return input.repetitions == nil ? "\(input.name)" : "\(position)"
    }
    let (left, right) = (Self.word(firstType), Self.word(secondType))
    return .unexpected(
      "inputs \(names[0]) and \(names[1]) of \(label)", expected: "one type",
      got: "\(left) and \(right)", code: .invalid,
      hint: "convert \(names[1]) to \(left) by Cast, or \(names[0]) to \(right)")
  }

  /// Whether the input at a position may have a type.
  func allows(_ type: ValueType, at position: Int) -> Bool {
    parameter(at: position, of: inputs)?.types.contains(type) ?? true
  }

  /// Which later version of the operator takes a type that this one does not.
  private func newerVersion(allowing type: ValueType, at position: Int) -> String? {
    Self.sinceVersions(of: name, domain: domain).first { version in
      version > since
        && Self.find(name, domain: domain, operatorSet: version)!.allows(type, at: position)
    }.map { "\(name)-\($0) does; the model imports an older operator set" }
  }

  /// The parameter that stands at a position; the last one repeats where it is variadic.
  fileprivate func parameter(at position: Int, of parameters: [Parameter]) -> Parameter? {
    if position < parameters.count { return parameters[position] }
    return parameters.last.flatMap { $0.repetitions == nil ? nil : $0 }
  }

  private func check(_ names: [String], as parameters: [Parameter], _ role: String)
    throws(ModelError)
  {
    // Names left out at the end count for nothing.
    let count = (names.lastIndex { !$0.isEmpty } ?? -1) + 1
    for (position, parameter) in parameters.enumerated() {
      let needed = position + (parameter.repetitions ?? (parameter.isOptional ? 0 : 1))
      guard needed > position else { continue }
      guard names.count >= needed else { throw wrong(names.count, of: parameters, role) }
      guard role == "output" || !names[position].isEmpty || parameter.repetitions != nil else {
        throw ModelError(.invalid, "\(label) needs input \(parameter.name), which is left out")
      }
    }
    guard count == 0 || parameter(at: count - 1, of: parameters) != nil else {
      throw wrong(count, of: parameters, role)
    }
  }

  /// The error for a number of inputs or outputs the operator cannot have.
  private func wrong(_ count: Int, of parameters: [Parameter], _ role: String) -> ModelError {
    let least = parameters.reduce(0) { $0 + ($1.repetitions ?? ($1.isOptional ? 0 : 1)) }
    let isOpen = parameters.last?.repetitions != nil
    let range =
      isOpen
      ? "at least \(least)"
      : least == parameters.count ? "\(least)" : "\(least) to \(parameters.count)"
    return .unexpected("\(role)s of \(label)", expected: range, got: "\(count)", code: .invalid)
  }

  private func check(_ name: String, _ attribute: Attribute) throws(ModelError) {
    guard let rule = attributes.first(where: { $0.name == name }) else {
      if Self.obsolete.contains(Substring(name)) { return }
      throw ModelError(
        .invalid, "\(label) has no attribute \(name)", hint: hint(forAttribute: name))
    }
    guard Self.fits(attribute, rule.kind) else {
      throw .unexpected(
        "attribute \(name) of \(label)", expected: Self.kinds[rule.kind]!, got: attribute.kind,
        code: .invalid)
    }
  }

  /// Attributes of the first operator sets that told only how memory may be shared; exporters drop
  /// and keep them at will.
  private static let obsolete: Set<Substring> = ["consumed_inputs"]

  /// Which other versions have the attribute, else the attributes this one has.
  private func hint(forAttribute attribute: String) -> String {
    let others = Self.sinceVersions(of: name, domain: domain).filter { version in
      Self.find(name, domain: domain, operatorSet: version)!.attributes
        .contains { $0.name == attribute }
    }
    if !others.isEmpty {
      return "\(attribute) belongs to \(others.map { "\(name)-\($0)" }.joined(separator: ", "))"
    }
    if attributes.isEmpty { return "it has no attributes" }
    return "its attributes are \(attributes.map { String($0.name) }.joined(separator: ", "))"
  }

  /// The letters of ``table`` for kinds of attributes, in the words of ``Attribute/kind``.
  private static let kinds: [UInt8: String] = [
    UInt8(ascii: "i"): "int", UInt8(ascii: "f"): "float", UInt8(ascii: "s"): "string",
    UInt8(ascii: "t"): "tensor", UInt8(ascii: "x"): "tensor", UInt8(ascii: "g"): "graph",
    UInt8(ascii: "p"): "type", UInt8(ascii: "I"): "list of ints",
    UInt8(ascii: "F"): "list of floats", UInt8(ascii: "S"): "list of strings",
    UInt8(ascii: "T"): "list of tensors", UInt8(ascii: "G"): "list of graphs",
  ]

  private static func fits(_ attribute: Attribute, _ kind: UInt8) -> Bool {
    if attribute.kind == kinds[kind] { return true }
    switch attribute {
    case .reference: return true
    // An empty list reads the same whatever its kind, and exporters do not care.
    case .ints(let list): return list.isEmpty && (kinds[kind] ?? "").hasPrefix("list")
    case .floats(let list): return list.isEmpty && (kinds[kind] ?? "").hasPrefix("list")
    case .strings(let list): return list.isEmpty && (kinds[kind] ?? "").hasPrefix("list")
    default: return false
    }
  }

  /// `element type int8`, or `type seq(tensor(int8))`.
  private static func name(_ type: ValueType) -> String {
    (type.elementType == nil ? "type " : "element type ") + word(type)
  }

  private static func word(_ type: ValueType) -> String {
    type.elementType?.description ?? type.description
  }
}
