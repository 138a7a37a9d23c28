import Foundation
import Testing

@testable import Sardonyx

@Suite struct FunctionTests {
  private let xs: [Double] = [-3, -1.5, -0.75, -0.0, 0, 0.25, 0.5, 1, 2.5, 20]

  /// Of single and half precision and of `Double`, each within some steps of the exact value.
  private func check(
    _ name: String, domain: String = "", _ attributes: [String: Attribute] = [:],
    on points: [Double], _ exact: (Double) -> Double
  ) throws {
    let expected = points.map(exact)
    let types: [(ElementType, Double)] = [(.double, 1e-14), (.float, 5e-7), (.float16, 2e-3)]
    for (type, tolerance) in types {
      let x = Tensor(converting: points, to: type, [points.count])
      let y = try run(name, domain: domain, opset: domain.isEmpty ? 28 : 1, [x], attributes)
      #expect(y.type == type)
      for (got, wanted) in zip(y.converted(to: Double.self), expected) {
        let isClose = abs(got - wanted) <= tolerance * max(abs(wanted), 0.1)
        #expect(
          isClose || got == wanted || got.isNaN && wanted.isNaN,
          "\(name) of \(type): \(got) for \(wanted)")
      }
    }
  }

  @Test func elementaryFunctions() throws {
    try check("Exp", on: xs.dropLast()) { exp($0) }
    try check("Sin", on: xs) { sin($0) }
    try check("Cos", on: xs) { cos($0) }
    try check("Tan", on: xs) { tan($0) }
    try check("Atan", on: xs) { atan($0) }
    try check("Tanh", on: xs) { tanh($0) }
    try check("Sinh", on: xs.dropLast()) { sinh($0) }
    try check("Cosh", on: xs.dropLast()) { cosh($0) }
    try check("Asinh", on: xs) { asinh($0) }
    try check("Erf", on: xs) { erf($0) }
    try check("Log", on: [0, 0.5, 1, 100, .infinity, -1]) { log($0) }
    try check("Sqrt", on: [0, 0.25, 2, .infinity, -1]) { $0.squareRoot() }
    try check("Reciprocal", on: [0, -0.0, 4, -3, .infinity]) { 1 / $0 }
    try check("Acos", on: [-1, -0.5, 0, 0.5, 1, 2]) { acos($0) }
    try check("Asin", on: [-1, -0.5, 0, 0.5, 1, 2]) { asin($0) }
    try check("Atanh", on: [-1, -0.5, 0, 0.5, 1, 2]) { atanh($0) }
    try check("Acosh", on: [0.5, 1, 1.5, 20]) { acosh($0) }
  }

  @Test func roundingGoesWhereItShould() throws {
    let x = [-2.5, -1.5, -0.4, 0.5, 1.5, 2.6, .infinity]
    try check("Ceil", on: x) { ceil($0) }
    try check("Floor", on: x) { floor($0) }
    try check("Round", on: x) { rint($0) }
    #expect(try run("Round", [Tensor([Float(0.5), 1.5, 2.5])]).elements() == [Float(0), 2, 2])
  }

  @Test func signsAndMagnitudes() throws {
    let x = Tensor([Float(-0.0), -3, 2, .nan])
    #expect(try run("Neg", [x]).elements(of: Float.self)[0].sign == .plus)
    #expect(try run("Abs", [x]).elements(of: Float.self).prefix(3) == [0, 3, 2])
    #expect(try run("Sign", [x]).elements(of: Float.self).prefix(3) == [0, -1, 1])
    #expect(try run("Abs", [Tensor([Int8(-128), -1])]).elements() == [Int8(-128), 1])
    #expect(try run("Neg", [Tensor([Int64.min, 1])]).elements() == [Int64.min, -1])
    #expect(try run("Sign", [Tensor([UInt64.max, 0])]).elements() == [UInt64(1), 0])
  }

  @Test func activations() throws {
    let softplus = { (x: Double) in log1p(exp(x)) }
    let sigmoid = { (x: Double) in 1 / (1 + exp(-x)) }
    try check("Relu", on: xs) { max($0, 0) }
    try check("LeakyRelu", on: xs) { $0 < 0 ? Double(Float(0.01)) * $0 : $0 }
    try check("LeakyRelu", ["alpha": .float(0.5)], on: xs) { $0 < 0 ? 0.5 * $0 : $0 }
    try check("Elu", ["alpha": .float(2)], on: xs) { $0 < 0 ? 2 * expm1($0) : $0 }
    try check("Celu", ["alpha": .float(2)], on: xs) { $0 < 0 ? 2 * expm1($0 / 2) : $0 }
    try check("Selu", on: xs) {
      1.0507010221481323 * ($0 > 0 ? $0 : Double(Float(1.6732632423543772)) * expm1($0))
    }
    try check("Selu", ["alpha": .float(2), "gamma": .float(3)], on: xs) {
      3 * ($0 > 0 ? $0 : 2 * expm1($0))
    }
    try check("HardSigmoid", on: xs) { max(0, min(1, Double(Float(0.2)) * $0 + 0.5)) }
    try check("HardSwish", on: xs) { $0 * max(0, min(1, $0 / 6 + 0.5)) }
    try check("Mish", on: xs) { $0 * tanh(softplus($0)) }
    try check("Sigmoid", on: xs) { sigmoid($0) }
    try check("Softplus", on: xs) { softplus($0) }
    try check("Softsign", on: xs) { $0 / (1 + abs($0)) }
    try check("Swish", on: xs) { $0 * sigmoid($0) }
    try check("Swish", ["alpha": .float(2)], on: xs) { $0 * sigmoid(2 * $0) }
    try check("ThresholdedRelu", on: xs) { $0 > 1 ? $0 : 0 }
    try check("Shrink", ["lambd": .float(1), "bias": .float(0.5)], on: xs) {
      $0 < -1 ? $0 + 0.5 : $0 > 1 ? $0 - 0.5 : 0
    }
    try check("Gelu", on: xs) { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
    try check("Gelu", ["approximate": .string("tanh")], on: xs) {
      0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
    }
  }

  @Test func extremesOfActivations() throws {
    let x = Tensor([Float(-200), 200, .infinity, -.infinity])
    #expect(try run("Softplus", [x]).elements() == [Float(0), 200, .infinity, 0])
    #expect(try run("Sigmoid", [x]).elements() == [Float(0), 1, 1, 0])
    #expect(try run("Tanh", [x]).elements() == [Float(-1), 1, 1, -1])
    #expect(try run("Relu", [Tensor([Float.nan, -1])]).elements(of: Float.self)[0].isNaN)
    #expect(try run("Relu", [Tensor([Int32(-3), 3])]).elements() == [Int32(0), 3])
    #expect(try run("Exp", [Tensor(zeros: .float, [0, 3])]).shape == [0, 3])
  }

  @Test func gatesMultiply() throws {
    let a = Tensor([Double(1), -2])
    let b = Tensor([Double(3), 0.5])
    let y = try run("SwiGLU", [a, b]).elements(of: Double.self)
    #expect(abs(y[0] - 3 / (1 + exp(-1))) < 1e-15)
  }
}
