import Foundation
import Testing

@testable import Sardonyx

@Suite struct SignalsTests {
  private func signal(_ count: Int) -> [Complex<Double>] {
    (0..<count).map { Complex(sin(Double($0 * $0)), cos(Double(3 * $0))) }
  }

  /// By definition.
  private func transform(_ x: [Complex<Double>]) -> [Complex<Double>] {
    x.indices.map { k in
      x.indices.reduce(Complex.zero) { $0 + x[$1] * Complex(turn: k * $1 % x.count, of: x.count) }
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 25, 31, 37, 60, 74, 97, 128, 400, 509])
  func transformsAreThoseOfTheDefinition(length: Int) {
    let x = signal(length)
    let expected = transform(x)
    let plan = FourierTransform<Double>(length: length)
    var y = x
    plan.transform(&y)
    for (got, wanted) in zip(y, expected) {
      #expect(abs(got.real - wanted.real) < 1e-10 && abs(got.imaginary - wanted.imaginary) < 1e-10)
    }
    plan.invert(&y)
    for (got, wanted) in zip(y, x) {
      #expect(abs(got.real - wanted.real) < 1e-12 && abs(got.imaginary - wanted.imaginary) < 1e-12)
    }
  }

  /// All ways through the kernels, on every instruction set, against one line after the other.
  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 25, 31, 60, 62, 97, 128, 400, 512])
  func linesAreTransformedAsOneAlone(length: Int) throws {
    guard let transform = LineTransform(length: length) else {
      #expect(length == 97)
      return
    }
    let count = 11
    let plan = FourierTransform<Double>(length: length)
    let values = signal(count * length)
    for instructions in InstructionSet.available {
      let crew = Crew(threads: 1, instructions: instructions)
      for direction in [LineTransform.Direction.forward, .inverse, .inverseOfHalf] {
        for isReal in [false, true] where direction == .forward || !isReal {
          let parts = isReal ? 1 : 2
          let given = direction == .inverseOfHalf ? length / 2 + 1 : max(1, length - length / 5)
          var got = [Double](repeating: .nan, count: count * length * 2)
          let numbers = values.flatMap { isReal ? [$0.real] : [$0.real, $0.imaginary] }
          unsafe numbers.withUnsafeBufferPointer { numbers in
            unsafe got.withUnsafeMutableBufferPointer { got in
              unsafe transform.run(
                direction, numbers.baseAddress!,
                .init(
                  starts: (0..<count).map { $0 * length * parts }, step: parts, count: given,
                  isComplex: !isReal),
                into: got.baseAddress!,
                .init(
                  starts: (0..<count).map { $0 * length * 2 }, step: 2, count: length,
                  isComplex: true), on: crew)
            }
          }
          for line in 0..<count {
            var expected = (0..<length).map { index in
              guard index < given else { return Complex<Double>.zero }
              let value = values[line * length + index]
              return isReal ? Complex(value.real, 0) : value
            }
            if direction == .inverseOfHalf {
              expected[0].imaginary = 0
              if length % 2 == 0 { expected[length / 2].imaginary = 0 }
              for index in 0..<(length - 1) / 2 {
                expected[length - 1 - index] = expected[index + 1].conjugate
              }
            }
            if direction == .forward { plan.transform(&expected) } else { plan.invert(&expected) }
            for index in 0..<length {
              let place = (line * length + index) * 2
              #expect(
                abs(got[place] - expected[index].real) < 1e-11
                  && abs(got[place + 1] - expected[index].imaginary) < 1e-11,
                "\(instructions.name) \(direction) \(isReal) \(line) \(index)")
            }
          }
        }
      }
    }
  }

  @Test func oneSidedTransformsComeBack() throws {
    let x = Tensor((0..<10).map { sin(Double($0)) }, [2, 5, 1])
    let half = try run("DFT", [x], ["onesided": .int(1)])
    #expect(half.shape == [2, 3, 2])
    let back = try run(
      "DFT", [half, Tensor(scalar: Int64(5))], ["onesided": .int(1), "inverse": .int(1)])
    #expect(back.shape == [2, 5, 1])
    for (got, wanted) in zip(try back.elements(of: Double.self), try x.elements(of: Double.self)) {
      #expect(abs(got - wanted) < 1e-12)
    }
  }

  @Test func dftPadsAndCutsToItsLength() throws {
    let x = Tensor([Float(1), 2, 3], [1, 3, 1])
    let long = try run("DFT", opset: 17, [x, Tensor(scalar: Int64(4))])
    #expect(try long.elements() == [Float(6), 0, -2, -2, 2, 0, -2, 2])
    let short = try run("DFT", [x, Tensor(scalar: Int64(2))])
    #expect(try short.elements() == [Float(3), 0, -1, 0])
  }

  @Test func framesOfAShortTimeTransform() throws {
    let x = Tensor((0..<8).map(Float.init), [1, 8, 1])
    let window = Tensor([Float](repeating: 1, count: 4))
    let y = try run("STFT", [x, Tensor(scalar: Int64(2)), window])
    #expect(y.shape == [1, 3, 3, 2])
    #expect(try y.elements(of: Float.self).prefix(6) == [6, 0, -2, 2, -2, 0])
    #expect(throws: ModelError(.mismatch, "frame_length: expected 1 to 8, got 9")) {
      try run("STFT", [x, Tensor(scalar: Int64(2)), nil, Tensor(scalar: Int64(9))])
    }
  }

  @Test func windowsStartAndEndAsTheyShould() throws {
    func window(_ name: String, _ size: Int64, _ periodic: Int) throws -> [Double] {
      try run(
        name, [Tensor(scalar: size)], ["periodic": .int(periodic), "output_datatype": .int(11)]
      ).elements()
    }
    #expect(try window("HannWindow", 4, 1).map { ($0 * 1e9).rounded() / 1e9 } == [0, 0.5, 1, 0.5])
    #expect(try window("HannWindow", 3, 0).map { ($0 * 1e9).rounded() / 1e9 } == [0, 1, 0])
    #expect(try abs(window("HammingWindow", 5, 0)[0] - 4.0 / 46) < 1e-12)
    #expect(try abs(window("BlackmanWindow", 5, 0)[2] - 1) < 1e-12)
    #expect(try window("HannWindow", 1, 0) == [1])
    #expect(try window("HannWindow", 0, 1) == [])
  }

  @Test func melBandsPeakAtOne() throws {
    let y = try run(
      "MelWeightMatrix",
      [
        Tensor(scalar: Int32(8)), Tensor(scalar: Int32(16)), Tensor(scalar: Int32(8192)),
        Tensor(scalar: Float(0)), Tensor(scalar: Float(4096)),
      ])
    #expect(y.shape == [9, 8])
    let weights = try y.elements(of: Float.self)
    for band in 0..<8 { #expect((0..<9).map { weights[$0 * 8 + band] }.max() == 1) }
  }
}
