#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// A number made of many, as each kind of arithmetic computes it.
struct ReductionFunction: Sendable {
  /// A kernel for single precision, and what is done to its result.
  struct Kernel: Sendable {
    let reduction: ReductionKernel
    let finish: @Sendable (Double) -> Double
    /// Whether nothing is done to the result.
    let isWhole: Bool

    init(reduction: ReductionKernel, finish: (@Sendable (Double) -> Double)? = nil) {
      self.reduction = reduction
      self.finish = finish ?? { $0 }
      isWhole = finish == nil
    }
  }

  var kernel: Kernel?
  let real: @Sendable (ArraySlice<Double>) -> Double
  let signed: @Sendable (ArraySlice<Int64>) -> Int64
  let unsigned: @Sendable (ArraySlice<UInt64>) -> UInt64

  /// - Parameters:
  ///   - signed: for integers; nil computes with real numbers and truncates.
  ///   - unsigned: for 64-bit unsigned integers, likewise.
  init(
    _ kernel: Kernel? = nil, real: @escaping @Sendable (ArraySlice<Double>) -> Double,
    signed: (@Sendable (ArraySlice<Int64>) -> Int64)? = nil,
    unsigned: (@Sendable (ArraySlice<UInt64>) -> UInt64)? = nil
  ) {
    self.kernel = kernel
    self.real = real
    self.signed = signed ?? { Int64(converting: real(ArraySlice($0.map { Double($0) }))) }
    self.unsigned = unsigned ?? { UInt64(converting: real(ArraySlice($0.map { Double($0) }))) }
  }

  /// Reduces a tensor laid out as `block` along its middle axis.
  func apply(_ x: Tensor, _ block: AxisBlock, into y: Destination, on crew: Crew) {
    switch x.type.computed {
    case is Int64.Type:
      y.store(lines(x, block, signed).interruptibleMap(cost: 4) { y.type.clamped($0) })
    case is UInt64.Type: y.store(lines(x, block, unsigned))
    case is Float.Type where kernel != nil:
      let results = block.reduce(kernel!.reduction, x, on: crew)
      y.store(results.interruptibleMap(cost: 8) { kernel!.finish(Double($0)) })
    default: y.store(lines(x, block, real))
    }
  }

  private func lines<T: Number>(
    _ x: Tensor, _ block: AxisBlock, _ function: (ArraySlice<T>) -> T
  ) -> [T] {
    let numbers = x.converted(to: T.self)
    var results: [T] = []
    results.reserveCapacity(block.outer * block.inner)
    if block.inner == 1 {
      block.forEachLine { results.append(function(numbers[$0..<$0 + block.count])) }
      return results
    }
    var line = [T](repeating: 0, count: block.count)
    block.forEachLine { first in
      for index in line.indices { line[index] = numbers[first + index * block.inner] }
      results.append(function(line[...]))
    }
    return results
  }
}

extension ElementType {
  /// The nearest number of this type, for results that were empty; others pass unchanged.
  fileprivate func clamped(_ number: Int64) -> Int64 {
    guard number == .min || number == .max, let range = integerRange else { return number }
    return Swift.min(Swift.max(number, range.lowerBound), range.upperBound)
  }

  /// The numbers of an integer type or bool, as far as `Int64` has them.
  var integerRange: ClosedRange<Int64>? {
    switch self {
    case .bool: 0...1
    case .uint2: 0...3
    case .int2: -2...1
    case .uint4: 0...15
    case .int4: -8...7
    case .uint8: 0...255
    case .int8: -128...127
    case .uint16: 0...65535
    case .int16: -32768...32767
    case .uint32: 0...Int64(UInt32.max)
    case .int32: Int64(Int32.min)...Int64(Int32.max)
    case .uint64: 0...Int64.max
    case .int64: Int64.min...Int64.max
    default: nil
    }
  }
}

// MARK: - Functions

extension ReductionFunction {
  static let sum = ReductionFunction(
    Kernel(reduction: .sum), real: { $0.reduce(into: CompensatedSum()) { $0.add($1) }.value },
    signed: { $0.reduce(0, &+) }, unsigned: { $0.reduce(0, &+) })

  static let mean = ReductionFunction(
    Kernel(reduction: .mean),
    real: { sum.real($0) / Double($0.count) })

  static let maximum = ReductionFunction(
    Kernel(reduction: .maximum),
    real: { $0.reduce(-.infinity, BinaryFunction.maximum.real) },
    signed: { $0.reduce(.min) { max($0, $1) } }, unsigned: { $0.reduce(.min) { max($0, $1) } })

  static let minimum = ReductionFunction(
    Kernel(reduction: .minimum),
    real: { $0.reduce(.infinity, BinaryFunction.minimum.real) },
    signed: { $0.reduce(.max) { min($0, $1) } }, unsigned: { $0.reduce(.max) { min($0, $1) } })

  static let product = ReductionFunction(
    real: { $0.reduce(1, *) }, signed: { $0.reduce(1, &*) }, unsigned: { $0.reduce(1, &*) })

  static let sumOfSquares = ReductionFunction(
    Kernel(reduction: .sumOfSquares),
    real: { $0.reduce(into: CompensatedSum()) { $0.add($1 * $1) }.value },
    signed: { $0.reduce(0) { $0 &+ $1 &* $1 } }, unsigned: { $0.reduce(0) { $0 &+ $1 &* $1 } })

  /// Σ |x|.
  static let absoluteSum = ReductionFunction(
    real: { $0.reduce(into: CompensatedSum()) { $0.add(abs($1)) }.value },
    signed: { $0.reduce(0) { $1 < 0 ? $0 &- $1 : $0 &+ $1 } }, unsigned: { $0.reduce(0, &+) })

  /// √Σ x², with the largest number taken out where squares leave the range of `Double`.
  static let norm = ReductionFunction(
    real: { numbers in
      let squares = sumOfSquares.real(numbers)
      if squares.isNormal && squares.isFinite || squares.isNaN { return squares.squareRoot() }
      let largest = numbers.reduce(0) { max($0, abs($1)) }
      guard largest > 0, largest.isFinite else { return largest }
      return largest * sumOfSquares.real(ArraySlice(numbers.map { $0 / largest })).squareRoot()
    })

  /// log Σ x.
  static let logarithmOfSum = ReductionFunction(
    Kernel(reduction: .sum, finish: { log($0) }), real: { log(sum.real($0)) })

  /// log Σ eˣ, with the largest number taken out lest the sum overflow.
  static let logarithmOfExponentials = ReductionFunction(
    real: { numbers in
      let largest = maximum.real(numbers)
      guard largest.isFinite else { return largest }
      return largest
        + log(numbers.reduce(into: CompensatedSum()) { $0.add(exp($1 - largest)) }.value)
    })
}

/// A sum that carries along what rounding loses.
struct CompensatedSum {
  private var total = 0.0
  private var lost = 0.0

  mutating func add(_ number: Double) {
    let sum = total + number
    lost += abs(total) >= abs(number) ? (total - sum) + number : (number - sum) + total
    total = sum
  }

  var value: Double { total.isFinite ? total + lost : total }
}
