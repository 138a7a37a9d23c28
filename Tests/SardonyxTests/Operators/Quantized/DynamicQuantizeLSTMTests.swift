import Testing

@testable import Sardonyx

@Suite struct DynamicQuantizeLSTMTests {
  /// A network of some size, with all that it may have.
  private struct Case {
    let extents: RecurrentExtents
    let inputs: [Tensor?]
    let attributes: [String: Attribute]
    let isReverse: Bool
    let clip: Float
    let couplesForget: Bool

    init(_ units: Int, steps: Int, batch: Int, _ numbers: inout Numbers) {
      let (input, isBidirectional) = (1 + units * 3 % 67, units % 2 == 0)
      let directions = isBidirectional ? 2 : 1
      var extents = RecurrentExtents(
        input: input, hidden: units, directions: directions, gates: 4, isBatchFirst: false)
      (extents.steps, extents.batch) = (steps, batch)
      self.extents = extents
      isReverse = units % 3 == 1 && !isBidirectional
      (clip, couplesForget) = (units % 6 == 0 ? 0.5 : 0, units % 9 == 0)
      let columns = 4 * units
      let isSigned = units % 4 < 2
      let bytes = isSigned ? -128...127 : 0...255
      let isPerColumn = units % 3 == 0
      func weights(_ rows: Int) -> Tensor {
        Tensor(
          converting: (0..<directions * rows * columns).map { _ in Double(numbers.next(in: bytes))
          },
          to: isSigned ? .int8 : .uint8, [directions, rows, columns])
      }
      let shape = isPerColumn ? [directions, columns] : [directions]
      func scales() -> Tensor {
        Tensor((0..<shape.elementCount).map { _ in (2 + numbers.next()) / 400 }, shape)
      }
      func zeros() -> Tensor {
        let range = units % 5 == 0 ? bytes : isSigned ? 0...0 : 120...136
        return Tensor(
          converting: (0..<shape.elementCount).map { _ in Double(numbers.next(in: range)) },
          to: isSigned ? .int8 : .uint8, shape)
      }
      let state = extents.stateShape
      inputs = [
        numbers.tensor(steps, batch, input), weights(input), weights(units),
        units % 7 == 0 ? nil : numbers.tensor(directions, 2 * columns),
        units % 4 == 1
          ? Tensor((0..<batch).map { _ in Int32(numbers.next(in: 0...steps)) }) : nil,
        numbers.tensor(state), numbers.tensor(state),
        units % 4 == 2 ? numbers.tensor(directions, 3 * units) : nil, scales(), zeros(), scales(),
        zeros(),
      ]
      attributes = [
        "hidden_size": .int(units),
        "direction": .string(isBidirectional ? "bidirectional" : isReverse ? "reverse" : "forward"),
        "clip": .float(clip), "input_forget": .int(couplesForget ? 1 : 0),
      ]
    }

    /// The equations as they are written.
    func plain<T: RealNumber>(_: T.Type) -> [T] {
      let equations = RecurrentEquations(
        cell: .lstm, clip: clip == 0 ? .infinity : Double(clip), appliesResetLater: false,
        couplesForget: couplesForget,
        quantizesFactors: true)
      func widened(_ index: Int, _ scale: Int) -> Tensor {
        let bytes = inputs[index]!
        let numbers = bytes.converted(to: Double.self)
        let (scales, zeros) = (
          inputs[scale]!.converted(to: Double.self), inputs[scale + 1]!.converted(to: Double.self)
        )
        let (directions, rows, columns) = (bytes.shape[0], bytes.shape[1], bytes.shape[2])
        var wide: [Double] = []
        for direction in 0..<directions {
          for column in 0..<columns {
            let place = scales.count == directions ? direction : direction * columns + column
            for row in 0..<rows {
              let number = numbers[(direction * rows + row) * columns + column]
              wide.append((number - zeros[place]) * scales[place])
            }
          }
        }
        let tensor = Tensor(wide, [directions, columns, rows])
        return T.self == Double.self
          ? tensor : Tensor(tensor.converted(to: Float.self), tensor.shape)
      }
      let tensors = [
        1: widened(1, 8), 2: widened(2, 10), 3: inputs[3], 7: inputs[7],
      ].compactMapValues { $0 }
      var results = RecurrentResults<T>(extents, inputs[5], inputs[6])
      let names: [UnaryFunction] = [
        .sigmoid, UnaryFunction(.tanh, real: { $0.hyperbolicTangent }),
        UnaryFunction(.tanh, real: { $0.hyperbolicTangent }),
      ]
      for direction in 0..<extents.directions {
        RecurrentPass(
          equations: equations, functions: names,
          weights: RecurrentWeights(extents, equations, direction: direction) { tensors[$0] },
          extents: extents, direction: direction, isReverse: isReverse || direction == 1,
          lengths: inputs[4]?.converted(to: Int64.self).map { Int($0) }, crew: Crew(threads: 1)
        ).run(over: inputs[0]!.converted(), &results)
      }
      return results.sequence + results.hidden + results.cell
    }

    func run() throws -> [Float] {
      try SardonyxTests.run(
        "DynamicQuantizeLSTM", domain: "com.microsoft", opset: 1,
        inputs.map { $0.map(Value.tensor) }, attributes, outputs: 3
      ).flatMap { $0!.tensor!.floats }
    }
  }

  @Test func networksOfAllSizesDoWhatTheEquationsSay() throws {
    var numbers = Numbers(seed: 41)
    for units in 1...67 {
      let network = Case(units, steps: 1 + units % 4, batch: 1 + units % 6, &numbers)
      let found = try network.run()
      let exact = network.plain(Double.self)
      #expect(found.count == exact.count)
      // A state in the middle between two bytes may become either: a 255th of its range, times a weight.
      let error = zip(found, exact).map { abs(Double($0) - $1) }.max() ?? 0
      #expect(error < 2e-4, "\(units) units: \(error)")
    }
  }

  @Test func sumsOfIntegersAreNearerThanThoseOfFloats() throws {
    var numbers = Numbers(seed: 42)
    var (integers, floats) = (0.0, 0.0)
    for units in [32, 64, 128, 200] {
      let network = Case(units, steps: 1, batch: 2, &numbers)
      let exact = network.plain(Double.self)
      integers += zip(try network.run(), exact).reduce(0) { $0 + square(Double($1.0) - $1.1) }
      floats += zip(network.plain(Float.self), exact).reduce(0) { $0 + square(Double($1.0) - $1.1) }
    }
    #expect(integers <= floats, "\(integers), \(floats)")
  }

  private func square(_ x: Double) -> Double { x * x }
}
