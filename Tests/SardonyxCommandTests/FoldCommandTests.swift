import Foundation
import Sardonyx
import Testing

@Suite struct FoldCommandTests {
  private static let model = Command.digits.appending(path: "digits_resnet_torchscript.onnx").path

  @Test func whatFoldWritesHasNoNormalizationLeftAndPassesVerification() throws {
    let folder = try TemporaryFolder()
    let output = folder.path("folded.onnx")
    let fold = try Command("fold", Self.model, "-o", output)
    #expect(fold.status == 0, "\(fold.error)")
    #expect(fold.output.hasSuffix("kept 0\n"))
    let listing = try Command("inspect", output, "--operators")
    #expect(!listing.output.contains("BatchNormalization"))
    let definition = try ModelDefinition(path: output)
    let origins = definition.metadata.filter { $0.key.hasPrefix(FoldedModel.originPrefix) }
    #expect(origins.values.contains { $0.hasPrefix("s·W, s = scale/√(var + 1e-05)") })
    let verification = try Command("verify-fold", Self.model, output, "--dim", "N=2")
    #expect(verification.status == 0, "\(verification.output)\(verification.error)")
    #expect(verification.output.contains("output \"probabilities\": same"))
  }

  @Test func aFoldedWeightThatIsWrongByAHundredthIsNamed() throws {
    let folder = try TemporaryFolder()
    let output = folder.path("folded.onnx")
    _ = try Command("fold", Self.model, "-o", output)
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: output)))
    let definition = try ModelDefinition(path: output)
    let name = try #require(
      definition.metadata.keys.sorted().first { $0.hasSuffix("_folded") }?.dropFirst(
        FoldedModel.originPrefix.count))
    // The elements follow the name and four bytes of their length and tags, three axes before it.
    let place = try #require(bytes.firstRange(of: Array(name.utf8) + [0x4A])).upperBound
    let start = place + (bytes[place...].firstIndex { $0 < 0x80 } ?? place) - place + 1
    let old = bytes[start..<start + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let new = (Float(bitPattern: old) * 1.01 + 1e-3).bitPattern
    for index in 0..<4 { bytes[start + index] = UInt8(truncatingIfNeeded: new >> (8 * index)) }
    try Data(bytes).write(to: URL(filePath: output))
    let verification = try Command("verify-fold", Self.model, output, "--dim", "N=2")
    #expect(verification.status == 1, "\(verification.error)")
    #expect(verification.output.contains("(Conv): \"\(name)\": expected "))
    #expect(verification.output.contains("1 of "))
  }

  @Test func foldDoesNotWriteOverItsModel() throws {
    let folder = try TemporaryFolder()
    let copy = folder.path("model.onnx")
    try FileManager.default.copyItem(atPath: Self.model, toPath: copy)
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("link.onnx"), withDestinationPath: copy)
    for path in [copy, folder.path("link.onnx")] {
      let fold = try Command("fold", copy, "-o", path)
      #expect(fold.status == 1)
      #expect(fold.error.contains("the output would overwrite"))
    }
    #expect(folder.contents == ["link.onnx", "model.onnx"])
    #expect(FileManager.default.contentsEqual(atPath: copy, andPath: Self.model))
  }

  @Test func whatCannotBeReadIsToldApartFromAWrongFold() throws {
    let folder = try TemporaryFolder()
    #expect(try Command("fold", folder.path("none"), "-o", folder.path("out")).status == 1)
    #expect(try Command("verify-fold", Self.model, folder.path("none")).status == 2)
    #expect(folder.contents.isEmpty)
  }
}
