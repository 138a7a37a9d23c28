/// One self-contained page: tables, charts as drawn by the page itself, light or dark as the reader has it.
struct HTMLReport {
  private var parts: [String] = []
  private let title: String

  init(title: String) { self.title = title }

  /// The page.
  var text: String {
    """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(title.escaped)</title><style>\(Self.style)</style></head>
    <body><main><h1>\(title.escaped)</h1>
    \(parts.joined(separator: "\n"))
    </main></body></html>

    """
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1b1d22;--soft:#5c6270;--page:#fff;--line:#d9dce3;--card:#f5f6f9;\
    --one:#2563c9;--two:#c2571a;--bad:#b3261e;--good:#1a7f4b}
    @media(prefers-color-scheme:dark){:root{--ink:#e6e8ee;--soft:#a0a7b8;--page:#14161b;--line:#343946;\
    --card:#1d2028;--one:#7aa8ff;--two:#f0a060;--bad:#ff8a80;--good:#6fd39c}}
    *{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);\
    font:16px/1.5 system-ui,sans-serif}main{max-width:1200px;margin:0 auto;padding:1rem}
    h1{font-size:1.35rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2rem 0 .3rem}
    p{margin:.3rem 0 .8rem;max-width:75ch;overflow-wrap:anywhere}.soft{color:var(--soft)}
    .bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}
    .scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
    table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}
    th,td{padding:.3rem .6rem;text-align:left;white-space:nowrap;border-bottom:1px solid var(--line)}
    th{background:var(--card);position:sticky;top:0}.number{text-align:right}
    tr:last-child td{border-bottom:0}.chart{width:100%;overflow-x:auto}
    svg{display:block;font:12px system-ui,sans-serif}svg text{fill:var(--soft)}
    .one{stroke:var(--one);fill:none;stroke-width:2}.two{stroke:var(--two);fill:none;stroke-width:2}
    .dot1{fill:var(--one)}.dot2{fill:var(--two)}.rule{stroke:var(--line)}.limit{stroke:var(--bad);stroke-dasharray:5 4}
    .key{display:flex;gap:1.2rem;flex-wrap:wrap;font-size:.85rem}.key i{display:inline-block;width:1.2em;height:.25em;\
    margin-right:.4em;vertical-align:middle}.k1{background:var(--one)}.k2{background:var(--two)}
    .heat{display:grid;grid-template-columns:minmax(6rem,16rem) 1fr;gap:.25rem .6rem;align-items:center;font-size:.85rem}
    .heat div:nth-child(odd){overflow:hidden;text-overflow:ellipsis;white-space:nowrap;direction:rtl;text-align:left}
    .heat svg{width:100%;height:1.3rem;background:var(--card)}.heat rect{fill:var(--one)}
    @media(max-width:700px){thead{display:none}tr{display:flex;flex-wrap:wrap;column-gap:.9rem;padding:.35rem .5rem;\
    border-bottom:1px solid var(--line)}tr:last-child{border-bottom:0}td{padding:0;border:0;white-space:normal;\
    overflow-wrap:anywhere}td:first-child{flex-basis:100%;font-weight:600}td:empty{display:none}\
    td:not(:first-child)::before{content:attr(data-column) " ";color:var(--soft)}
    .heat{grid-template-columns:1fr;gap:.1rem}.heat div:nth-child(odd){white-space:normal;overflow-wrap:anywhere}}
    """

  mutating func heading(_ text: String) { parts.append("<h2>\(text.escaped)</h2>") }

  mutating func paragraph(_ text: String, _ kind: String = "") {
    parts.append("<p class=\"\(kind)\">\(text.escaped)</p>")
  }

  /// Rows under captions; where the page is narrow, each row is a paragraph that tells the captions.
  mutating func table(_ columns: [String], _ rows: [[String]]) {
    let kinds = columns.indices.map { index in
      rows.allSatisfy { $0[index].isEmpty || Double($0[index]) != nil } ? " class=\"number\"" : ""
    }
    let head = zip(columns, kinds).map { "<th\($1)>\($0.escaped)</th>" }.joined()
    let body = rows.map { row in
      let cells = zip(zip(columns, kinds), row).map { column, cell in
        "<td\(column.1) data-column=\"\(column.0.escaped)\">\(cell.escaped)</td>"
      }
      return "<tr>\(cells.joined())</tr>"
    }.joined(separator: "\n")
    parts.append(
      "<div class=\"scroll\"><table><thead><tr>\(head)</tr></thead><tbody>\(body)</tbody></table></div>"
    )
  }

  /// Up to two lines over names, on a scale of decades.
  /// - Parameter limit: a line that values should stay below.
  mutating func decades(
    _ names: [String], _ lines: [(name: String, values: [Double?])], limit: Double? = nil
  ) {
    let numbers = (lines.flatMap(\.values).compactMap(\.self) + [limit].compactMap(\.self)).filter {
      $0 > 0 && $0.isFinite
    }
    guard let least = numbers.min(), let most = numbers.max(), !names.isEmpty else {
      return paragraph("No differences at all.", "soft")
    }
    let (low, high) = (
      decade(least).rounded(.down), max(decade(least) + 1, decade(most)).rounded(.up)
    )
    let (narrowest, height, bottom) = (max(320, 4 * names.count), 260.0, 24.0)
    // Shares of the width, so that the chart is as wide as the page.
    func x(_ index: Int) -> String {
      "\((10 + 89 * (Double(index) + 0.5) / Double(names.count)).short)%"
    }
    func y(_ value: Double) -> Double {
      let share = (max(decade(value), low) - low) / (high - low)
      return 10 + (height - bottom - 10) * (1 - share)
    }
    var marks = ""
    let step = max(1, ((high - low) / 8).rounded(.up))
    for power in stride(from: low, through: high, by: step) {
      let height = y(power10(power))
      marks +=
        "<line class=\"rule\" x1=\"10%\" x2=\"100%\" y1=\"\(height.short)\" y2=\"\(height.short)\"/>"
        + "<text x=\"9%\" y=\"\((height + 4).short)\" text-anchor=\"end\">1e\(Int(power))</text>"
    }
    if let limit {
      marks +=
        "<line class=\"limit\" x1=\"10%\" x2=\"100%\" y1=\"\(y(limit).short)\" y2=\"\(y(limit).short)\"/>"
    }
    for (number, line) in lines.enumerated() {
      let points = line.values.enumerated().compactMap { index, value in
        value.map {
          (index, $0, y($0 > 0 && $0.isFinite ? $0 : ($0 > 0 ? most : least / 10)).short)
        }
      }
      for (one, next) in zip(points, points.dropFirst()) {
        marks +=
          "<line class=\"\(number == 0 ? "one" : "two")\" x1=\"\(x(one.0))\" y1=\"\(one.2)\" "
          + "x2=\"\(x(next.0))\" y2=\"\(next.2)\"/>"
      }
      for (index, value, place) in points {
        marks +=
          "<circle class=\"dot\(number + 1)\" cx=\"\(x(index))\" cy=\"\(place)\" r=\"3\">"
          + "<title>\("\(names[index]): \(line.name) \(value.text(digits: 3))".escaped)</title></circle>"
      }
    }
    marks +=
      "<text x=\"10%\" y=\"\(height - 6)\">first</text>"
      + "<text x=\"99%\" y=\"\(height - 6)\" text-anchor=\"end\">last</text>"
    let keys = lines.enumerated().map { number, line in
      "<span><i class=\"k\(number + 1)\"></i>\(line.name.escaped)</span>"
    }.joined()
    parts.append(
      "<div class=\"key\">\(keys)</div><div class=\"chart\"><svg width=\"100%\" height=\"\(Int(height))\" "
        + "style=\"min-width:\(narrowest)px\" role=\"img\" aria-label=\"\(lines.map(\.name).joined(separator: ", ").escaped)\">\(marks)</svg></div>"
    )
  }

  /// Bars over captions.
  mutating func bars(_ captions: [String], _ counts: [Int]) {
    let most = counts.max() ?? 0
    guard most > 0 else { return }
    // The first caption is wider than its bar.
    let margin = 4
    let (width, height) = (margin + 26 * counts.count, 200.0)
    var marks = ""
    for (index, count) in counts.enumerated() {
      let extent = count == 0 ? 0 : max(2, 150 * Double(count) / Double(most))
      let left = margin + 26 * index
      marks +=
        "<rect class=\"dot1\" x=\"\(left + 2)\" y=\"\((170 - extent).short)\" width=\"22\" height=\"\(extent.short)\">"
        + "<title>\(captions[index].escaped): \(count)</title></rect>"
        + "<text x=\"\(left + 13)\" y=\"188\" text-anchor=\"middle\">\(captions[index].escaped)</text>"
    }
    parts.append(
      "<div class=\"chart\"><svg width=\"\(width)\" height=\"\(Int(height))\" role=\"img\">\(marks)</svg></div>"
    )
  }

  /// A row of cells for each name, the stronger the larger the value is beside the largest of all rows.
  mutating func heatMap(_ rows: [(name: String, values: [Double])]) {
    let most = rows.flatMap(\.values).filter(\.isFinite).max() ?? 0
    guard most > 0 else { return paragraph("No differences at all.", "soft") }
    let cells = rows.map { row in
      let marks = row.values.enumerated().map { index, value in
        let share = value.isFinite ? value / most : 1
        return
          "<rect x=\"\(index)\" width=\"1\" height=\"1\" fill-opacity=\"\((0.04 + 0.96 * share).short)\">"
          + "<title>channel \(index): \(value.text(digits: 3))</title></rect>"
      }.joined()
      return
        "<div title=\"\(row.name.escaped)\"><bdi dir=\"ltr\">\(row.name.escaped)</bdi></div><div>"
        + "<svg viewBox=\"0 0 \(max(1, row.values.count)) 1\" preserveAspectRatio=\"none\" role=\"img\">\(marks)</svg></div>"
    }
    paragraph("A cell is a channel; the strongest colour is \(most.text(digits: 3)).", "soft")
    parts.append("<div class=\"heat\">\(cells.joined(separator: "\n"))</div>")
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

private func decade(_ value: Double) -> Double { log10(value) }
private func power10(_ exponent: Double) -> Double { pow(10, exponent) }

extension Double {
  /// With two digits behind the point, as drawings need no more.
  fileprivate var short: String { "\((self * 100).rounded() / 100)" }
}

extension String {
  /// As text of a page.
  fileprivate var escaped: String {
    var result = ""
    for character in self {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }
}
