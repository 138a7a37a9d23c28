import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Convolution to few channels") struct NarrowConvolutionTests {
    typealias Plain = ConvolutionTests

    /// Channels 1 … 67 in groups that make 1 … 8, widths 1 … 29, steps 1 … 4, gaps and batches.
    static let cases: [ConvolutionShape] = {
      var numbers = Numbers(seed: 11)
      var cases: [ConvolutionShape] = []
      func add(_ inputs: Int, _ outputs: Int, groups: Int, _ size: [Int], kernel: [Int]) {
        func some(_ range: ClosedRange<Int>) -> [Int] { size.map { _ in numbers.next(in: range) } }
        cases.append(
          ConvolutionShape(
            batch: numbers.next(in: 1...3), groups: groups, inputChannels: inputs * groups,
            outputChannels: outputs * groups, input: size, kernel: kernel, strides: some(1...4),
            dilations: some(1...2), padsBegin: some(0...4), padsEnd: some(0...4)))
      }
      for channels in 1...67 {
        let kernel = [1 + channels % 5, 1 + channels % 3]
        let size = [numbers.next(in: 3...12), numbers.next(in: 3...40)]
        add(channels, 1 + channels % 8, groups: 1, size, kernel: kernel)
      }
      for width in 1...29 {
        add(3, 1 + width % 8, groups: 1 + width % 5, [1 + width % 5, width], kernel: [3, 3])
        add(2, 1 + width % 4, groups: 4, [width], kernel: [4])
      }
      for outputs in 1...8 {
        add(4, outputs, groups: 16, [9, 11], kernel: [3, 3])
        add(1, outputs, groups: 8, [30, 30], kernel: [5, 5])
        add(40, outputs, groups: 1, [50, 60], kernel: [3, 3])
      }
      // Several sums for each output, strips of two rows, of columns, and of both.
      add(700, 3, groups: 1, [12, 90], kernel: [3, 3])
      add(60, 2, groups: 1, [9000], kernel: [7])
      add(700, 1, groups: 1, [9, 700], kernel: [3, 3])
      return cases.filter { $0.output.allSatisfy { $0 > 0 } }
    }()

    static func run(
      _ shape: ConvolutionShape, _ x: [Float], _ weights: [Float], _ bias: [Float],
      inBlocks: Bool, intoBlocks: Bool, on crew: Crew
    ) -> [Float] {
      let layout = BlockLayout(for: crew.instructions)
      let filter = unsafe NarrowFilter(
        weights, bias: bias, groups: shape.groups, inputChannels: shape.inputChannels,
        outputChannels: shape.outputChannels, kernel: shape.kernel.asPlane)
      let convolution = NarrowConvolution(
        shape, filter,
        .init(input: inBlocks ? layout : nil, output: intoBlocks ? layout : nil))
      let plain = Tensor(x, [shape.batch, shape.inputChannels] + shape.input)
      let outputShape = [shape.batch, shape.outputChannels] + shape.output
      let written = intoBlocks ? layout.blocked(outputShape) : outputShape
      let y = Destination(.float, written, storage: Storage(byteCount: written.elementCount * 4))
      let source = inBlocks ? layout.blocked(plain) : plain
      withExtendedLifetime(source) {
        unsafe convolution.run(
          source.pointer(as: Float.self), .clamp(low: -0.25, high: .infinity),
          into: y.pointer(as: Float.self), on: crew)
      }
      let result = y.tensor(texts: .none)
      return (intoBlocks ? layout.unblocked(result, channels: shape.outputChannels) : result)
        .array(of: Float.self)
    }

    @Test("It agrees with sums over taps, from and into both layouts", arguments: crews)
    func agrees(on crew: Crew) {
      for (seed, shape) in Self.cases.enumerated() {
        let (x, weights, bias, _) = Plain.operands(shape, seed)
        let expected = Plain.plain(shape, x, weights, bias, nil)
        let largest = max(1, expected.map(abs).max() ?? 0)
        for (inBlocks, intoBlocks) in [(true, false), (true, true), (false, false), (false, true)] {
          let y = Self.run(
            shape, x, weights, bias, inBlocks: inBlocks, intoBlocks: intoBlocks, on: crew)
          let worst = zip(y, expected).map { abs(Double($0) - $1) }.max() ?? 0
          #expect(worst < 1e-5 * largest, "\(shape), in blocks \(inBlocks), into \(intoBlocks)")
        }
      }
    }

    @Test("The number of threads does not change a bit")
    func threads() {
      for (seed, shape) in Self.cases.enumerated() where seed % 3 == 0 {
        let (x, weights, bias, _) = Plain.operands(shape, seed)
        let results = [1, 2, 3, 7].map {
          Self.run(
            shape, x, weights, bias, inBlocks: true, intoBlocks: seed % 2 == 0,
            on: Crew(threads: $0)
          ).map(\.bitPattern)
        }
        #expect(results.allSatisfy { $0 == results[0] }, "\(shape)")
      }
    }

    @Test("A transposed one agrees with spreading each input", arguments: crews)
    func transposed(on crew: Crew) {
      let layout = BlockLayout(for: crew.instructions)
      var numbers = Numbers(seed: 12)
      for index in 0..<120 {
        let groups = 1 + index % 3
        let size = index % 4 == 0 ? [1 + index % 23] : [1 + index % 7, 1 + index % 29]
        let strides = size.map { _ in numbers.next(in: 1...4) }
        let kernel = strides.map { $0 + numbers.next(in: 0...3) }
        let pads = kernel.map { numbers.next(in: 0...$0 - 1) }
        let whole = size.indices.map { (size[$0] - 1) * strides[$0] + kernel[$0] }
        let output = whole.indices.map { whole[$0] - pads[$0] - numbers.next(in: 0...2) }
        guard output.allSatisfy({ $0 > 0 }) else { continue }
        let shape = TransposedConvolutionShape(
          batch: 1 + index % 2, groups: groups, inputChannels: groups * numbers.next(in: 1...20),
          outputChannels: groups * (1 + index % 8), input: size, output: output, kernel: kernel,
          strides: strides, dilations: size.map { _ in 1 }, padsBegin: pads)
        let x = numbers.array(shape.batch * shape.inputChannels * size.elementCount)
        let weights = numbers.array(
          shape.inputChannels * shape.outputChannels / groups * shape.taps)
        let bias = numbers.array(shape.outputChannels)
        let expected = Plain.plainTransposed(shape, x, weights, bias).map { max(-0.25, $0) }
        let filter = unsafe NarrowFilter(
          transposing: weights, bias: bias, groups: groups, inputChannels: shape.inputChannels,
          outputChannels: shape.outputChannels, kernel: kernel.asPlane, strides: strides.asPlane)
        let extents = ConvolutionExtents(
          batch: shape.batch, inputChannels: shape.inputChannels,
          outputChannels: shape.outputChannels, group: groups,
          axes: size.indices.map {
            WindowAxis(
              input: output[$0], output: size[$0], kernel: kernel[$0], stride: strides[$0],
              dilation: 1, padBefore: pads[$0])
          })
        let plain = Tensor(x, [shape.batch, shape.inputChannels] + size)
        for inBlocks in [true, false] {
          let convolution = NarrowConvolution(
            transposing: extents, filter, .init(input: inBlocks ? layout : nil))
          let y = Destination(
            .float, [shape.batch, shape.outputChannels] + output,
            storage: Storage(byteCount: expected.count * 4))
          let source = inBlocks ? layout.blocked(plain) : plain
          withExtendedLifetime(source) {
            unsafe convolution.run(
              source.pointer(as: Float.self), .clamp(low: -0.25, high: .infinity),
              into: y.pointer(as: Float.self), on: crew)
          }
          let result = y.tensor(texts: .none).array(of: Float.self)
          let worst = zip(result, expected).map { abs(Double($0) - $1) }.max() ?? 0
          #expect(worst < 1e-5 * max(1, expected.map(abs).max() ?? 0), "\(shape)")
        }
      }
    }
  }
}
