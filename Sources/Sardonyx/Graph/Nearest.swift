extension Sequence<String> {
  /// The text that differs least from `text` (without case), unless even that differs much.
  func nearest(to text: String) -> String? {
    let wanted = Array(text.lowercased())
    let candidates = map { (name: $0, distance: distance(Array($0.lowercased()), wanted)) }
    guard let best = candidates.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= Swift.max(1, wanted.count * 2 / 5) ? best.name : nil
  }
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
