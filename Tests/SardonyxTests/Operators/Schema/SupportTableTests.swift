import Testing

@testable import Sardonyx

@Suite struct SupportTableTests {
  @Test func everyOperatorOfAKnownDomainHasASchema() {
    for (domain, family) in OperatorTable.families where Schema.knows(domain: domain) {
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

  @Test func rowsTellVersions() {
    #expect(SupportTable.markdown().contains("| Relu | 1, 6, 13, 14 |"))
  }
}
