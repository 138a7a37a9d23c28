import Foundation
import Testing

@testable import Sardonyx

@Suite struct ModelFileTests {
  @Test func aMissingFileIsUnreadable() {
    #expect(
      throws: ModelError(
        .unreadable, "the file cannot be opened: No such file or directory", file: "/none.onnx")
    ) { try Model(path: "/none.onnx") }
  }

  @Test func aFolderIsNoModel() {
    #expect(
      throws: ModelError(.unreadable, "expected a file or a pipe, got a folder", file: "/")
    ) { try Model(path: "/") }
  }

  @Test func aDeviceIsNoModel() {
    #expect(
      throws: ModelError(
        .unreadable, "expected a file or a pipe, got something else", file: "/dev/null")
    ) { try Model(path: "/dev/null") }
  }

  @Test func anEmptyFileIsMalformed() throws {
    let folder = try TemporaryFolder()
    try folder.write([], to: "empty.onnx")
    let path = "\(folder.path)/empty.onnx"
    #expect(throws: ModelError(.malformed, "the file is empty", file: path)) {
      try Model(path: path)
    }
  }

  @Test func aPipeIsReadToItsEnd() throws {
    var definition = ModelDefinition()
    definition.irVersion = 8
    definition.operatorSets = ["": 17]
    definition.graph = graph(
      [declared("x")], [node("Neg", ["x"], ["y"])], [declared("y")])
    func model(_ bytes: [UInt8]) throws -> Model {
      let pipe = Pipe()
      try pipe.fileHandleForWriting.write(contentsOf: Data(bytes))
      try pipe.fileHandleForWriting.close()
      return try Model(path: "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)")
    }
    #expect(try model(definition.bytes()).inputs.map(\.name) == ["x"])
    let error = #expect(throws: ModelError.self) { try model([]) }
    #expect(error?.message == "the pipe is empty")
  }

  @Test func noBytesAreAnEmptyFile() {
    #expect(throws: ModelError(.malformed, "the file is empty")) { try Model(bytes: []) }
  }

  @Test func tensorsOutliveTheDefinitionTheyWereReadWith() throws {
    let folder = try TemporaryFolder()
    let expected = randomTensor([1000])
    var model = ModelDefinition()
    model.graph = graph([], [], [], constants: ["w": expected])
    let path = "\(folder.path)/model.onnx"
    try model.write(to: path)
    let tensor = try ModelDefinition(ModelFile(path: path), folder: nil).graph.initializers[0]
      .tensor
    #expect(tensor.memory == expected.memory)
  }
}
