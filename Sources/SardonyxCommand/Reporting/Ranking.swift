import Sardonyx

/// The classes with the highest scores along the last axis of a tensor, for `--top`.
struct Ranking {
  struct Entry {
    let index: Int
    let label: String?
    let score: Double
  }

  /// Best first, one list for each row of scores.
  let rows: [[Entry]]

  /// - Parameter labels: one per class; nil where there are none.
  /// - Returns: nil for values that are no scores, or of another number of classes than `labels`.
  init?(_ value: Value, count: Int, labels: [String]?) {
    guard let tensor = value.tensor, tensor.type != .bool, let classes = tensor.shape.last,
      classes > 0, labels.map({ $0.count == classes }) ?? true, let scores = try? tensor.numbers()
    else { return nil }
    rows = stride(from: 0, to: scores.count, by: classes).map { first in
      let row = scores[first..<first + classes]
      // Equal scores stay in the order of the classes.
      let best = row.indices.sorted { (row[$0], $1) > (row[$1], $0) }
      return best.prefix(count).map { index in
        Entry(index: index - first, label: labels?[index - first], score: row[index])
      }
    }
  }

  /// A line for each class, and one before each row where there are several.
  var text: String {
    let width = rows.joined().map { Self.name($0).count }.max() ?? 0
    let lines = rows.enumerated().flatMap { index, row in
      (rows.count > 1 ? ["  row \(index)"] : [])
        + row.map { entry in
          let name = Self.name(entry)
          let padding = String(repeating: " ", count: width - name.count)
          return "  \(rows.count > 1 ? "  " : "")\(name)\(padding)  \(entry.score.text())"
        }
    }
    return lines.joined(separator: "\n")
  }

  var json: JSON {
    .array(
      rows.map { row in
        .array(
          row.map { entry in
            .object([
              ("index", .number(entry.index)), ("label", entry.label.map(JSON.string) ?? .null),
              ("score", .number(entry.score)),
            ])
          })
      })
  }

  private static func name(_ entry: Entry) -> String {
    entry.label?.visible ?? "class \(entry.index)"
  }
}
