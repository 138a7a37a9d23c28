extension ElementConversion {
  /// More elements than these are converted faster by way of arrays, whose loops are in vector code.
  private static let mostElements = 512

  /// The conversion of so many elements between the types that models mostly convert; nil for others,
  /// and where there are many.
  func computation(of type: ElementType, _ count: Int) -> Computation? {
    if type == target, type != .string {
      let byteCount = count * type.byteCount
      return { addresses, _ in
        unsafe UnsafeMutableRawPointer(addresses.output(0, as: UInt8.self)).copyMemory(
          from: addresses.input(0, as: UInt8.self), byteCount: byteCount)
      }
    }
    if target == .float, type == .bool || type == .uint8 { return ofBytes(UInt8.self, count) }
    if target == .float, type == .int8 { return ofBytes(Int8.self, count) }
    guard count <= Self.mostElements else { return nil }
    switch type {
    case .float: return ofReals(Float.self, count)
    case .double: return ofReals(Double.self, count)
    case .int32: return ofIntegers(Int32.self, count)
    case .int64: return ofIntegers(Int64.self, count)
    case .uint8, .bool: return ofIntegers(UInt8.self, count)
    default: return nil
    }
  }

  private func ofBytes(_: UInt8.Type, _ count: Int) -> Computation {
    { addresses, crew in
      let x: UnsafePointer<UInt8> = unsafe addresses.input(0)
      unsafe Elementwise.dequantize(count, x, scale: 1, into: addresses.output(), on: crew)
    }
  }

  private func ofBytes(_: Int8.Type, _ count: Int) -> Computation {
    { addresses, crew in
      let x: UnsafePointer<Int8> = unsafe addresses.input(0)
      unsafe Elementwise.dequantize(count, x, scale: 1, into: addresses.output(), on: crew)
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

  private func map<S: BitwiseCopyable, R: BitwiseCopyable>(
    _ count: Int, _ convert: @escaping @Sendable (S) -> R
  ) -> Computation {
    { addresses, _ in
      let x: UnsafePointer<S> = unsafe addresses.input(0)
      let y: UnsafeMutablePointer<R> = unsafe addresses.output()
      for index in 0..<count { unsafe y[index] = convert(x[index]) }
    }
  }
}
