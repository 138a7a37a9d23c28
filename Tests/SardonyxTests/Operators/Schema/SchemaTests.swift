import Testing

@testable import Sardonyx

@Suite struct SchemaTests {
  private func node(
    _ name: String, _ inputs: [String], outputs: [String] = ["Y"],
    _ attributes: [String: Attribute] = [:], domain: String = ""
  ) -> NodeDefinition {
    NodeDefinition(
      operatorName: name, domain: domain, inputs: inputs, outputs: outputs, attributes: attributes)
  }

  private func schema(_ name: String, _ operatorSet: Int, domain: String = "") throws -> Schema {
    try #require(Schema.find(name, domain: domain, operatorSet: operatorSet))
  }

  @Test func everyVersionParses() throws {
    var count = 0
    for path in Schema.operators where !path.contains("sardonyx:") {
      let sides = path.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      for version in Schema.sinceVersions(of: sides[1], domain: sides[0]) {
        let schema = try schema(sides[1], version, domain: sides[0])
        #expect(schema.since == version)
        #expect(schema.name == sides[1])
        count += 1
      }
    }
    // 659 of ONNX and 64 of ONNX Runtime's own.
    #expect(count == 723)
  }

  @Test func theNewestVersionNotAboveTheOperatorSetIsInForce() throws {
    #expect(Schema.sinceVersions(of: "Conv") == [1, 11, 22])
    #expect(try schema("Conv", 10).since == 1)
    #expect(try schema("Conv", 13).since == 11)
    #expect(try schema("Conv", 99).since == 22)
    #expect(Schema.find("Gelu", domain: "", operatorSet: 19) == nil)
    #expect(Schema.find("Nonsense", domain: "", operatorSet: 19) == nil)
    #expect(Schema.find("Conv", domain: "example", operatorSet: 1) == nil)
    #expect(Schema.knows(domain: "") && Schema.knows(domain: "ai.onnx.ml"))
    #expect(!Schema.knows(domain: "example") && !Schema.knows(domain: "ai.onnx.m"))
  }

  @Test func aSchemaTellsOptionalVariadicAndDeprecatedParts() throws {
    let clip = try schema("Clip", 13)
    #expect(clip.inputs.map(\.isOptional) == [false, true, true])
    let loop = try schema("Loop", 13)
    #expect(loop.inputs.map(\.repetitions) == [nil, nil, 0])
    #expect(loop.inputs[2].isHomogeneous == false)
    #expect(try schema("Scatter", 11).isDeprecated)
    #expect(try schema("Conv", 11).constraints["T"]?.description == "float, float16 or double")
  }

  @Test(arguments: [
    ("Conv", 11, ["X"], "inputs of Conv-11: expected 2 to 3, got 1"),
    ("Add", 14, ["A", "B", "C"], "inputs of Add-14: expected 2, got 3"),
    ("Conv", 11, ["X", "", "B"], "Conv-11 needs input W, which is left out"),
    ("Sum", 13, [], "inputs of Sum-13: expected at least 1, got 0"),
  ])
  func wrongInputsAreNamed(name: String, version: Int, inputs: [String], message: String) throws {
    let schema = try schema(name, version)
    let error = #expect(throws: ModelError.self) { try schema.check(node(name, inputs)) }
    #expect(error?.message == message)
    #expect(error?.code == .invalid)
  }

  @Test func inputsLeftOutAtTheEndDoNotCount() throws {
    try schema("Clip", 13).check(node("Clip", ["X", "", ""]))
    try schema("Add", 14).check(node("Add", ["A", "B", ""]))
    try schema("Loop", 11).check(node("Loop", ["", ""], ["body": .reference("body")]))
  }

  @Test func attributesAreCheckedByNameKindAndVersion() throws {
    let clip = try schema("Clip", 13)
    let foreign = #expect(throws: ModelError.self) {
      try clip.check(node("Clip", ["X"], ["min": .float(0)]))
    }
    #expect(foreign?.message == "Clip-13 has no attribute min")
    #expect(foreign?.hint == "min belongs to Clip-1, Clip-6")
    let flatten = try schema("Flatten", 13)
    let kind = #expect(throws: ModelError.self) {
      try flatten.check(node("Flatten", ["X"], ["axis": .float(1)]))
    }
    #expect(kind?.message == "attribute axis of Flatten-13: expected int, got float")
    let concat = try schema("Concat", 13)
    let missing = #expect(throws: ModelError.self) { try concat.check(node("Concat", ["X"])) }
    #expect(missing?.message == "Concat-13 needs the attribute axis, which is missing")
    let unknown = #expect(throws: ModelError.self) {
      try flatten.check(node("Flatten", ["X"], ["axes": .int(1)]))
    }
    #expect(unknown?.hint == "its attributes are axis")
  }

  @Test func harmlessLibertiesOfExportersPass() throws {
    let inputs = ["X", "scale", "B", "mean", "var"]
    try schema("BatchNormalization", 6).check(node("BatchNormalization", inputs))
    try schema("BatchNormalization", 1).check(node("BatchNormalization", inputs))
    try schema("Relu", 6).check(node("Relu", ["X"], ["consumed_inputs": .ints([0])]))
    try schema("Conv", 11).check(node("Conv", ["X", "W"], ["pads": .floats([])]))
  }

  @Test func elementTypesAreCheckedPerVersion() throws {
    let conv = try schema("Conv", 11)
    let error = #expect(throws: ModelError.self) {
      try conv.check(types: [.tensor(.int8), .tensor(.int8)])
    }
    #expect(
      error?.message
        == "Conv-11 does not allow element type int8 for input X: "
        + "expected float, float16 or double, got int8")
    try conv.check(types: [.tensor(.float), .tensor(.float), nil])
    try schema("Add", 14).check(types: [.tensor(.int8), nil])
    #expect(throws: ModelError.self) { try schema("Add", 7).check(types: [.tensor(.int8), nil]) }
  }

  @Test func inputsOfOneTypeVariableAgree() throws {
    let add = try schema("Add", 14)
    let error = #expect(throws: ModelError.self) {
      try add.check(types: [.tensor(.float), .tensor(.int32)])
    }
    #expect(error?.message == "inputs A and B of Add-14: expected one type, got float and int32")
    try schema("Loop", 13).check(types: [nil, nil, .tensor(.float), .tensor(.int64)])
    #expect(throws: ModelError.self) {
      try schema("Sum", 13).check(types: [.tensor(.float), .tensor(.double)])
    }
  }

  @Test(arguments: [
    (ValueType.sequence(.tensor(.float)), true), (.optional(.sequence(.tensor(.float))), true),
    (.sequence(.tensor(.float8e4m3fn)), false), (.tensor(.bfloat16), true),
    (.map(key: .int64, value: .tensor(.float)), false),
    (.sequence(.optional(.tensor(.float))), false),
  ])
  func containersAreToldApart(type: ValueType, allowed: Bool) throws {
    let identity = try schema("Identity", 16)
    #expect(identity.inputs[0].types.contains(type) == allowed)
  }

  @Test func mapsAreSpelledOut() throws {
    let zip = try schema("ZipMap", 1, domain: "ai.onnx.ml")
    #expect(zip.outputs[0].types.description == "seq(map(int64,float)) or seq(map(string,float))")
    #expect(
      zip.outputs[0].types.contains(.sequence(.map(key: .int64, value: .tensor(.float)))))
    #expect(
      !zip.outputs[0].types.contains(.sequence(.map(key: .int64, value: .tensor(.double)))))
  }
}
