import ArgumentParser
import Sardonyx

/// `sardonyx doctor`: what is suspicious about a model's BatchNormalizations.
struct DoctorCommand: JudgingCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Look for what is wrong with a model's BatchNormalizations.",
    discussion: """
      Reads the file alone: negative or zero variances, factors that magnify, dead channels, folds \
      that overflow, a missing or odd epsilon, training mode left on, parameters that are shared or \
      may be overridden, statistics as before training, normalization behind the activation. Each \
      finding names node, channels and remedy.

      Exit status: 0 nothing but remarks, 1 warnings or errors, 2 it could not be read.
      """)

  @Argument(
    help: ArgumentHelp("The ONNX model; `-` is standard input.", valueName: "model"),
    completion: .file(extensions: ["onnx"]))
  var path: String

  @Flag(help: "Print as JSON.")
  var json = false

  func run() throws {
    let model = try Model(file: path)
    let diagnosis = Watch.over("examining") { NormalizationDiagnosis(model) }
    print(json ? description(diagnosis).description : report(diagnosis))
    guard !diagnosis.findings.contains(where: { $0.severity > .remark }) else {
      throw ExitCode.failure
    }
  }

  private func report(_ diagnosis: NormalizationDiagnosis) -> String {
    var lines: [String] = []
    for finding in diagnosis.findings {
      let severity = finding.severity.rawValue
      let title = finding.severity == .remark ? severity : Terminal.alarming(severity)
      let channels = finding.channels.isEmpty ? "" : ", \(channelText(finding.channels))"
      lines.append("\(title): " + "\"\(finding.node)\"\(channels): \(finding.text)".visible)
      lines.append("  \(finding.remedy)".visible)
    }
    let counts = [NormalizationDiagnosis.Finding.Severity.error, .warning, .remark].map {
      severity in
      "\(diagnosis.findings.count { $0.severity == severity }) \(severity.rawValue)s"
    }
    let count = diagnosis.normalizationCount
    lines.append(
      "\(count) BatchNormalization\(count == 1 ? "" : "s"): \(counts.joined(separator: ", "))")
    return lines.joined(separator: "\n")
  }

  private func channelText(_ channels: [Int]) -> String {
    let shown = channels.prefix(8).map(String.init).joined(separator: ", ")
    let rest = channels.count > 8 ? " … (\(channels.count) in all)" : ""
    return "channel\(channels.count == 1 ? "" : "s") \(shown)\(rest)"
  }

  private func description(_ diagnosis: NormalizationDiagnosis) -> JSON {
    .object([
      ("batch_normalizations", .number(diagnosis.normalizationCount)),
      (
        "findings",
        .array(
          diagnosis.findings.map { finding in
            .object([
              ("severity", .string(finding.severity.rawValue)), ("kind", .string(finding.kind)),
              ("node", .string(finding.node)),
              ("channels", .array(finding.channels.map { .number($0) })),
              ("text", .string(finding.text)), ("remedy", .string(finding.remedy)),
            ])
          })
      ),
    ])
  }
}
