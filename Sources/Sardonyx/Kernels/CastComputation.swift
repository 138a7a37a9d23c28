extension ElementConversion {
  /// The conversion of so many elements between the types that models mostly convert; nil for others.
  func computation(of type: ElementType, _ count: Int) -> Computation? {
    if type == target, type != .string {
      let byteCount = count * type.byteCount
      return { addresses, _ in
        unsafe UnsafeMutableRawPointer(addresses.output(0, as: UInt8.self)).copyMemory(
          from: addresses.input(0, as: UInt8.self), byteCount: byteCount)
      }
    }
    switch type {
    case .float: return ofReals(Float.self, count)
    case .double: return ofReals(Double.self, count)
    case .int32: return ofIntegers(Int32.self, count)
    case .int64: return ofIntegers(Int64.self, count)
    case .uint8, .bool: return ofIntegers(UInt8.self, count)
    default: return nil
    }
  }

  private func ofReals<S: BinaryFloatingPoint & BitwiseCopyable & Sendable>(
    _: S.Type, _ count: Int
  ) -> Computation? {
    switch target {
    case .float: map(count) { (x: S) in Float(x) }
    case .double: map(count) { (x: S) in Double(x) }
    case .int32: map(count) { (x: S) in Int32(truncatingIfNeeded: Double(x).asInt64) }
    case .int64: map(count) { (x: S) in Double(x).asInt64 }
    case .bool: map(count) { (x: S) in x != 0 }
    default: nil
    }
  }

  private func ofIntegers<S: FixedWidthInteger & BitwiseCopyable & Sendable>(
    _: S.Type, _ count: Int
  ) -> Computation? {
    switch target {
    case .float: map(count) { (x: S) in Float(Int64(truncatingIfNeeded: x)) }
    case .double: map(count) { (x: S) in Double(Int64(truncatingIfNeeded: x)) }
    case .int32: map(count) { (x: S) in Int32(truncatingIfNeeded: x) }
    case .int64: map(count) { (x: S) in Int64(truncatingIfNeeded: x) }
    case .bool: map(count) { (x: S) in x != 0 }
    default: nil
    }
  }

  /// Inlined, so that each conversion is a loop of its own and not a call for each element.
  @inline(__always)
  private func map<S: BitwiseCopyable, R: BitwiseCopyable>(
    _ count: Int, _ convert: @escaping @Sendable (S) -> R
  ) -> Computation {
    { addresses, crew in
      nonisolated(unsafe) let x: UnsafePointer<S> = unsafe addresses.input(0)
      nonisolated(unsafe) let y: UnsafeMutablePointer<R> = unsafe addresses.output()
      crew.performRanges(of: count, by: 1 << 15) { range in
        for index in range { unsafe y[index] = convert(x[index]) }
      }
    }
  }
}
