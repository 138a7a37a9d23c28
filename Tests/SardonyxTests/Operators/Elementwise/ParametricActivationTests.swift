import Testing

@testable import Sardonyx

@Suite struct ParametricActivationTests {
  @Test func boundsAreAttributesThenInputs() throws {
    let x = Tensor([Float(-3), 0.5, 9, .nan])
    let early = try run("Clip", opset: 6, [x], ["min": .float(-1), "max": .float(2)])
    #expect(try early.elements(of: Float.self).prefix(3) == [-1, 0.5, 2])
    let late = try run("Clip", [x, Tensor(scalar: Float(-1)), Tensor(scalar: Float(2))])
    #expect(try late.elements(of: Float.self).prefix(3) == [-1, 0.5, 2])
    #expect(try late.elements(of: Float.self)[3].isNaN)
    #expect(
      try run("Clip", [x, nil, Tensor(scalar: Float(0))]).elements().prefix(3) == [Float(-3), 0, 0])
    #expect(try run("Clip", [x]).elements().prefix(3) == [Float(-3), 0.5, 9])
  }

  @Test func theUpperBoundWins() throws {
    let x = Tensor([Float(1), 5])
    let y = try run("Clip", [x, Tensor(scalar: Float(4)), Tensor(scalar: Float(2))])
    #expect(try y.elements() == [Float(2), 2])
    let double = Tensor([1.0, 5])
    let z = try run("Clip", [double, Tensor(scalar: 4.0), Tensor(scalar: 2.0)])
    #expect(try z.elements() == [2.0, 2])
  }

  @Test func integersAreBoundExactly() throws {
    let x = Tensor([Int64.max, 0, Int64.min])
    #expect(try run("Clip", [x, Tensor(scalar: Int64(-5))]).elements() == [Int64.max, 0, -5])
    #expect(
      try run("Clip", [Tensor([UInt8(200)]), nil, Tensor(scalar: UInt8(100))]).elements() == [
        UInt8(100)
      ])
  }

  @Test func aBoundIsOneNumber() {
    let error = #expect(throws: ModelError.self) {
      try run("Clip", [Tensor([Float(1)]), Tensor([Float(1), 2])])
    }
    #expect(error?.message == "min: expected a scalar, got [2]")
  }

  @Test func slopesBroadcast() throws {
    let x = Tensor([Float(-1), 2, -3, -4, 5, -6], [1, 2, 3])
    let perChannel = try run("PRelu", [x, Tensor([Float(0.5), 2], [2, 1])])
    #expect(try perChannel.elements() == [Float(-0.5), 2, -1.5, -8, 5, -12])
    let perElement = try run("PRelu", [x, Tensor([Float(1), 2, 3])])
    #expect(try perElement.elements() == [Float(-1), 2, -9, -4, 5, -18])
    #expect(
      try run("PRelu", opset: 6, [x, Tensor([Float(0.5), 2])]).elements() == [
        Float(-0.5), 2, -1.5, -8, 5, -12,
      ])
    #expect(
      try run("PRelu", [Tensor([Int32(-2), 3]), Tensor([Int32(4)])]).elements() == [Int32(-8), 3])
    let error = #expect(throws: ModelError.self) {
      try run("PRelu", [Tensor([Float(1)]), Tensor([Float(1), 2])])
    }
    #expect(error?.message == "slope: expected a shape that broadcasts to [1], got [2]")
  }

  @Test func biasesAreAddedFirst() throws {
    let (x, bias) = (Tensor([Float(1), -1], [2, 1]), Tensor([Float(0.5), 0]))
    for (name, function) in [("BiasGelu", UnaryFunction.gelu), ("FastGelu", .geluTanh)] {
      let y = try run(name, domain: "com.microsoft", opset: 1, [x, bias])
      let exact = [1.5, 1, -0.5, -1].map(function.real)
      #expect(y.shape == [2, 2])
      #expect(zip(y.converted(to: Double.self), exact).allSatisfy { abs($0 - $1) < 1e-6 })
    }
    let plain = try run("FastGelu", domain: "com.microsoft", opset: 1, [x])
    #expect(plain.shape == [2, 1])
    let quick = try run("QuickGelu", domain: "com.microsoft", opset: 1, [Tensor([1.0])])
    #expect(abs(try quick.elements()[0] - 0.845795765930) < 1e-7)
  }
}
