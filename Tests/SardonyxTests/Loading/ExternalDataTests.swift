import Testing

@testable import Sardonyx

/// A model whose initializer "w" of float[2] lies in another file.
/// - Parameter isRead: whether it is an output too.
private func model(
  _ location: String, _ more: [(String, String)] = [], isRead: Bool = true
) -> [UInt8] {
  let entries = ([("location", location)] + more).flatMap { key, value in
    field(13, field(1, key) + field(2, value))
  }
  return modelProto(
    graph: field(5, tensorProto(.float, [2], entries + field(14, 1)))
      + (isRead ? field(12, field(1, "w")) : []))
}

@Suite struct ExternalDataTests {
  private let folder: TemporaryFolder
  private let expected: [Float] = [3, 4]

  init() throws {
    folder = try TemporaryFolder()
    try folder.makeFolder("model/weights")
    try folder.write(
      Tensor([1, 2, 3, 4] as [Float]).memory, to: "model/weights/all.bin")
    try folder.write(Tensor(expected).memory, to: "outside.bin")
  }

  private func read(_ location: String, _ more: [(String, String)] = []) throws -> [Float] {
    try folder.write(model(location, more), to: "model/model.onnx")
    let path = "\(folder.path)/model/model.onnx"
    let definition = try ModelDefinition(ModelFile(path: path), folder: "\(folder.path)/model")
    return try definition.graph.initializers[0].tensor.elements()
  }

  private func fault(_ location: String, _ more: [(String, String)] = []) -> ModelError? {
    do { _ = try read(location, more) } catch { return error as? ModelError }
    return nil
  }

  @Test func elementsAreFoundByOffsetAndLength() throws {
    #expect(try read("weights/all.bin", [("offset", "8"), ("length", "8")]) == expected)
    #expect(try read("weights/all.bin", [("offset", "8")]) == expected)
    #expect(try read("./weights/all.bin") == [1, 2])
    #expect(try read("weights/../weights/./all.bin") == [1, 2])
  }

  @Test func aPathMustNotLeaveTheFolder() {
    for location in ["../outside.bin", "weights/../../outside.bin", "/etc/passwd", "..", "a/.."] {
      #expect(
        fault(location)
          == ModelError(
            .invalid,
            "tensor \"w\": external data: expected a path inside the model's folder, "
              + "got \"\(location)\""))
    }
  }

  @Test func aLinkMustNotLeaveTheFolder() throws {
    try folder.link("model/link.bin", to: "../outside.bin")
    let fault = fault("link.bin")
    #expect(fault?.code == .invalid)
    #expect(
      fault?.message.hasPrefix(
        "tensor \"w\": external data in \"link.bin\": expected a file inside the model's folder, "
          + "got a link to \"") == true)
  }

  @Test func aLinkInsideTheFolderIsFollowed() throws {
    try folder.link("model/link.bin", to: "weights/all.bin")
    #expect(try read("link.bin", [("offset", "8")]) == expected)
  }

  @Test func dataBesideTheFileThatAModelLinksToIsFollowed() throws {
    try folder.makeFolder("blobs")
    try folder.write(model("data.bin"), to: "blobs/1")
    try folder.write(Tensor(expected).memory, to: "blobs/2")
    try folder.link("model/model.onnx", to: "../blobs/1")
    try folder.link("model/data.bin", to: "../blobs/2")
    let path = "\(folder.path)/model/model.onnx"
    let definition = try ModelDefinition(ModelFile(path: path), folder: "\(folder.path)/model")
    #expect(try definition.graph.initializers[0].tensor.elements() == expected)
  }

  @Test func aMissingFileIsUnreadable() {
    #expect(
      fault("none.bin")
        == ModelError(
          .unreadable,
          "tensor \"w\": external data in \"none.bin\": No such file or directory",
          hint: "the file belongs beside the model, in \"\(folder.path)/model\""))
  }

  @Test func missingDataThatNothingReadsAreNotMissed() throws {
    let bytes = model("none.bin", isRead: false)
    #expect(try definition(bytes, folder: folder.path).graph.initializers.isEmpty)
  }

  @Test func aShortFileIsMalformed() {
    #expect(
      fault("weights/all.bin", [("offset", "12")])
        == ModelError(
          .malformed,
          "tensor \"w\": external data in \"weights/all.bin\": expected 8 bytes from byte 12 on, "
            + "got a file of 16 bytes"))
  }

  @Test(arguments: ["-1", "9223372036854775808", "x"])
  func anOffsetThatIsNoneIsMalformed(offset: String) {
    #expect(
      fault("weights/all.bin", [("offset", offset)])
        == ModelError(
          .malformed,
          "tensor \"w\": external data: offset: expected a number of bytes, got \"\(offset)\""))
  }

  @Test func aLengthThatIsNotTheTensorsIsMalformed() {
    #expect(
      fault("weights/all.bin", [("length", "4")])
        == ModelError(
          .malformed, "tensor \"w\": data of float[2]: expected 8 bytes, got 4"))
  }

  @Test func bytesWithoutAFolderHaveNoExternalData() {
    #expect(
      throws: ModelError(
        .unreadable,
        "tensor \"w\": external data in \"a.bin\": the model was given without a folder",
        hint: "load the model by its path, or name the folder of its external data")
    ) { try Model(bytes: model("a.bin")) }
  }
}
