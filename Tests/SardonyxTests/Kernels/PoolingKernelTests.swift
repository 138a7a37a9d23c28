import Testing

@testable import Sardonyx

extension Kernels {
  @Suite("Pooling") struct PoolingTests {
    static let shapes: [PoolingShape] = {
      var numbers = Numbers(seed: 10)
      return (0..<90).map { index in
        let rank = 1 + index % 3
        func axes(_ range: ClosedRange<Int>) -> [Int] {
          (0..<rank).map { _ in numbers.next(in: range) }
        }
        var shape = PoolingShape(
          planes: numbers.next(in: 1...3), input: axes(rank == 3 ? 5...9 : 7...50), output: [],
          kernel: axes(1...3), strides: axes(1...3), dilations: axes(1...2), padsBegin: axes(0...1),
          padsEnd: axes(0...1))
        let roundsUp = index % 2 == 0
        shape.output = shape.input.indices.map { axis in
          let room =
            shape.padsBegin[axis] + shape.input[axis] + shape.padsEnd[axis]
            - (shape.kernel[axis] - 1) * shape.dilations[axis] - 1
          return (room + (roundsUp ? shape.strides[axis] - 1 : 0)) / shape.strides[axis] + 1
        }
        return shape
      }
    }()

    @Test("Maxima and averages agree with plain loops", arguments: crews)
    func agrees(on crew: Crew) throws {
      var numbers = Numbers(seed: 11)
      for shape in Self.shapes {
        let (inputs, outputs) = (shape.input.elementCount, shape.output.elementCount)
        let values = numbers.array(shape.planes * inputs)
        for kind in [
          Pooling.Kind.maximum, .average(countsPadding: false), .average(countsPadding: true),
        ] {
          let (x, y) = (Guarded(values), Guarded<Float>(count: shape.planes * outputs))
          let pooling = try Pooling(kind, shape)
          unsafe pooling.run(x.start, into: y.start, on: crew)
          #expect(y.isIntact)
          for (index, result) in y.elements.enumerated() {
            let window = Self.window(shape, values, index)
            let expected: Double =
              switch kind {
              case .maximum: window.values.max() ?? -.infinity
              case .average(let countsPadding):
                window.values.reduce(0, +)
                  / Double(max(1, countsPadding ? window.padded : window.values.count))
              }
            #expect(agree(result, expected, relative: 1e-6, absolute: 1e-6), "\(kind) \(shape)")
          }
        }
      }
    }

    static func window(
      _ shape: PoolingShape, _ x: [Float], _ index: Int
    ) -> (values: [Double], padded: Int) {
      let (plane, number) = index.quotientAndRemainder(dividingBy: shape.output.elementCount)
      let place = indices(of: number, within: shape.output)
      var (values, padded): ([Double], Int) = ([], 0)
      for tap in 0..<shape.kernel.elementCount {
        let offsets = indices(of: tap, within: shape.kernel)
        var at = plane
        var (isInside, isPadded) = (true, true)
        for axis in place.indices {
          let i =
            place[axis] * shape.strides[axis] + offsets[axis] * shape.dilations[axis]
            - shape.padsBegin[axis]
          isInside = isInside && (0..<shape.input[axis]).contains(i)
          isPadded = isPadded && i < shape.input[axis] + shape.padsEnd[axis]
          at = at * shape.input[axis] + i
        }
        if isInside { values.append(Double(x[at])) }
        if isPadded { padded += 1 }
      }
      return (values, padded)
    }

    @Test("Long rows of long windows agree with what a ramp gives", arguments: crews)
    func ramp(on crew: Crew) throws {
      let (count, taps) = (1 << 15, 1 << 12)
      let shape = PoolingShape(
        planes: 1, input: [count], output: [count - taps + 1], kernel: [taps], strides: [1],
        dilations: [1], padsBegin: [0], padsEnd: [0])
      let ramp = (0..<count).map { Float($0) }
      for (kind, offset) in [
        (Pooling.Kind.maximum, taps - 1), (.average(countsPadding: false), (taps - 1) / 2),
      ] {
        let (x, y) = (Guarded(ramp), Guarded<Float>(count: count - taps + 1))
        let pooling = try Pooling(kind, shape)
        unsafe pooling.run(x.start, into: y.start, on: crew)
        #expect(y.isIntact)
        for (index, result) in y.elements.enumerated() {
          #expect(
            agree(result, Double(index + offset), relative: 1e-3, absolute: 1), "\(kind) \(index)")
        }
      }
    }

    @Test("A maximum keeps NaN", arguments: crews)
    func keepsNaN(on crew: Crew) throws {
      var values = [Float](repeating: 1, count: 64)
      values[27] = .nan
      let shape = PoolingShape(
        planes: 1, input: [8, 8], output: [4, 4], kernel: [2, 2], strides: [2, 2],
        dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0])
      let (x, y) = (Guarded(values), Guarded<Float>(count: 16))
      let pooling = try Pooling(.maximum, shape)
      unsafe pooling.run(x.start, into: y.start, on: crew)
      #expect(y.elements.indices.filter { y.elements[$0].isNaN } == [5])
    }
  }
}
