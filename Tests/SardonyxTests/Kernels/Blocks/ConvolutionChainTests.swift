import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Convolutions row by row") struct ConvolutionChainTests {
    typealias Blocked = BlockedConvolutionTests

    struct Case: Sendable {
      let links: [(algorithm: BlockedAlgorithm, shape: ConvolutionShape, activation: Activation)]
      let addsResidual: Bool
    }

    /// Two to five convolutions of any strides, dilations and padding.
    static let cases: [Case] = {
      var numbers = Numbers(seed: 11)
      return (0..<120).map { index in
        let batch = numbers.next(in: 1...3)
        var channels = numbers.next(in: 1...40)
        var input = [numbers.next(in: 5...40), numbers.next(in: 5...40)]
        var links: [(BlockedAlgorithm, ConvolutionShape, Activation)] = []
        for link in 0..<numbers.next(in: 2...5) {
          func axes(_ range: ClosedRange<Int>) -> [Int] {
            [0, 1].map { _ in numbers.next(in: range) }
          }
          var shape = ConvolutionShape(
            batch: batch, groups: 1, inputChannels: channels,
            outputChannels: numbers.next(in: 1...70), input: input, kernel: [1, 1],
            strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0])
          var algorithm = BlockedAlgorithm.product
          if link == 0 && index % 3 == 0 {
            algorithm = .planar
            (shape.kernel, shape.strides) = (axes(1...4), axes(1...2))
            (shape.padsBegin, shape.padsEnd) = (axes(0...2), axes(0...2))
          } else if numbers.next(in: 0...2) > 0 {
            algorithm = .depthwise
            (shape.groups, shape.outputChannels) = (channels, channels)
            (shape.kernel, shape.dilations) = (axes(1...5), axes(1...2))
            (shape.strides, shape.padsBegin, shape.padsEnd) = (
              axes(1...3), axes(0...5), axes(0...5)
            )
          }
          guard shape.output.allSatisfy({ $0 > 0 }) else { break }
          let activations: [Activation] = [
            .none, .relu, .clamp(low: -0.25, high: 0.5), .leaky(slope: 0.1), .unary(.hardSwish),
          ]
          links.append((algorithm, shape, activations[numbers.next(in: 0...4)]))
          (channels, input) = (shape.outputChannels, shape.output)
        }
        return Case(links: links, addsResidual: index % 4 == 1)
      }.filter { $0.links.count > 1 }
    }()

    private struct Operands {
      var x: Tensor
      var residual: Tensor?
      var filters: [BlockedFilter] = []

      init(_ chain: Case, _ seed: Int, for instructions: InstructionSet) {
        var numbers = Numbers(seed: seed + 1)
        let layout = BlockLayout(for: instructions)
        let (first, last) = (chain.links[0], chain.links.last!.shape)
        let plain = numbers.tensor(
          [first.shape.batch, first.shape.inputChannels] + first.shape.input)
        x = first.algorithm == .planar ? plain : layout.blocked(plain)
        if chain.addsResidual {
          residual = layout.blocked(
            numbers.tensor([last.batch, last.outputChannels] + last.output))
        }
        for (algorithm, shape, _) in chain.links {
          let depth = shape.inputChannels / shape.groups * shape.taps
          let weights = numbers.tensor([shape.outputChannels, depth]).array(of: Float.self)
          let bias = numbers.tensor([shape.outputChannels]).array(of: Float.self)
          filters.append(
            unsafe BlockedFilter(weights, bias: bias, shape, algorithm, for: instructions))
        }
      }
    }

    /// One after the other.
    private static func whole(_ chain: Case, _ operands: Operands, on crew: Crew) -> [UInt32] {
      let layout = BlockLayout(for: crew.instructions)
      var x = operands.x
      for (index, link) in chain.links.enumerated() {
        let shape = layout.blocked(
          [link.shape.batch, link.shape.outputChannels] + link.shape.output)
        let y = Destination(.float, shape, storage: Storage(byteCount: shape.elementCount * 4))
        let isLast = index == chain.links.count - 1
        BlockedConvolution(link.shape, operands.filters[index]).run(
          x, residual: isLast ? operands.residual : nil, link.activation, into: y, on: crew)
        x = y.tensor(texts: .none)
      }
      return numbers(x, chain, layout)
    }

    private static func chained(
      _ chain: Case, _ operands: Operands, cache: Int, on crew: Crew
    ) throws -> [UInt32] {
      let layout = BlockLayout(for: crew.instructions)
      let last = chain.links.last!.shape
      let shape = layout.blocked([last.batch, last.outputChannels] + last.output)
      let y = Destination(.float, shape, storage: Storage(byteCount: shape.elementCount * 4))
      let links = zip(chain.links, operands.filters).map {
        ConvolutionChain.Link(shape: $0.0.shape, filter: $0.1, activation: $0.0.activation)
      }
      let convolutions = try #require(ConvolutionChain(links, cache: cache))
      unsafe convolutions.run(
        operands.x.pointer(as: Float.self),
        residual: operands.residual.map { unsafe $0.pointer(as: Float.self) },
        into: y.pointer(as: Float.self), on: crew)
      return numbers(y.tensor(texts: .none), chain, layout)
    }

    private static func numbers(_ y: Tensor, _ chain: Case, _ layout: BlockLayout) -> [UInt32] {
      layout.unblocked(y, channels: chain.links.last!.shape.outputChannels)
        .array(of: Float.self).map(\.bitPattern)
    }

    @Test(
      "Row by row, however few rows fit, every bit is as one after the other", arguments: crews)
    func agrees(on crew: Crew) throws {
      for (seed, chain) in Self.cases.enumerated() {
        let operands = Operands(chain, seed, for: crew.instructions)
        let expected = Self.whole(chain, operands, on: crew)
        for cache in [0, 20_000, 1 << 30] {
          let y = try Self.chained(chain, operands, cache: cache, on: crew)
          #expect(y == expected, "\(chain.links.map(\.shape)) \(cache)")
        }
      }
    }

    @Test("The number of threads does not change a bit")
    func threads() throws {
      for (seed, chain) in Self.cases.enumerated() where seed % 4 == 0 {
        let operands = Operands(chain, seed, for: .current)
        let results = try [1, 2, 3, 7].map {
          try Self.chained(chain, operands, cache: 20_000, on: Crew(threads: $0))
        }
        #expect(results.allSatisfy { $0 == results[0] }, "\(chain.links.map(\.shape))")
      }
    }

    @Test("Convolutions that do not fit each other, or see whole planes, are no chain")
    func noChain() {
      func link(_ algorithm: BlockedAlgorithm, _ shape: ConvolutionShape) -> ConvolutionChain.Link {
        let weights = [Float](repeating: 1, count: shape.outputChannels * shape.inputChannels * 9)
        return ConvolutionChain.Link(
          shape: shape, filter: unsafe BlockedFilter(weights, bias: nil, shape, algorithm),
          activation: .none)
      }
      let pointwise = link(.product, Blocked.shape(16, 16, size: [8, 8], kernel: 1))
      let narrower = link(.product, Blocked.shape(8, 16, size: [8, 8], kernel: 1))
      let smaller = link(.product, Blocked.shape(16, 16, size: [7, 7], kernel: 1))
      let wide = link(.product, Blocked.shape(16, 16, size: [8, 8], kernel: 3))
      let winograd = link(.winograd(outputs: 2), Blocked.shape(16, 16, size: [8, 8], kernel: 3))
      let planar = link(.planar, Blocked.shape(16, 16, size: [8, 8], kernel: 1))
      #expect(ConvolutionChain([pointwise, pointwise]) != nil)
      for other in [narrower, smaller, wide, winograd, planar] {
        #expect(ConvolutionChain([pointwise, other]) == nil)
      }
    }
  }
}
