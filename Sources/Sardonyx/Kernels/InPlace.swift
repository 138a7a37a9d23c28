extension Activation {
  /// Applies the function to numbers of any type, plainly where it is plain.
  func apply<T: Number>(to numbers: inout [T]) {
    unsafe numbers.withUnsafeMutableBufferPointer { unsafe apply(to: $0) }
  }

  func apply<T: Number>(to numbers: UnsafeMutableBufferPointer<T>) {
    switch self {
    case .none: return
    case .relu, .clamp, .leaky:
      let (slope, low, high) = bounds
      var interruption = Interruption()
      for index in numbers.indices {
        if interruption.isDue(after: 4) { return }
        var value = unsafe numbers[index].asDouble
        if value < 0 { value *= Double(slope) }
        unsafe numbers[index] = T(converting: min(max(value, Double(low)), Double(high)))
      }
    case .steps:
      Interruption.inStretches(of: numbers.count) { range in
        var singles = range.map { unsafe Float(numbers[$0].asDouble) }
        unsafe singles.withUnsafeMutableBufferPointer { buffer in
          guard let start = buffer.baseAddress else { return }
          unsafe apply(buffer.count, at: start, with: .current)
        }
        for (index, single) in zip(range, singles) {
          unsafe numbers[index] = T(converting: single.asDouble)
        }
      }
    }
  }
}

extension UnaryFunction {
  /// Applies the function to an array: in single precision by its kernel if it has one.
  func apply<T: RealNumber>(to numbers: inout [T], on crew: Crew) {
    guard T.self == Float.self, let kernel else {
      var interruption = Interruption()
      for index in numbers.indices {
        if interruption.isDue(after: 10) { return }
        numbers[index] = numbers[index].through(real)
      }
      return
    }
    unsafe numbers.withUnsafeMutableBytes { buffer in
      guard let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: Float.self) else {
        return
      }
      let count = buffer.count / MemoryLayout<Float>.stride
      unsafe Elementwise.map(
        kernel.function, count, start, into: start, alpha: kernel.alpha, beta: kernel.beta,
        on: crew)
    }
  }
}

/// Replaces each row of `length` numbers by its softmax.
func softmaxRows<T: RealNumber>(_ numbers: inout [T], _ length: Int, on crew: Crew) {
  guard length > 0 else { return }
  guard T.self == Float.self else { return softmaxRowsPlainly(&numbers, length) }
  let rows = numbers.count / length
  unsafe numbers.withUnsafeMutableBytes { buffer in
    guard let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
    unsafe ReductionKernel.softmax(
      outer: rows, count: length, inner: 1, start, into: start, on: crew)
  }
}

private func softmaxRowsPlainly<T: RealNumber>(_ numbers: inout [T], _ length: Int) {
  var interruption = Interruption()
  for first in stride(from: 0, to: numbers.count, by: length) {
    if interruption.isDue(after: 10 &* length) { return }
    let row = first..<first + length
    let maximum = numbers[row].reduce(-T.infinity) { $1 > $0 || $1.isNaN ? $1 : $0 }
    var sum: T = 0
    for index in row {
      numbers[index] = (numbers[index] - maximum).exponential
      sum += numbers[index]
    }
    for index in row { numbers[index] /= sum }
  }
}
