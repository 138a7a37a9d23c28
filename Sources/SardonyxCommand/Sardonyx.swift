import ArgumentParser

@main
struct Sardonyx: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sardonyx", abstract: "Run and verify ONNX models.")
}
