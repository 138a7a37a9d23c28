import Foundation
import Testing

@testable import Sardonyx

@Suite("README") struct ReadmeTests {
  private let file = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "README.md")
  private let begin = "<!-- operators:begin -->\n"
  private let end = "<!-- operators:end -->"

  /// With SARDONYX_WRITE_README set, the README is brought up to date first.
  @Test("The README lists the operators of this build")
  func listsOperators() throws {
    let text = try String(contentsOf: file, encoding: .utf8)
    let start = try #require(text.range(of: begin)).upperBound
    let stop = try #require(text.range(of: end)).lowerBound
    let table = SupportTable.markdown()
    if ProcessInfo.processInfo.environment["SARDONYX_WRITE_README"] != nil {
      let updated = text.replacingCharacters(in: start..<stop, with: table)
      try updated.write(to: file, atomically: true, encoding: .utf8)
    } else {
      #expect(text[start..<stop] == table, "SARDONYX_WRITE_README=1 tools/test --filter README")
    }
  }
}
