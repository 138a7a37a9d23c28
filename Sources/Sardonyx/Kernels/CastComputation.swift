extension ElementConversion {
  /// More elements than these are converted faster by way of arrays, whose loops are in vector code: on Zen 5,
  /// AVX-512, half a million truth values take 0.16 ms there and 0.56 ms here.
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
