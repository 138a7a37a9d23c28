import Testing

@testable import Sardonyx

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

/// Whether two numbers are the same but for a relative error; NaN is like NaN and infinity like
/// itself.
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
