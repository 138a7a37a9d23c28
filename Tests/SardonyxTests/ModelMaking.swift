@testable import Sardonyx

/// A node of a model made by a test.
func node(
  _ operatorName: String, _ inputs: [String], _ outputs: [String],
  _ attributes: [String: Attribute] = [:], domain: String = ""
) -> NodeDefinition {
  NodeDefinition(
    name: "the \(operatorName)", operatorName: operatorName, domain: domain, inputs: inputs,
    outputs: outputs, attributes: attributes)
}

/// A declared tensor; a negative extent stands for the symbol N.
func declared(_ name: String, _ type: ElementType = .float, _ shape: [Int]? = nil)
  -> ValueDefinition
{
  ValueDefinition(
    name: name, type: .tensor(type), shape: shape?.map { $0 < 0 ? .symbol("N") : .known($0) })
}

/// A graph made by a test.
func graph(
  _ inputs: [ValueDefinition], _ nodes: [NodeDefinition], _ outputs: [ValueDefinition],
  constants: [String: Tensor] = [:]
) -> GraphDefinition {
  var graph = GraphDefinition()
  graph.name = "test"
  graph.inputs = inputs
  graph.nodes = nodes
  graph.outputs = outputs
  graph.initializers = constants.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  return graph
}

/// A model made by a test.
func model(_ graph: GraphDefinition, opset: Int = 17) throws(ModelError) -> Model {
  var definition = ModelDefinition()
  definition.irVersion = 8
  definition.operatorSets = ["": opset]
  definition.graph = graph
  return try Model(definition)
}
