import Sardonyx

/// A comparison with double in words, as JSON and as a page.
struct OracleReport {
  private let truth: OracleComparison

  init(_ truth: OracleComparison) { self.truth = truth }

  /// Which is nearer the truth, and by how much.
  private func verdict(_ entry: OracleComparison.Entry) -> String {
    guard let ratio = entry.ratio else { return entry.folded == nil ? "" : "both exact" }
    if ratio == 0 { return "folded exact" }
    if ratio.isInfinite { return "written exact" }
    let factor = ratio < 1 ? 1 / ratio : ratio
    if factor < 1.25 { return "alike" }
    return "\(ratio < 1 ? "folded" : "written") \(factor.text(digits: 2))× nearer"
  }

  private func faults(_ entry: OracleComparison.Entry) -> String {
    var parts: [String] = []
    if entry.brokenCount > 0 { parts.append("\(entry.brokenCount) not finite") }
    if entry.denormalCount > 0 { parts.append("\(entry.denormalCount) denormal") }
    return parts.joined(separator: ", ")
  }

  private static let valueColumns = [
    "value", "operator", "magnitude", "folded off by", "written off by", "nearer the truth", "",
  ]

  private func row(_ entry: OracleComparison.Entry) -> [String] {
    [
      entry.name, entry.operatorName, (entry.written?.magnitude ?? 0).text(digits: 3),
      entry.folded?.maxAbsolute.text(digits: 3) ?? "",
      entry.written?.maxAbsolute.text(digits: 3) ?? "", verdict(entry), faults(entry),
    ]
  }

  private static let foldColumns = [
    "fold", "value", "magnitude", "off by", "at most by theory", "share",
  ]

  private func row(_ fold: OracleComparison.Fold) -> [String] {
    [
      fold.node, fold.value, fold.magnitude.text(digits: 3), fold.error.text(digits: 3),
      fold.bound.text(digits: 3), fold.bound > 0 ? (fold.error / fold.bound).text(digits: 2) : "",
    ]
  }

  private var conclusions: [String] {
    var lines: [String] = []
    for entry in truth.outputs {
      lines.append(
        "output \"\(entry.name)\": \(verdict(entry)) (folded off by "
          + "\(entry.folded?.relative.text(digits: 3) ?? "?"), as written by "
          + "\(entry.written?.relative.text(digits: 3) ?? "?") of the largest magnitude)")
    }
    for decision in truth.decisions {
      let safety =
        decision.isSafe
        ? "more than twice the error, so that no class could change"
        : "less than twice the error, so that a class could change"
      lines.append(
        "classes of \"\(decision.name)\": \(decision.agreeing) of \(decision.rowCount) rows agree, "
          + "\(decision.agreeingAmongFive) in their best five; the least margin, "
          + "\(decision.margin.text(digits: 3)), is \(safety) (\(decision.error.text(digits: 3)))")
    }
    let beyond = truth.folds.filter { $0.error > $0.bound }
    if !truth.folds.isEmpty {
      lines.append(
        beyond.isEmpty
          ? "all \(truth.folds.count) folds are within the bound of the theory of rounding"
          : "beyond the bound of the theory of rounding: \(beyond.map(\.node).joined(separator: ", "))"
      )
    }
    lines.append(
      "the least --rtol that passes: \(truth.leastTolerance.text(digits: 3))")
    return lines
  }

  /// For the terminal.
  var text: String {
    var values = Table(
      Self.valueColumns.enumerated().map { ($1, $0 < 2 || $0 > 4 ? .left : .right) })
    for entry in truth.layers + truth.outputs { values.append(row(entry)) }
    var parts = [values.text]
    if !truth.folds.isEmpty {
      var folds = Table(Self.foldColumns.enumerated().map { ($1, $0 < 2 ? .left : .right) })
      for fold in truth.folds { folds.append(row(fold)) }
      parts.append(folds.text)
    }
    parts.append(conclusions.map(\.visibleLines).joined(separator: "\n"))
    return parts.joined(separator: "\n\n")
  }

  /// For programs.
  var json: JSON {
    func metrics(_ metrics: Metrics?) -> JSON {
      metrics.map {
        .object([
          ("max_absolute", .number($0.maxAbsolute)), ("relative", .number($0.relative)),
          ("rms", .number($0.rms)),
        ])
      } ?? .null
    }
    return .object([
      ("least_tolerance", .number(truth.leastTolerance)),
      (
        "values",
        .array(
          (truth.layers + truth.outputs).map { entry in
            .object([
              ("name", .string(entry.name)), ("operator", .string(entry.operatorName)),
              ("folded", metrics(entry.folded)), ("written", metrics(entry.written)),
              ("not_finite", .number(entry.brokenCount)),
              ("denormal", .number(entry.denormalCount)),
            ])
          })
      ),
      (
        "folds",
        .array(
          truth.folds.map { fold in
            .object([
              ("node", .string(fold.node)), ("value", .string(fold.value)),
              ("error", .number(fold.error)), ("bound", .number(fold.bound)),
            ])
          })
      ),
      (
        "decisions",
        .array(
          truth.decisions.map { decision in
            .object([
              ("output", .string(decision.name)), ("rows", .number(decision.rowCount)),
              ("agreeing", .number(decision.agreeing)),
              ("agreeing_among_five", .number(decision.agreeingAmongFive)),
              ("margin", .number(decision.margin)), ("error", .number(decision.error)),
              ("safe", .bool(decision.isSafe)),
            ])
          })
      ),
    ])
  }

  /// A page for a browser.
  func page(title: String, _ notes: [Note]) -> String {
    let entries = truth.layers + truth.outputs
    var page = HTMLReport(title: title)
    for line in conclusions { page.paragraph(line) }
    page.heading("Error of each value, relative to its largest magnitude")
    page.paragraph("Against the same model in double; the dashed line is 1e-5.", "soft")
    let known = entries.filter { $0.folded != nil }
    page.decades(
      known.map(\.name),
      [
        ("folded", known.map { $0.folded?.relative }),
        ("as written", known.map { $0.written?.relative }),
      ], limit: 1e-5)
    page.heading(
      "Differences of all values, folded: none, or up to which power of 10 of the largest magnitude"
    )
    var counts = [Int](repeating: 0, count: 18)
    for entry in entries where entry.histogram.count == 18 {
      for index in counts.indices { counts[index] += entry.histogram[index] }
    }
    page.bars(
      ["none"] + (5...17).map { "\($0 - 17)" },
      [counts[0], counts[1...5].reduce(0, +)] + counts[6...])
    page.heading("Channels of the worst values")
    let worst = known.filter { $0.channels.count > 1 }
      .sorted { ($0.folded?.relative ?? 0) > ($1.folded?.relative ?? 0) }.prefix(12)
    page.heatMap(
      worst.map { entry in
        let magnitude = max(entry.folded?.magnitude ?? 1, .leastNormalMagnitude)
        return (entry.name, entry.channels.map { $0 / magnitude })
      })
    page.heading("Values")
    page.table(Self.valueColumns, entries.map(row))
    if !truth.folds.isEmpty {
      page.heading("Folds, each by itself on the inputs that reach it")
      page.table(Self.foldColumns, truth.folds.map(row))
    }
    page.heading("What was done to the model")
    page.table(
      ["node", "pass", "what"],
      notes.map { [$0.node, $0.pass, $0.kind == .done ? $0.text : "not done: \($0.text)"] })
    return page.text
  }
}
