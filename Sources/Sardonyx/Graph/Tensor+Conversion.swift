extension Tensor {
  /// The elements converted to a computing type, in row-major order; exact where `T` is
  /// ``ElementType/computed`` (or wider). The tensor must be numeric or bool.
  /// - Parameter asPlaces: false for integers that are numbers alone, or are not used before it has been
  ///   checked that the run goes on: where it is to end they are whatever the memory holds.
  @_specialize(where T == Float)
  @_specialize(where T == Double)
  @_specialize(where T == Int64)
  @_specialize(where T == UInt64)
  func converted<T: Number>(to _: T.Type = T.self, asPlaces: Bool = true) -> [T] {
    if T.elementType == type {
      return unsafe [T](
        copyingUntilDue: pointer(as: T.self), elementCount, asPlaces: asPlaces)
    }
    switch type {
    case .float: return map(Float.self, asPlaces) { T(converting: $0.asDouble) }
    case .double: return map(Double.self, asPlaces) { T(converting: $0) }
    case .int8, .int4, .int2: return map(Int8.self, asPlaces) { T(converting: Int64($0)) }
    case .int16: return map(Int16.self, asPlaces) { T(converting: Int64($0)) }
    case .int32: return map(Int32.self, asPlaces) { T(converting: Int64($0)) }
    case .int64: return map(Int64.self, asPlaces) { T(converting: $0) }
    case .uint8, .bool, .uint4, .uint2:
      return map(UInt8.self, asPlaces) { T(converting: Int64($0)) }
    case .uint16: return map(UInt16.self, asPlaces) { T(converting: Int64($0)) }
    case .uint32: return map(UInt32.self, asPlaces) { T(converting: Int64($0)) }
    case .uint64: return map(UInt64.self, asPlaces) { T(converting: $0) }
    case .float8e8m0:
      return map(UInt8.self, asPlaces) { T(converting: SmallFloat.decodePowerOfTwo($0)) }
    case .float16 where T.self == Float.self, .bfloat16 where T.self == Float.self:
      return unsafe unsafeBitCast(
        HalfKernels.widened(elementCount, pointer(as: UInt16.self), from: type), to: [T].self)
    case .float16, .bfloat16:
      let format = type.smallFloat!
      return map(UInt16.self, asPlaces) { T(converting: format.decode($0)) }
    case .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz, .float6e2m3, .float6e3m2,
      .float4e2m1:
      let format = type.smallFloat!
      return map(UInt8.self, asPlaces) { T(converting: format.decode(UInt16($0))) }
    case .string, .complex64, .complex128:
      preconditionFailure("\(type) is not a number")
    }
  }

  /// Lends the elements converted to a computing type: in place where that is their own.
  /// - Parameter asPlaces: as for ``converted(to:asPlaces:)``.
  func withNumbers<T: Number, Result, Failure: Error>(
    as _: T.Type, asPlaces: Bool = true,
    _ body: (UnsafeBufferPointer<T>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard T.elementType == type else {
      return try unsafe converted(to: T.self, asPlaces: asPlaces).withUnsafeBufferPointer(body)
    }
    return try unsafe body(UnsafeBufferPointer(start: pointer(as: T.self), count: elementCount))
  }

  /// Lends the elements in double, some at a time in row-major order, with where they stand: all at once
  /// they may take eight times the memory of the tensor, which must be numeric or bool. Fewer where the
  /// run is to end.
  func forEachStretch<Failure: Error>(
    _ body: (Range<Int>, [Double]) throws(Failure) -> Void
  ) throws(Failure) {
    for first in stride(from: 0, to: elementCount, by: Self.stretch) {
      let range = first..<Swift.min(first + Self.stretch, elementCount)
      if first > 0, Interruption.isDue { return }
      try body(range, part(range).converted(to: Double.self))
    }
  }

  /// A tensor of `type` whose elements are made of this one's in double, some at a time, each rounded once.
  /// - Parameter body: changes the elements of a range.
  func mapped<Failure: Error>(
    to type: ElementType, _ body: (Range<Int>, inout [Double]) throws(Failure) -> Void
  ) throws(Failure) -> Tensor {
    let made = Storage(
      byteCount: elementCount * type.byteCount, chargedTo: Interruption.crew?.account)
    try forEachStretch { (range, numbers) throws(Failure) in
      var changed = numbers
      try body(range, &changed)
      unsafe Self.store(changed, as: type, at: made.base + range.lowerBound * type.byteCount)
    }
    return Tensor(type, shape, storage: made)
  }

  private func map<S: BitwiseCopyable, T: Number>(
    _: S.Type, _ asPlaces: Bool, _ convert: (S) -> T
  ) -> [T] {
    let source = unsafe pointer(as: S.self)
    Interruption.expect(elementCount, T.self)
    return unsafe [T](unsafeUninitializedCapacity: elementCount) { buffer, count in
      count = elementCount
      guard let target = buffer.baseAddress else { return }
      for first in stride(from: 0, to: count, by: Self.stretch) {
        // Where the run is to end, any numbers do: whatever the memory holds, or for integers, which
        // may be places, the first element.
        let isDue = first > 0 && Interruption.isDue
        if isDue, !asPlaces || !T.elementType.isInteger { return }
        let step = isDue ? 0 : 1
        for index in first..<Swift.min(first + Self.stretch, count) {
          unsafe (target + index).initialize(to: convert(source[index * step]))
        }
      }
    }
  }

  /// Elements converted between two looks at the clock.
  private static var stretch: Int { 1 << 16 }

  /// A tensor of `type` whose elements are the given numbers, each rounded (floating-point types,
  /// to nearest even) or wrapped (integers) once. The count is known to fit.
  init<T: Number>(converting numbers: [T], to type: ElementType, _ shape: Shape) {
    let storage = Storage(byteCount: numbers.count * type.byteCount)
    unsafe Self.store(numbers, as: type, at: storage.base)
    self.init(type, shape, storage: storage)
  }

  /// A tensor of `type` whose elements are made some at a time, each rounded once.
  /// - Parameter next: makes so many numbers.
  package init(_ type: ElementType, _ shape: Shape, of next: (Int) -> [Float]) {
    let storage = Storage(byteCount: shape.elementCount * type.byteCount)
    for first in stride(from: 0, to: shape.elementCount, by: Self.stretch) {
      let numbers = next(Swift.min(Self.stretch, shape.elementCount - first))
      unsafe Self.store(numbers, as: type, at: storage.base + first * type.byteCount)
    }
    self.init(type, shape, storage: storage)
  }

  /// Writes numbers as elements of `type`, which must be numeric or bool.
  @_specialize(where T == Float)
  @_specialize(where T == Double)
  @_specialize(where T == Int64)
  @_specialize(where T == UInt64)
  static func store<T: Number>(
    _ numbers: [T], as type: ElementType, at base: UnsafeMutableRawPointer
  ) {
    func put<S: BitwiseCopyable>(_ convert: (T) -> S) {
      let target = unsafe base.assumingMemoryBound(to: S.self)
      for first in stride(from: 0, to: numbers.count, by: stretch) {
        if first > 0, Interruption.isDue { return }
        for index in first..<min(first + stretch, numbers.count) {
          unsafe target[index] = convert(numbers[index])
        }
      }
    }
    func integer(_ number: T) -> Int64 { number.asInt64 }
    if T.elementType == type {
      return unsafe numbers.withUnsafeBufferPointer { source in
        guard let start = source.baseAddress else { return }
        let target = unsafe base.assumingMemoryBound(to: T.self)
        Interruption.inStretches(of: source.count) {
          unsafe (target + $0.lowerBound).update(from: start + $0.lowerBound, count: $0.count)
        }
      }
    }
    switch type {
    case .float: put { $0.asFloat }
    case .double: put { $0.asDouble }
    case .int8: put { Int8(truncatingIfNeeded: integer($0)) }
    case .int16: put { Int16(truncatingIfNeeded: integer($0)) }
    case .int32: put { Int32(truncatingIfNeeded: integer($0)) }
    case .int64: put(integer)
    case .uint8: put { UInt8(truncatingIfNeeded: integer($0)) }
    case .uint16: put { UInt16(truncatingIfNeeded: integer($0)) }
    case .uint32: put { UInt32(truncatingIfNeeded: integer($0)) }
    case .uint64: put { UInt64(converting: $0) }
    case .bool: put { $0 != 0 }
    case .uint4: put { UInt8(truncatingIfNeeded: integer($0) & 15) }
    case .uint2: put { UInt8(truncatingIfNeeded: integer($0) & 3) }
    case .int4: put { Int8(truncatingIfNeeded: (integer($0) << 60) >> 60) }
    case .int2: put { Int8(truncatingIfNeeded: (integer($0) << 62) >> 62) }
    case .float16 where T.self == Float.self, .bfloat16 where T.self == Float.self:
      unsafe HalfKernels.store(
        unsafeBitCast(numbers, to: [Float].self), as: type,
        at: base.assumingMemoryBound(to: UInt16.self))
    case .float16, .bfloat16:
      let format = type.smallFloat!
      put { format.encode($0.asDouble, saturate: false) }
    case .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz, .float6e2m3, .float6e3m2,
      .float4e2m1:
      let format = type.smallFloat!
      put { UInt8(truncatingIfNeeded: format.encode($0.asDouble, saturate: false)) }
    case .float8e8m0:
      put { number in
        let value = number.asDouble
        return value.isFinite && value > 0 ? UInt8(clamping: Int(value.exponent) + 127) : 255
      }
    case .string, .complex64, .complex128:
      preconditionFailure("\(type) is not a number")
    }
  }
}
