extension Planner {
  /// Folds BatchNormalization, and sums and products with constants of channels, into the weights that make
  /// or read a value.
  ///
  /// With s = γ/√(σ² + ε): W′ = s·W and b′ = (b − μ)·s + β, per channel, computed in double and
  /// rounded once. Backward it goes through whatever commutes with scale and shift of channels, to all
  /// branches of a Concat or a sum; forward to all readers. A BatchNormalization that cannot be folded
  /// stays, with a note of the reason.
  /// - Parameters:
  ///   - leftOut: ``foldName(_:)`` of nodes that are left as they are.
  ///   - copyBudget: bytes that copies of weights may take which others read too.
  static func foldBatchNormalizations(
    leaving leftOut: Set<String> = [], copyBudget: Int = .max
  ) -> Pass {
    Pass(name: foldingName) { graph throws(ModelError) in
      var fold = BatchNormalizationFold(graph, leaving: leftOut)
      fold.copyBudget = copyBudget
      try fold.run()
      graph = fold.graph
    }
  }

  /// What the pass is called in notes.
  static let foldingName = "fold batch normalizations"

  /// What the fold of a node is called among rewritings.
  static func foldName(_ node: String) -> String { "fold of \"\(node)\"" }
}

/// The state of the pass; its ways to fold stand in the files beside this one.
struct BatchNormalizationFold {
  var graph: Graph
  var readers: Readers
  var producers: [Int?]
  let outputs: Set<Graph.ValueID>
  /// The node that is being folded.
  var folding: Node?
  /// By how much a map of a border may have more numbers than the input of the convolution.
  var forwardAllowance = Double.infinity
  /// Bytes that copies of weights may still take which others read too.
  var copyBudget = Int.max
  /// Products that maps of borders may still take; as many more are left to the run.
  var mapBudget = 1 << 28
  /// What biases, and parameters of joined normalisations, would be if no fold had rounded them.
  private(set) var unroundedNumbers: [Graph.ValueID: [Double]] = [:]
  private var unroundedWeights: [Graph.ValueID: UnroundedWeights] = [:]
  /// The names of all values; gathered when the first constant is added.
  private var names: Set<String>?
  private var shapes: [[Dimension]?]?
  /// What takes back the changes of the fold that is being tried, in their order; nil where none is. A copy of
  /// the graph for each fold would let them cost the square of their number.
  private var undos: [(inout BatchNormalizationFold) -> Void]?

  /// ``Planner/foldName(_:)`` of nodes that are left as they are.
  private let leftOut: Set<String>

  init(_ graph: Graph, leaving leftOut: Set<String>) {
    self.graph = graph
    self.leftOut = leftOut
    readers = graph.readers()
    producers = graph.producers()
    outputs = Set(graph.outputs)
  }

  /// Folds until nothing more can be, as one that has gone forward may let through one before it.
  mutating func run() throws(ModelError) {
    let earlier = graph.notes
    for _ in 0..<4 {
      let count = graph.notes.count
      try runOnce()
      let own = graph.notes[earlier.count...]
      guard graph.notes[count...].contains(where: { $0.kind == .done }),
        graph.nodes.contains(where: { !$0.outputs.isEmpty && isForFolding($0) })
      else { return }
      graph.notes = earlier + own.filter { $0.kind == .done }
    }
    try runOnce()
  }

  /// Whether a node is to stay as it is.
  func isLeft(_ node: Node) -> Bool { leftOut.contains(Planner.foldName(node.name)) }

  private func isForFolding(_ node: Node) -> Bool {
    node.domain.isEmpty
      && (node.operatorName == "BatchNormalization"
        || ChannelNormalization.arithmeticOperands(node, graph) != nil)
  }

  private mutating func runOnce() throws(ModelError) {
    var position = 0
    while position < graph.nodes.count {
      let node = graph.nodes[position]
      folding = node
      if node.outputs.isEmpty || isLeft(node) {
        // Another node does its work by now, or it is to stay.
      } else if node.domain.isEmpty, node.operatorName == "BatchNormalization" {
        try foldNormalization(position, node)
      } else if node.domain.isEmpty {
        try foldArithmetic(position, node)
      }
      // Nodes are inserted behind the one that is folded.
      position += 1
    }
  }

  private mutating func foldNormalization(_ position: Int, _ node: Node) throws(ModelError) {
    try Interruption.check()
    do throws(FoldObstacle) {
      try node.requireInference()
      try joinArithmetic(behind: position)
      let joined = graph.nodes[position]
      note(.done, node, try fold(position, joined, try channelNormalization(joined)))
    } catch {
      switch error {
      case .reason(let reason): note(.declined, node, reason)
      case .fault(let error): throw error.at(node: node.label)
      }
    }
  }

  /// Folds a sum, difference, product or quotient of a value and numbers of its channels; any other stays
  /// without a word.
  private mutating func foldArithmetic(_ position: Int, _ node: Node) throws(ModelError) {
    guard node.operatorSet >= 7,
      let source = ChannelNormalization.arithmeticOperands(node, graph)?.value,
      let rank = weightedRank(around: position, source),
      let operand = ChannelNormalization.arithmetic(node, graph)
    else { return }
    try Interruption.check()
    do throws(FoldObstacle) {
      guard
        let channels = try channels(of: source) ?? (operand.count > 1 ? operand.count : nil)
      else { return }
      // A shape may state more channels than any weights have.
      guard channels <= AxisPath.largestExtent else { return }
      let spread = try operand.spread(over: channels, rank: rank)
      note(.done, node, try fold(position, node, spread))
    } catch {
      if case .fault(let error) = error { throw error.at(node: node.label) }
    }
  }

  /// The rank of the weights of the convolution before or behind some arithmetic, and so of its values.
  private func weightedRank(around position: Int, _ source: Graph.ValueID) -> Int? {
    if let producer = producers[source], graph.nodes[producer].domain.isEmpty,
      graph.nodes[producer].holdsBias
    {
      return graph.constant(graph.nodes[producer], 1)?.shape.count
    }
    guard let result = graph.nodes[position].outputs[0], let reader = readers[result].first,
      graph.nodes[reader].domain.isEmpty,
      ["Conv", "ConvTranspose"].contains(graph.nodes[reader].operatorName)
    else { return nil }
    return graph.constant(graph.nodes[reader], 1)?.shape.count
  }

  /// Folds backward if that goes, or else forward.
  /// - Returns: where to, in words.
  private mutating func fold(
    _ position: Int, _ node: Node, _ normalization: ChannelNormalization
  ) throws(FoldObstacle) -> String {
    do throws(FoldObstacle) {
      return try attempt { fold throws(FoldObstacle) in
        try fold.foldBackward(position, node, normalization)
      }
    } catch {
      guard case .reason(let reason) = error else { throw error }
      do throws(FoldObstacle) {
        return try attempt { fold throws(FoldObstacle) in
          try fold.foldForward(position, node, normalization)
        }
      } catch {
        guard case .reason(let other) = error else { throw error }
        throw .reason(other.isEmpty ? reason : "\(reason), and \(other)")
      }
    }
  }

  mutating func note(_ kind: Note.Kind, _ node: Node, _ text: String) {
    graph.note(Planner.foldingName, kind, node, text)
  }

  // MARK: - What is known of values

  /// What is known of a value's shape; nil where not even its rank is.
  mutating func shape(of value: Graph.ValueID) -> [Dimension]? {
    let known = knownShapes()
    return value < known.count ? known[value] : graph.values[value].shape
  }

  /// Of the values that were there when they were first asked for; no fold changes one.
  private mutating func knownShapes() -> [[Dimension]?] {
    if let shapes { return shapes }
    let known = graph.symbolicShapes().facts.enumerated().map {
      $1.shape ?? graph.values[$0].shape
    }
    shapes = known
    return known
  }

  /// The channels of a value, on axis 1; nil where not known.
  mutating func channels(of value: Graph.ValueID) throws(FoldObstacle) -> Int? {
    if let producer = producers[value], graph.nodes[producer].domain.isEmpty {
      let node = graph.nodes[producer]
      switch node.operatorName {
      case "Conv", "ConvTranspose":
        if let weights = graph.constant(node, 1) {
          return try ChannelLayout.channels(node, weights.shape)
        }
      case "Gemm":
        if let weights = graph.constant(node, 1) { return try node.outputChannels(weights.shape) }
      case "MaxPool", "AveragePool", "GlobalAveragePool":
        if let input = node.inputs.first ?? nil { return try channels(of: input) }
      default: break
      }
    }
    guard let shape = shape(of: value), shape.count > 1, case .known(let count) = shape[1] else {
      return nil
    }
    return count
  }

  func requireSoleReader(_ id: Graph.ValueID) throws(FoldObstacle) {
    try requireInner(id)
    if readers[id].count > 1 {
      throw .reason("\"\(graph.values[id].name)\" has \(readers[id].count) readers")
    }
  }

  func requireInner(_ id: Graph.ValueID) throws(FoldObstacle) {
    if outputs.contains(id) {
      throw .reason("\"\(graph.values[id].name)\" is an output of the graph")
    }
  }

  func constant(_ node: Node, _ index: Int, _ what: String) throws(FoldObstacle) -> Tensor {
    guard let tensor = graph.constant(node, index) else {
      throw .reason("\(what): not a constant, or one the caller may override")
    }
    guard [.float, .double, .float16, .bfloat16].contains(tensor.type) else {
      throw .reason("\(what): of type \(tensor.type)")
    }
    return tensor
  }

  func channelNormalization(_ node: Node) throws(FoldObstacle) -> ChannelNormalization {
    try ChannelNormalization(node, graph, unrounded: unroundedNumbers)
  }

  /// What a node's weights would be if no fold before had rounded them.
  func unrounded(_ node: Node, _ index: Int, _ weights: Tensor) -> UnroundedWeights {
    node.inputs[index].flatMap { unroundedWeights[$0] } ?? UnroundedWeights(weights)
  }

  // MARK: - Changing the graph

  /// Changes the graph as `body` does or, where that fails, not at all.
  private mutating func attempt<Result>(
    _ body: (inout Self) throws(FoldObstacle) -> Result
  ) throws(FoldObstacle) -> Result {
    // Of the graph before, as what is taken back has no shape.
    _ = knownShapes()
    let (copyBudget, mapBudget) = (copyBudget, mapBudget)
    undos = []
    defer { undos = nil }
    do throws(FoldObstacle) { return try body(&self) } catch {
      while let undo = undos?.popLast() { undo(&self) }
      (self.copyBudget, self.mapBudget) = (copyBudget, mapBudget)
      throw error
    }
  }

  /// Changes the node at a position.
  mutating func change(_ position: Int, _ body: (inout Node) -> Void) {
    let old = graph.nodes[position]
    undos?.append { $0.graph.nodes[position] = old }
    body(&graph.nodes[position])
  }

  /// Changes who reads a value.
  mutating func changeReaders(of value: Graph.ValueID, _ body: (inout Readers) -> Void) {
    let old = readers[changesOf: value]
    undos?.append { $0.readers[changesOf: value] = old }
    body(&readers)
  }

  /// Notes which node makes a value.
  mutating func setProducer(of value: Graph.ValueID, _ position: Int) {
    let old = producers[value]
    undos?.append { $0.producers[value] = old }
    producers[value] = position
  }

  /// A constant that a fold makes.
  struct FoldedConstant {
    let tensor: Tensor
    /// What it was made by, of what it stands for from now on and the node that is folded.
    let formula: String
    var weights: UnroundedWeights?
    var numbers: [Double]?
  }

  /// Adds a constant that the next fold can start from without its rounding.
  mutating func addConstant(
    _ name: String, _ constant: FoldedConstant, from old: Graph.ValueID?
  ) -> Graph.ValueID {
    let id = addConstant(name, constant.tensor, constant.formula, from: old)
    undos?.append {
      $0.unroundedWeights[id] = nil
      $0.unroundedNumbers[id] = nil
    }
    unroundedWeights[id] = constant.weights
    unroundedNumbers[id] = constant.numbers
    return id
  }

  /// Adds a constant, with how it came about.
  /// - Parameters:
  ///   - formula: what it was made by, of `old` and the node that is folded.
  ///   - old: what it stands for from now on; nil for nothing.
  mutating func addConstant(
    _ name: String, _ tensor: Tensor, _ formula: String, from old: Graph.ValueID?
  ) -> Graph.ValueID {
    let id = withNames { graph, taken in graph.addConstant(name, tensor, &taken) }
    graph.origins[graph.values[id].name] = origin(formula, old)
    noteAddition()
    return id
  }

  /// Adds a value that a node is to make.
  mutating func addValue(_ name: String, like model: Graph.ValueID) -> Graph.ValueID {
    let shape = shape(of: model)
    let record = graph.values[model]
    let id = withNames { graph, taken in
      graph.addValue(unique(name, &taken), type: record.type, shape: shape)
    }
    noteAddition()
    return id
  }

  private mutating func noteAddition() {
    producers.append(nil)
    undos?.append {
      $0.producers.removeLast()
      let name = $0.graph.values.removeLast().name
      $0.graph.origins[name] = nil
      $0.names?.remove(name)
    }
  }

  /// Gives a value whose numbers have changed another name, as values of two plans match by name.
  mutating func rename(_ value: Graph.ValueID) {
    let name = graph.values[value].name
    let other = withNames { _, taken in unique(name + "_scaled", &taken) }
    undos?.append {
      $0.graph.values[value].name = name
      $0.names?.remove(other)
    }
    graph.values[value].name = other
  }

  private mutating func withNames<Result>(
    _ body: (inout Graph, inout Set<String>) -> Result
  ) -> Result {
    var taken = names ?? Set(graph.values.map(\.name))
    names = nil
    defer { names = taken }
    return body(&graph, &taken)
  }

  /// Puts a node behind the one at a position.
  mutating func insert(_ node: Node, behind position: Int) {
    let (oldReaders, oldProducers) = (readers, producers)
    undos?.append {
      $0.graph.nodes.remove(at: position + 1)
      ($0.readers, $0.producers) = (oldReaders, oldProducers)
    }
    graph.nodes.insert(node, at: position + 1)
    readers = graph.readers()
    producers = graph.producers()
  }

  /// Takes out a node whose work another one does.
  mutating func drop(_ position: Int) {
    // Constants have lists that many share, and are asked for nodes that read them no more.
    for case let id? in graph.nodes[position].inputs where graph.values[id].constant == nil {
      changeReaders(of: id) { $0.remove(position, from: id) }
    }
    change(position) { ($0.inputs, $0.outputs) = ([], []) }
  }

  private func origin(_ formula: String, _ old: Graph.ValueID?) -> FoldOrigin {
    let oldName = old.map { graph.values[$0].name }
    let before = oldName.flatMap { graph.origins[$0] }
    var origin = before ?? FoldOrigin(steps: [], sources: oldName.map { [$0] } ?? [])
    guard let node = folding else { return origin }
    let constants = node.inputs.compactMap(\.self).filter { graph.values[$0].constant != nil }
    let names = constants.map { graph.values[$0].name }
    let isNormalization = node.operatorName == "BatchNormalization"
    let epsilon = node.attributes.float("epsilon") ?? 1e-5
    let factor = isNormalization ? ", s = scale/√(var + \(epsilon))" : ""
    let symbol = formula.contains("W") ? "W" : "b"
    let operand = oldName.map { "\(symbol) = \"\($0)\"" } ?? "\(symbol) = 0"
    let step = "\(formula)\(factor) of \(node.label) with \(names.quotedList); \(operand)"
    origin.steps.append(step)
    origin.sources += names
    return origin
  }
}
