@testable import Sardonyx

/// Numbers that are the same in each run, in -1 ..< 1.
struct Numbers {
  private var state: UInt64

  init(seed: Int) { state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

  mutating func next() -> Float {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
  }

  mutating func next(in range: ClosedRange<Int>) -> Int {
    let share = (Double(next()) + 1) / 2
    return range.lowerBound + Int(share * Double(range.count))
  }

  mutating func array(_ count: Int) -> [Float] { (0..<count).map { _ in next() } }
}

extension Numbers {
  /// A single-precision tensor.
  mutating func tensor(_ shape: Int...) -> Tensor { Tensor(array(shape.reduce(1, *)), shape) }

  mutating func tensor(_ shape: [Int]) -> Tensor { Tensor(array(shape.reduce(1, *)), shape) }
}

/// 0, 1, 2, … in single precision.
func counting(_ shape: Int...) -> Tensor {
  Tensor((0..<shape.reduce(1, *)).map { Float($0) }, shape)
}

/// Numbers that are the same in each run, in -1 ..< 1.
func numbers(_ count: Int, seed: Int = 1) -> [Float] {
  var numbers = Numbers(seed: seed)
  return numbers.array(count)
}

/// A tensor of numbers that are the same in each run, in -1 ..< 1.
func randomTensor(_ shape: Shape, seed: Int = 1) -> Tensor {
  Tensor(numbers(shape.elementCount, seed: seed), shape)
}

extension Tensor {
  var floats: [Float] { array(of: Float.self) }

  func isClose(to numbers: [Float], _ tolerance: Float = 1e-6) -> Bool {
    elementCount == numbers.count
      && zip(converted(to: Float.self), numbers).allSatisfy { abs($0 - $1) <= tolerance }
  }
}
