/// The inputs of a node during a run.
struct Inputs: Sendable {
  private let table: ValueTable
  /// Where each input stands in the table.
  private let numbers: [Int?]

  private let checked: TypesChecked

  /// - Parameter checked: that ``values`` have types the operator's schema allows.
  init(_ values: [Value?], _ checked: TypesChecked) {
    self.init(ValueTable(values), values.indices.map { $0 }, checked)
  }

  /// The values of a table that bear these numbers.
  init(_ table: ValueTable, _ numbers: [Int?], _ checked: TypesChecked) {
    self.table = table
    self.numbers = numbers
    self.checked = checked
  }

  /// Inputs made of these, for an operator that runs another one.
  func replaced(by values: [Value?]) -> Inputs { Inputs(values, checked) }

  /// The number of inputs the node names, those left out at the end not counted.
  var count: Int { numbers.count }

  /// Whether input `index` is given.
  func has(_ index: Int) -> Bool { value(index) != nil }

  /// The tensor of a required input; the schema has been checked, so anything else is a fault of
  /// the operator.
  subscript(_ index: Int) -> Tensor {
    guard let tensor = tensor(index) else { preconditionFailure("input \(index) is not a tensor") }
    return tensor
  }

  /// The tensor of an input that may be left out.
  func tensor(_ index: Int) -> Tensor? { value(index)?.tensor }

  /// An input of any type.
  func value(_ index: Int) -> Value? {
    guard index < numbers.count, let number = numbers[index] else { return nil }
    return table[number]
  }

  /// The inputs from `first` on, those left out included.
  func from(_ first: Int) -> [Value?] {
    numbers.dropFirst(first).map { $0.flatMap { table[$0] } }
  }

  /// The elements of an integer or bool input.
  func integers(_ index: Int) -> [Int] {
    unsafe self[index].withNumbers(as: Int64.self) { unsafe $0.map { Int($0) } }
  }

  /// The elements of a sequence input.
  func sequence(_ index: Int) -> [Value] {
    guard case .sequence(let elements, _)? = value(index) else {
      preconditionFailure("input \(index) is not a sequence")
    }
    return elements
  }

  /// The inputs as facts that carry their values.
  var facts: Facts { Facts(from(0).map { $0.map { Fact($0) } }, checked) }

  /// The pools of all texts that reach the node.
  var texts: TextPools {
    var pools = TextPools.none
    for index in 0..<count {
      if let value = value(index) { pools.formUnion(value.texts) }
    }
    return pools
  }
}

extension Value {
  /// The pools of all texts inside.
  fileprivate var texts: TextPools {
    switch self {
    case .tensor(let tensor): return tensor.texts
    case .optional(let value, _): return value?.texts ?? .none
    case .map(let keys, let values):
      var pools = keys.texts
      pools.formUnion(values.texts)
      return pools
    case .sequence(let elements, _):
      var pools = TextPools.none
      for element in elements { pools.formUnion(element.texts) }
      return pools
    }
  }
}

/// Where a node puts its outputs during a run, and the means it may use to compute them.
struct Outputs: Sendable {
  let context: RunContext
  private let slots: OutputSlots

  /// - Parameter destinations: memory for each output whose shape is known; nil for outputs nobody
  ///   wants and for those that the operator places itself.
  init(_ destinations: [Destination?], wanted: [Bool], context: RunContext) {
    self.init(OutputSlots(destinations, wanted: wanted), context)
  }

  init(_ slots: OutputSlots, _ context: RunContext) {
    self.context = context
    self.slots = slots
  }

  /// The number of outputs the node names.
  var count: Int { slots.wanted.count }

  /// Whether output `index` is used by anybody; others have no memory.
  func wants(_ index: Int) -> Bool { index < slots.wanted.count && slots.wanted[index] }

  /// The memory of a tensor output whose shape ``Operator/outputs(_:)`` told.
  subscript(_ index: Int) -> Destination {
    guard let destination = slots.destinations[index] else {
      preconditionFailure("output \(index) has no memory: not wanted, or not placed yet")
    }
    return destination
  }

  /// Takes memory for an output whose shape has only now become known.
  /// - Throws: ``ModelError`` (limit) where the run's memory limit does not allow it.
  @discardableResult
  func place(_ index: Int, _ type: ElementType, _ shape: Shape) throws(ModelError) -> Destination {
    let destination = Destination(type, shape, storage: try context.allocate(type, shape))
    if wants(index) {
      slots.destinations[index] = destination
      slots.isChanged = true
    }
    return destination
  }

  /// Hands over a finished output: a sequence, an optional, a map, or a tensor made elsewhere.
  func set(_ index: Int, _ value: Value) {
    guard wants(index) else { return }
    slots.values[index] = value
    slots.isChanged = true
  }

  /// The finished outputs; string tensors keep `texts` alive unless they brought their own.
  func finished(texts: TextPools) -> [Value?] {
    (0..<count).map { finished($0, texts: texts) }
  }

  /// One of them.
  func finished(_ index: Int, texts: TextPools) -> Value? {
    if let value = slots.values[index] { return value }
    return slots.destinations[index].map { .tensor($0.tensor(texts: texts)) }
  }
}

/// The mutable part of ``Outputs``; touched by the thread that runs the node alone.
final class OutputSlots: @unchecked Sendable {
  var destinations: [Destination?]
  fileprivate(set) var values: [Value?]
  fileprivate let wanted: [Bool]
  /// Whether the operator placed or handed over an output itself.
  fileprivate(set) var isChanged = false

  init(_ destinations: [Destination?], wanted: [Bool]) {
    self.destinations = destinations
    values = Array(repeating: nil, count: wanted.count)
    self.wanted = wanted
  }

  /// An output that the operator placed or handed over itself, or that has memory anyway.
  func changed(_ index: Int) -> Value? {
    values[index] ?? destinations[index].map { .tensor($0.tensor(texts: .none)) }
  }

  /// Forgets what an operator did, so that it may run again.
  func restore(_ destinations: [Destination?]) {
    self.destinations = destinations
    values = Array(repeating: nil, count: wanted.count)
    isChanged = false
  }
}

/// Memory for a tensor that is being computed.
struct Destination: Sendable {
  let type: ElementType
  let shape: Shape
  private let storage: Storage
  private let byteOffset: Int

  init(_ type: ElementType, _ shape: Shape, storage: Storage, byteOffset: Int = 0) {
    precondition(byteOffset + shape.elementCount * type.byteCount <= storage.byteCount)
    self.type = type
    self.shape = shape
    self.storage = storage
    self.byteOffset = byteOffset
  }

  /// The memory of a tensor that nobody reads yet.
  init(_ tensor: Tensor) {
    self.init(tensor.type, tensor.shape, storage: tensor.storage, byteOffset: tensor.byteOffset)
  }

  /// The memory of some neighbouring elements, for a tensor of rank 1.
  func part(_ range: Range<Int>) -> Destination {
    Destination(
      type, [range.count], storage: storage,
      byteOffset: byteOffset + range.lowerBound * type.byteCount)
  }

  /// The same memory for elements of another type of the same size.
  init(_ other: Destination, as type: ElementType) {
    self.init(type, other.shape, storage: other.storage, byteOffset: other.byteOffset)
  }

  var elementCount: Int { shape.elementCount }
  var byteCount: Int { elementCount * type.byteCount }

  /// The address of the first element.
  var bytes: UnsafeMutableRawPointer { unsafe storage.base + byteOffset }

  /// The elements in place, as elements of the same size.
  func pointer<T: BitwiseCopyable>(as _: T.Type) -> UnsafeMutablePointer<T> {
    precondition(MemoryLayout<T>.stride == type.byteCount, "elements of another size")
    return unsafe bytes.assumingMemoryBound(to: T.self)
  }

  /// Stores numbers, each rounded or wrapped once to the element type; the count must be right.
  func store<T: Number>(_ numbers: [T]) {
    guard isWhole(numbers.count) else { return }
    unsafe Tensor.store(numbers, as: type, at: bytes)
  }

  /// Lets `body` make numbers: in place where that is their type, or else each is rounded or wrapped.
  func writeNumbers<T: Number>(as _: T.Type, _ body: (UnsafeMutableBufferPointer<T>) -> Void) {
    if T.elementType == type {
      return unsafe body(
        UnsafeMutableBufferPointer(start: pointer(as: T.self), count: elementCount))
    }
    store(
      unsafe [T](unsafeUninitializedCapacity: elementCount) { buffer, count in
        count = elementCount
        unsafe body(UnsafeMutableBufferPointer(rebasing: buffer[..<elementCount]))
      })
  }

  /// Stores elements as they are; type and count must be right.
  func store<T: Element>(elements: [T]) {
    precondition(T.elementType == type)
    guard isWhole(elements.count) else { return }
    unsafe elements.withUnsafeBytes { source in
      guard let base = source.baseAddress else { return }
      let target = unsafe bytes
      Interruption.inStretches(of: source.count) {
        unsafe (target + $0.lowerBound).copyMemory(from: base + $0.lowerBound, byteCount: $0.count)
      }
    }
  }

  /// Whether there are as many results as elements: fewer only where the run is to end.
  private func isWhole(_ count: Int) -> Bool {
    if count == elementCount { return true }
    precondition(count < elementCount && Interruption.isDue, "an operator made too few elements")
    return false
  }

  /// Copies the bytes of a tensor of the same size; nothing where it is this very memory.
  func copy(_ tensor: Tensor) {
    precondition(tensor.byteCount == byteCount)
    guard unsafe tensor.bytes != UnsafeRawPointer(bytes) else { return }
    let (source, target) = unsafe (tensor.bytes, bytes)
    Interruption.inStretches(of: byteCount) {
      unsafe (target + $0.lowerBound).copyMemory(
        from: source + $0.lowerBound, byteCount: $0.count)
    }
  }

  /// The finished tensor.
  func tensor(texts: TextPools) -> Tensor {
    Tensor(
      type, shape, storage: storage, byteOffset: byteOffset, texts: type == .string ? texts : .none)
  }
}
