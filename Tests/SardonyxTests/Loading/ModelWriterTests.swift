import Testing

@testable import Sardonyx

@Suite struct ModelWriterTests {
  @Test(arguments: ElementType.allCases)
  func everyTypeOfTensorIsReadAsItWasWritten(type: ElementType) throws {
    let tensor =
      switch type {
      case .string: Tensor(strings: ["", "é", "x y"], [3])
      case .complex64: Tensor([1, 2, 3, 4, 5, 6] as [Float]).reshaped([3, 2])
      case .complex128: Tensor([1, 2, 3, 4, 5, 6] as [Double]).reshaped([3, 2])
      default: Tensor(converting: [0, 1, 1] as [Int64], to: type, [3])
      }
    var model = ModelDefinition()
    model.graph = graph([], [], [], constants: ["w": tensor])
    let read = try definition(try model.bytes()).graph.initializers[0]
    #expect(read.name == "w" && read.tensor.type == tensor.type)
    #expect(read.tensor.shape == tensor.shape)
    if type == .string {
      #expect(try read.tensor.strings() == tensor.strings())
    } else {
      #expect(read.tensor.memory == tensor.memory)
    }
  }

  /// A model with a value in every place that a definition has.
  private func everything() -> ModelDefinition {
    var inner = graph(
      [declared("a")], [node("Neg", ["a"], ["b"])], [declared("b")],
      constants: ["k": Tensor(scalar: 2 as Float)])
    inner.documentation = "a body"
    let attributes: [String: Attribute] = [
      "float": .float(-0.5), "int": .int(-3), "zero": .int(0), "string": .string("é"),
      "tensor": .tensor(Tensor([1, 2] as [Int64])), "graph": .graph(inner),
      "type": .type(.sequence(.tensor(.int8)), shape: nil), "floats": .floats([1, .infinity]),
      "ints": .ints([.min, 0, .max]), "strings": .strings(["", "b"]),
      "tensors": .tensors([Tensor(scalar: true)]), "graphs": .graphs([inner]), "none": .ints([]),
    ]
    var model = ModelDefinition()
    model.irVersion = 9
    model.producerName = "tests"
    model.producerVersion = "1"
    model.domain = "org.example"
    model.modelVersion = -1
    model.documentation = "a model"
    model.operatorSets = ["": 20, "org.example": 3]
    model.metadata = ["key": "value", "empty": ""]
    model.graph = graph(
      [
        declared("x", .float16, [1, -1]), ValueDefinition(name: "any"),
        ValueDefinition(name: "unranked", type: .tensor(.bool), shape: nil),
        ValueDefinition(name: "scalar", type: .tensor(.bool), shape: []),
        ValueDefinition(name: "sparse", type: .sparseTensor(.double), shape: [.unknown]),
        ValueDefinition(name: "sequence", type: .sequence(.optional(.tensor(.string)))),
        ValueDefinition(name: "map", type: .map(key: .int64, value: .tensor(.float))),
      ],
      [node("Any", ["x", "", "w"], ["", "y"], attributes, domain: "org.example")],
      [declared("y")], constants: ["w": randomTensor([3])])
    model.graph.values = [declared("inner", .uint4, [4])]
    model.functions = [
      FunctionDefinition(
        name: "F", domain: "org.example", overload: "o", inputs: ["p"], outputs: ["q"],
        attributeNames: ["needed"], attributeDefaults: ["given": .float(1)],
        operatorSets: ["": 18],
        nodes: [node("LeakyRelu", ["p"], ["q"], ["alpha": .reference("given")])])
    ]
    return model
  }

  @Test func everyPartOfAModelIsReadAsItWasWritten() throws {
    let model = everything()
    var read = try definition(try model.bytes())
    #expect(String(describing: read.metadata) == String(describing: read.metadata))
    #expect(read.operatorSets == model.operatorSets && read.metadata == model.metadata)
    #expect(read.modelVersion == -1 && read.documentation == "a model")
    for (was, now) in zip(model.graph.inputs, read.graph.inputs) {
      #expect(was.name == now.name && was.type == now.type && was.shape == now.shape)
    }
    let attributes = read.graph.nodes[0].attributes
    #expect(attributes.keys.sorted() == model.graph.nodes[0].attributes.keys.sorted())
    for (name, attribute) in model.graph.nodes[0].attributes {
      #expect(attributes[name]?.kind == attribute.kind)
    }
    #expect(read.functions[0].nodes[0].attributes["alpha"]?.kind == "reference to given")
    // Whatever is not compared above differs in the bytes of a second writing.
    #expect(try read.bytes() == model.bytes())
    read.graph.nodes[0].attributes["int"] = .int(4)
    #expect(try read.bytes() != model.bytes())
  }

  @Test func aFileIsReplacedWhole() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/model.onnx"
    try folder.write([1, 2, 3], to: "model.onnx")
    try everything().write(to: path)
    let read = try ModelDefinition(ModelFile(path: path), folder: nil)
    #expect(read.file == path)
    #expect(try read.bytes() == everything().bytes())
  }

  @Test func aModelMayReplaceTheFileItsTensorsLieIn() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/model.onnx"
    try everything().write(to: path)
    try ModelDefinition(ModelFile(path: path), folder: nil).write(to: path)
    let read = try ModelDefinition(ModelFile(path: path), folder: nil)
    #expect(try read.bytes() == everything().bytes())
  }

  @Test func aFolderThatIsMissingIsTold() {
    #expect(
      throws: ModelError(
        .unreadable, "the file cannot be written: No such file or directory",
        file: "/none/model.onnx")
    ) { try everything().write(to: "/none/model.onnx") }
  }
}
