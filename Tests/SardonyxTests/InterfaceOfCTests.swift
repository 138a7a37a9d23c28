import Foundation
import Testing

/// tools/test-c looks into the library itself; this tells without building it.
@Suite("sardonyx.h") struct InterfaceOfCTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private static func names(_ pattern: String, in text: String) throws -> Set<String> {
    let expression = try Regex(pattern, as: (Substring, Substring).self)
    return Set(text.matches(of: expression).map { String($0.output.1) })
  }

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  @Test("No function vanishes: header, sources and the list of symbols have the same")
  func functionsAreTheSame() throws {
    let listed = try Self.names(
      "(?m)^(sardonyx_[a-z_]+)$", in: Self.text("Tests/SardonyxC/symbols.txt"))
    let declared = try Self.names(
      #"[ *](sardonyx_[a-z_]+)\("#, in: Self.text("Sources/CSardonyx/include/sardonyx.h"))
    let folder = Self.root.appending(path: "Sources/SardonyxC")
    var defined: Set<String> = []
    for file in try FileManager.default.contentsOfDirectory(atPath: folder.path()) {
      defined.formUnion(
        try Self.names(#"@_cdecl\("(\w+)"\)"#, in: Self.text("Sources/SardonyxC/\(file)")))
    }
    #expect(listed.count > 60)
    #expect(listed == declared)
    #expect(listed == defined)
  }
}
