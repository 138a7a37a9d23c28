import Testing

@testable import Sardonyx

/// The largest difference between an operator's outputs for single-precision inputs, which kernels
/// compute, and for the same inputs in double precision, which plain loops compute; relative to the
/// largest number.
/// - Parameter constants: whether all inputs but the first are known beforehand, and so prepared.
func differenceOfFastAndPlain(
  _ operatorName: String, domain: String = "", opset: Int = 28, _ inputs: [Tensor?],
  _ attributes: [String: Attribute] = [:], outputs: Int = 1, constants: Bool = false
) throws -> Double {
  func results(_ inputs: [Tensor?]) throws -> [Double] {
    let node = lone(
      operatorName, domain: domain, givenInputs: inputs.map { $0 != nil }, attributes,
      outputs: outputs)
    var implementation = try OperatorTable.make(node, operatorSet: opset)
    if constants {
      let facts = inputs.enumerated().map { index, tensor in
        tensor.map { index == 0 ? Fact($0.type, $0.shape) : Fact($0) }
      }
      try implementation.prepare(Facts(facts, .trusting()))
    }
    let values = try implementation.evaluate(
      Inputs(inputs.map { $0.map(Value.tensor) }, .trusting()),
      wanted: Array(repeating: true, count: outputs), context: RunContext(crew: Crew(threads: 2)))
    return values.flatMap { $0!.tensor!.converted(to: Double.self) }
  }
  let fast = try results(inputs)
  let plain = try results(
    inputs.map { tensor in
      tensor.map {
        $0.type == .float
          ? Tensor(converting: $0.converted(to: Double.self), to: .double, $0.shape) : $0
      }
    })
  try #require(fast.count == plain.count)
  let largest = plain.map { abs($0) }.max() ?? 0
  return (zip(fast, plain).map { abs($0 - $1) }.max() ?? 0) / max(largest, 1e-30)
}
