import Testing

@testable import Sardonyx

@Suite struct WidenHalvesTests {
  /// Small whole numbers, so that sums are exact in any order.
  private func whole(_ type: ElementType, _ shape: Shape, seed: Int) -> Tensor {
    let numbers = (0..<shape.elementCount).map { Float(($0 * 7 + seed) % 5 - 2) }
    return Tensor(converting: numbers, to: type, shape)
  }

  private func definition(_ type: ElementType) -> GraphDefinition {
    graph(
      [declared("X", type, [2, 3, 9, 8])],
      [
        node("Conv", ["X", "W1", "B"], ["a"], ["pads": .ints([1, 1, 1, 1])]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "W2"], ["c"], ["pads": .ints([1, 1, 1, 1])]),
        node("Add", ["c", "b"], ["d"]),
        node("Clip", ["d", "low", "high"], ["e"]),
        node("MaxPool", ["e"], ["f"], ["kernel_shape": .ints([2, 2]), "strides": .ints([2, 2])]),
        node("Concat", ["f", "f"], ["g"], ["axis": .int(1)]),
        node("Mul", ["g", "factor"], ["h"]),
        node("GlobalAveragePool", ["h"], ["i"]),
        node("Flatten", ["i"], ["j"]),
        node("Gemm", ["j", "M"], ["Y"]),
        node("ReduceSum", ["h"], ["Z"]),
        node("Sigmoid", ["Y"], ["S"]),
      ], [declared("Y"), declared("Z"), declared("e"), declared("S")],
      constants: [
        "W1": whole(type, [20, 3, 3, 3], seed: 1), "B": whole(type, [20], seed: 2),
        "W2": whole(type, [20, 20, 3, 3], seed: 3), "M": whole(type, [40, 6], seed: 4),
        "low": Tensor(converting: [Float(-100)], to: type, []),
        "high": Tensor(converting: [Float(3000)], to: type, []),
        "factor": Tensor(converting: [Float(0.3)], to: type, []),
      ])
  }

  @Test(
    "What stays in single precision is rounded where the graph rounds it",
    arguments: [
      ElementType.float16, .bfloat16,
    ])
  func rounding(type: ElementType) throws {
    let model = try model(definition(type), opset: 22)
    let inputs = ["X": Value.tensor(whole(type, [2, 3, 9, 8], seed: 5))]
    var options = Session.Options()
    options.taps = ["c", "f"]
    // Its fractions are not exact for whole numbers.
    options.winograd = false
    let session = try Session(model, options: options)
    options.usesBlocks = false
    let plain = try Session(model, options: options)
    let names = session.graph.nodes.map(\.operatorName)
    #expect(names.count { $0 == "WidenHalves" } == 1, "\(names)")
    #expect(names.count { $0 == "NarrowToHalves" } == 6, "\(names)")
    #expect(!plain.graph.nodes.contains { $0.implementation is HalfConversion })
    let (got, expected) = (try session.run(inputs), try plain.run(inputs))
    for (name, value) in expected {
      let (tensor, wanted) = (got[name]!.tensor!, value.tensor!)
      #expect(tensor.type == wanted.type && tensor.shape == wanted.shape, "\(name)")
      if name == "Y" || name == "S" {
        // Means and sums of fractions, whose order shows in the last place.
        let (numbers, others) = (
          tensor.converted(to: Double.self), wanted.converted(to: Double.self)
        )
        for (number, other) in zip(numbers, others) {
          #expect(abs(number - other) <= 2 * type.smallFloat!.epsilon * abs(other), "\(name)")
        }
      } else {
        #expect(tensor.rawBytes == wanted.rawBytes, "\(name)")
      }
    }
  }

  @Test("A network that overflows does so where the graph does")
  func overflow() throws {
    let definition = graph(
      [declared("X", .float16, [1, 1, 2, 2])],
      [
        node("Conv", ["X", "W"], ["a"]), node("Sub", ["a", "a"], ["b"]),
        node("Conv", ["b", "W"], ["Y"]),
      ], [declared("Y")],
      constants: [
        "W": Tensor(converting: [Float(300)], to: .float16, [1, 1, 1, 1])
      ])
    let session = try Session(try model(definition))
    #expect(session.graph.nodes.contains { $0.operatorName == "RoundToHalves" })
    let x = Tensor(converting: [Float(1), 300, -300, 2], to: .float16, [1, 1, 2, 2])
    let y = try session.run(["X": .tensor(x)])["Y"]!.tensor!.converted(to: Float.self)
    // The difference of two infinities.
    #expect(y.map(\.isNaN) == [false, true, true, false] && y[0] == 0 && y[3] == 0)
  }

  @Test(
    "Rounding in place is narrowing and widening, on every instruction set",
    arguments: [
      ElementType.float16, .bfloat16,
    ])
  func kernel(type: ElementType) {
    let numbers = (0..<40_000).map { Float(bitPattern: UInt32($0) &* 107_374) } + [.nan, .infinity]
    let expected = Tensor(converting: numbers, to: type, [numbers.count]).converted(to: Float.self)
    for instructions in InstructionSet.available {
      var rounded = numbers
      unsafe rounded.withUnsafeMutableBufferPointer { buffer in
        let start = buffer.baseAddress!
        unsafe HalfKernels.round(
          buffer.count, start, to: type, into: start,
          on: Crew(threads: 2, instructions: instructions))
      }
      for (got, wanted) in zip(rounded, expected) {
        #expect(got == wanted || got.isNaN && wanted.isNaN)
      }
    }
  }
}
