import Sardonyx

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The classes with the highest scores, for `--top`.
struct Ranking {
  struct Entry {
    let index: Int
    let label: String?
    let score: Double
  }

  /// Rows beyond this many are no list that people read.
  private static let rowLimit = 1000

  /// Best first, one list for each row of scores.
  let rows: [[Entry]]

  /// Ranks the last axis of a tensor, those of extent 1 put aside, or of a matrix the axis that has
  /// as many classes as there are labels.
  /// - Parameters:
  ///   - labels: one per class; nil where there are none.
  ///   - isSoftmax: whether scores become their softmax first.
  /// - Throws: ``ModelError`` (mismatch) for values that are no scores of classes, with the reason.
  init(
    _ name: String, _ value: Value, count: Int, labels: [String]?, isSoftmax: Bool = false
  ) throws(ModelError) {
    func fault(_ reason: String, _ hint: String) -> ModelError {
      ModelError(.mismatch, "--top: output \"\(name)\" \(reason)", hint: hint)
    }
    guard let tensor = value.tensor, tensor.type != .bool, let numbers = try? tensor.numbers()
    else {
      throw fault("is \(value.caption), no tensor of numbers", "leave --top out")
    }
    // A matrix is rows of classes; of more axes, those of extent 1 are none.
    let axes = tensor.shape.count == 2 ? tensor.shape : tensor.shape.filter { $0 != 1 }
    guard axes.count <= 2, !axes.contains(0) else {
      throw fault(
        "is \(value.caption), no list of scores for classes",
        "leave --top out to see a summary, or write it with --output FILE.npz")
    }
    var (classes, outer) = (axes.last ?? 1, axes.count == 2 ? axes[0] : 1)
    var isTransposed = false
    if let labels, labels.count != classes {
      guard axes.count == 2, labels.count == outer else {
        let difference = labels.count - classes
        throw fault(
          "has \(classes) classes, and there are \(labels.count) labels",
          difference == 1
            ? "a first label for the background, or an empty last line, may be too many"
            : difference == -1
              ? "a label for the background may be missing" : "give the labels of this model")
      }
      (classes, outer, isTransposed) = (outer, classes, true)
    }
    guard outer <= Self.rowLimit else {
      throw fault(
        "is \(value.caption), \(outer) rows of scores",
        "leave --top out to see a summary, or write it with --output FILE.npz")
    }
    rows = (0..<outer).map { row in
      var scores = (0..<classes).map {
        isTransposed ? numbers[$0 * outer + row] : numbers[row * classes + $0]
      }
      if isSoftmax { scores = Self.softmax(scores) }
      // Equal scores stay in the order of the classes, and what is no number comes last.
      let best = scores.indices.sorted {
        (scores[$0].isNaN ? -.infinity : scores[$0], $1)
          > (scores[$1].isNaN ? -.infinity : scores[$1], $0)
      }
      return best.prefix(count).map { Entry(index: $0, label: labels?[$0], score: scores[$0]) }
    }
  }

  private static func softmax(_ scores: [Double]) -> [Double] {
    let largest = scores.max() ?? 0
    let shares = scores.map { exp($0 - largest) }
    let sum = shares.reduce(0, +)
    return shares.map { $0 / sum }
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
