import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Convolution of integers over blocks") struct IntegerBlockedConvolutionTests {
    /// Σ (x − zero)·(w − zero of the channel) + bias, in 64 bits.
    static func sums(
      _ shape: ConvolutionShape, _ x: [Int], _ weights: [Int], _ bias: [Int]
    ) -> [Int] {
      let (inputs, outputs) = (
        shape.inputChannels / shape.groups, shape.outputChannels / shape.groups
      )
      let (input, output, kernel) = (shape.input, shape.output, shape.kernel)
      var y: [Int] = []
      for image in 0..<shape.batch {
        for m in 0..<shape.outputChannels {
          for row in 0..<output[0] {
            for column in 0..<output[1] {
              var sum = bias[m]
              for c in 0..<inputs {
                let plane = image * shape.inputChannels + m / outputs * inputs + c
                for u in 0..<kernel[0] {
                  for v in 0..<kernel[1] {
                    let r = row * shape.strides[0] + u * shape.dilations[0] - shape.padsBegin[0]
                    let s = column * shape.strides[1] + v * shape.dilations[1] - shape.padsBegin[1]
                    guard (0..<input[0]).contains(r), (0..<input[1]).contains(s) else { continue }
                    sum +=
                      x[(plane * input[0] + r) * input[1] + s]
                      * weights[((m * inputs + c) * kernel[0] + u) * kernel[1] + v]
                  }
                }
              }
              y.append(sum)
            }
          }
        }
      }
      return y
    }

    @Test(
      "Sums are those of plain arithmetic, for all zero points and extreme bytes", arguments: crews)
    func exactness(on crew: Crew) throws {
      var numbers = Numbers(seed: 11)
      for channels in 1...67 {
        for (groups, outputs) in [(1, numbers.next(in: 1...40)), (channels, channels)] {
          let isSigned = channels % 2 == 0
          let bytes = isSigned ? -128...127 : 0...255
          let size = [numbers.next(in: 3...8), numbers.next(in: 3...11)]
          let shape = BlockedConvolutionTests.shape(
            channels, outputs, size: size, kernel: channels > 40 && groups == 1 ? 1 : 3,
            stride: 1 + channels % 2, pad: 1, batch: 1 + channels % 3, groups: groups)
          let zero = channels % 5 == 0 ? bytes.lowerBound : numbers.next(in: bytes)
          let weightZeros = (0..<outputs).map { _ in numbers.next(in: -128...127) }
          // Every third time nothing but extremes.
          func byte(_ range: ClosedRange<Int>) -> Int {
            channels % 3 > 0
              ? numbers.next(in: range)
              : numbers.next(in: 0...1) == 0 ? range.lowerBound : range.upperBound
          }
          let x = (0..<shape.batch * channels * size[0] * size[1]).map { _ in byte(bytes) }
          let depth = channels / groups * shape.taps
          let weights = (0..<outputs * depth).map { _ in byte(-128...127) }
          let bias = (0..<outputs).map { _ in numbers.next(in: -9999...9999) }
          let tensor = Tensor(
            converting: weights.map { Double($0) }, to: .int8,
            [outputs, channels / groups] + shape.kernel)
          let filter = try #require(
            IntegerBlockedFilter(
              tensor, zeroPoints: weightZeros.map { Int64($0) }, bias: bias.map { Int64($0) },
              shape, for: crew.instructions))
          let inputs = Tensor(
            converting: x.map { Double($0) }, to: isSigned ? .int8 : .uint8, [x.count])
          let expected = Self.sums(
            shape, x.map { $0 - zero },
            weights.indices.map { weights[$0] - weightZeros[$0 / depth] }, bias)
          let convolution = IntegerBlockedConvolution(shape, filter)
          let input = unsafe inputs.bytes.assumingMemoryBound(to: UInt8.self)
          let sums = Guarded<Int32>(count: expected.count)
          unsafe convolution.sum(
            input, isSigned: isSigned, zeroPoint: Int32(zero), into: sums.start, on: crew)
          #expect(sums.isIntact)
          #expect(sums.elements.map { Int($0) } == expected, "\(shape)")

          let nearest = Guarded<UInt8>(count: expected.count)
          let scales = (0..<outputs).map { _ in abs(numbers.next()) / Float(depth * 99) }
          unsafe convolution.quantize(
            input, isSigned: isSigned, zeroPoint: Int32(zero), scale: { scales[$0] },
            resultZero: 3, isResultSigned: isSigned, into: nearest.start, on: crew)
          #expect(nearest.isIntact)
          let plane = shape.output.elementCount
          let plain = expected.indices.map { place in
            let number = Float(expected[place]) * scales[place / plane % outputs]
            let whole = Int(number.rounded(.toNearestOrEven)) + 3
            return UInt8(truncatingIfNeeded: min(max(whole, bytes.lowerBound), bytes.upperBound))
          }
          #expect(nearest.elements == plain, "\(shape)")
        }
      }
    }

    @Test("Sums that floats may not hold are left to integers")
    func bound() {
      let shape = BlockedConvolutionTests.shape(300, 8, size: [4, 4], kernel: 1)
      let weights = Tensor(
        converting: Array(repeating: 127.0, count: 2400), to: .int8, [8, 300, 1, 1])
      #expect(IntegerBlockedFilter(weights, zeroPoints: [0], bias: nil, shape) != nil)
      #expect(IntegerBlockedFilter(weights, zeroPoints: [-128], bias: nil, shape) == nil)
      let bias = Array(repeating: Int64(1 << 24), count: 8)
      #expect(IntegerBlockedFilter(weights, zeroPoints: [0], bias: bias, shape) == nil)
    }

    @Test("Numbers become the nearest bytes", arguments: crews)
    func quantization(on crew: Crew) {
      var numbers = Numbers(seed: 12)
      for length in Array(1...67) + [997] {
        let isSigned = length % 2 == 0
        let (low, high): (Int32, Int32) = isSigned ? (-128, 127) : (0, 255)
        for zero in [low, high, Int32(length)] {
          for isQuotient in [true, false] {
            let scale: Float = isQuotient ? 0.37 : 2.5
            var x = (0..<length).map { _ in Float(numbers.next(in: -400...400)) / 4 }
            x[length / 2] = [.nan, .infinity, -.infinity, 1e30, -0.0][length % 5]
            var y = [UInt8](repeating: 7, count: length + 1)
            unsafe crew.instructions.quantize(
              length, x, scale: scale, divides: isQuotient, zero: zero, isSigned: isSigned, into: &y
            )
            for (index, number) in x.enumerated() {
              let scaled = isQuotient ? number / scale : number * scale
              let nearest = scaled.isNaN ? 0 : Double(scaled).rounded(.toNearestOrEven)
              let expected = min(max(nearest + Double(zero), Double(low)), Double(high))
              #expect(y[index] == UInt8(truncatingIfNeeded: Int(expected)), "\(number)")
            }
            #expect(y[length] == 7)
          }
        }
      }
    }
  }
}
