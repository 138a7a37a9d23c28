/// Networks that go through a sequence step by step.
let recurrentNetworks: OperatorFamily = [
  "GRU": { node throws(ModelError) in try Recurrence(&node, .gru) },
  "LSTM": { node throws(ModelError) in try Recurrence(&node, .lstm) },
  "RNN": { node throws(ModelError) in try Recurrence(&node, .rnn) },
]

/// What happens at one step of a recurrent network.
enum RecurrentCell: Sendable {
  case rnn, gru, lstm

  /// Blocks of `hidden_size` rows in the weights.
  var gateCount: Int {
    switch self {
    case .rnn: 1
    case .gru: 3
    case .lstm: 4
    }
  }

  /// The functions of the equations, in their order.
  var functions: [String] {
    switch self {
    case .rnn: ["Tanh"]
    case .gru: ["Sigmoid", "Tanh"]
    case .lstm: ["Sigmoid", "Tanh", "Tanh"]
    }
  }
}

/// RNN, GRU or LSTM over a batch of sequences, in one direction or both.
///
/// X is steps×batch×input, W directions×(gates·hidden)×input, R directions×(gates·hidden)×hidden, B
/// directions×(2·gates·hidden), Y steps×directions×batch×hidden; `layout=1` has the batch first.
struct Recurrence: Operator {
  enum Direction: String, CaseIterable {
    case forward, reverse, bidirectional
    /// The default of GRU-1 as the specification spells it.
    case foward

    var count: Int { self == .bidirectional ? 2 : 1 }
  }

  let cell: RecurrentCell
  private let direction: Direction
  private let hiddenSize: Int?
  private let isBatchFirst: Bool
  private(set) var equations: RecurrentEquations
  /// For each direction, its functions.
  private let functions: [[UnaryFunction]]
  /// Whether the functions are those of the specification's equations.
  let isStandard: Bool
  /// For each direction, constant weights in single precision.
  private var prepared: [RecurrentWeights<Float>]?
  /// The same for the kernels, where the functions are the standard ones.
  private var packed: [PackedRecurrence]?

  init(_ node: inout NodeReader) throws(ModelError) { try self.init(&node, .rnn) }

  init(_ node: inout NodeReader, _ cell: RecurrentCell) throws(ModelError) {
    self.cell = cell
    direction = try node.choice("direction", default: .forward)
    hiddenSize = try node.int("hidden_size")
    guard hiddenSize.map({ $0 >= 0 && $0 <= Int(Int32.max) }) ?? true else {
      throw node.invalid("hidden_size", expected: "a positive number", got: hiddenSize ?? 0)
    }
    isBatchFirst = try node.bool("layout")
    let clip = Double(try node.float("clip", default: 0))
    equations = RecurrentEquations(
      // Exporters write 0 for the bound that they leave out.
      cell: cell, clip: clip == 0 ? .infinity : clip,
      appliesResetLater: try node.bool("linear_before_reset"),
      couplesForget: try node.bool("input_forget"))
    (functions, isStandard) = try node.recurrentFunctions(cell, directions: direction.count)
    node.ignore("output_sequence")
  }

  /// The network with factors of products that are rounded to uint8.
  var quantized: Self {
    var network = self
    network.equations.quantizesFactors = true
    return network
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let extents = try extents(inputs)
    let type = try inputs.type(0)
    let state = Fact(type, extents.stateShape)
    return [Fact(type, extents.outputShape), state, state]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    try run(inputs, outputs, inputs.facts) { extents in
      guard isStandard, inputs[0].type == .float, !equations.quantizesFactors else { return nil }
      return packed ?? pack(extents) { inputs.tensor($0) }
    }
  }

  /// - Parameters:
  ///   - facts: the inputs as this operator has them.
  ///   - packed: the weights for the kernels; nil where the equations are to be computed as they are
  ///     written.
  func run(
    _ inputs: Inputs, _ outputs: Outputs, _ facts: Facts,
    packed: (RecurrentExtents) -> [PackedRecurrence]?
  ) throws(ModelError) {
    let extents = try extents(facts)
    let lengths = inputs.has(4) ? inputs.integers(4) : nil
    if let wrong = lengths?.first(where: { $0 < 0 || $0 > extents.steps }) {
      throw .unexpected("sequence_lens", expected: "0 to \(extents.steps)", got: "\(wrong)")
    }
    if let packed = packed(extents) {
      unsafe PackedRecurrence.run(
        packed, extents, isReverse: isReverse,
        RecurrentOperands(
          inputs, outputs.wants(0) ? outputs[0] : nil, outputs.wants(1) ? outputs[1] : nil,
          outputs.wants(2) ? outputs[2] : nil), on: outputs.context.crew)
      return
    }
    runPlainly(inputs, outputs, extents, lengths)
  }

  /// The equations as they are written, in single or in double precision; what the kernels are
  /// compared with.
  private func runPlainly(
    _ inputs: Inputs, _ outputs: Outputs, _ extents: RecurrentExtents, _ lengths: [Int]?
  ) {
    func compute<T: RealNumber>(_: T.Type) {
      var results = RecurrentResults<T>(extents, inputs.tensor(5), inputs.tensor(6))
      let x: [T] = inputs[0].converted()
      for index in 0..<direction.count {
        let weights =
          prepared?[index] as? RecurrentWeights<T>
          ?? RecurrentWeights(extents, equations, direction: index) { inputs.tensor($0) }
        RecurrentPass(
          equations: equations, functions: functions[index], weights: weights, extents: extents,
          direction: index, isReverse: direction == .reverse || index == 1, lengths: lengths,
          crew: outputs.context.crew
        ).run(over: x, &results)
      }
      if outputs.wants(0) { outputs[0].store(results.sequence) }
      if outputs.wants(1) { outputs[1].store(results.hidden) }
      if outputs.wants(2) { outputs[2].store(results.cell) }
    }
    compute(inputs[0].type.real)
  }

  mutating func prepare(_ inputs: Facts) throws(ModelError) {
    var tensors: [Int: Tensor] = [:]
    for index in [1, 2, 3, 7] where inputs.has(index) {
      guard let tensor = inputs[index].value?.tensor?.single else { return }
      tensors[index] = tensor
    }
    guard let extents = try? weightExtents(inputs) else { return }
    if isStandard, inputs[1].elementType == .float {
      packed = pack(extents) { tensors[$0] }
      return
    }
    prepared = (0..<direction.count).map { index in
      RecurrentWeights(extents, equations, direction: index) { tensors[$0] }
    }
  }

  private var isReverse: [Bool] {
    (0..<direction.count).map { direction == .reverse || $0 == 1 }
  }

  /// - Parameter tensor: the input of the node with an index, nil where it is left out.
  private func pack(_ extents: RecurrentExtents, _ tensor: (Int) -> Tensor?) -> [PackedRecurrence] {
    (0..<direction.count).map { index in
      func part(_ input: Int) -> [Float] {
        tensor(input)?.part(index, of: direction.count).converted() ?? []
      }
      return PackedRecurrence(extents, equations, w: part(1), r: part(2), b: part(3), p: part(7))
    }
  }

  private func extents(_ inputs: Facts) throws(ModelError) -> RecurrentExtents {
    let x = try inputs.shape(0)
    try checkRank(x, 3, "X")
    var extents = try weightExtents(inputs)
    extents.steps = x[isBatchFirst ? 1 : 0]
    extents.batch = x[isBatchFirst ? 0 : 1]
    guard x[2] == extents.input else {
      throw .unexpected("input size of X", expected: "\(extents.input)", got: "\(x[2])")
    }
    try check(inputs, 4, "sequence_lens", [extents.batch])
    try check(inputs, 5, "initial_h", extents.stateShape)
    try check(inputs, 6, "initial_c", extents.stateShape)
    return extents
  }

  /// What the weights alone tell; steps and batch are left at 0.
  func weightExtents(_ inputs: Facts) throws(ModelError) -> RecurrentExtents {
    let (w, r) = (try inputs.shape(1), try inputs.shape(2))
    try checkRank(w, 3, "W")
    try checkRank(r, 3, "R")
    let extents = RecurrentExtents(
      input: w[2], hidden: hiddenSize ?? r[2], directions: direction.count, gates: cell.gateCount,
      isBatchFirst: isBatchFirst)
    let (rows, hidden) = (extents.gates * extents.hidden, extents.hidden)
    try check(inputs, 1, "W", [direction.count, rows, extents.input])
    try check(inputs, 2, "R", [direction.count, rows, hidden])
    try check(inputs, 3, "B", [direction.count, 2 * rows])
    try check(inputs, 7, "P", [direction.count, 3 * hidden])
    return extents
  }

  private func check(_ inputs: Facts, _ index: Int, _ name: String, _ expected: Shape)
    throws(ModelError)
  {
    guard inputs.has(index) else { return }
    let shape = try inputs.shape(index)
    guard shape == expected else {
      throw .unexpected(
        "shape of \(name)", expected: "[\(expected.joined)]", got: "[\(shape.joined)]")
    }
  }
}

extension Tensor {
  /// What a direction has of a tensor that begins with its directions.
  func part(_ direction: Int, of directions: Int) -> Tensor {
    let count = elementCount / max(1, directions)
    return part(direction * count..<(direction + 1) * count)
  }
}

/// The sizes of a recurrent network, and where its tensors hold what.
struct RecurrentExtents: Sendable {
  var steps = 0
  var batch = 0
  let input: Int
  let hidden: Int
  let directions: Int
  let gates: Int
  let isBatchFirst: Bool

  var outputShape: Shape {
    isBatchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden]
  }

  var stateShape: Shape {
    isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden]
  }

  /// The row of X at a step.
  func inputRow(_ step: Int, _ sample: Int) -> Int {
    isBatchFirst ? sample * steps + step : step * batch + sample
  }

  /// The first element of Y at a step.
  func output(_ step: Int, _ direction: Int, _ sample: Int) -> Int {
    hidden
      * (isBatchFirst
        ? (sample * steps + step) * directions + direction
        : (step * directions + direction) * batch + sample)
  }

  /// The first element of a state.
  func state(_ direction: Int, _ sample: Int) -> Int {
    hidden * (isBatchFirst ? sample * directions + direction : direction * batch + sample)
  }
}

extension NodeReader {
  /// The functions of each direction, each with the numbers of `activation_alpha` and
  /// `activation_beta` that it takes, in their order.
  fileprivate mutating func recurrentFunctions(_ cell: RecurrentCell, directions: Int)
    throws(ModelError) -> (functions: [[UnaryFunction]], areStandard: Bool)
  {
    var alphas = (try floats("activation_alpha") ?? [])[...]
    var betas = (try floats("activation_beta") ?? [])[...]
    var names = try strings("activations") ?? cell.functions
    let count = cell.functions.count
    if names.count < count * directions { names += names }
    guard names.count >= count * directions else {
      throw invalid("activations", expected: "\(count * directions) names", got: names)
    }
    var functions: [UnaryFunction] = []
    for name in names.prefix(count * directions) {
      functions.append(try recurrentFunction(name, &alphas, &betas))
    }
    let areStandard = names.prefix(functions.count).enumerated().allSatisfy { index, name in
      name.lowercased() == cell.functions[index % count].lowercased()
    }
    return (
      (0..<directions).map { Array(functions[$0 * count..<($0 + 1) * count]) }, areStandard
    )
  }

  private func recurrentFunction(
    _ name: String, _ alphas: inout ArraySlice<Float>, _ betas: inout ArraySlice<Float>
  ) throws(ModelError) -> UnaryFunction {
    switch name.lowercased() {
    case "affine":
      return .affine(alpha: alphas.popFirst() ?? 1, beta: betas.popFirst() ?? 0)
    case "elu": return .elu(alpha: alphas.popFirst() ?? 1)
    case "hardsigmoid":
      return .hardSigmoid(alpha: alphas.popFirst() ?? 0.2, beta: betas.popFirst() ?? 0.5)
    case "leakyrelu": return .leakyRelu(alpha: alphas.popFirst() ?? 0.01)
    case "relu": return .relu
    case "scaledtanh":
      return .scaledTanh(alpha: alphas.popFirst() ?? 1, beta: betas.popFirst() ?? 1)
    case "sigmoid": return .sigmoid
    case "softplus":
      return UnaryFunction(real: softplus)
    case "softsign": return UnaryFunction(real: { $0 / (1 + abs($0)) })
    case "tanh": return UnaryFunction(.tanh, real: { $0.hyperbolicTangent })
    case "thresholdedrelu":
      let alpha = Double(alphas.popFirst() ?? 1)
      return UnaryFunction(real: { $0 >= alpha ? $0 : 0 })
    default:
      throw invalid("activations", expected: "names of activations for recurrence", got: name)
    }
  }
}
