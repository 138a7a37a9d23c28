import Foundation
import Testing

@testable import Sardonyx

@Suite struct ReductionTests {
  private let x = Tensor((1...24).map(Float.init), [2, 3, 4])

  private func reduce(
    _ name: String, _ x: Tensor, axes: [Int]? = nil, keep: Bool = true, noop: Bool = false
  ) throws -> Tensor {
    var attributes: [String: Attribute] = ["keepdims": .int(keep ? 1 : 0)]
    if noop { attributes["noop_with_empty_axes"] = .int(1) }
    return try run(name, [x, axes.map { Tensor($0.map(Int64.init)) }], attributes)
  }

  @Test func anyAxesMayGo() throws {
    let all = try reduce("ReduceSum", x)
    #expect(all.shape == [1, 1, 1])
    #expect(try all.elements() == [Float(300)])
    #expect(try reduce("ReduceSum", x, keep: false).shape == [])
    let rows = try reduce("ReduceSum", x, axes: [-1], keep: false)
    #expect(rows.shape == [2, 3])
    #expect(try rows.elements() == [Float(10), 26, 42, 58, 74, 90])
    #expect(
      try reduce("ReduceSum", x, axes: [1]).elements() == [Float(15), 18, 21, 24, 51, 54, 57, 60])
    let outer = try reduce("ReduceSum", x, axes: [0, 2])
    #expect(outer.shape == [1, 3, 1])
    #expect(try outer.elements() == [Float(68), 100, 132])
    #expect(try reduce("ReduceMax", x, axes: [2, 0]).elements() == [Float(16), 20, 24])
  }

  @Test func axesThatDoNotExistAreNamed() {
    let error = #expect(throws: ModelError.self) { try reduce("ReduceSum", x, axes: [3]) }
    #expect(error?.message == "axes: expected -3 to 2, got 3")
    let twice = #expect(throws: ModelError.self) { try reduce("ReduceSum", x, axes: [1, -2]) }
    #expect(twice?.message == "axes: expected each axis once, got [1,-2]")
  }

  @Test func withoutAxesAllGoOrNone() throws {
    #expect(try reduce("ReduceSum", x, axes: []).shape == [1, 1, 1])
    let same = try reduce("ReduceSum", x, axes: [], noop: true)
    #expect(same.shape == [2, 3, 4])
    #expect(try same.elements() == x.array(of: Float.self))
    let negative = Tensor([Float(-2), 3])
    #expect(try reduce("ReduceSumSquare", negative, noop: true).elements() == [Float(4), 9])
    #expect(try reduce("ReduceL1", negative, noop: true).elements() == [Float(2), 3])
  }

  @Test func earlierVersionsHaveAnAttribute() throws {
    let sums = try run("ReduceSum", opset: 11, [x], ["axes": .ints([0]), "keepdims": .int(0)])
    #expect(sums.shape == [3, 4])
    #expect(
      try run("ReduceMean", opset: 13, [x], ["axes": .ints([1, 2])]).elements() == [
        Float(6.5), 18.5,
      ])
  }

  @Test(
    arguments: [
      ("ReduceL1", 10), ("ReduceL2", 30.0.squareRoot()), ("ReduceLogSum", log(10)),
      ("ReduceLogSumExp", log(exp(1) + exp(2) + exp(3) + exp(4))), ("ReduceMax", 4),
      ("ReduceMean", 2.5), ("ReduceMin", 1), ("ReduceProd", 24), ("ReduceSum", 10),
      ("ReduceSumSquare", 30),
    ] as [(String, Double)])
  func eachOfThemInEveryArithmetic(name: String, expected: Double) throws {
    for type in [ElementType.double, .float, .float16, .bfloat16, .int32, .uint64] {
      if type.isInteger && name.hasPrefix("ReduceLog") { continue }
      let x = Tensor(converting: [Double(1), 2, 3, 4], to: type, [4])
      let got = try reduce(name, x).converted(to: Double.self)[0]
      let wanted = Tensor(converting: [expected], to: type, [1]).converted(to: Double.self)[0]
      #expect(abs(got - wanted) <= abs(wanted) * (type == .double ? 1e-15 : 1e-6), "\(type)")
    }
  }

  @Test func sumsOfManyNumbersAreExact() throws {
    let ones = Tensor([Float](repeating: 1, count: 1 << 20 + 3))
    #expect(try reduce("ReduceSum", ones).elements() == [Float(1 << 20 + 3)])
    let tenths = Tensor([Float](repeating: 0.1, count: 1_000_000))
    let sum = try reduce("ReduceSum", tenths).elements(of: Float.self)[0]
    #expect(abs(sum - 100_000) < 0.02)
    let pair = Tensor([1e100, 1, -1e100])
    #expect(try reduce("ReduceSum", pair).elements() == [1.0])
    #expect(try reduce("ReduceSum", Tensor([Double.infinity, 1])).elements() == [Double.infinity])
  }

  @Test(
    arguments: [
      ("ReduceSum", 0), ("ReduceProd", 1), ("ReduceMax", -.infinity), ("ReduceMin", .infinity),
      ("ReduceL1", 0), ("ReduceL2", 0), ("ReduceLogSum", -.infinity),
      ("ReduceLogSumExp", -.infinity), ("ReduceSumSquare", 0),
    ] as [(String, Float)])
  func nothingReducesToTheNeutralElement(name: String, expected: Float) throws {
    let empty = Tensor(zeros: .float, [2, 0, 3])
    let result = try reduce(name, empty, axes: [1])
    #expect(result.shape == [2, 1, 3])
    #expect(try result.elements() == [Float](repeating: expected, count: 6))
    #expect(try reduce(name, empty, axes: [0]).shape == [1, 0, 3])
  }

  @Test func emptyExtremaOfIntegersAreTheEndsOfTheType() throws {
    let empty = Tensor(zeros: .int8, [0])
    #expect(try reduce("ReduceMax", empty).elements() == [Int8.min])
    #expect(try reduce("ReduceMin", empty).elements() == [Int8.max])
    #expect(try reduce("ReduceMin", Tensor(zeros: .uint64, [0])).elements() == [UInt64.max])
    #expect(try reduce("ReduceMax", Tensor(zeros: .bool, [0])).elements() == [false])
    #expect(try reduce("ReduceMax", Tensor([false, true])).elements() == [true])
  }

  @Test func largeExponentsDoNotOverflow() throws {
    let y = try reduce("ReduceLogSumExp", Tensor([Double(1000), 1000]))
    #expect(abs(try y.elements()[0] - (1000 + log(2.0))) < 1e-12)
    let norm = try reduce("ReduceL2", Tensor([3e200, 4e200])).elements(of: Double.self)[0]
    #expect(abs(norm / 5e200 - 1) < 1e-15)
    let nan = try reduce("ReduceMax", Tensor([Float(1), .nan, 2]))
    #expect(try nan.elements(of: Float.self)[0].isNaN)
  }

  @Test(arguments: [
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceLogSum",
  ])
  func singlePrecisionAgreesWithDouble(name: String) throws {
    let numbers = (0..<840).map { Float($0 * 7 % 31) * 0.25 + 0.125 }
    for axes in [[0], [1], [2], [3], [0, 1], [1, 2], [0, 2], [1, 3], [0, 3], [0, 1, 2, 3]] {
      let single = Tensor(numbers, [4, 5, 6, 7])
      let double = Tensor(numbers.map { Double($0) }, [4, 5, 6, 7])
      let fast = try reduce(name, single, axes: axes).converted(to: Double.self)
      let plain = try reduce(name, double, axes: axes).converted(to: Double.self)
      #expect(zip(fast, plain).allSatisfy { abs($0 - $1) <= 1e-6 * abs($1) }, "\(axes)")
    }
  }

  @Test func extremesAreFoundByIndex() throws {
    let x = Tensor([Float(2), 5, 5, 1], [2, 2])
    #expect(try run("ArgMax", [x], ["axis": .int(1)]).elements() == [Int64(1), 0])
    #expect(
      try run("ArgMin", [x], ["axis": .int(0), "keepdims": .int(0)]).elements() == [Int64(0), 1])
    let ties = Tensor([Int32(3), 3, 1])
    #expect(try run("ArgMax", [ties]).elements() == [Int64(0)])
    #expect(try run("ArgMax", [ties], ["select_last_index": .int(1)]).elements() == [Int64(1)])
    let nans = Tensor([Float(1), .nan, 9, .nan])
    #expect(try run("ArgMax", [nans]).elements() == [Int64(1)])
    #expect(try run("ArgMin", [nans], ["select_last_index": .int(1)]).elements() == [Int64(3)])
    let large = Tensor([Int64.max - 1, Int64.max])
    #expect(try run("ArgMax", [large]).elements() == [Int64(1)])
    let error = #expect(throws: ModelError.self) { try run("ArgMax", [Tensor(zeros: .float, [0])]) }
    #expect(error?.message == "axis 0: expected at least one element, got none")
  }

  @Test func elementsAccumulate() throws {
    let x = Tensor([Float(1), 2, 3, 4, 5, 6], [2, 3])
    let axis = Tensor(scalar: Int32(1))
    #expect(try run("CumSum", [x, axis]).elements() == [Float(1), 3, 6, 4, 9, 15])
    #expect(
      try run("CumSum", [x, Tensor(scalar: Int64(-2))]).elements() == [Float(1), 2, 3, 5, 7, 9])
    #expect(
      try run("CumSum", [x, axis], ["exclusive": .int(1)]).elements() == [Float(0), 1, 3, 0, 4, 9])
    #expect(
      try run("CumSum", [x, axis], ["reverse": .int(1)]).elements() == [Float(6), 5, 3, 15, 11, 6])
    #expect(
      try run("CumProd", [x, axis], ["reverse": .int(1), "exclusive": .int(1)]).elements()
        == [Float(6), 3, 1, 30, 6, 1])
    let wrapping = Tensor([Int32.max, 1])
    #expect(
      try run("CumSum", [wrapping, Tensor(scalar: Int32(0))]).elements() == [Int32.max, .min])
  }
}
