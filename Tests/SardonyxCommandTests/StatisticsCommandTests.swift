import Foundation
import SardonyxData
import Testing

@testable import Sardonyx

/// `doctor`, `drift` and `recalibrate` on the bundled digits.
@Suite struct StatisticsCommandTests {
  private static let digits = "Models/digits/digits_resnet_torchscript.onnx"

  /// The bundled images as the model sees them, their bytes changed before.
  private func data(_ folder: TemporaryFolder, _ change: (Double) -> Double) throws -> String {
    let file = Command.digits.appending(path: "digits_resnet_torchscript.npz")
    let recorded = try NPZ.read([UInt8](Data(contentsOf: file)))
    let images = try #require(recorded.first { $0.name == "in:image" }?.tensor)
    let numbers = images.converted(to: Double.self).map { number in
      Float((change(number * 0.3762 + 0.3057) - 0.3057) / 0.3762)
    }
    let path = folder.url.appending(path: "data.npz")
    try Data(NPZ.write([("image", Tensor(numbers, images.shape))])).write(to: path)
    return path.path
  }

  @Test func doctorFindsNothingInTheBundledModel() throws {
    let command = try Command("doctor", Self.digits)
    #expect(command.status == 0)
    #expect(command.output == "9 BatchNormalizations: 0 errors, 0 warnings, 0 remarks\n")
    let report = try Command("doctor", Self.digits, "--json").object()
    #expect(report["batch_normalizations"] as? Int == 9)
    #expect((report["findings"] as? [Any])?.isEmpty == true)
    #expect(try Command("doctor", "nowhere.onnx").status == 2)
  }

  @Test func driftWritesAPage() throws {
    let folder = try TemporaryFolder()
    let page = folder.path("drift.html")
    let command = try Command(
      "drift", Self.digits, "--data", "Models/digits", "--mean", "0.3057", "--std", "0.3762",
      "--html", page)
    #expect(command.status == 0, "\(command.error)")
    let text = try String(contentsOfFile: page, encoding: .utf8)
    #expect(text.contains("no drift: the data are as those"))
    #expect(
      text.contains("<line class=\"one\"") && text.contains("class=\"heat\"")
        && !text.contains("http"))
  }

  @Test func batchStatisticsAreVerifiedAndDropoutIsMissed() throws {
    let batch = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=4", "--batchnorm", "batch", "--verify")
    #expect(batch.status == 0 && batch.error == "", "\(batch.error)")
    let dropout = try Command(
      "run", Self.digits, "--random", "1", "--dim", "N=1", "--dropout", "train")
    #expect(dropout.status == 0)
    #expect(dropout.error.contains("the model has no Dropout"))
  }

  @Test func driftTellsCleanFromInvertedImages() throws {
    let clean = try Command(
      "drift", Self.digits, "--data", "Models/digits", "--mean", "0.3057", "--std", "0.3762")
    #expect(clean.status == 0, "\(clean.error)")
    #expect(
      clean.output.hasSuffix("no drift: the data are as those that the model was trained on\n"))
    let folder = try TemporaryFolder()
    let inverted = try Command("drift", Self.digits, "--data", data(folder) { 1 - $0 }, "--json")
    #expect(inverted.status == 1, "\(inverted.error)")
    let report = try inverted.object()
    #expect(report["drift"] as? Bool == true)
    let layers = try #require(report["layers"] as? [[String: Any]])
    let farthest = layers.max { ($0["distance"] as! Double) < ($1["distance"] as! Double) }
    #expect(farthest?["node"] as? String == "/features/features.1/BatchNormalization")
    let missing = try Command("drift", Self.digits, "--data", "nowhere.npz")
    #expect(missing.status == 2)
  }

  @Test func recalibrationBringsBackWhatDimmingTook() throws {
    let folder = try TemporaryFolder()
    let dimmed = try data(folder) { $0 * 0.4 }
    let output = folder.url.appending(path: "out.onnx").path
    #expect(try Command("drift", Self.digits, "--data", dimmed).status == 1)
    let made = try Command("recalibrate", Self.digits, "--data", dimmed, "-o", output)
    #expect(made.status == 0, "\(made.error)")
    #expect(try Command("drift", output, "--data", dimmed).status == 0)
    func right(_ model: String) throws -> Int {
      let run = try Command("run", model, "--inputs", dimmed, "--json")
      let outputs = try #require(try run.object()["outputs"] as? [String: [String: Any]])
      let values = try #require(outputs["probabilities"]?["values"] as? [Double])
      return (0..<20).count { image in
        let row = values[image * 10..<(image + 1) * 10]
        return row.firstIndex(of: row.max()!) == image * 10 + image / 2
      }
    }
    #expect(try right(output) >= 19)
    #expect(try right(Self.digits) <= 17)
    let onto = try Command("recalibrate", Self.digits, "--data", dimmed, "-o", Self.digits)
    #expect(onto.status == 1)
    #expect(onto.error.contains("would overwrite") || onto.error.contains("is read"))
  }
}
