import Foundation
import Testing

/// Rules that the compiler does not see broken.
@Suite("Sources") struct SourcesTests {
  private static var files: [URL] {
    let sources = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Sources")
    let found = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
    return (found?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }
  }

  @Test("Whatever is imported from Glibc is imported from Musl too, for static binaries")
  func platformsAreTheSame() throws {
    #expect(Self.files.count > 100)
    for file in Self.files {
      let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
      func count(_ library: String) -> Int { lines.count { $0.hasSuffix("import \(library)") } }
      #expect(count("Glibc") == count("Musl"), "\(file.lastPathComponent)")
    }
  }

  @Test("Whatever is public has a doc comment")
  func publicDeclarationsAreDocumented() throws {
    var count = 0
    for file in Self.files where !["SardonyxC", "SardonyxServer"].contains(Self.target(of: file)) {
      let lines = try String(contentsOf: file, encoding: .utf8).split(
        separator: "\n", omittingEmptySubsequences: false
      ).map { $0.drop { $0 == " " } }
      for (position, line) in lines.enumerated()
      where line.hasPrefix("public ") && !line.hasPrefix("public import ") {
        count += 1
        let above = lines[..<position].last { !$0.hasPrefix("@") }
        #expect(
          above?.hasPrefix("///") == true, "\(file.lastPathComponent):\(position + 1): \(line)")
      }
    }
    #expect(count > 300)
  }

  private static func target(of file: URL) -> String? {
    file.pathComponents.drop { $0 != "Sources" }.dropFirst().first
  }
}
