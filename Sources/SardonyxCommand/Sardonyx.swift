import ArgumentParser
import Sardonyx

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The command itself: what its subcommands share is how they end.
@main
struct SardonyxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sardonyx",
    abstract: "Run, verify, inspect and time ONNX models.",
    discussion: """
      Results go to standard output, errors and progress to standard error.

      Exit status: 0 good; 1 failed, or outputs differ; 64 wrong usage; 69 the model is valid but \
      uses what this build does not support.
      """,
    version: "0.1.0",
    subcommands: [RunCommand.self, CompareCommand.self, InspectCommand.self, BenchCommand.self])

  /// Parses and runs; faults of models and values are told in one sentence.
  static func main() {
    // A file that grows past `ulimit -f` is then told like a full disk.
    signal(SIGXFSZ, SIG_IGN)
    do {
      var command = try parseAsRoot()
      try command.run()
      // What was printed may still be waiting, and a full disk must not pass for success.
      guard fflush(nil) == 0 else {
        throw ModelError(.unreadable, systemReason, file: "standard output")
      }
    } catch let error as ModelError {
      Terminal.report(error)
      leave(error.code == .unsupported ? 69 : 1)
    } catch {
      exit(withError: error)
    }
  }
}
