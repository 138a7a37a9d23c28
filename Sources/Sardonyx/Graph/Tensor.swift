/// A dense row-major array of one element type: an immutable value that shares its memory.
public struct Tensor: Sendable {
  /// The type of all elements.
  public let type: ElementType
  /// The extents of the axes; empty for a scalar.
  public let shape: Shape
  let storage: Storage
  /// Where the first element lies in the storage.
  let byteOffset: Int
  /// Keeps alive the texts that a string tensor's elements refer to.
  let texts: TextPools

  init(
    _ type: ElementType, _ shape: Shape, storage: Storage, byteOffset: Int = 0,
    texts: TextPools = .none
  ) {
    let end = byteOffset + shape.elementCount * type.byteCount
    precondition(byteOffset >= 0 && end <= storage.byteCount, "tensor reaches past its storage")
    self.type = type
    self.shape = shape
    self.storage = storage
    self.byteOffset = byteOffset
    self.texts = texts
  }

  /// The product of the extents.
  public var elementCount: Int { shape.elementCount }
  /// Bytes that the elements take in memory.
  public var byteCount: Int { elementCount * type.byteCount }

  /// The address of the first element.
  var bytes: UnsafeRawPointer { unsafe UnsafeRawPointer(storage.base + byteOffset) }

  /// The bytes of the elements, wherever they lie; valid while the tensor is.
  var unalignedBytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: storage.unalignedBase + byteOffset, count: byteCount)
  }

  /// The elements in place, as elements of the same size; valid while the tensor is.
  func pointer<T: BitwiseCopyable>(as _: T.Type) -> UnsafePointer<T> {
    precondition(MemoryLayout<T>.stride == type.byteCount, "elements of another size")
    return unsafe bytes.assumingMemoryBound(to: T.self)
  }

  /// The same elements under another shape of the same count.
  func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.elementCount == elementCount)
    return Tensor(type, shape, storage: storage, byteOffset: byteOffset, texts: texts)
  }

  /// Some neighbouring elements, as a tensor of rank 1 in the same memory.
  func part(_ range: Range<Int>) -> Tensor {
    Tensor(
      type, [range.count], storage: storage,
      byteOffset: byteOffset + range.lowerBound * type.byteCount, texts: texts)
  }

  /// The same bytes under another element type of the same size.
  func reinterpreted(as type: ElementType) -> Tensor {
    precondition(type.byteCount == self.type.byteCount)
    return Tensor(type, shape, storage: storage, byteOffset: byteOffset, texts: texts)
  }
}

// MARK: - From and to arrays

extension Tensor {
  /// A tensor of the given elements in row-major order.
  /// - Throws: ``ModelError`` (mismatch) where the count is not that of `shape`.
  public init<T: Element>(_ elements: [T], shape: Shape) throws(ModelError) {
    guard shape.checkedElementCount == elements.count else {
      throw .unexpected(
        "elements of a tensor", expected: "as many as [\(shape.joined)] has",
        got: "\(elements.count)")
    }
    self.init(elements, shape)
  }

  /// A tensor of elements whose count is known to fit.
  init<T: Element>(_ elements: [T], _ shape: Shape) {
    let storage = Storage(byteCount: elements.count * MemoryLayout<T>.stride)
    unsafe elements.withUnsafeBytes { source in
      guard let base = source.baseAddress else { return }
      unsafe storage.base.copyMemory(from: base, byteCount: source.count)
    }
    self.init(T.elementType, shape, storage: storage)
  }

  /// A tensor of rank 1.
  init<T: Element>(_ elements: [T]) { self.init(elements, [elements.count]) }

  /// A tensor of rank 0.
  init<T: Element>(scalar: T) { self.init([scalar], []) }

  /// A tensor of texts in row-major order; the count is known to fit.
  init(strings: [String], _ shape: Shape) {
    let pool = TextPool(strings)
    let storage = Storage(byteCount: strings.count * ElementType.string.byteCount)
    let references = unsafe storage.base.assumingMemoryBound(to: TextReference.self)
    for index in strings.indices { unsafe references[index] = pool.reference(index) }
    self.init(.string, shape, storage: storage, texts: TextPools([pool]))
  }

  /// Lists of texts, each filled up to the longest along the last axis.
  /// - Parameters:
  ///   - counts: how many of `texts`, one after the other, belong to each list.
  ///   - storage: memory for as many elements as `shape` has.
  ///   - claim: what the texts count against a memory limit.
  init(
    lists counts: [Int], of texts: [String], filledWith filler: String, _ shape: Shape,
    storage: Storage, claim: MemoryClaim
  ) {
    let pool = TextPool(texts + [filler], claim: claim)
    let references = unsafe storage.base.assumingMemoryBound(to: TextReference.self)
    let longest = shape.last ?? 0
    var text = 0
    var interruption = Interruption()
    for (list, count) in counts.enumerated() {
      // Elements that are left are "", as all memory for texts begins.
      if interruption.isDue(after: 2 &* longest &+ 4) { break }
      let row = unsafe references + list * longest
      for index in 0..<count { unsafe row[index] = pool.reference(text + index) }
      for index in count..<longest { unsafe row[index] = pool.reference(texts.count) }
      text += count
    }
    self.init(.string, shape, storage: storage, texts: TextPools([pool]))
  }

  /// A tensor of `shape` with all bytes zero.
  init(zeros type: ElementType, _ shape: Shape) {
    let storage = Storage(byteCount: shape.elementCount * type.byteCount)
    unsafe storage.base.initializeMemory(as: UInt8.self, repeating: 0, count: storage.byteCount)
    self.init(type, shape, storage: storage)
  }

  /// The elements in row-major order.
  /// - Throws: ``ModelError`` (mismatch) where `T` is not the tensor's element type.
  public func elements<T: Element>(of _: T.Type = T.self) throws(ModelError) -> [T] {
    guard T.elementType == type else {
      throw .unexpected("element type", expected: "\(type)", got: "\(T.elementType)")
    }
    return array(of: T.self)
  }

  /// The texts of a string tensor in row-major order.
  /// - Throws: ``ModelError``: mismatch where the elements are not strings; limit or cancelled where the run that
  ///   asks is to end.
  public func strings() throws(ModelError) -> [String] {
    guard type == .string else {
      throw .unexpected("element type", expected: "string", got: "\(type)")
    }
    let references = unsafe pointer(as: TextReference.self)
    let texts = Interruption.map(elementCount, cost: 40) {
      unsafe TextPool.text(references[$0])
    }
    try Interruption.check()
    return texts
  }

  /// The elements of a tensor whose type is known to be `T`'s.
  func array<T: Element>(of _: T.Type) -> [T] {
    precondition(T.elementType == type)
    return unsafe Array(UnsafeBufferPointer(start: pointer(as: T.self), count: elementCount))
  }
}
