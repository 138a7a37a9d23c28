import Sardonyx

/// Rows of text in columns as wide as their widest entry.
struct Table {
  enum Alignment { case left, right }

  private var columns: [(title: String, alignment: Alignment)]
  private var rows: [(cells: [String], isAlarming: Bool)] = []

  init(_ columns: [(title: String, alignment: Alignment)]) { self.columns = columns }

  /// One more column, before there are rows.
  mutating func add(_ title: String, _ alignment: Alignment) {
    precondition(rows.isEmpty)
    columns.append((title, alignment))
  }

  /// - Parameter isAlarming: whether the last cell stands out.
  mutating func append(_ row: String..., isAlarming: Bool = false) {
    append(row, isAlarming: isAlarming)
  }

  mutating func append(_ row: [String], isAlarming: Bool = false) {
    precondition(row.count == columns.count)
    rows.append((row.map(\.visible), isAlarming))
  }

  /// Header and rows, one a line, two spaces between columns.
  var text: String {
    let all = [(cells: columns.map(\.title), isAlarming: false)] + rows
    let widths = columns.indices.map { column in
      all.map { $0.cells[column].count }.max() ?? 0
    }
    let lines = all.map { row in
      let cells = columns.indices.map { column in
        let cell = row.cells[column]
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        let isLast = column == columns.count - 1
        let shown = row.isAlarming && isLast ? Terminal.alarming(cell) : cell
        return columns[column].alignment == .left ? shown + padding : padding + shown
      }
      return String(cells.joined(separator: "  ").trimmingSuffix(" "))
    }
    return lines.joined(separator: "\n")
  }
}

extension String {
  fileprivate func trimmingSuffix(_ character: Character) -> Substring {
    var rest = self[...]
    while rest.last == character { rest.removeLast() }
    return rest
  }
}
