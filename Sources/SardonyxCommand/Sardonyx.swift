import ArgumentParser
import Sardonyx

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
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

      Exit status: 0 good; 1 failed, or what `compare`, `verify-fold`, `doctor` and `drift` judge is not \
      good, where 2 is failed; 64 wrong usage; 69 the model is valid but uses what this build does not \
      support.

      `sardonyx help images` and `sardonyx help tolerances` tell more.
      """,
    version: Build.version,
    subcommands: [
      RunCommand.self, CompareCommand.self, InspectCommand.self, BenchCommand.self,
      FoldCommand.self, VerifyFoldCommand.self, DoctorCommand.self, DriftCommand.self,
      RecalibrateCommand.self,
      ImagesTopic.self, TolerancesTopic.self,
    ])

  /// Parses and runs; faults of models and values are told in one sentence.
  static func main() {
    // A file that grows past `ulimit -f` is then told like a full disk.
    signal(SIGXFSZ, SIG_IGN)
    var faultStatus: Int32 = 1
    do {
      var command = try parseAsRoot()
      if command is any JudgingCommand { faultStatus = 2 }
      try command.run()
      // What was printed may still be waiting, and a full disk must not pass for success.
      guard fflush(nil) == 0 else {
        throw ModelError(.unreadable, systemReason, file: "standard output")
      }
    } catch let error as ModelError {
      Terminal.report(error)
      leave(error.code == .unsupported ? 69 : faultStatus)
    } catch {
      exit(withError: error)
    }
  }
}

/// A command that says yes or no: no is no fault, and has a status of its own.
protocol JudgingCommand: ParsableCommand {}
