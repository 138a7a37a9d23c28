@testable import Sardonyx

/// A node by itself, some of whose inputs are left out.
func lone(
  _ operatorName: String, domain: String, givenInputs: [Bool], _ attributes: [String: Attribute],
  outputs: Int
) -> NodeDefinition {
  NodeDefinition(
    name: "test", operatorName: operatorName, domain: domain,
    inputs: givenInputs.indices.map { givenInputs[$0] ? "input\($0)" : "" },
    outputs: (0..<outputs).map { "output\($0)" }, attributes: attributes)
}

extension TypesChecked {
  /// For a test that calls an operator with types it is known to take.
  static func trusting() throws(ModelError) -> TypesChecked {
    try Schema.check(types: [], of: "", domain: "test", operatorSet: 1)
  }
}

/// Runs one operator by itself, as a node of a model with the given operator-set version.
func run(
  _ operatorName: String, domain: String = "", opset: Int = 28,
  _ inputs: [Value?], _ attributes: [String: Attribute] = [:], outputs: Int = 1
) throws(ModelError) -> [Value?] {
  let node = lone(
    operatorName, domain: domain, givenInputs: inputs.map { $0 != nil }, attributes,
    outputs: outputs)
  try Schema.find(operatorName, domain: domain, operatorSet: opset)?.check(node)
  let checked = try Schema.check(
    types: inputs.map { $0?.type }, of: operatorName, domain: domain, operatorSet: opset)
  let implementation = try OperatorTable.make(node, operatorSet: opset)
  return try implementation.evaluate(
    Inputs(inputs, checked), wanted: Array(repeating: true, count: outputs),
    context: RunContext())
}

/// Runs an operator on tensors and returns its first output.
func run(
  _ operatorName: String, domain: String = "", opset: Int = 28,
  _ inputs: [Tensor?], _ attributes: [String: Attribute] = [:]
) throws(ModelError) -> Tensor {
  try run(
    operatorName, domain: domain, opset: opset, inputs.map { $0.map(Value.tensor) }, attributes)[0]!
    .tensor!
}

/// The message of the error that `body` throws; nil where it throws none.
func message<Result>(_ body: () throws -> Result) -> String? {
  do { _ = try body() } catch { return (error as? ModelError)?.message }
  return nil
}

/// int64 numbers, such as axes and indices.
func ints(_ values: Int...) -> Tensor { Tensor(values.map(Int64.init)) }
