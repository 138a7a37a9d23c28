/// What this build supports, as the README tells it.
enum SupportTable {
  /// A table per domain: each operator with the versions of it that are supported.
  static func markdown() -> String {
    OperatorTable.domains.map(section).joined(separator: "\n")
  }

  private static func section(_ domain: String) -> String {
    let names = OperatorTable.names(domain: domain)
    let rows = names.map { name in
      let versions = Schema.sinceVersions(of: name, domain: domain).map(String.init)
      return "| \(name) | \(versions.joined(separator: ", ")) |\n"
    }
    return """
      ### \(domain.isEmpty ? "ai.onnx" : domain): \(names.count) operators

      | operator | versions |
      |---|---|
      \(rows.joined())
      """
  }
}
