/// The candidate that differs least from `name` (Levenshtein distance), where one is close enough
/// to be what was meant.
func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
  let limit = max(1, name.count * 2 / 5)
  return candidates.map { (name: $0, distance: editDistance(name, $0)) }
    .filter { $0.distance <= limit }
    .min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
}

/// Insertions, deletions and substitutions that turn one text into the other.
private func editDistance(_ left: String, _ right: String) -> Int {
  let right = Array(right.utf8)
  var previous = Array(0...right.count)
  for (row, character) in left.utf8.enumerated() {
    var current = [row + 1]
    for (column, other) in right.enumerated() {
      let substitution = previous[column] + (character == other ? 0 : 1)
      current.append(min(substitution, previous[column + 1] + 1, current[column] + 1))
    }
    previous = current
  }
  return previous[right.count]
}
