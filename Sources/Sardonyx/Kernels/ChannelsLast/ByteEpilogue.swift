import CKernels

/// How sums of products of bytes, or what else has one of each channel, become bytes again.
///
/// The nearest integer to (sum + shift)·scale + addend of the channel, half to even, + the zero point,
/// within bounds.
struct ByteEpilogue: Sendable {
  var scales: [Float]
  /// None stands for zeros.
  var addends: [Float]?
  var shifts: [Int32]
  var zero: Int32
  var low: Int32 = 0
  var high: Int32 = 255

  /// The same with each channel at a place of its own, and room for a vector behind the last one.
  func placed(_ places: [Int], for instructions: InstructionSet) -> ByteEpilogue {
    let count = unsafe (places.max() ?? 0) + 4 * instructions.kernels.lanes
    func spread<T>(_ numbers: [T], _ zero: T) -> [T] {
      var spread = [T](repeating: zero, count: count)
      for (number, place) in zip(numbers, places) { spread[place] = number }
      return spread
    }
    var epilogue = self
    epilogue.scales = spread(scales, 0)
    epilogue.addends = addends.map { spread($0, 0) }
    epilogue.shifts = spread(shifts, 0)
    return epilogue
  }

  /// Whether no number can leave 32 bits before it is rounded, for sums of at most this magnitude.
  func isModest(forSums largest: Double) -> Bool {
    scales.indices.allSatisfy { channel in
      let sum = largest + Double(shifts[channel].magnitude)
      let number = sum * Double(abs(scales[channel])) + Double(abs(addends?[channel] ?? 0))
      return number < 0x1p30
    }
  }

  func withRounding(_ body: (ByteRounding) -> Void) {
    unsafe scales.withUnsafeBufferPointer { scales in
      unsafe shifts.withUnsafeBufferPointer { shifts in
        func call(_ addends: UnsafePointer<Float>?) {
          unsafe body(
            ByteRounding(
              shifts: shifts.baseAddress!, scales: scales.baseAddress!, addends: addends,
              zero: zero, low: low, high: high))
        }
        guard let addends else { return call(nil) }
        unsafe addends.withUnsafeBufferPointer { unsafe call($0.baseAddress) }
      }
    }
  }
}

extension ByteRounding {
  /// That of the channels from one on.
  func from(_ channel: Int) -> ByteRounding {
    var rounding = unsafe self
    unsafe rounding.shifts += channel
    unsafe rounding.scales += channel
    unsafe rounding.addends = addends.map { unsafe $0 + channel }
    return unsafe rounding
  }
}
