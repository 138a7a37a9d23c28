/// What is known of the inputs of a node when its outputs are described.
struct Facts: Sendable {
  private let facts: [Fact?]
  private let checked: TypesChecked

  /// - Parameter checked: that ``facts`` have types the operator's schema allows.
  init(_ facts: [Fact?], _ checked: TypesChecked) {
    self.facts = facts
    self.checked = checked
  }

  /// Facts made of these, for an operator that asks another one.
  func replaced(by facts: [Fact?]) -> Facts { Facts(facts, checked) }

  /// Whether the value of an input is known and has no elements.
  func hasEmptyValue(_ index: Int) -> Bool { self[index].value?.tensor?.shape.contains(0) ?? false }

  /// The inputs whose values are known, the others left out.
  var known: Inputs { Inputs(facts.map { $0?.value }, checked) }

  /// The number of inputs the node names, those left out at the end not counted.
  var count: Int { facts.count }

  /// Whether input `index` is given.
  func has(_ index: Int) -> Bool { index < facts.count && facts[index] != nil }

  /// The fact of an input that the operator's schema requires.
  subscript(_ index: Int) -> Fact {
    guard index < facts.count, let fact = facts[index] else { return .unknown }
    return fact
  }

  /// The facts of the inputs from `first` on, those left out included.
  func from(_ first: Int) -> [Fact?] { Array(facts.dropFirst(first)) }

  /// The fact of an input that the operator cannot do without, though its schema can.
  private func given(_ index: Int) throws(ModelError) -> Fact {
    guard has(index) else { throw ModelError(.invalid, "input \(index) is left out") }
    return self[index]
  }

  /// The shape of a tensor input.
  /// - Throws: ``ModelError`` (undetermined) while it is not known.
  func shape(_ index: Int) throws(ModelError) -> Shape {
    guard let shape = try given(index).shape else {
      throw ModelError(.undetermined, "shape of input \(index)")
    }
    return shape
  }

  /// The element type of a tensor input.
  /// - Throws: ``ModelError`` (undetermined) while it is not known.
  func type(_ index: Int) throws(ModelError) -> ElementType {
    guard let type = try given(index).elementType else {
      throw ModelError(.undetermined, "type of input \(index)")
    }
    return type
  }

  /// The tensor an input holds.
  /// - Throws: ``ModelError`` (undetermined) while it is not known.
  func tensor(_ index: Int) throws(ModelError) -> Tensor {
    guard let tensor = try given(index).value?.tensor else {
      throw ModelError(.undetermined, "value of input \(index)")
    }
    return tensor
  }

  /// The elements of an integer or bool input, such as axes or a target shape.
  /// - Throws: ``ModelError`` (undetermined) while they are not known.
  func integers(_ index: Int) throws(ModelError) -> [Int] {
    // The first operator sets let some of them be floats.
    try list(index, of: "integers").converted(to: Int64.self).map(Int.init)
  }

  /// The elements of a floating-point input, such as scales.
  /// - Throws: ``ModelError`` (undetermined) while they are not known.
  func numbers(_ index: Int) throws(ModelError) -> [Double] {
    try list(index, of: "numbers").converted(to: Double.self)
  }

  /// An input that a shape follows from, and so one of few elements: a small file can make a long one.
  private func list(_ index: Int, of kind: String) throws(ModelError) -> Tensor {
    let tensor = try tensor(index)
    guard tensor.type.computed != nil else {
      throw .unexpected("type of input \(index)", expected: kind, got: "\(tensor.type)")
    }
    guard tensor.elementCount <= 1 << 20 else {
      throw .unexpected(
        "elements of input \(index), which a shape follows from", expected: "at most \(1 << 20)",
        got: "\(tensor.elementCount)")
    }
    return tensor
  }
}
