/// Operators on sequences.
let sequences: OperatorFamily = [
  "ConcatFromSequence": ConcatFromSequence.init,
  "SequenceAt": SequenceAt.init,
  "SequenceConstruct": SequenceConstruct.init,
  "SequenceEmpty": SequenceEmpty.init,
  "SequenceErase": SequenceErase.init,
  "SequenceInsert": SequenceInsert.init,
  "SequenceLength": SequenceLength.init,
  "SplitToSequence": SplitToSequence.init,
]

extension Facts {
  /// Checks that no input of an operator with any number of them is left out.
  func requireAll() throws(ModelError) {
    for index in 0..<count where !has(index) {
      throw ModelError(.invalid, "input \(index) is left out")
    }
  }

  /// The type of the elements of a sequence input.
  /// - Throws: ``ModelError`` (undetermined) while it is not known.
  fileprivate func elementType(ofSequence index: Int) throws(ModelError) -> ValueType {
    guard case .sequence(let element)? = self[index].type else {
      throw ModelError(.undetermined, "type of input \(index)")
    }
    return element
  }
}

extension Inputs {
  /// A sequence input with the type of its elements.
  fileprivate func typedSequence(_ index: Int) -> (elements: [Value], type: ValueType) {
    guard case .sequence(let elements, let type)? = value(index) else {
      preconditionFailure("input \(index) is not a sequence")
    }
    return (elements, type)
  }

  /// The number that a position input holds.
  fileprivate func position(_ index: Int) throws(ModelError) -> Int {
    let numbers = integers(index)
    guard numbers.count == 1 else {
      throw .unexpected("position", expected: "one element", got: "\(numbers.count)")
    }
    return numbers[0]
  }
}

/// A sequence of the inputs.
struct SequenceConstruct: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    try inputs.requireAll()
    return [Fact(type: .sequence(.tensor(try inputs.type(0))))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    let tensors = (0..<inputs.count).map { inputs[$0] }
    outputs.set(0, .sequence(tensors.map { .tensor($0) }, of: .tensor(tensors[0].type)))
  }
}

/// A sequence without elements.
struct SequenceEmpty: Operator {
  let type: ElementType

  init(_ node: inout NodeReader) throws(ModelError) {
    type = try node.elementType("dtype") ?? .float
  }

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(type: .sequence(.tensor(type)))] }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    outputs.set(0, .sequence([], of: .tensor(type)))
  }
}

/// A sequence with one more element: before `position`, or at the end.
struct SequenceInsert: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(type: inputs[0].type)] }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    var (elements, type) = inputs.typedSequence(0)
    let tensor = inputs[1]
    guard type == .tensor(tensor.type) else {
      throw .unexpected("type of the new element", expected: "\(type)", got: "\(tensor.type)")
    }
    var position = elements.count
    if inputs.has(2) {
      let given = try inputs.position(2)
      position =
        given == elements.count ? given : try given.index(within: elements.count, "position")
    }
    elements.insert(.tensor(tensor), at: position)
    outputs.set(0, .sequence(elements, of: type))
  }
}

/// A sequence without the element at `position`, or without the last.
struct SequenceErase: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(type: inputs[0].type)] }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    var (elements, type) = inputs.typedSequence(0)
    let position = inputs.has(1) ? try inputs.position(1) : -1
    elements.remove(at: try position.index(within: elements.count, "position"))
    outputs.set(0, .sequence(elements, of: type))
  }
}

/// The element at `position`, which counts from the back where negative.
struct SequenceAt: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(type: try inputs.elementType(ofSequence: 0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let elements = inputs.sequence(0)
    let position = try inputs.position(1).index(within: elements.count, "position")
    outputs.set(0, elements[position])
  }
}

/// The number of elements.
struct SequenceLength: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) -> [Fact] { [Fact(.int64, [])] }

  func run(_ inputs: Inputs, _ outputs: Outputs) {
    outputs[0].store(elements: [Int64(inputs.sequence(0).count)])
  }
}

/// A tensor cut along an axis: into parts of one size (a scalar `split`), of given sizes, or of
/// extent 1, whose axis may then be dropped.
struct SplitToSequence: Operator {
  let axis: Int
  let keepsAxis: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    axis = try node.int("axis", default: 0)
    keepsAxis = try node.bool("keepdims", default: true)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(type: .sequence(.tensor(try inputs.type(0))))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tensor = inputs[0]
    let axis = try axis.axis(ofRank: tensor.shape.count)
    var first = 0
    var parts: [Value] = []
    var interruption = Interruption()
    for size in try sizes(inputs.tensor(1), tensor.shape[axis], outputs.context) {
      if interruption.isDue(after: 500) { return }
      let part = try tensor.part(axis, from: first, count: size, outputs.context)
      var shape = part.shape
      if !keepsAxis && !inputs.has(1) { shape.remove(at: axis) }
      parts.append(.tensor(part.reshaped(shape)))
      first += size
    }
    outputs.set(0, .sequence(parts, of: .tensor(tensor.type)))
  }

  private func sizes(_ split: Tensor?, _ extent: Int, _ context: RunContext) throws(ModelError)
    -> [Int]
  {
    guard let split else {
      try checkRoom(extent, context)
      let sizes = Array(repeating: 1, untilDue: extent)
      try Interruption.check()
      return sizes
    }
    let sizes = split.converted(to: Int64.self, asPlaces: false).interruptibleMap(cost: 1) {
      Int($0)
    }
    try Interruption.check()
    if split.shape.isEmpty {
      guard sizes[0] > 0 else {
        throw .unexpected("split", expected: "a positive number", got: "\(sizes[0])")
      }
      let count = extent.dividedUp(by: sizes[0])
      try checkRoom(count, context)
      let all = Interruption.map(count, cost: 1) { min(sizes[0], extent - $0 * sizes[0]) }
      try Interruption.check()
      return all
    }
    guard sizes.allSatisfy({ $0 >= 0 }), sizes.saturatingSum() == extent else {
      throw .unexpected(
        "split", expected: "sizes that add up to \(extent)", got: "[\(sizes.joined)]")
    }
    return sizes
  }

  /// Refuses so many parts before a list of them is made, where memory does not allow it.
  private func checkRoom(_ count: Int, _ context: RunContext) throws(ModelError) {
    let claim = MemoryClaim(on: context.account)
    let partByteCount = MemoryLayout<Int>.stride + MemoryLayout<Value>.stride
    try claim.grow(by: count * partByteCount, for: "a sequence of \(count) tensors")
  }
}

/// The tensors of a sequence joined along an axis, which may be a new one.
struct ConcatFromSequence: Operator {
  let axis: Int
  let makesAxis: Bool

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let axis = try node.int("axis") else { throw node.missing("axis") }
    self.axis = axis
    makesAxis = try node.bool("new_axis")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(type: try inputs.elementType(ofSequence: 0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tensors = inputs.sequence(0).compactMap(\.tensor)
    let result =
      makesAxis
      ? try Tensor(stacking: tensors, axis, outputs.context)
      : try Tensor(joining: tensors, axis, outputs.context)
    outputs.set(0, .tensor(result))
  }
}

extension Tensor {
  /// A copy of `count` places along an axis.
  func part(_ axis: Int, from first: Int, count: Int, _ context: RunContext) throws(ModelError)
    -> Tensor
  {
    let region = Region(shape).sliced(axis, from: first, count: count)
    let part = Destination(
      type, region.extents, storage: try context.allocate(type, region.extents))
    part.copy(self, from: region, on: context.crew)
    return part.tensor(texts: texts)
  }

  /// The slice at one place along an axis, without that axis.
  func slice(_ axis: Int, at place: Int, _ context: RunContext) throws(ModelError) -> Tensor {
    var shape = shape
    shape.remove(at: axis)
    return try part(axis, from: place, count: 1, context).reshaped(shape)
  }

  /// Tensors joined along an axis.
  init(joining tensors: [Tensor], _ axis: Int, _ context: RunContext) throws(ModelError) {
    let shape = try Shape.joined(tensors.map(\.shape), along: axis)
    let type = tensors[0].type
    guard let other = tensors.first(where: { $0.type != type }) else {
      let whole = Destination(type, shape, storage: try context.allocate(type, shape))
      try whole.join(tensors, along: axis, on: context.crew)
      var texts = TextPools.none
      if type == .string { for tensor in tensors { texts.formUnion(tensor.texts) } }
      self = whole.tensor(texts: texts)
      return
    }
    throw .unexpected("type of tensors to join", expected: "\(type)", got: "\(other.type)")
  }

  /// Tensors of one shape laid one after the other along a new axis.
  init(stacking tensors: [Tensor], _ axis: Int, _ context: RunContext) throws(ModelError) {
    let rank = (tensors.first?.shape.count ?? 0) + 1
    let axis = try axis.axis(ofRank: rank)
    if let small = try Self.stack(ofFew: tensors, axis, context) {
      self = small
      return
    }
    let slices = tensors.map { tensor in
      var shape = tensor.shape
      shape.insert(1, at: min(axis, shape.count))
      return tensor.reshaped(shape)
    }
    try self.init(joining: slices, axis, context)
  }

  /// More bytes than these are worth dividing among threads.
  private static let mostBytesAtOnce = 1 << 16

  /// The same for few bytes; nil where tensors differ or hold texts.
  private static func stack(ofFew tensors: [Tensor], _ axis: Int, _ context: RunContext)
    throws(ModelError) -> Tensor?
  {
    guard let first = tensors.first, first.type != .string,
      tensors.allSatisfy({ $0.type == first.type && $0.shape == first.shape }),
      first.byteCount * tensors.count <= mostBytesAtOnce
    else { return nil }
    var shape = first.shape
    shape.insert(tensors.count, at: axis)
    let whole = Destination(first.type, shape, storage: try context.allocate(first.type, shape))
    let rows = Shape(first.shape[..<axis]).elementCount
    let size = first.byteCount / max(rows, 1)
    var target = unsafe whole.bytes
    for row in 0..<rows {
      for tensor in tensors {
        unsafe target.copyMemory(from: tensor.bytes + row * size, byteCount: size)
        unsafe target += size
      }
    }
    return whole.tensor(texts: .none)
  }
}
