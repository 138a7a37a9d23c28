import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Convolution of bytes with their channels last") struct ChannelsLastConvolutionTests {
    /// Products, groups and depthwise kernels over channels 1 … 67 and more.
    private static let shapes: [ConvolutionShape] = {
      var numbers = Numbers(seed: 77)
      var shapes: [ConvolutionShape] = []
      for channels in Array(1...67) + [96, 130, 200] {
        let size = [numbers.next(in: 3...9), numbers.next(in: 3...19)]
        let (stride, dilation) = (1 + channels % 2, channels % 5 == 0 ? 2 : 1)
        shapes.append(
          BlockedConvolutionTests.shape(
            channels, numbers.next(in: 1...150), size: size, kernel: channels % 3 == 2 ? 1 : 3,
            stride: stride, dilation: dilation, pad: channels % 4, batch: 1 + channels % 3))
        if channels > 1 {
          shapes.append(
            BlockedConvolutionTests.shape(
              channels, channels, size: size, kernel: [3, 5, 2][channels % 3], stride: stride,
              dilation: dilation, pad: channels % 4, batch: 1 + channels % 2, groups: channels))
        }
        if channels >= 4 {
          shapes.append(
            BlockedConvolutionTests.shape(
              3 * channels, 3 * (1 + channels % 7), size: size, kernel: 3, pad: 1, groups: 3))
        }
      }
      // More outputs than a chunk takes, and outputs of many images in one.
      shapes.append(BlockedConvolutionTests.shape(5, 20, size: [70, 90], kernel: 3))
      shapes.append(
        BlockedConvolutionTests.shape(70, 70, size: [30, 200], kernel: 3, stride: 2, groups: 70))
      shapes.append(BlockedConvolutionTests.shape(8, 9, size: [2, 2], kernel: 1, batch: 40))
      shapes.append(BlockedConvolutionTests.shape(12, 70, size: [25, 25], kernel: 1, pad: 0))
      return shapes.filter { $0.output.allSatisfy { $0 > 0 } }
    }()

    @Test(
      "Bytes are those of plain arithmetic, for all zero points and extreme bytes",
      arguments: crews)
    func exactness(on crew: Crew) throws {
      var numbers = Numbers(seed: 31)
      for (index, shape) in Self.shapes.enumerated() {
        let (channels, outputs) = (shape.inputChannels, shape.outputChannels)
        let places = shape.input.elementCount
        let zero = [0, 255, numbers.next(in: 0...255)][index % 3]
        // Every third time all are nothing but extremes.
        func byte(_ range: ClosedRange<Int>) -> Int {
          index % 3 > 0
            ? numbers.next(in: range)
            : numbers.next(in: 0...1) == 0 ? range.lowerBound : range.upperBound
        }
        let x = (0..<shape.batch * places * channels).map { _ in byte(0...255) }
        let depth = channels / shape.groups * shape.taps
        let weights = (0..<outputs * depth).map { _ in byte(-128...127) }
        let filter = try #require(
          ChannelsLastFilter(
            Tensor(
              converting: weights.map { Double($0) }, to: .int8,
              [outputs, channels / shape.groups] + shape.kernel), shape, for: crew.instructions))
        let epilogue = ByteEpilogue(
          scales: (0..<outputs).map { _ in numbers.next() / Float(depth * 99) },
          addends: index % 2 == 0 ? nil : (0..<outputs).map { _ in 40 * numbers.next() },
          shifts: (0..<outputs).map { _ in Int32(numbers.next(in: -99999...99999)) }, zero: 131,
          low: index % 4 == 1 ? 131 : 0, high: index % 4 == 2 ? 200 : 255)
        let convolution = try #require(
          ChannelsLastConvolution(shape, filter, inputZero: UInt8(zero), epilogue))
        let input = Guarded(x.map { UInt8($0) })
        let output = shape.output.elementCount
        let result = Guarded<UInt8>(count: shape.batch * output * outputs)
        unsafe convolution.run(input.start, into: result.start, on: crew)
        #expect(result.isIntact)

        let planes = (0..<x.count).map { place in
          let (image, rest) = place.quotientAndRemainder(dividingBy: channels * places)
          let (channel, spot) = rest.quotientAndRemainder(dividingBy: places)
          return x[(image * places + spot) * channels + channel] - zero
        }
        let sums = IntegerBlockedConvolutionTests.sums(
          shape, planes, weights, Array(repeating: 0, count: outputs))
        let expected = (0..<sums.count).map { place in
          let (image, rest) = place.quotientAndRemainder(dividingBy: outputs * output)
          let (spot, channel) = rest.quotientAndRemainder(dividingBy: outputs)
          let sum = sums[(image * outputs + channel) * output + spot]
          var number = Float(sum + Int(epilogue.shifts[channel])) * epilogue.scales[channel]
          if let addends = epilogue.addends { number += addends[channel] }
          let whole = Int(number.rounded(.toNearestOrEven)) + 131
          return UInt8(min(max(whole, Int(epilogue.low)), Int(epilogue.high)))
        }
        #expect(result.elements == expected, "\(shape)")
      }
    }

    @Test("Bytes go to their channels last and back, signed ones turned over", arguments: crews)
    func order(on crew: Crew) throws {
      for channels in [1, 2, 3, 4, 5, 64, 67] {
        for (isSigned, places) in [(false, [3, 5]), (true, [1, 7]), (true, [90, 70])] {
          let shape = [2, channels] + places
          let x = (0..<shape.elementCount).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 / 256) }
          let (from, last, back) = (
            Guarded(x), Guarded<UInt8>(count: x.count), Guarded<UInt8>(count: x.count)
          )
          unsafe ByteReorder.channelsLast(
            shape, isSigned: isSigned, from.start, into: last.start, on: crew)
          unsafe ByteReorder.channelsFirst(
            shape, isSigned: isSigned, last.start, into: back.start, on: crew)
          let size = places.elementCount
          let expected = (0..<x.count).map { place in
            let (image, rest) = place.quotientAndRemainder(dividingBy: channels * size)
            let (spot, channel) = rest.quotientAndRemainder(dividingBy: channels)
            return x[(image * channels + channel) * size + spot] ^ (isSigned ? 0x80 : 0)
          }
          #expect(last.isIntact && last.elements == expected)
          #expect(back.isIntact && back.elements == x)
        }
      }
    }
  }
}
