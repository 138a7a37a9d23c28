import Foundation
import Testing

@testable import Sardonyx

@Suite struct SoftmaxTests {
  @Test func oneAxisFromVersion13On() throws {
    let x = Tensor([Double(0), log(3), 0, 0], [2, 2])
    let y = try run("Softmax", [x]).elements(of: Double.self)
    #expect(zip(y, [0.25, 0.75, 0.5, 0.5]).allSatisfy { abs($0 - $1) < 1e-15 })
    let columns = try run("Softmax", [x], ["axis": .int(0)]).elements(of: Double.self)
    #expect(zip(columns, [0.5, 0.75, 0.5, 0.25]).allSatisfy { abs($0 - $1) < 1e-15 })
  }

  @Test func beforeAllAxesFromOneOnAreTaken() throws {
    let x = Tensor([Float](repeating: 1, count: 12), [2, 3, 2])
    #expect(try run("Softmax", opset: 11, [x]).elements() == [Float](repeating: 1 / 6, count: 12))
    let all = try run("Softmax", opset: 9, [x], ["axis": .int(0)])
    #expect(try all.elements() == [Float](repeating: 1 / 12, count: 12))
    #expect(try run("Softmax", [x]).elements() == [Float](repeating: 0.5, count: 12))
  }

  @Test func largeAndInfiniteNumbers() throws {
    let x = Tensor([Float(1000), 1000, -.infinity, 0])
    #expect(try run("Softmax", [x]).elements() == [Float(0.5), 0.5, 0, 0])
    let logarithm = try run("LogSoftmax", [x]).elements(of: Float.self)
    #expect(abs(logarithm[0] + log(2)) < 1e-6 && logarithm[2] == -.infinity)
    let nan = try run("Softmax", [Tensor([Float.nan, 1])]).elements(of: Float.self)
    #expect(nan.allSatisfy { $0.isNaN })
    #expect(try run("Softmax", [Tensor(zeros: .float, [0, 3])]).shape == [0, 3])
    #expect(try run("Softmax", [Tensor(zeros: .float, [3, 0])]).shape == [3, 0])
  }

  @Test(arguments: ["Softmax", "LogSoftmax"], [0, 1, 2])
  func singlePrecisionAgreesWithDouble(name: String, axis: Int) throws {
    let numbers = (0..<665).map { Float($0 * 13 % 41) * 0.3 - 4 }
    let wide = numbers.map { Double($0) }
    let fast = try run(name, [Tensor(numbers, [5, 7, 19])], ["axis": .int(axis)])
    let plain = try run(name, [Tensor(wide, [5, 7, 19])], ["axis": .int(axis)])
    let errors = zip(fast.converted(to: Double.self), plain.array(of: Double.self))
      .map { abs($0 - $1) }
    #expect(errors.max()! < 2e-6)
  }

  @Test func everyStepOfHalvesIsRounded() throws {
    let x = Tensor(converting: [Float(0), 1, 0.25], to: .float16, [3])
    let format = SmallFloat.float16
    func rounded(_ number: Double) -> Double {
      format.decode(format.encode(number, saturate: false))
    }
    let exponentials = [rounded(exp(-1)), 1, rounded(exp(-0.75))]
    let sum = rounded(exponentials.reduce(0, +))
    let y = try run("Softmax", [x]).converted(to: Double.self)
    #expect(y == exponentials.map { rounded($0 / sum) })
    let logarithms = try run("LogSoftmax", [x]).converted(to: Double.self)
    #expect(logarithms == [-1, 0, -0.75].map { rounded($0 - rounded(log(sum))) })
  }

  @Test func theFirstLargestIsOne() throws {
    let x = Tensor([Float(1), 3, 3, 2, 2, 1], [2, 3])
    #expect(try run("Hardmax", [x]).elements() == [Float(0), 1, 0, 1, 0, 0])
    #expect(try run("Hardmax", [x], ["axis": .int(0)]).elements() == [Float(0), 1, 1, 1, 0, 0])
    #expect(
      try run("Hardmax", opset: 11, [x], ["axis": .int(0)]).elements() == [Float(0), 1, 0, 0, 0, 0])
  }
}
