import Foundation
import Testing

@testable import Sardonyx

@Suite struct SupportTableTests {
  @Test func everyOperatorHasASchema() {
    for (domain, family) in OperatorTable.families {
      for name in family.keys {
        #expect(!Schema.sinceVersions(of: name, domain: domain).isEmpty, "\(domain):\(name)")
      }
    }
  }

  @Test func noOperatorIsInTwoFamilies() {
    let names = OperatorTable.families.flatMap { domain, family in
      family.keys.map { "\(domain):\($0)" }
    }
    #expect(names.count == Set(names).count)
  }

  @Test func theReadMeListsWhatThisBuildSupports() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    guard let text = try? String(contentsOf: root.appending(path: "README.md"), encoding: .utf8),
      let begin = text.range(of: "<!-- operators:begin -->\n"),
      let end = text.range(of: "<!-- operators:end -->")
    else { return }
    #expect(text[begin.upperBound..<end.lowerBound] == SupportTable.markdown())
  }

  @Test func rowsTellVersions() {
    #expect(SupportTable.markdown().contains("| Relu | 1, 6, 13, 14 |"))
  }
}
