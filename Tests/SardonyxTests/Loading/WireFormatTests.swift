import Testing

@testable import Sardonyx

/// A model with a body, an initializer and attributes, for faults to be put into.
private func sample() throws -> [UInt8] {
  let branch = graph([], [node("Neg", ["x"], ["y"])], [declared("y")])
  let choice = node(
    "If", ["c"], ["z"], ["then_branch": .graph(branch), "else_branch": .graph(branch)])
  var definition = ModelDefinition()
  definition.irVersion = 8
  definition.operatorSets = ["": 17]
  definition.graph = graph(
    [declared("x", .float, [2, -1]), declared("c", .bool, [])], [choice], [declared("z")],
    constants: ["w": randomTensor([3, 5]), "s": Tensor(strings: ["a", ""], [2])])
  return try definition.bytes()
}

@Suite struct WireFormatTests {
  @Test func aModelCutOffAnywhereIsMalformed() throws {
    let bytes = try sample()
    for count in 1..<bytes.count {
      do throws(ModelError) {
        _ = try definition(Array(bytes.prefix(count)))
      } catch {
        #expect(error.code == .malformed)
      }
    }
  }

  @Test func changedBytesNeverTrap() throws {
    let bytes = try sample()
    var random = UInt64(7)
    func next(_ bound: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % bound
    }
    for _ in 0..<3000 {
      var changed = bytes
      for _ in 0...next(4) { changed[next(bytes.count)] = UInt8(next(256)) }
      do throws(ModelError) {
        _ = try Graph(try definition(changed))
      } catch {
        #expect([.malformed, .invalid, .unsupported, .limit].contains(error.code))
      }
    }
  }

  @Test func aLengthThatLiesIsToldWithItsPlace() {
    let tensor = field(8, "w") + [0x4A, 100]  // raw_data of 100 bytes, of which there are none
    let bytes = modelProto(graph: field(1, field(4, "Add")) + field(1, field(5, field(5, tensor))))
    #expect(
      throws: ModelError(
        .malformed,
        "graph.node[1].attribute[0].t, byte 21: the length of a field: expected at most 0 bytes, "
          + "got 100",
        hint: "the file may be damaged, or not an ONNX model at all")
    ) { try definition(bytes) }
  }

  @Test func aFieldOfTheWrongKindIsToldByName() {
    #expect(
      throws: ModelError(
        .malformed,
        "graph, byte 4: the wire type of name: expected that of its kind, got 0",
        hint: "the file may be damaged, or not an ONNX model at all")
    ) { try definition(modelProto(graph: field(2, 1))) }
  }

  @Test func deepNestingIsRefusedBeforeAnythingRecurses() {
    var graph = field(2, "innermost")
    for _ in 0..<3000 { graph = field(1, field(5, field(6, graph))) }
    let path = Array(repeating: "node[0].attribute[0].g", count: 33).joined(separator: ".")
    #expect {
      try definition(modelProto(graph: graph))
    } throws: { error in
      let error = error as? ModelError
      return error?.code == .limit
        && error?.message.hasPrefix("graph.\(path).node[0], byte ") == true
        && error?.message.hasSuffix(
          ": nesting: expected at most 100 messages in one another, got more") == true
    }
  }

  @Test func nestingWithinTheLimitIsRead() throws {
    var graph = field(2, "innermost")
    for _ in 0..<33 { graph = field(1, field(5, field(6, graph) + field(20, 5))) }
    _ = try definition(modelProto(graph: graph))
  }

  @Test(
    arguments: [
      ([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "a PNG image"),
      (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "a pointer of Git LFS"),
      ([0x1C, 0, 0, 0] + Array("TFL3".utf8), "a TensorFlow Lite model"),
    ] as [([UInt8], String)])
  func aFileOfAnotherKindIsRecognised(bytes: [UInt8], kind: String) {
    #expect {
      try definition(bytes)
    } throws: { error in
      let error = error as? ModelError
      return error?.code == .malformed && error?.hint?.hasPrefix("this is \(kind)") == true
    }
  }

  @Test func fieldsThatTheSchemaLacksAreSkipped() throws {
    let bytes = modelProto(graph: field(2, "g") + field(900, "new") + field(901, 5))
    #expect(try definition(bytes).graph.name == "g")
  }
}
