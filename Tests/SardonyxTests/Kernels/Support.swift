import Testing

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

/// A crew on each instruction set of this machine.
let crews = InstructionSet.available.map { Crew(threads: 2, instructions: $0) }

extension Crew: CustomTestStringConvertible {
  public var testDescription: String { "\(instructions.name), \(threads) threads" }
}

let awkward: [Float] = [
  0, -0.0, 1, -1, 0.5, 88.7, -88.7, 104, -104, 3 * .leastNonzeroMagnitude, 1e30, -1e30,
  .leastNonzeroMagnitude,
  .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .infinity, -.infinity, .nan,
]

/// Whether two numbers are the same but for a relative error; NaN is like NaN and infinity like itself.
func agree(_ x: Float, _ y: Double, relative: Double, absolute: Double = 0) -> Bool {
  if x.isNaN || y.isNaN { return x.isNaN && y.isNaN }
  let rounded = Float(y)
  if x == rounded { return true }
  guard x.isFinite, rounded.isFinite else { return false }
  return abs(Double(x) - y) <= relative * abs(y) + absolute + Double(Float.leastNonzeroMagnitude)
    * 2
}

/// All tests of this folder, so that `--filter Kernels` finds them.
@Suite enum Kernels {}

/// Memory that begins off any alignment and ends with numbers that nobody may touch.
@safe final class Guarded<Element: BitwiseCopyable> {
  private let memory: UnsafeMutableRawBufferPointer
  let count: Int
  private static var margin: Int { 64 * MemoryLayout<Element>.stride }

  init(_ elements: [Element]) {
    count = elements.count
    let size = count * MemoryLayout<Element>.stride
    unsafe memory = .allocate(byteCount: size + 2 * Self.margin, alignment: 64)
    for index in unsafe memory.indices { unsafe memory[index] = 0xA5 }
    for (index, element) in elements.enumerated() { unsafe start[index] = element }
  }

  convenience init(count: Int) where Element: Numeric {
    self.init([Element](repeating: 0, count: count))
  }

  deinit { unsafe memory.deallocate() }

  /// One element off the alignment.
  var start: UnsafeMutablePointer<Element> {
    unsafe (memory.baseAddress! + MemoryLayout<Element>.stride)
      .assumingMemoryBound(to: Element.self)
  }

  var elements: [Element] { (0..<count).map { unsafe start[$0] } }

  /// Whether nothing around the elements was written.
  var isIntact: Bool {
    let first = MemoryLayout<Element>.stride
    let end = first + count * MemoryLayout<Element>.stride
    return unsafe memory.indices.allSatisfy {
      unsafe (first..<end).contains($0) || memory[$0] == 0xA5
    }
  }
}
