@testable import Sardonyx

/// Runs one operator by itself, as a node of a model with the given operator-set version.
func run(
  _ operatorName: String, domain: String = "", opset: Int = 28, version: Int? = nil,
  _ inputs: [Value?], _ attributes: [String: Attribute] = [:], outputs: Int = 1
) throws(ModelError) -> [Value?] {
  let node = NodeDefinition(
    name: "test", operatorName: operatorName, domain: domain,
    inputs: inputs.indices.map { inputs[$0] == nil ? "" : "input\($0)" },
    outputs: (0..<outputs).map { "output\($0)" }, attributes: attributes)
  let schema = Schema.find(operatorName, domain: domain, operatorSet: opset)
  try schema?.check(node)
  try schema?.check(types: inputs.map { $0?.type })
  var reader = NodeReader(node, operatorSet: opset, version: version ?? schema?.since ?? opset)
  guard let make = OperatorTable.find(operatorName, domain: domain) else {
    throw ModelError(.unsupported, operatorName)
  }
  let implementation = try make(&reader)
  return try implementation.evaluate(
    inputs, wanted: Array(repeating: true, count: outputs), context: RunContext())
}

/// Runs an operator on tensors and returns its first output.
func run(
  _ operatorName: String, domain: String = "", opset: Int = 28, version: Int? = nil,
  _ inputs: [Tensor?], _ attributes: [String: Attribute] = [:]
) throws(ModelError) -> Tensor {
  try run(
    operatorName, domain: domain, opset: opset, version: version,
    inputs.map { $0.map(Value.tensor) }, attributes)[0]!.tensor!
}
