/// Where the outputs of a plan's steps go: liveness first, then offsets in one block, largest
/// values first.
struct MemoryPlan {
  /// Per step, the place of each output.
  private(set) var placements = Lists<Plan.Placement>()
  /// Per step, the values that nothing reads after it.
  private(set) var releases = Lists<Graph.ValueID>()
  private(set) var arenaByteCount = 0

  /// Memory that one or more values share, one after another or as views of each other.
  private struct Block {
    var byteCount: Int
    var first: Int
    var last: Int
    /// Not to be reused: it leaves the plan, or a sequence or a body may hold on to it.
    var escapes: Bool
    /// Where it lies within a larger block: a part of what a Concat joins.
    var place: (block: Int, offset: Int)?
  }

  private let graph: Graph
  private let facts: [Fact?]
  private let running: [Int]
  /// Per value, the last step that reads it; the number of steps for an output of the graph.
  private var lastReader: [Int]
  private var escaping: [Bool]
  private var blocks: [Block] = []
  private var blockOfValue: [Int?]

  init(_ graph: Graph, facts: [Fact?], running: [Int]) {
    self.graph = graph
    self.facts = facts
    self.running = running
    lastReader = Array(repeating: -1, count: graph.values.count)
    escaping = Array(repeating: false, count: graph.values.count)
    blockOfValue = Array(repeating: nil, count: graph.values.count)
    findLifetimes()
    placements = Lists(
      expecting: running.count,
      elementCount: running.reduce(0) { $0 + graph.nodes[$1].outputs.count })
    for step in running.indices { place(step) }
    assignOffsets()
    findReleases()
    // What it took is let go before steps are made.
    (blocks, blockOfValue, lastReader, escaping) = ([], [], [], [])
  }

  private mutating func findLifetimes() {
    for (step, position) in running.enumerated() {
      let node = graph.nodes[position]
      let keeps =
        !node.implementation.bodies.isEmpty
        || node.outputs.contains { id in id.map { facts[$0]?.elementType == nil } ?? false }
      for case let id? in node.inputs {
        lastReader[id] = step
        if keeps { escaping[id] = true }
      }
    }
    for id in graph.outputs {
      lastReader[id] = running.count
      escaping[id] = true
    }
  }

  private mutating func place(_ step: Int) {
    let node = graph.nodes[running[step]]
    // An operator that tells only some of its shapes is asked for all of them in the run.
    let isComplete = node.outputs.allSatisfy { id in
      id.map { facts[$0]?.byteCount != nil } ?? true
    }
    placements.append(
      node.outputs.enumerated().map { index, id in
        guard let id, lastReader[id] >= step || escaping[id] else { return .unwanted }
        guard isComplete, let byteCount = facts[id]?.byteCount else { return .own }
        if index == 0, let shared = share(step, node, id, byteCount) { return shared }
        blocks.append(
          Block(
            byteCount: byteCount, first: step, last: max(lastReader[id], step),
            escapes: escaping[id]))
        blockOfValue[id] = blocks.count - 1
        if index == 0 { join(node, blocks.count - 1) }
        return .own
      })
  }

  /// Lets output 0 live in the memory of an input, where the operator and the lifetimes allow it.
  private mutating func share(_ step: Int, _ node: Node, _ id: Graph.ValueID, _ byteCount: Int)
    -> Plan.Placement?
  {
    let operation = node.implementation
    if operation.isView, let source = node.inputs.first ?? nil {
      guard let block = blockOfValue[source] else {
        // Constants, inputs of the graph and values of their own outlive every view of them, but
        // those of unknown shape only as long as they are held.
        return facts[source]?.value != nil || graph.inputs.contains(source) ? .input(0) : nil
      }
      extend(block, to: id)
      return .input(0)
    }
    // What leaves the plan is written to its own memory only by the last step, so that the steps
    // before it find theirs in the arena, at the same place in each run. A part of a larger block is as
    // long as that, and so is never taken over.
    guard !escaping[id], let reusable = operation.reusableInput, reusable < node.inputs.count,
      let source = node.inputs[reusable], let block = blockOfValue[source].map({ root(of: $0) }),
      blocks[block].last == step, !blocks[block].escapes,
      blocks[block].byteCount == byteCount,
      !node.inputs.enumerated().contains(where: { index, other in
        index != reusable && other != nil && blockOfValue[other!].map({ root(of: $0) }) == block
      })
    else { return nil }
    extend(block, to: id)
    return .input(reusable)
  }

  private mutating func extend(_ block: Int, to id: Graph.ValueID) {
    for changed in [block, root(of: block)] {
      blocks[changed].last = max(blocks[changed].last, lastReader[id])
      blocks[changed].escapes = blocks[changed].escapes || escaping[id]
    }
    blockOfValue[id] = block
  }

  private func root(of block: Int) -> Int {
    var root = block
    while let place = blocks[root].place { root = place.block }
    return root
  }

  /// Lets the inputs of a Concat whose bytes follow each other in the output be made in its block
  /// `whole`, so that nothing has to be copied.
  private mutating func join(_ node: Node, _ whole: Int) {
    let inputs = node.inputs.map { $0.flatMap { facts[$0] } }
    guard !blocks[whole].escapes, let known = try? node.facts(inputs),
      node.implementation.concatenates(known)
    else { return }
    var offset = 0
    for (id, fact) in zip(node.inputs, inputs) {
      guard let id, let byteCount = fact?.byteCount else { return }
      defer { offset += byteCount }
      guard let block = blockOfValue[id], blocks[block].place == nil, !blocks[block].escapes,
        blocks[block].byteCount == byteCount, offset % Storage.alignment == 0
      else { continue }
      blocks[block].place = (whole, offset)
      blocks[whole].first = min(blocks[whole].first, blocks[block].first)
      blocks[whole].last = max(blocks[whole].last, blocks[block].last)
    }
  }

  private mutating func assignOffsets() {
    let movable = blocks.indices.filter { !blocks[$0].escapes && blocks[$0].place == nil }
    let offsets =
      movable.count <= Self.largestCompared ? lowestOffsets(movable) : recycledOffsets(movable)
    for (step, position) in running.enumerated() {
      for (index, id) in graph.nodes[position].outputs.enumerated() {
        guard placements[step, index] == .own, let id, let block = blockOfValue[id],
          let offset = offsets[root(of: block)]
        else { continue }
        placements[step, index] = .arena(offset + self.offset(of: block))
      }
    }
  }

  /// How many blocks are compared with each other: more would take longer than they are worth.
  private static let largestCompared = 4096

  /// Gives each block the lowest offset that no block alive at the same time takes, the largest
  /// first.
  private mutating func lowestOffsets(_ movable: [Int]) -> [Int?] {
    var offsets = [Int?](repeating: nil, count: blocks.count)
    var placed: [Int] = []
    let order =
      movable.sorted { (blocks[$0].byteCount, $1) > (blocks[$1].byteCount, $0) }
    for index in order {
      let size = Self.rounded(blocks[index].byteCount)
      let neighbours = placed.filter {
        blocks[$0].first <= blocks[index].last && blocks[index].first <= blocks[$0].last
      }.map { (start: offsets[$0]!, end: offsets[$0]! + Self.rounded(blocks[$0].byteCount)) }
        .sorted { $0.start < $1.start }
      var offset = 0
      for neighbour in neighbours {
        if neighbour.start >= offset + size { break }
        offset = max(offset, neighbour.end)
      }
      offsets[index] = offset
      placed.append(index)
      arenaByteCount = max(arenaByteCount, offset + size)
    }
    return offsets
  }

  /// Gives each block, in the order in which they come to life, the place of one of its size that is
  /// not alive any more, or a new one.
  private mutating func recycledOffsets(_ movable: [Int]) -> [Int?] {
    var offsets = [Int?](repeating: nil, count: blocks.count)
    var free: [Int: [Int]] = [:]
    let order = movable.sorted { (blocks[$0].first, $0) < (blocks[$1].first, $1) }
    let ending = Lists(
      order.map { (list: min(blocks[$0].last, running.count), element: $0) },
      count: running.count + 1)
    var step = 0
    for index in order {
      while step < blocks[index].first {
        for ended in ending[step] {
          free[Self.rounded(blocks[ended].byteCount), default: []].append(offsets[ended]!)
        }
        step += 1
      }
      let size = Self.rounded(blocks[index].byteCount)
      if let offset = free[size]?.popLast() {
        offsets[index] = offset
      } else {
        offsets[index] = arenaByteCount
        arenaByteCount += size
      }
    }
    return offsets
  }

  /// How far a block lies from the beginning of its root.
  private func offset(of block: Int) -> Int {
    var (block, offset) = (block, 0)
    while let place = blocks[block].place { (block, offset) = (place.block, offset + place.offset) }
    return offset
  }

  private static func rounded(_ byteCount: Int) -> Int {
    (max(byteCount, 1) + Storage.alignment - 1) / Storage.alignment * Storage.alignment
  }

  private mutating func findReleases() {
    let ending = lastReader.indices.filter { id in
      running.indices.contains(lastReader[id]) && graph.values[id].constant == nil
    }
    releases = Lists(
      ending.map { (list: lastReader[$0], element: $0) }, count: running.count)
  }
}
