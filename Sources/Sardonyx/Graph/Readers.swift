/// For each value of a graph, the positions of the nodes that read it, once per reading.
///
/// All of them stand in one list, as a list for each value would take most of the time of a pass over a
/// large graph; those that a pass changes stand beside it.
struct Readers: Sendable {
  /// Where those of each value begin, and last where those of the last one end.
  private var starts: [Int32]
  private var positions: [Int32]
  private var changed: [Graph.ValueID: [Int32]] = [:]

  init(_ graph: Graph) {
    var starts = [Int32](repeating: 0, count: graph.values.count + 1)
    // Nodes are not copied, as passes over all of them are many.
    let nodes = graph.nodes.span
    for position in nodes.indices {
      for case let id? in nodes[position].inputs { starts[id + 1] += 1 }
    }
    for id in graph.values.indices { starts[id + 1] += starts[id] }
    var next = starts
    var positions = [Int32](repeating: 0, count: Int(starts[graph.values.count]))
    for position in nodes.indices {
      for case let id? in nodes[position].inputs {
        positions[Int(next[id])] = Int32(position)
        next[id] += 1
      }
    }
    (self.starts, self.positions) = (starts, positions)
  }

  /// Those of one value; none for values that came later.
  subscript(_ id: Graph.ValueID) -> List {
    if !changed.isEmpty, let own = changed[id] {
      return List(positions: own, first: 0, count: own.count)
    }
    guard id + 1 < starts.count else { return List(positions: [], first: 0, count: 0) }
    return List(
      positions: positions, first: Int(starts[id]), count: Int(starts[id + 1] - starts[id]))
  }

  /// Forgets that the node at a position reads a value.
  mutating func remove(_ position: Int, from id: Graph.ValueID) {
    changed[id] = self[id].filter { $0 != position }.map { Int32($0) }
  }

  /// Notes that the node at a position reads a value.
  mutating func add(_ position: Int, to id: Graph.ValueID) {
    var own = changed.removeValue(forKey: id) ?? self[id].map { Int32($0) }
    own.append(Int32(position))
    changed[id] = own
  }

  /// Makes the node at a position the only one that reads a value.
  mutating func set(_ position: Int, of id: Graph.ValueID) { changed[id] = [Int32(position)] }

  /// What was made of those of a value, to be put back; nil for nothing.
  subscript(changesOf id: Graph.ValueID) -> [Int32]? {
    get { changed[id] }
    set { changed[id] = newValue }
  }

  /// The positions of the readers of a value.
  struct List: RandomAccessCollection {
    fileprivate let positions: [Int32]
    fileprivate let first: Int
    let count: Int

    var startIndex: Int { 0 }
    var endIndex: Int { count }

    subscript(_ index: Int) -> Int {
      precondition(index >= 0 && index < count)
      return Int(positions[first + index])
    }
  }
}
