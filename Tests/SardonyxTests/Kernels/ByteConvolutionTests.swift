import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Convolution of bytes") struct ByteConvolutionTests {
    @Test(
      "Sums and nearest bytes are those of plain arithmetic, for all zero points and extreme bytes",
      arguments: crews, [false, true])
    func exactness(on crew: Crew, isClustered: Bool) throws {
      var numbers = Numbers(seed: 31)
      for channels in 1...67 {
        let isSigned = channels % 2 == 0
        let isWeightSigned = channels % 4 < 2
        let bytes = isSigned ? -128...127 : 0...255
        let weightBytes = isWeightSigned ? -128...127 : 0...255
        let (outputs, batch) = (numbers.next(in: 1...70), 1 + channels % 3)
        let size = [numbers.next(in: 3...8), numbers.next(in: 3...19)]
        let shape = BlockedConvolutionTests.shape(
          channels, outputs, size: size, kernel: channels % 3 == 2 ? 1 : 3,
          stride: 1 + channels % 2,
          dilation: channels % 5 == 0 ? 2 : 1, pad: channels % 4, batch: batch)
        guard shape.output.allSatisfy({ $0 > 0 }) else { continue }
        let zero = channels % 5 == 0 ? bytes.lowerBound : numbers.next(in: bytes)
        // Every third time all are nothing but extremes.
        func byte(_ range: ClosedRange<Int>) -> Int {
          channels % 3 > 0
            ? numbers.next(in: range)
            : numbers.next(in: 0...1) == 0 ? range.lowerBound : range.upperBound
        }
        let weightZeros: [Int] =
          switch channels % 4 {
          case 0: [0]
          case 1: [weightBytes.upperBound]
          default: (0..<outputs).map { _ in numbers.next(in: weightBytes) }
          }
        let x = (0..<batch * channels * size[0] * size[1]).map { _ in byte(bytes) }
        let depth = channels * shape.taps
        // As those of trained weights are: most near the middle, some anywhere.
        func clusteredByte() -> Int {
          let isNear = numbers.next(in: 0...400) > 0
          return numbers.next(in: isNear ? -60...60 : -128...127) + (isWeightSigned ? 0 : 128)
        }
        let weights = (0..<outputs * depth).map { _ in
          isClustered ? clusteredByte() : byte(weightBytes)
        }
        let bias = (0..<outputs).map { _ in numbers.next(in: -99999...99999) }
        let tensor = Tensor(
          converting: weights.map { Double($0) }, to: isWeightSigned ? .int8 : .uint8,
          [outputs, channels] + shape.kernel)
        func convolution(_ bias: [Int64]?) throws -> ByteConvolution {
          let filter = try #require(
            ByteFilter(
              tensor, zeroPoints: weightZeros.map { Int64($0) }, bias: bias, shape,
              for: crew.instructions))
          return try #require(ByteConvolution(shape, filter))
        }
        let centered = weights.indices.map { place in
          weights[place] - weightZeros[weightZeros.count > 1 ? place / depth : 0]
        }
        let input = Guarded(x.map { UInt8(truncatingIfNeeded: $0) })
        let expected = IntegerBlockedConvolutionTests.sums(
          shape, x.map { $0 - zero }, centered, Array(repeating: 0, count: outputs))
        let sums = Guarded<Int32>(count: expected.count)
        try unsafe convolution(nil).sum(
          input.start, isSigned: isSigned, zeroPoint: Int32(zero), into: sums.start, on: crew)
        #expect(sums.isIntact)
        #expect(sums.elements.map { Int($0) } == expected, "\(shape)")

        let result = Guarded<UInt8>(count: expected.count)
        let scales = (0..<outputs).map { _ in abs(numbers.next()) / Float(depth * 99) }
        try unsafe convolution(bias.map { Int64($0) }).quantize(
          input.start, isSigned: isSigned, zeroPoint: Int32(zero), scale: { scales[$0] },
          resultZero: 3, isResultSigned: isWeightSigned, into: result.start, on: crew)
        #expect(result.isIntact)
        let plane = shape.output.elementCount
        let nearest = expected.indices.map { place in
          let channel = place / plane % outputs
          let number = Float(expected[place] + bias[channel]) * scales[channel]
          let whole = Int(number.rounded(.toNearestOrEven)) + 3
          return UInt8(
            truncatingIfNeeded: min(max(whole, weightBytes.lowerBound), weightBytes.upperBound))
        }
        #expect(result.elements == nearest, "\(shape)")
      }
    }

    @Test("Sums that 32 bits may not hold are left to others")
    func bound() {
      let shape = BlockedConvolutionTests.shape(3, 8, size: [4, 4], kernel: 1)
      let weights = Tensor(converting: Array(repeating: 1.0, count: 24), to: .int8, [8, 3, 1, 1])
      let bias = Array(repeating: Int64(Int32.max), count: 8)
      #expect(ByteFilter(weights, zeroPoints: [0], bias: nil, shape) != nil)
      #expect(ByteFilter(weights, zeroPoints: [0], bias: bias, shape) == nil)
    }
  }
}
