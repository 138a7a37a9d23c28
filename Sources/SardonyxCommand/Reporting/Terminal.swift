import Sardonyx

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What people see on standard error; data goes to standard output with `print`.
enum Terminal {
  /// Whether people are watching standard error.
  static let isWatched = isatty(STDERR_FILENO) == 1 && !isDumb

  /// Whether standard output may carry colours: never for `NO_COLOR`, see no-color.org.
  static let hasColor = isatty(STDOUT_FILENO) == 1 && !isColorUnwanted

  /// Whether the terminal knows no control sequences.
  private static let isDumb =
    unsafe getenv("TERM").map { unsafe String(cString: $0) == "dumb" } ?? false

  private static let isColorUnwanted =
    isDumb || (unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false)

  /// A text in red, where standard output may carry colours.
  static func alarming(_ text: String) -> String {
    hasColor ? "\u{1B}[31m\(text)\u{1B}[0m" : text
  }

  static func report(_ error: ModelError) {
    let word = isWatched && !isColorUnwanted ? "\u{1B}[31merror:\u{1B}[0m" : "error:"
    writeError("\(word) \(error)\n")
  }

  /// Something that is not wrong but may not be meant.
  static func warn(_ text: String) { writeError("warning: \(text.visibleLines)\n") }

  /// A remark for `--verbose`.
  static func note(_ text: String) { writeError(text.visibleLines + "\n") }

  /// A line that the next one overwrites; nothing where nobody watches.
  static func progress(_ text: String) {
    // Wrapped lines could not be overwritten: what is too long is cut off.
    if isWatched { writeError("\r\u{1B}[K\u{1B}[?7l\(text.visible)\u{1B}[?7h") }
  }

  /// A bar of how much is done.
  static func progress(done: Int, of count: Int) {
    guard isWatched else { return }
    let width = 30
    let filled = count > 0 ? done * width / count : width
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    progress("[\(bar)] \(done) of \(count)")
  }

  /// Takes the line of progress away before a line of output; the next progress brings it back.
  static func clearProgress() { if isWatched { writeError("\r\u{1B}[K") } }

  static func endProgress() { clearProgress() }

  private static func writeError(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var written = 0
      while written < bytes.count {
        let count = unsafe write(
          STDERR_FILENO, bytes.baseAddress! + written, bytes.count - written)
        guard count > 0 else { return }
        written += count
      }
    }
  }
}

/// Ends the process.
func leave(_ status: Int32) -> Never { exit(status) }

/// Seconds from a point in time that never changes.
func seconds() -> Double {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
