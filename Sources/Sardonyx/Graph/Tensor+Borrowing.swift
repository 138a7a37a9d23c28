extension Tensor {
  /// A tensor of elements that lie in memory of the caller's, which is read where it is.
  ///
  /// The layout is that of ``rawBytes``: little-endian, row-major, whole bytes each. Elements that
  /// cannot be used as they are go into a copy: those that do not lie at a multiple of their size, truth values
  /// other than 0 and 1, and elements of less than 8 bits that fill more of their bytes (the
  /// excess is dropped, and integers are sign-extended).
  /// - Parameters:
  ///   - memory: the elements.
  ///   - type: their type, whichever but strings.
  ///   - shape: their extents.
  ///   - owner: keeps the memory alive and unchanged as long as it lives itself.
  /// - Throws: ``ModelError`` (mismatch) where the byte count is not that of `shape`, or for strings.
  @unsafe public init(
    borrowing memory: UnsafeRawBufferPointer, as type: ElementType, shape: Shape,
    owner: some AnyObject & Sendable
  ) throws(ModelError) {
    guard type != .string else {
      throw .unexpected(
        "element type", expected: "one whose elements are plain bytes", got: "\(type)")
    }
    guard let count = shape.checkedElementCount, count <= Int.max / type.byteCount,
      count * type.byteCount == memory.count
    else {
      throw .unexpected(
        "bytes of a tensor", expected: "as many as \(type)[\(shape.joined)] takes",
        got: "\(memory.count)")
    }
    let isWhole = unsafe !type.hasExcess || memory.allSatisfy { type.whole($0) == $0 }
    guard let base = memory.baseAddress, isWhole else {
      let storage = Storage(byteCount: memory.count)
      let target = unsafe storage.base.assumingMemoryBound(to: UInt8.self)
      for index in memory.indices {
        let byte = unsafe memory[index]
        unsafe target[index] = type.whole(byte)
      }
      self.init(type, shape, storage: storage)
      return
    }
    let storage = unsafe Storage(
      borrowing: base, byteCount: memory.count, alignment: type.alignment, owner: owner)
    self.init(type, shape, storage: storage)
  }

  /// The address of the first element, valid while the tensor is.
  @unsafe package var address: UnsafeRawPointer { unsafe bytes }
}

extension ElementType {
  /// Whether a byte of an element may hold more than the element.
  fileprivate var hasExcess: Bool { self == .bool || fileBitCount < 8 }

  /// The byte of an element as it has to lie in memory.
  fileprivate func whole(_ byte: UInt8) -> UInt8 {
    switch self {
    case .bool: byte == 0 ? 0 : 1
    case .int4: UInt8(bitPattern: Int8(bitPattern: byte << 4) >> 4)
    case .int2: UInt8(bitPattern: Int8(bitPattern: byte << 6) >> 6)
    case .uint4, .float4e2m1: byte & 0xF
    case .uint2: byte & 3
    case .float6e2m3, .float6e3m2: byte & 0x3F
    default: byte
    }
  }
}

extension Value {
  /// This value with copies of those tensors in it that lie in the memory of others.
  package func apart(from others: some Sequence<Value>) -> Value {
    let storages = Set(others.flatMap(\.tensors).map { ObjectIdentifier($0.storage) })
    func isShared(_ tensor: Tensor) -> Bool { storages.contains(ObjectIdentifier(tensor.storage)) }
    return tensors.contains(where: isShared) ? copied(where: isShared) : self
  }

  /// This value in memory of its own.
  var copied: Value { copied { _ in true } }

  private var tensors: [Tensor] {
    switch self {
    case .tensor(let tensor): [tensor]
    case .sequence(let elements, _): elements.flatMap(\.tensors)
    case .optional(let value, _): value?.tensors ?? []
    case .map(let keys, let values): [keys, values]
    }
  }

  private func copied(where isWanted: (Tensor) -> Bool) -> Value {
    func copy(_ tensor: Tensor) -> Tensor {
      guard isWanted(tensor) else { return tensor }
      let storage = Storage(byteCount: tensor.byteCount)
      let destination = Destination(tensor.type, tensor.shape, storage: storage)
      destination.copy(tensor)
      return destination.tensor(texts: tensor.texts)
    }
    switch self {
    case .tensor(let tensor): return .tensor(copy(tensor))
    case .sequence(let elements, let type):
      return .sequence(elements.map { $0.copied(where: isWanted) }, of: type)
    case .optional(let value, let type):
      return .optional(value?.copied(where: isWanted), of: type)
    case .map(let keys, let values): return .map(keys: copy(keys), values: copy(values))
    }
  }
}
