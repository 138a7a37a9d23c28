import Foundation
import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Elementwise functions") struct ElementwiseTests {
    static let alpha: Float = 0.3
    static let beta: Float = 0.6

    /// The same in Double.
    static func plain(_ function: Unary, _ x: Double) -> Double {
      let (alpha, beta) = (Double(alpha), Double(beta))
      return switch function {
      case .absolute: abs(x)
      case .negate: -x
      case .sign: x > 0 ? 1 : x < 0 ? -1 : x
      case .reciprocal: 1 / x
      case .squareRoot: x.squareRoot()
      case .reciprocalSquareRoot: 1 / x.squareRoot()
      case .square: x * x
      case .floor: x.rounded(.down)
      case .ceiling: x.rounded(.up)
      case .roundHalfEven: x.rounded(.toNearestOrEven)
      case .exp: Foundation.exp(x)
      case .expm1: Foundation.expm1(x)
      case .log: Foundation.log(x)
      case .log1p: Foundation.log1p(x)
      case .sin: Foundation.sin(x)
      case .cos: Foundation.cos(x)
      case .tanh: Foundation.tanh(x)
      case .erf: Foundation.erf(x)
      case .relu: x < 0 ? 0 : x
      case .sigmoid: 1 / (1 + Foundation.exp(-x))
      case .softplus: x > 30 ? x : Foundation.log1p(Foundation.exp(x))
      case .softsign: x / (1 + abs(x))
      case .silu: x / (1 + Foundation.exp(-x))
      case .mish: x > 100 ? x : x * Foundation.tanh(Foundation.log1p(Foundation.exp(x)))
      case .gelu: x / 2 * (1 + Foundation.erf(x * 0.5.squareRoot()))
      case .geluTanh:
        x / 2 * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
      case .hardSwish: x * min(max(x / 6 + 0.5, 0), 1)
      case .selu: 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * Foundation.expm1(x) : x)
      case .leakyRelu: x < 0 ? alpha * x : x
      case .elu: x < 0 ? alpha * Foundation.expm1(x) : x
      case .celu: x < 0 ? alpha * Foundation.expm1(x / alpha) : x
      case .hardSigmoid: x.isNaN ? x : min(max(alpha * x + beta, 0), 1)
      case .clip: x.isNaN ? x : min(max(x, alpha), beta)
      case .thresholdedRelu: x > alpha || x.isNaN ? x : 0
      case .affine: alpha * x + beta
      }
    }

    /// What is allowed beside some units in the last place: what the formula itself loses.
    static func absoluteError(_ function: Unary, _ x: Float) -> Double {
      let size = Double(abs(x))
      return switch function {
      case .gelu, .geluTanh: 2e-7 * min(size, 10)
      // Times a factor that is denormal, and so has few digits.
      case .silu, .mish: size * Double(Float.leastNonzeroMagnitude)
      case .hardSwish: 1e-7 * min(size, 10)
      case .hardSigmoid, .affine: 1e-7
      case .sin, .cos: size > 1e5 ? 1e-7 : 0
      default: 0
      }
    }

    /// Every kind of number: small ones, large ones, edges.
    static let samples: [Float] = {
      var numbers = Numbers(seed: 3)
      var samples = awkward
      for scale: Float in [1e-38, 1e-10, 1e-3, 0.1, 1, 5, 20, 90, 1000, 1e6] {
        for _ in 0..<500 { samples.append(numbers.next() * scale) }
      }
      return samples
    }()

    @Test("Functions of one number are right to a few units in the last place", arguments: crews)
    func accurate(on crew: Crew) {
      for function in Unary.allCases {
        let x = Guarded(Self.samples)
        let y = Guarded<Float>(count: x.count)
        unsafe Elementwise.map(
          function, x.count, x.start, into: y.start, alpha: Self.alpha, beta: Self.beta, on: crew)
        for (number, result) in zip(Self.samples, y.elements) {
          // Whatever overflows in single precision on the way cancels nothing that matters.
          if function == .softsign || function == .mish || function == .geluTanh,
            abs(number) > 1e10
          {
            continue
          }
          let expected = Self.plain(function, Double(number))
          #expect(
            agree(
              result, expected, relative: 5e-7, absolute: Self.absoluteError(function, number)),
            "\(function)(\(number)): expected \(expected), got \(result)")
        }
      }
    }

    @Test("Every length is done, in place too, and nothing beside it", arguments: crews)
    func lengths(on crew: Crew) {
      var numbers = Numbers(seed: 4)
      for count in 0...67 {
        let start = numbers.array(count)
        for function in [Unary.tanh, .relu, .affine] {
          let (x, y) = (Guarded(start), Guarded<Float>(count: count))
          unsafe Elementwise.map(
            function, count, x.start, into: y.start, alpha: 2, beta: 1, on: crew)
          unsafe Elementwise.map(
            function, count, x.start, into: x.start, alpha: 2, beta: 1, on: crew)
          #expect(x.elements == y.elements && x.isIntact && y.isIntact)
        }
      }
    }

    @Test("Functions of two numbers take rows and single numbers", arguments: crews)
    func binary(on crew: Crew) {
      var numbers = Numbers(seed: 5)
      let plain: [Binary: (Float, Float) -> Float] = [
        .add: (+), .subtract: (-), .multiply: (*), .divide: (/),
        .maximum: { $0.isNaN || $1.isNaN ? .nan : max($0, $1) },
        .minimum: { $0.isNaN || $1.isNaN ? .nan : min($0, $1) },
      ]
      for count in [0, 1, 3, 4, 7, 8, 15, 16, 17, 33, 67] {
        for (xStep, yStep) in [(1, 1), (0, 1), (1, 0), (0, 0)] {
          for function in Binary.allCases {
            let (left, right) = (numbers.array(count) + [.nan], [.nan] + numbers.array(count))
            let (x, y, z) = (Guarded(left), Guarded(right), Guarded<Float>(count: count))
            unsafe Elementwise.combine(
              function, count, x.start, step: xStep, y.start, step: yStep, into: z.start, on: crew)
            let expected = (0..<count).map { plain[function]!(left[$0 * xStep], right[$0 * yStep]) }
            #expect(zip(z.elements, expected).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN })
            #expect(z.isIntact)
          }
        }
      }
    }

    @Test("Integers wrap, doubles keep their digits", arguments: crews)
    func types(on crew: Crew) {
      check(on: crew, [Int64.max, 3, -5, 7, 1 << 40], [1, 2, 3, -4, 1 << 30], (&+), (&-), (&*))
      check(on: crew, [Int32.max, 3, -5, 7, 1 << 20], [1, 2, 3, -4, 1 << 20], (&+), (&-), (&*))
      check(on: crew, [1e300, 3, -5, 0.1, 1], [1, 2, 3, 0.2, 1e-16], (+), (-), (*))
    }

    private func check<Number: KernelNumber & Numeric>(
      on crew: Crew, _ left: [Number], _ right: [Number],
      _ add: @escaping (Number, Number) -> Number,
      _ subtract: @escaping (Number, Number) -> Number,
      _ multiply: @escaping (Number, Number) -> Number
    ) {
      for (function, plain) in [
        (Arithmetic.add, add), (.subtract, subtract), (.multiply, multiply),
      ] {
        for (xStep, yStep) in [(1, 1), (0, 1), (1, 0), (0, 0)] {
          let (x, y, z) = (Guarded(left), Guarded(right), Guarded<Number>(count: left.count))
          unsafe Elementwise.combine(
            function, left.count, x.start, step: xStep, y.start, step: yStep, into: z.start,
            on: crew)
          #expect(z.elements == left.indices.map { plain(left[$0 * xStep], right[$0 * yStep]) })
        }
      }
    }

    @Test("Scale and shift go by channel, inner or last", arguments: crews)
    func scaleShift(on crew: Crew) {
      var numbers = Numbers(seed: 6)
      for (outer, channels, inner) in [(2, 3, 17), (3, 19, 1), (0, 2, 2), (1, 1, 1)] {
        let values = numbers.array(outer * channels * inner)
        let (scales, shifts) = (numbers.array(channels), numbers.array(channels))
        let (x, scale, shift) = (Guarded(values), Guarded(scales), Guarded(shifts))
        let y = Guarded<Float>(count: values.count)
        unsafe Elementwise.scaleShift(
          outer: outer, channels: channels, inner: inner, x.start, scale: scale.start,
          shift: shift.start, relu: true, into: y.start, on: crew)
        for (index, result) in y.elements.enumerated() {
          let channel = index / inner % channels
          let expected = max(0, values[index] * scales[channel] + shifts[channel])
          #expect(abs(result - expected) < 1e-6)
        }
        #expect(y.isIntact)
      }
    }
  }
}
