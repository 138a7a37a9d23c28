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

  @Test func foldingKeepsItsTimeLimit() throws {
    let folder = try TemporaryFolder()
    let late = try Command(
      "fold", Self.model, "-o", folder.path("folded.onnx"), "--timeout", "0.000001")
    #expect(late.status == 1)
    #expect(late.error.hasSuffix("time limit\n"), "\(late.error)")
    #expect(folder.contents == [])
    let wrong = try Command("fold", Self.model, "-o", folder.path("f.onnx"), "--timeout", "0")
    #expect(wrong.status == 64, "\(wrong.error)")
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

  @Test func comparingWithDoubleTellsWhichIsNearer() throws {
    let folder = try TemporaryFolder()
    let page = folder.path("page.html")
    let command = try Command(
      "compare", Self.model, "--dim", "N=2", "--oracle", "--bisect", "--html", page)
    #expect(command.status == 0, "\(command.error)")
    #expect(command.output.contains("all 9 folds are within the bound of the theory of rounding\n"))
    #expect(command.output.contains("classes of \"probabilities\": 2 of 2 rows agree"))
    #expect(command.output.contains("\nthe least --rtol that passes: "))
    #expect(command.output.contains("nothing to bisect"))
    let text = try String(contentsOfFile: page, encoding: .utf8)
    #expect(text.contains("<line class=\"one\"") && text.contains("class=\"heat\""))
    #expect(text.contains("<td data-column=\"operator\">Conv</td>"))
    #expect(text.contains("<td class=\"number\" data-column=\"magnitude\">"))
    #expect(!text.contains("http") && !text.contains("<script"))
    let report = try Command("compare", Self.model, "--dim", "N=2", "--oracle", "--json").object()
    let oracle = try #require(report["oracle"] as? [String: Any])
    #expect((oracle["folds"] as? [Any])?.count == 9)
    let strict = try Command("compare", Self.model, "--dim", "N=2", "--bisect", "--rtol", "1e-8")
    // Which of the two is nearer to the model in double, and so the verdict, is a matter of roundings.
    #expect((strict.status == 0) == strict.output.contains("\n1 of 1 outputs within"))
    #expect(strict.output.contains("that makes outputs differ"))
  }

  @Test func comparingOnManyInputsShowsTheWorst() throws {
    let command = try Command(
      "compare", Self.model, "--data", "Models/digits", "--mean", "0.3057", "--std", "0.3762",
      "--layers")
    #expect(command.status == 0, "\(command.error)")
    #expect(command.output.hasSuffix("1 of 1 outputs within relative tolerance 1e-05\n"))
    #expect(try Command("compare", Self.model, "--data", "Models/digits", "--oracle").status == 64)
  }

  @Test func theNormalisationOfTheInputIsFoldedToo() throws {
    let folder = try TemporaryFolder()
    let output = folder.path("folded.onnx")
    let fold = try Command(
      "fold", Self.model, "-o", output, "--mean", "0.3057", "--std", "0.3762", "--range", "255")
    #expect(fold.status == 0, "\(fold.error)")
    #expect(fold.output == "folded 10, kept 0\n")
    let image = "Models/digits/0a.png"
    let usual = try Command(
      "run", Self.model, "--input", image, "--mean", "0.3057", "--std", "0.3762", "--json"
    ).object()
    let runs = [
      try Command("run", output, "--input", image, "--range", "255", "--json"),
      try Command(
        "run", Self.model, "--input", image, "--mean", "0.3057", "--std", "0.3762",
        "--fold-preparation", "--json"),
    ]
    for run in runs {
      #expect(run.status == 0, "\(run.error)")
      let (found, expected) = (try Self.values(try run.object()), try Self.values(usual))
      #expect(found.count == expected.count && found.count == 10)
      #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  private static func values(_ report: [String: Any]) throws -> [Double] {
    let outputs = try #require(report["outputs"] as? [String: [String: Any]])
    return try #require(outputs["probabilities"]?["values"] as? [Double])
  }

  @Test func foldsAreProvedOnData() throws {
    let folder = try TemporaryFolder()
    let output = folder.path("folded.onnx")
    let archive = Command.digits.appending(path: "digits_resnet_torchscript.npz").path
    for data in [
      ["--inputs", archive], ["--random", "0", "--dim", "N=2"], ["--random", "0"],
      [
        "--data", "Models/digits", "--batch", "5", "--mean", "0.3057", "--std", "0.3762",
        "--range", "255",
      ],
    ] {
      let fold = try Command(arguments: ["fold", Self.model, "-o", output] + data)
      #expect(fold.status == 0, "\(fold.error)")
      #expect(
        fold.output.hasPrefix("ran 1 set of folds: output \"probabilities\" differs most, by "))
      #expect(fold.output.contains(" of its largest magnitude; the tolerance is 1e-05\nfolded "))
      #expect(fold.output.hasSuffix(", kept 0\n"), "\(fold.output)")
    }
  }

  @Test func foldsThatMoveOutputsTooFarAreTakenBack() throws {
    let folder = try TemporaryFolder()
    let output = folder.path("folded.onnx")
    let fold = try Command(
      "fold", Self.model, "-o", output, "--random", "0", "--dim", "N=2", "--tolerance", "0")
    #expect(fold.status == 0, "\(fold.error)")
    #expect(fold.output.contains("\": taken back: with it output \"probabilities\" differs by "))
    #expect(fold.output.contains("no output differs\n"))
    let verification = try Command(
      "verify-fold", Self.model, output, "--random", "0", "--dim", "N=2", "--rtol", "0")
    #expect(verification.status == 0, "\(verification.output)\(verification.error)")
  }

  @Test func dataThatFoldsCannotBeProvedOnAreToldOf() throws {
    let folder = try TemporaryFolder()
    let output = folder.path("folded.onnx")
    func fold(_ arguments: String...) throws -> Command {
      try Command(arguments: ["fold", Self.model, "-o", output] + arguments)
    }
    let none = try fold("--tolerance", "1e-5")
    #expect(none.status == 64)
    #expect(none.error.contains("--tolerance: expected with inputs to compare on: --data"))
    #expect(try fold("--random", "0", "--tolerance", "-1").status == 64)
    #expect(try fold("--random", "0", "--batch", "2").status == 64)
    let other = try fold("--data", "Models/digits", "--resize", "8x4")
    #expect(other.status == 1)
    #expect(other.error.contains("image"), "\(other.error)")
    let late = try fold("--random", "0", "--timeout", "0.000001")
    #expect(late.status == 1 && late.error.hasSuffix("time limit\n"), "\(late.error)")
    #expect(folder.contents == [])
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
