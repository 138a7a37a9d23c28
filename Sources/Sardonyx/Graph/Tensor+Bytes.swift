extension Tensor {
  /// A tensor of elements as they lie in memory: little-endian, row-major, whole bytes each.
  ///
  /// Any byte but 0 stands for true.
  /// - Throws: ``ModelError`` (mismatch) where the byte count is not that of `shape`, or where the
  ///   type is one whose elements are not plain bytes: strings, and types of less than 8 bits.
  public init(_ type: ElementType, _ shape: Shape, bytes: [UInt8]) throws(ModelError) {
    guard type != .string, type.fileBitCount >= 8 else {
      throw .unexpected(
        "element type", expected: "one whose elements are plain bytes", got: "\(type)")
    }
    guard let count = shape.checkedElementCount, count <= Int.max / type.byteCount,
      count * type.byteCount == bytes.count
    else {
      throw .unexpected(
        "bytes of a tensor", expected: "as many as \(type)[\(shape.joined)] takes",
        got: "\(bytes.count)")
    }
    let storage = Storage(byteCount: bytes.count)
    unsafe bytes.withUnsafeBytes { source in
      guard let base = source.baseAddress else { return }
      unsafe storage.base.copyMemory(from: base, byteCount: source.count)
    }
    let copy = Tensor(type == .bool ? .uint8 : type, shape, storage: storage)
    guard type == .bool else {
      self = copy
      return
    }
    self.init(converting: copy.converted(to: Int64.self), to: .bool, shape)
  }

  /// The elements as they lie in memory, in the layout that ``init(_:_:bytes:)`` takes.
  public var rawBytes: [UInt8] {
    unsafe Array(UnsafeRawBufferPointer(start: bytes, count: byteCount))
  }

  /// A tensor of texts in row-major order.
  /// - Throws: ``ModelError`` (mismatch) where the count is not that of `shape`.
  public init(strings: [String], shape: Shape) throws(ModelError) {
    guard shape.checkedElementCount == strings.count else {
      throw .unexpected(
        "elements of a tensor", expected: "as many as [\(shape.joined)] has",
        got: "\(strings.count)")
    }
    self.init(strings: strings, shape)
  }

  /// The elements of any numeric or bool tensor as doubles; integers over 2⁵³ are rounded.
  /// - Throws: ``ModelError`` (mismatch) for strings and complex numbers.
  public func numbers() throws(ModelError) -> [Double] {
    try checkNumeric()
    return converted(to: Double.self)
  }

  /// The tensor with its elements rounded or wrapped to another numeric type.
  /// - Throws: ``ModelError`` (mismatch) where either type is of strings or complex numbers.
  public func converted(to type: ElementType) throws(ModelError) -> Tensor {
    func convert<T: Number>(_: T.Type) -> Tensor {
      Tensor(converting: converted(to: T.self), to: type, shape)
    }
    guard type != self.type else { return self }
    try checkNumeric()
    guard type.computed != nil, let wide = self.type.computed else {
      throw .unexpected("element type", expected: "numbers", got: "\(type)")
    }
    return convert(wide)
  }

  private func checkNumeric() throws(ModelError) {
    guard type.computed != nil else {
      throw .unexpected("element type", expected: "numbers", got: "\(type)")
    }
  }
}
