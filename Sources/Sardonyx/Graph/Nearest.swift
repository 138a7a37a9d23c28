extension Sequence<String> {
  /// The text that differs least from `text` (without case), unless even that differs much.
  func nearest(to text: String) -> String? {
    let wanted = Array(text.lowercased())
    let candidates = map { (name: $0, distance: distance(Array($0.lowercased()), wanted)) }
    guard let best = candidates.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= Swift.max(1, wanted.count * 2 / 5) ? best.name : nil
  }
}

extension [String] {
  /// Up to three texts of which a part differs little from `text` (without case), the nearest first.
  package func near(_ text: String) -> [String] {
    let wanted = [UInt8](text.lowercased().utf8)
    let limit = wanted.count * 2 / 5
    return map {
      (name: $0, distance: partialDistance(wanted, [UInt8]($0.lowercased().utf8)))
    }
    .filter { $0.distance <= limit }
    .sorted { ($0.distance, $0.name.count, $0.name) < ($1.distance, $1.name.count, $1.name) }
    .prefix(3).map(\.name)
  }
}

/// The least of Levenshtein's distances from a text to the parts of another.
private func partialDistance(_ text: [UInt8], _ other: [UInt8]) -> Int {
  // A part may begin anywhere at no cost, and end anywhere.
  var row = [Int](repeating: 0, count: other.count + 1)
  for (i, a) in text.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, b) in other.enumerated() {
      let replaced = diagonal + (a == b ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = Swift.min(replaced, row[j] + 1, diagonal + 1)
    }
  }
  return row.min() ?? text.count
}

/// Levenshtein's distance: insertions, deletions and replacements between two texts.
private func distance(_ left: [Character], _ right: [Character]) -> Int {
  var row = Array(0...right.count)
  for (i, a) in left.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, b) in right.enumerated() {
      let replaced = diagonal + (a == b ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = Swift.min(replaced, row[j] + 1, diagonal + 1)
    }
  }
  return row[right.count]
}
