import Testing

@testable import Sardonyx

/// A call that can be differentiated: its inputs of doubles, which attributes, at which opset.
struct DifferentiableCall: Sendable, CustomTestStringConvertible {
  var operatorName: String
  var shapes: [Shape]
  var attributes: [String: Attribute] = [:]
  var opset = 17
  /// Inputs that are integers, by position.
  var constants: [Int: Tensor] = [:]
  /// Added to all inputs, for functions of positive numbers.
  var offset: Double = 0

  var testDescription: String { "\(operatorName)-\(opset) \(shapes)" }

  static let all: [DifferentiableCall] =
    ["Abs", "Cos", "Erf", "Exp", "Identity", "Neg", "Relu", "Sigmoid", "Sin", "Softplus", "Tanh"]
    .map { DifferentiableCall(operatorName: $0, shapes: [[2, 3]]) }
    + ["Log", "Reciprocal", "Sqrt"]
    .map { DifferentiableCall(operatorName: $0, shapes: [[2, 3]], offset: 2) }
    + ["Add", "Sub", "Mul", "Max", "Min", "Mean", "Sum"]
    .map { DifferentiableCall(operatorName: $0, shapes: [[2, 3], [3]]) }
    + ["Div", "Pow"].map {
      DifferentiableCall(operatorName: $0, shapes: [[2, 3], [2, 1]], offset: 2)
    }
    + [
      DifferentiableCall(
        operatorName: "LeakyRelu", shapes: [[2, 3]], attributes: ["alpha": .float(0.25)]),
      DifferentiableCall(
        operatorName: "Where", shapes: [[2, 2], [2, 1]],
        constants: [0: Tensor([true, false] as [Bool])]),
      DifferentiableCall(
        operatorName: "Cast", shapes: [[3]], attributes: ["to": .int(11)]),
      DifferentiableCall(
        operatorName: "Expand", shapes: [[3, 1]], constants: [1: Tensor([2, 3, 2] as [Int64])]),
      DifferentiableCall(operatorName: "Flatten", shapes: [[2, 3, 2]]),
      DifferentiableCall(
        operatorName: "Reshape", shapes: [[2, 3]], constants: [1: Tensor([3, -1] as [Int64])]),
      DifferentiableCall(
        operatorName: "Squeeze", shapes: [[2, 1]], constants: [1: Tensor([1] as [Int64])]),
      DifferentiableCall(
        operatorName: "Unsqueeze", shapes: [[2]], constants: [1: Tensor([0] as [Int64])]),
      DifferentiableCall(operatorName: "Transpose", shapes: [[2, 3]]),
      DifferentiableCall(
        operatorName: "Transpose", shapes: [[2, 3, 4]], attributes: ["perm": .ints([1, 2, 0])]),
      DifferentiableCall(
        operatorName: "Concat", shapes: [[2, 1], [2, 3]], attributes: ["axis": .int(1)]),
      DifferentiableCall(
        operatorName: "ReduceSum", shapes: [[2, 3]], attributes: ["keepdims": .int(0)],
        constants: [1: Tensor([1] as [Int64])]),
      DifferentiableCall(
        operatorName: "ReduceMean", shapes: [[2, 3]], attributes: ["axes": .ints([0])]),
      DifferentiableCall(operatorName: "GlobalAveragePool", shapes: [[1, 2, 2, 3]]),
      DifferentiableCall(operatorName: "Softmax", shapes: [[2, 3]]),
      DifferentiableCall(operatorName: "Softmax", shapes: [[2, 2, 2]], opset: 11),
      DifferentiableCall(
        operatorName: "LogSoftmax", shapes: [[3, 2]], attributes: ["axis": .int(0)]),
      DifferentiableCall(operatorName: "MatMul", shapes: [[2, 3], [3, 2]]),
      DifferentiableCall(operatorName: "MatMul", shapes: [[2, 2, 3], [3, 1]]),
      DifferentiableCall(
        operatorName: "Gemm", shapes: [[2, 3], [3, 4], [4]],
        attributes: ["alpha": .float(0.5), "beta": .float(2)]),
      DifferentiableCall(
        operatorName: "Gemm", shapes: [[3, 2], [4, 3]],
        attributes: ["transA": .int(1), "transB": .int(1)]),
      DifferentiableCall(
        operatorName: "Conv", shapes: [[2, 4, 5, 4], [6, 2, 3, 2], [6]],
        attributes: [
          "group": .int(2), "strides": .ints([2, 1]), "dilations": .ints([1, 2]),
          "pads": .ints([1, 0, 0, 1]),
        ]),
    ]

  /// x0, x1, … without the constants' positions.
  var variables: [String] { shapes.indices.map { "x\($0)" } }

  var values: [Tensor] {
    shapes.enumerated().map { index, shape in
      Tensor(
        converting: numbers(shape.elementCount, seed: index + 3).map { Double($0) + offset },
        to: .double, shape)
    }
  }

  /// The call followed by a sum of y·y, so that dy is no constant.
  func graphDefinition(_ more: [NodeDefinition], _ outputs: [String]) -> GraphDefinition {
    var names = variables
    for (position, _) in constants.sorted(by: { $0.key < $1.key }) {
      names.insert("c\(position)", at: position)
    }
    return graph(
      zip(variables, shapes).map { declared($0, .double, $1) },
      [
        node(operatorName, names, ["y"], attributes), node("Mul", ["y", "y"], ["square"]),
        node("ReduceSum", ["square"], ["z"], ["keepdims": .int(0)]),
      ] + more, outputs.map { declared($0, .double) },
      constants: Dictionary(uniqueKeysWithValues: constants.map { ("c\($0)", $1) }))
  }
}

@Suite("Gradient") struct GradientTests {
  @Test("agrees with differences", arguments: DifferentiableCall.all)
  func agreesWithDifferences(_ call: DifferentiableCall) throws {
    let outputs = call.variables.map { "d\($0)" }
    let gradient = gradient(of: "z", by: call.variables, outputs)
    let session = try Session(
      model(call.graphDefinition([gradient], ["z"] + outputs), opset: call.opset))
    let values = call.values
    func run(_ values: [Tensor]) throws -> [String: Value] {
      try session.run(
        Dictionary(uniqueKeysWithValues: zip(call.variables, values.map(Value.tensor))))
    }
    let results = try run(values)
    for (input, output) in outputs.enumerated() {
      let derivative = try #require(results[output]?.tensor)
      #expect(derivative.shape == values[input].shape)
      for element in 0..<values[input].elementCount {
        let step = 1e-5
        let sums = try [step, -step].map { step in
          var moved = values
          var elements = values[input].array(of: Double.self)
          elements[element] += step
          moved[input] = Tensor(elements, values[input].shape)
          return try #require(try run(moved)["z"]?.tensor).array(of: Double.self)[0]
        }
        let difference = (sums[0] - sums[1]) / (2 * step)
        let result = derivative.array(of: Double.self)[element]
        #expect(
          abs(result - difference) < 1e-6 + 1e-4 * abs(difference), "\(output)[\(element)]")
      }
    }
  }

  @Test func isTakenAtTheValuesItIsGiven() throws {
    let results = try run(
      [node("Mul", ["x", "x"], ["y"]), gradient(of: "y", by: ["x"], at: ["other"], ["dy"])],
      ["x": 2, "other": 5])
    #expect(results == ["y": 4, "dy": 10])
  }

  @Test func treatsAnInnerTensorAsIndependent() throws {
    let results = try run(
      [
        node("Mul", ["x", "x"], ["h"]), node("Mul", ["h", "x"], ["y"]),
        gradient(of: "y", by: ["h"], constants: ["x"], at: ["h", "x"], ["dy"]),
      ], ["x": 3])
    #expect(results == ["y": 27, "dy": 3])
  }

  @Test func ofGradientIsTheSecondDerivative() throws {
    let results = try run(
      [
        node("Mul", ["x", "x"], ["square"]), node("Mul", ["square", "x"], ["y"]),
        gradient(of: "y", by: ["x"], ["first"]), gradient(of: "first", by: ["x"], ["dy"]),
      ], ["x": 2])
    #expect(results == ["y": 8, "dy": 12])
  }

  @Test func byWhatDoesNotMatterIsZero() throws {
    let results = try run(
      [node("Neg", ["x"], ["y"]), gradient(of: "y", by: ["other"], ["dy"])], ["x": 2, "other": 1])
    #expect(results == ["y": -2, "dy": 0])
  }

  @Test func refusesWhatHasNoRule() throws {
    let error = #expect(throws: ModelError.self) {
      try run(
        [node("Mish", ["x"], ["y"]), gradient(of: "y", by: ["x"], ["dy"])], ["x": 2], opset: 18)
    }
    #expect(error?.code == .unsupported)
    #expect(
      error?.message == "Gradient: this build cannot differentiate \"the Mish\" (Mish)")
  }

  @Test func ofItselfIsRefused() throws {
    let error = #expect(throws: ModelError.self) {
      try run([gradient(of: "dy", by: ["x"], ["dy"]), node("Neg", ["x"], ["y"])], ["x": 2])
    }
    #expect(
      error?.message == "Gradient nodes: expected an order to compute them in, got a cycle")
  }

  @Test func wantsAValueForEachTensor() throws {
    let error = #expect(throws: ModelError.self) {
      try run(
        [node("Neg", ["x"], ["y"]), gradient(of: "y", by: ["x"], at: ["x", "x"], ["dy"])],
        ["x": 2])
    }
    #expect(error?.message == "inputs: expected a value for each of 1 xs and zs, got 2")
  }

  private func gradient(
    of y: String, by xs: [String], constants zs: [String] = [], at inputs: [String]? = nil,
    _ outputs: [String]
  ) -> NodeDefinition {
    node(
      "Gradient", inputs ?? xs, outputs,
      ["xs": .strings(xs), "zs": .strings(zs), "y": .string(y)].filter {
        $0.key != "zs" || !zs.isEmpty
      }, domain: GradientExpansion.domain)
  }

  /// Runs nodes on scalars.
  private func run(_ nodes: [NodeDefinition], _ inputs: [String: Float], opset: Int = 17) throws
    -> [String: Float]
  {
    let definition = graph(
      inputs.keys.sorted().map { declared($0, .float, []) }, nodes,
      [declared("y"), declared("dy")])
    let results = try Session(model(definition, opset: opset))
      .run(inputs.mapValues { .tensor(Tensor(scalar: $0)) })
    return results.compactMapValues { $0.tensor?.array(of: Float.self).first }
  }
}
