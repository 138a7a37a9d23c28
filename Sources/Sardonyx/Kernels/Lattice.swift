/// Start + Σ index·step for all indices within the extents, the last axis running fastest; fewer where
/// the run is to end.
func lattice(_ extents: [Int], _ steps: [Int], from start: Int = 0) -> [Int32] {
  var offsets = [Int32(start)]
  var interruption = Interruption()
  for (extent, step) in zip(extents, steps) {
    var longer: [Int32] = []
    longer.reserveCapacity(offsets.count * extent)
    for offset in offsets {
      for index in 0..<extent {
        if interruption.isDue(after: 2) { return longer }
        longer.append(offset + Int32(truncatingIfNeeded: index * step))
      }
    }
    offsets = longer
  }
  return offsets
}

/// The index along each axis of the place with this number, the last axis running fastest.
func indices(of number: Int, within extents: [Int]) -> [Int] {
  var rest = number
  var indices = extents
  for axis in extents.indices.reversed() {
    (rest, indices[axis]) = rest.quotientAndRemainder(dividingBy: extents[axis])
  }
  return indices
}
