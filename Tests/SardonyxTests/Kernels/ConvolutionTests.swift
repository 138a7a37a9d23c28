import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Convolution") struct ConvolutionTests {
    static let shapes: [ConvolutionShape] = {
      var numbers = Numbers(seed: 2)
      var shapes: [ConvolutionShape] = []
      for index in 0..<120 {
        let rank = 1 + index % 3
        let groups = [1, 1, 2, 3][numbers.next(in: 0...3)]
        let isDepthwise = index % 4 == 3
        let channels = numbers.next(in: 1...9)
        func axes(_ range: ClosedRange<Int>) -> [Int] {
          (0..<rank).map { _ in numbers.next(in: range) }
        }
        let multiplier = numbers.next(in: 1...2)
        shapes.append(
          ConvolutionShape(
            batch: numbers.next(in: 1...2), groups: isDepthwise ? channels : groups,
            inputChannels: isDepthwise ? channels : groups * channels,
            outputChannels: isDepthwise
              ? channels * multiplier : groups * numbers.next(in: 1...20),
            input: axes(rank == 3 ? 4...7 : 6...40), kernel: axes(rank == 3 ? 1...3 : 1...5),
            strides: axes(1...3), dilations: axes(1...2), padsBegin: axes(0...3),
            padsEnd: axes(0...3)))
      }
      for (kernel, stride, size) in [
        (3, 1, 7), (3, 1, 14), (3, 1, 19), (3, 2, 15), (5, 1, 33), (1, 1, 14), (1, 2, 14),
        (7, 2, 30),
      ] {
        for (channels, outputs, groups) in [(3, 64, 1), (40, 40, 40), (64, 30, 1)] {
          shapes.append(
            ConvolutionShape(
              batch: 1, groups: groups, inputChannels: channels, outputChannels: outputs,
              input: [size, size], kernel: [kernel, kernel], strides: [stride, stride],
              dilations: [1, 1], padsBegin: [kernel / 2, kernel / 2],
              padsEnd: [kernel / 2, kernel / 2]))
        }
      }
      // With so many taps a transposed convolution goes through parts of a row.
      shapes.append(
        ConvolutionShape(
          batch: 1, groups: 1, inputChannels: 2, outputChannels: 2, input: [3, 1000],
          kernel: [2, 700], strides: [1, 1], dilations: [1, 1], padsBegin: [0, 5],
          padsEnd: [0, 5]))
      return shapes.filter { $0.output.allSatisfy { $0 > 0 } }
    }()

    /// The number of a place, the last axis running fastest; nil where it lies outside.
    static func number(of place: [Int], within extents: [Int]) -> Int? {
      zip(place, extents).reduce(Int?.some(0)) { number, axis in
        (0..<axis.1).contains(axis.0) ? number.map { $0 * axis.1 + axis.0 } : nil
      }
    }

    /// Sums over taps at each output in Double, by indices alone.
    static func plain(
      _ shape: ConvolutionShape, _ x: [Float], _ weights: [Float], _ bias: [Float],
      _ residual: [Float]?
    ) -> [Double] {
      let output = shape.output
      let (inputs, outputs, taps) = (shape.input.elementCount, output.elementCount, shape.taps)
      let channels = shape.inputChannels / shape.groups
      let perGroup = shape.outputChannels / shape.groups
      var y: [Double] = []
      for index in 0..<shape.batch * shape.outputChannels * outputs {
        let place = indices(of: index % outputs, within: output)
        let (n, m) = (index / outputs).quotientAndRemainder(dividingBy: shape.outputChannels)
        var sum = Double(bias[m])
        for tap in 0..<taps {
          let met = place.indices.map { axis in
            place[axis] * shape.strides[axis] - shape.padsBegin[axis]
              + indices(of: tap, within: shape.kernel)[axis] * shape.dilations[axis]
          }
          guard let at = number(of: met, within: shape.input) else { continue }
          for c in 0..<channels {
            let channel = n * shape.inputChannels + m / perGroup * channels + c
            sum +=
              Double(x[channel * inputs + at]) * Double(weights[(m * channels + c) * taps + tap])
          }
        }
        if let residual { sum += Double(residual[index]) }
        y.append(max(sum, -0.25))
      }
      return y
    }

    static func run(
      _ shape: ConvolutionShape, _ x: [Float], _ weights: [Float], _ bias: [Float],
      _ residual: [Float]?, on crew: Crew
    ) -> [Float] {
      let count = shape.batch * shape.outputChannels * shape.output.elementCount
      return unsafe [Float](unsafeUninitializedCapacity: count) { y, filled in
        unsafe x.withUnsafeBufferPointer { x in
          unsafe weights.withUnsafeBufferPointer { weights in
            unsafe bias.withUnsafeBufferPointer { bias in
              unsafe (residual ?? []).withUnsafeBufferPointer { rest in
                guard let x = x.baseAddress, let y = y.baseAddress, let w = weights.baseAddress
                else { return }
                let filter = unsafe PackedFilter(w, shape, for: crew.instructions)
                let epilogue = unsafe Convolution.Epilogue(
                  bias: bias.baseAddress, residual: residual == nil ? nil : rest.baseAddress,
                  activation: .clamp(low: -0.25, high: .infinity))
                unsafe Convolution(shape).run(x, filter, epilogue, into: y, on: crew)
              }
            }
          }
        }
        filled = count
      }
    }

    static func operands(_ shape: ConvolutionShape, _ seed: Int) -> (
      [Float], [Float], [Float], [Float]?
    ) {
      var numbers = Numbers(seed: seed)
      let x = numbers.array(shape.batch * shape.inputChannels * shape.input.elementCount)
      let weights = numbers.array(
        shape.outputChannels * shape.inputChannels / shape.groups * shape.taps)
      let bias = numbers.array(shape.outputChannels)
      let outputs = shape.batch * shape.outputChannels * shape.output.elementCount
      return (x, weights, bias, seed % 3 == 0 ? numbers.array(outputs) : nil)
    }

    @Test("A convolution agrees with sums over taps", arguments: crews)
    func agrees(on crew: Crew) {
      for (seed, shape) in Self.shapes.enumerated() {
        let (x, weights, bias, residual) = Self.operands(shape, seed)
        let y = Self.run(shape, x, weights, bias, residual, on: crew)
        let expected = Self.plain(shape, x, weights, bias, residual)
        let worst = zip(y, expected).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(worst < 1e-4, "\(shape)")
      }
    }

    @Test("The number of threads does not change a bit")
    func threads() {
      for (seed, shape) in Self.shapes.enumerated() {
        let (x, weights, bias, residual) = Self.operands(shape, seed)
        let results = [1, 2, 3, 7].map {
          Self.run(shape, x, weights, bias, residual, on: Crew(threads: $0)).map(\.bitPattern)
        }
        #expect(results.allSatisfy { $0 == results[0] }, "\(shape)")
      }
    }

    @Test("A transposed convolution scatters what a convolution would gather", arguments: crews)
    func transposed(on crew: Crew) {
      for (seed, gathering) in Self.shapes.enumerated() {
        // Its output is the convolution's input, and the other way round.
        let shape = TransposedConvolutionShape(
          batch: gathering.batch, groups: gathering.groups, inputChannels: gathering.outputChannels,
          outputChannels: gathering.inputChannels, input: gathering.output, output: gathering.input,
          kernel: gathering.kernel, strides: gathering.strides, dilations: gathering.dilations,
          padsBegin: gathering.padsBegin)
        var numbers = Numbers(seed: seed)
        let x = numbers.array(shape.batch * shape.inputChannels * shape.input.elementCount)
        let weights = numbers.array(
          shape.inputChannels * shape.outputChannels / shape.groups * shape.taps)
        let bias = numbers.array(shape.outputChannels)
        let expected = Self.plainTransposed(shape, x, weights, bias)
        let y = unsafe [Float](unsafeUninitializedCapacity: expected.count) { y, filled in
          unsafe x.withUnsafeBufferPointer { x in
            unsafe weights.withUnsafeBufferPointer { weights in
              unsafe bias.withUnsafeBufferPointer { bias in
                guard let x = x.baseAddress, let y = y.baseAddress, let w = weights.baseAddress
                else { return }
                let filter = unsafe PackedTransposedFilter(w, shape, for: crew.instructions)
                unsafe TransposedConvolution(shape).run(
                  x, filter, bias: bias.baseAddress, into: y, on: crew)
              }
            }
          }
          filled = expected.count
        }
        let worst = zip(y, expected).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(worst < 1e-4, "\(shape)")
      }
    }

    static func plainTransposed(
      _ shape: TransposedConvolutionShape, _ x: [Float], _ weights: [Float], _ bias: [Float]
    ) -> [Double] {
      let (inputs, outputs, taps) = (
        shape.input.elementCount, shape.output.elementCount, shape.taps
      )
      let (channels, perGroup) = (
        shape.inputChannels / shape.groups, shape.outputChannels / shape.groups
      )
      var y = (0..<shape.batch * shape.outputChannels * outputs).map {
        Double(bias[$0 / outputs % shape.outputChannels])
      }
      for index in 0..<shape.batch * shape.inputChannels * inputs {
        let place = indices(of: index % inputs, within: shape.input)
        let (n, c) = (index / inputs).quotientAndRemainder(dividingBy: shape.inputChannels)
        for tap in 0..<taps {
          let met = place.indices.map { axis in
            place[axis] * shape.strides[axis] - shape.padsBegin[axis]
              + indices(of: tap, within: shape.kernel)[axis] * shape.dilations[axis]
          }
          guard let at = number(of: met, within: shape.output) else { continue }
          for m in 0..<perGroup {
            let channel = n * shape.outputChannels + c / channels * perGroup + m
            y[channel * outputs + at] +=
              Double(x[index]) * Double(weights[(c * perGroup + m) * taps + tap])
          }
        }
      }
      return y
    }
  }
}
