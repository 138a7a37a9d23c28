/// Shapes of a graph's values in terms of its symbolic dimensions, such as `[batch, 64, 2*height]`.
///
/// The operators' one shape function knows numbers only, so it is asked with several numbers per
/// symbol: an extent that stays the same is a number, one that grows evenly is `a*symbol + b`, any
/// other is unknown. Shape computations inside the graph need no treatment of their own that way.
struct SymbolicShapes: Sendable {
  /// What follows from the inputs' shapes for a value.
  struct Known: Sendable {
    var type: ValueType?
    var shape: [Dimension]?
    /// Those that it holds, where they are the same for all inputs.
    var integers: [Int]?

    fileprivate init(_ fact: Fact?) {
      type = fact?.type
      shape = fact?.shape?.map { .known($0) }
      integers = fact?.integers
    }
  }

  /// By value.
  private(set) var facts: [Known]

  /// Highly composite, so that most graphs accept them: strides, windows and splits divide them.
  private static let probes = [64, 128, 192]
  private static let largestCount = 16
  /// Bytes of values that are computed: shapes, indices and sizes, no masks or positions.
  private static let largestComputedValue = 1 << 10

  init(_ graph: Graph, fixed: [String: Int] = [:]) {
    // Shapes in more symbols than these are told as unknown.
    let count = max(1, min(Self.largestCount, 1_000_000 / max(1, graph.nodes.count)))
    let symbols = graph.inputSymbols.filter { fixed[$0] == nil }.prefix(count)
    var numbers = fixed
    for symbol in symbols { numbers[symbol] = Self.probes[0] }
    let reference = graph.inferredFacts(numbers, computing: Self.largestComputedValue)
    facts = reference.map(Known.init)
    for symbol in symbols {
      let variants = Self.probes.dropFirst().map { probe in
        var numbers = numbers
        numbers[symbol] = probe
        return graph.inferredFacts(numbers, computing: Self.largestComputedValue)
      }
      for id in facts.indices { refine(id, symbol, reference[id], variants.map { $0[id] }) }
    }
  }

  /// Takes in the values that a graph has got since.
  /// - Returns: false where one of them is no constant.
  fileprivate mutating func extend(over graph: Graph) -> Bool {
    let added = graph.values[facts.count...].map(\.constant)
    guard !added.contains(where: { $0 == nil }) else { return false }
    facts += added.map { Known(Fact($0!)) }
    return true
  }

  private mutating func refine(_ id: Int, _ symbol: String, _ reference: Fact?, _ variants: [Fact?])
  {
    if let integers = facts[id].integers, variants.contains(where: { $0?.integers != integers }) {
      facts[id].integers = nil
    }
    guard let base = reference?.shape, var shape = facts[id].shape else { return }
    guard variants.allSatisfy({ $0?.shape?.count == base.count }) else {
      facts[id].shape = nil
      return
    }
    for axis in base.indices {
      let extents = [base[axis]] + variants.map { $0!.shape![axis] }
      guard Set(extents).count > 1 else { continue }
      if case .known = shape[axis] {
        shape[axis] = Self.fit(extents, symbol)
      } else {
        shape[axis] = .unknown
      }
    }
    facts[id].shape = shape
  }

  /// The line through the extents met for the probes.
  private static func fit(_ extents: [Int], _ symbol: String) -> Dimension {
    let step = probes[1] - probes[0]
    let rise = extents[1] - extents[0]
    guard rise % step == 0, extents[2] - extents[1] == rise else { return .unknown }
    let factor = rise / step
    let offset = extents[0] - factor * probes[0]
    let product = factor == 1 ? symbol : "\(factor)*\(symbol)"
    return .symbol(offset == 0 ? product : "\(product)\(offset > 0 ? "+" : "")\(offset)")
  }
}

extension Fact {
  /// The elements of a small tensor of int64.
  fileprivate var integers: [Int]? {
    guard let tensor = value?.tensor, tensor.type == .int64, tensor.elementCount <= 64 else {
      return nil
    }
    return tensor.array(of: Int64.self).map(Int.init)
  }
}

extension Graph {
  /// The names of symbolic dimensions of the inputs, in order of appearance.
  var inputSymbols: [String] {
    var symbols: [String] = []
    var seen: Set<String> = []
    for id in inputs {
      for case .symbol(let name) in values[id].shape ?? [] where seen.insert(name).inserted {
        symbols.append(name)
      }
    }
    return symbols
  }

  /// Shapes of all values, for passes: found once, as passes leave each value what it is. One that does
  /// not sets ``shapesFound`` to nil.
  mutating func symbolicShapes() -> SymbolicShapes {
    if var known = shapesFound, known.extend(over: self) {
      shapesFound = known
      return known
    }
    let shapes = SymbolicShapes(self)
    shapesFound = shapes
    return shapes
  }

  /// What follows for each value when symbols stand for these numbers; nil where nothing does.
  /// - Parameter largestComputedValue: bytes up to which values are computed that follow from others.
  func inferredFacts(
    _ symbols: [String: Int],
    computing largestComputedValue: Int = ShapeInference.largestComputedValue
  ) -> [Fact?] {
    let facts = inputs.map { id -> Fact in
      guard case .tensor(let type)? = values[id].type else { return Fact(type: values[id].type) }
      return Fact(type, values[id].shape.flatMap { Self.numbers($0, symbols) })
    }
    var inference = ShapeInference(
      self, inputs: facts, largestComputedValue: largestComputedValue)
    try? inference.run(leniently: true)
    return inference.facts
  }

  private static func numbers(_ shape: [Dimension], _ symbols: [String: Int]) -> Shape? {
    var numbers: Shape = []
    for dimension in shape {
      switch dimension {
      case .known(let extent): numbers.append(extent)
      case .symbol(let name):
        guard let number = symbols[name] else { return nil }
        numbers.append(number)
      case .unknown: return nil
      }
    }
    return numbers.checkedElementCount.map { _ in numbers }
  }

  /// The ranks of values, for rewritings that depend on nothing more; nil where unknown.
  func probableRanks() -> [Int?] {
    SymbolicShapes(self).facts.enumerated().map { $1.shape?.count ?? values[$0].shape?.count }
  }
}
