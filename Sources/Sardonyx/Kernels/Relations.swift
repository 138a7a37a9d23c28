/// What is asked of two numbers; any relation with NaN is false.
enum Relation: Sendable {
  case equal, less, lessOrEqual, greater, greaterOrEqual

  /// The relation of the same numbers in the other order.
  var turned: Relation {
    switch self {
    case .equal: .equal
    case .less: .greater
    case .lessOrEqual: .greaterOrEqual
    case .greater: .less
    case .greaterOrEqual: .lessOrEqual
    }
  }
}

extension Broadcast {
  /// The answers for tensors of this type; nil for types that are left to others.
  func comparison(_ relation: Relation, _ type: ElementType) -> Computation? {
    func computation<T: Comparable & BitwiseCopyable & SendableMetatype>(_: T.Type) -> Computation {
      { addresses, _ in
        unsafe compare(
          relation, addresses.input(0, as: T.self), addresses.input(1, as: T.self),
          into: addresses.output())
      }
    }
    return switch type {
    case .float: computation(Float.self)
    case .double: computation(Double.self)
    case .int32: computation(Int32.self)
    case .int64: computation(Int64.self)
    case .uint8: computation(UInt8.self)
    case .int8: computation(Int8.self)
    default: nil
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  @_specialize(where T == Int32)
  @_specialize(where T == Int64)
  @_specialize(where T == UInt8)
  @_specialize(where T == Int8)
  func compare<T: Comparable & BitwiseCopyable>(
    _ relation: Relation, _ xs: UnsafePointer<T>, _ ys: UnsafePointer<T>,
    into z: UnsafeMutablePointer<Bool>
  ) {
    guard elementCount > 0 else { return }
    let (length, steps) = (rowLength, (step(of: 0), step(of: 1)))
    var interruption = Interruption()
    for row in 0..<rowCount {
      let x = unsafe xs + start(ofRow: row, in: 0)
      let y = unsafe ys + start(ofRow: row, in: 1)
      nonisolated(unsafe) let target = unsafe z + row * length
      if interruption.isDue(after: length) { return }
      // Whatever stands still along the row comes second.
      let isTurned = steps.0 == 0 && steps.1 == 1
      nonisolated(unsafe) let (left, right) = unsafe isTurned ? (y, x) : (x, y)
      Interruption.inStretches(of: length) { range in
        unsafe Self.compare(
          isTurned ? relation.turned : relation, range, left, right, isTurned ? 0 : steps.1,
          into: target)
      }
    }
  }

  /// A stretch of a row, by loops that the compiler turns into vector code.
  @inline(__always)
  private static func compare<T: Comparable & BitwiseCopyable>(
    _ relation: Relation, _ range: Range<Int>, _ x: UnsafePointer<T>, _ y: UnsafePointer<T>,
    _ yStep: Int, into z: UnsafeMutablePointer<Bool>
  ) {
    switch relation {
    case .equal: unsafe answer(range, x, y, yStep, into: z) { $0 == $1 }
    case .less: unsafe answer(range, x, y, yStep, into: z) { $0 < $1 }
    case .lessOrEqual: unsafe answer(range, x, y, yStep, into: z) { $0 <= $1 }
    case .greater: unsafe answer(range, x, y, yStep, into: z) { $0 > $1 }
    case .greaterOrEqual: unsafe answer(range, x, y, yStep, into: z) { $0 >= $1 }
    }
  }

  @inline(__always)
  private static func answer<T: BitwiseCopyable>(
    _ range: Range<Int>, _ x: UnsafePointer<T>, _ y: UnsafePointer<T>, _ yStep: Int,
    into z: UnsafeMutablePointer<Bool>, _ holds: (T, T) -> Bool
  ) {
    if yStep == 0 {
      let other = unsafe y.pointee
      for index in range { unsafe z[index] = holds(x[index], other) }
    } else {
      for index in range { unsafe z[index] = holds(x[index], y[index]) }
    }
  }
}
