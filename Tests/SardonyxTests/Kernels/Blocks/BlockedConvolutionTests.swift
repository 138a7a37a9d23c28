import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Convolution over blocks") struct BlockedConvolutionTests {
    typealias Plain = ConvolutionTests

    /// A square convolution, or one along a single axis.
    static func shape(
      _ input: Int, _ output: Int, size: [Int], kernel: Int, stride: Int = 1, dilation: Int = 1,
      pad: Int? = nil, batch: Int = 1, groups: Int = 1
    ) -> ConvolutionShape {
      func all(_ value: Int) -> [Int] { size.map { _ in value } }
      let pad = pad ?? kernel / 2
      return ConvolutionShape(
        batch: batch, groups: groups, inputChannels: input, outputChannels: output, input: size,
        kernel: all(kernel), strides: all(stride), dilations: all(dilation), padsBegin: all(pad),
        padsEnd: all(pad))
    }

    /// Every algorithm over channels 1 … 67, widths 1 … 29 and batches 1 … 3.
    static let cases: [(BlockedAlgorithm, ConvolutionShape)] = {
      var numbers = Numbers(seed: 3)
      var cases: [(BlockedAlgorithm, ConvolutionShape)] = []
      for channels in 1...67 {
        let outputs = numbers.next(in: 1...67)
        let size = [numbers.next(in: 3...9), numbers.next(in: 3...17)]
        let batch = 1 + channels % 3
        for m in [2, 4] {
          cases.append(
            (
              .winograd(outputs: m),
              shape(channels, outputs, size: size, kernel: 3, pad: channels % 2, batch: batch)
            ))
        }
        cases.append((.product, shape(channels, outputs, size: size, kernel: 1, batch: batch)))
        cases.append(
          (
            .product,
            shape(channels, outputs, size: size, kernel: 3, stride: 1 + channels % 3, batch: batch)
          ))
        cases.append(
          (
            .depthwise,
            shape(
              channels, channels, size: size, kernel: [1, 3, 5, 7][channels % 4],
              stride: 1 + channels / 4 % 3, batch: batch, groups: channels)
          ))
      }
      for width in 1...29 {
        let size = [1 + width % 5, width]
        for m in [2, 4] {
          cases.append((.winograd(outputs: m), shape(17, 33, size: size, kernel: 3)))
        }
        for stride in 1...3 {
          cases.append((.product, shape(20, 40, size: size, kernel: 1, stride: stride)))
          cases.append(
            (.product, shape(20, 9, size: size, kernel: 5, stride: stride, dilation: 2, pad: 4)))
          cases.append((.planar, shape(3, 40, size: size, kernel: 7, stride: stride)))
          cases.append((.planar, shape(1, 5, size: [width], kernel: 4, stride: stride, pad: 3)))
          cases.append((.product, shape(18, 18, size: [width], kernel: 3, stride: stride)))
          for (kernel, dilation) in [(3, 1), (5, 1), (7, 1), (3, 2), (4, 1)] {
            cases.append(
              (
                .depthwise,
                shape(
                  20, 20, size: size, kernel: kernel, stride: stride, dilation: dilation,
                  pad: kernel / 2 * dilation, groups: 20)
              ))
          }
        }
      }
      // Groups that fill blocks, alone or together, and some that never do.
      for (groups, inputs, outputs) in [
        (2, 8, 16), (2, 16, 48), (3, 16, 16), (4, 4, 4), (4, 2, 8), (6, 8, 3), (8, 1, 2),
        (16, 1, 1), (16, 3, 5), (32, 4, 4), (3, 5, 2),
      ] {
        for (kernel, stride) in [(1, 1), (3, 1), (3, 2)] {
          cases.append(
            (
              .product,
              shape(
                groups * inputs, groups * outputs, size: [5, 7], kernel: kernel, stride: stride,
                batch: 2, groups: groups)
            ))
        }
      }
      for stride in 1...5 {
        for kernel in [2, 5, 11, 130] {
          cases.append((.planar, shape(2, 17, size: [150], kernel: kernel, stride: stride, pad: 1)))
        }
      }
      // Small images, several of which go together.
      for side in 1...8 {
        for (batch, outputs, stride) in [(1, 40, 1), (3, 8, 1), (3, 40, 2), (70, 17, 1)] {
          for kernel in [1, 3] {
            let size = [side, side + 1]
            cases.append(
              (
                .product,
                shape(18, outputs, size: size, kernel: kernel, stride: stride, batch: batch)
              ))
          }
        }
      }
      // More depth and more places than go together.
      cases.append((.product, shape(600, 40, size: [3, 3], kernel: 3)))
      cases.append((.product, shape(600, 40, size: [21, 22], kernel: 1)))
      cases.append((.product, shape(500, 12, size: [21, 22], kernel: 3)))
      cases.append((.product, shape(16, 70, size: [40, 41], kernel: 1)))
      cases.append((.winograd(outputs: 4), shape(40, 130, size: [60, 60], kernel: 3)))
      cases.append((.winograd(outputs: 4), shape(600, 300, size: [9, 9], kernel: 3)))
      return cases.filter { $0.1.output.allSatisfy { $0 > 0 } }
    }()

    static func run(
      _ algorithm: BlockedAlgorithm, _ shape: ConvolutionShape, _ x: [Float], _ weights: [Float],
      _ bias: [Float], _ residual: [Float]?, on crew: Crew
    ) -> [Float] {
      let layout = BlockLayout(for: crew.instructions)
      let outputShape = [shape.batch, shape.outputChannels] + shape.output
      let plain = Tensor(x, [shape.batch, shape.inputChannels] + shape.input)
      let source = algorithm == .planar ? plain : layout.blocked(plain)
      let rest = residual.map { layout.blocked(Tensor($0, outputShape)) }
      let filter = unsafe BlockedFilter(
        weights, bias: bias, shape, algorithm, for: crew.instructions)
      let blocked = layout.blocked(outputShape)
      let y = Destination(.float, blocked, storage: Storage(byteCount: blocked.elementCount * 4))
      BlockedConvolution(shape, filter).run(
        source, residual: rest, .clamp(low: -0.25, high: .infinity), into: y, on: crew)
      return layout.unblocked(y.tensor(texts: .none), channels: shape.outputChannels)
        .array(of: Float.self)
    }

    @Test("Every algorithm agrees with sums over taps", arguments: crews)
    func agrees(on crew: Crew) {
      for (seed, (algorithm, shape)) in Self.cases.enumerated() {
        let (x, weights, bias, residual) = Plain.operands(shape, seed)
        let y = Self.run(algorithm, shape, x, weights, bias, residual, on: crew)
        let expected = Plain.plain(shape, x, weights, bias, residual)
        let largest = expected.map(abs).max() ?? 0
        let worst = zip(y, expected).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(worst < 1e-5 * max(largest, 1), "\(algorithm) \(shape)")
      }
    }

    @Test("The number of threads does not change a bit")
    func threads() {
      for (seed, (algorithm, shape)) in Self.cases.enumerated() where seed % 5 == 0 || seed > 800 {
        let (x, weights, bias, residual) = Plain.operands(shape, seed)
        let results = [1, 2, 3, 7].map {
          Self.run(algorithm, shape, x, weights, bias, residual, on: Crew(threads: $0))
            .map(\.bitPattern)
        }
        #expect(results.allSatisfy { $0 == results[0] }, "\(algorithm) \(shape)")
      }
    }

    @Test("Lanes beyond the last channel do not matter, whatever they hold", arguments: crews)
    func lanesBeyondTheLastChannel(on crew: Crew) {
      let layout = BlockLayout(for: crew.instructions)
      for algorithm in [BlockedAlgorithm.product, .winograd(outputs: 4), .depthwise] {
        let groups = algorithm == .depthwise ? 17 : 1
        let shape = Self.shape(17, 17, size: [6, 6], kernel: 3, groups: groups)
        let (x, weights, bias, _) = Plain.operands(shape, 1)
        let expected = Self.run(algorithm, shape, x, weights, bias, nil, on: crew)
        let source = layout.blocked(Tensor(x, [1, 17, 6, 6]))
        let numbers = unsafe UnsafeMutablePointer(mutating: source.pointer(as: Float.self))
        for place in 0..<36 {
          for lane in 1..<layout.lanes {
            unsafe numbers[
              (layout.blocks(17) - 1) * 36 * layout.lanes + place * layout.lanes + lane] =
              .nan
          }
        }
        let filter = unsafe BlockedFilter(
          weights, bias: bias, shape, algorithm, for: crew.instructions)
        let blocked = layout.blocked([1, 17, 6, 6])
        let y = Destination(.float, blocked, storage: Storage(byteCount: blocked.elementCount * 4))
        BlockedConvolution(shape, filter).run(
          source, residual: nil, .clamp(low: -0.25, high: .infinity), into: y, on: crew)
        let result = layout.unblocked(y.tensor(texts: .none), channels: 17)
        #expect(result.array(of: Float.self) == expected, "\(algorithm)")
      }
    }

    @Test("Tensors come back from blocks as they went in", arguments: crews)
    func reorder(on crew: Crew) {
      let layout = BlockLayout(for: crew.instructions)
      var numbers = Numbers(seed: 5)
      for channels in 1...40 {
        let x = numbers.tensor([2, channels, 3, channels % 7 + 1])
        let back = layout.unblocked(layout.blocked(x), channels: channels)
        #expect(back.shape == x.shape)
        #expect(back.array(of: Float.self) == x.array(of: Float.self))
      }
    }
  }
}
