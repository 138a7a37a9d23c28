import Foundation
import Testing

/// Rules that the compiler on one platform cannot see broken.
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
}
