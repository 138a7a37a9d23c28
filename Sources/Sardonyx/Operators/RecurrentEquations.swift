/// The equations of RNN, GRU and LSTM.
struct RecurrentEquations: Sendable {
  let cell: RecurrentCell
  /// The bound of what goes into a function.
  let clip: Double
  /// GRU's `linear_before_reset`: the reset gate multiplies the product with R, not the state.
  let appliesResetLater: Bool
  /// LSTM's `input_forget`: f = 1 - i.
  let couplesForget: Bool

  /// Goes through all sequences of a direction; `states` begins with the initial states, and has the
  /// last ones and the sequence of them at the end.
  func run<T: RealNumber>(
    over x: [T], _ weights: RecurrentWeights<T>, _ functions: [UnaryFunction],
    _ extents: RecurrentExtents, direction: Int, isReverse: Bool, lengths: [Int]?,
    _ states: inout RecurrentStates<T>
  ) {
    let hidden = extents.hidden
    let width = extents.gates * hidden
    var fromInput = [T](repeating: 0, count: extents.steps * extents.batch * width)
    multiply(
      x, MatrixView(columns: extents.input),
      weights.input, MatrixView(columns: extents.input).transposed,
      into: &fromInput, at: 0, m: extents.steps * extents.batch, n: width, k: extents.input)
    var step = RecurrentStep<T>(equations: self, functions, weights, hidden)
    for index in 0..<extents.steps {
      for sample in 0..<extents.batch {
        let length = lengths?[sample] ?? extents.steps
        guard index < length else { continue }
        let time = isReverse ? length - 1 - index : index
        let place = extents.state(direction, sample)
        let row = extents.inputRow(time, sample) * width
        step.fromInput = Array(fromInput[row..<row + width])
        step.hidden = Array(states.hidden[place..<place + hidden])
        step.cell = Array(states.cell[place..<place + hidden])
        step.take()
        let output = extents.output(time, direction, sample)
        for unit in 0..<hidden {
          states.hidden[place + unit] = step.hidden[unit]
          states.cell[place + unit] = step.cell[unit]
          states.sequence[output + unit] = step.hidden[unit]
        }
      }
    }
  }
}

/// The states of all sequences.
struct RecurrentStates<T: RealNumber> {
  /// Y.
  var sequence: [T]
  /// H and C, as Y_h and Y_c hold them.
  var hidden: [T]
  var cell: [T]

  init(_ extents: RecurrentExtents, _ hidden: Tensor?, _ cell: Tensor?) {
    let count = extents.stateShape.elementCount
    sequence = Array(repeating: 0, count: extents.outputShape.elementCount)
    self.hidden = hidden?.converted() ?? Array(repeating: 0, count: count)
    self.cell = cell?.converted() ?? Array(repeating: 0, count: count)
  }
}

/// The weights of one direction.
struct RecurrentWeights<T: RealNumber> {
  /// (gates·hidden)×input.
  let input: [T]
  /// (gates·hidden)×hidden.
  let recurrent: [T]
  /// Of the product with X, then of that with H: 2·gates·hidden.
  let bias: [T]
  /// Of the input, output and forget gate of an LSTM: 3·hidden.
  let peepholes: [T]

  init(_ inputs: Inputs, direction: Int, _ extents: RecurrentExtents) {
    func part(_ index: Int, _ count: Int) -> [T] {
      guard let tensor = inputs.tensor(index) else { return Array(repeating: 0, count: count) }
      return Array(tensor.converted(to: T.self)[direction * count..<(direction + 1) * count])
    }
    let rows = extents.gates * extents.hidden
    input = part(1, rows * extents.input)
    recurrent = part(2, rows * extents.hidden)
    bias = part(3, 2 * rows)
    peepholes = part(7, 3 * extents.hidden)
  }
}

/// One step of one sequence: W·x + Wb is given, H and C are moved on.
private struct RecurrentStep<T: RealNumber> {
  let equations: RecurrentEquations
  private let functions: [UnaryFunction]
  private let weights: RecurrentWeights<T>
  private let size: Int
  /// W·x of all gates.
  var fromInput: [T] = []
  var hidden: [T] = []
  var cell: [T] = []

  init(
    equations: RecurrentEquations, _ functions: [UnaryFunction], _ weights: RecurrentWeights<T>,
    _ size: Int
  ) {
    self.equations = equations
    self.functions = functions
    self.weights = weights
    self.size = size
  }

  mutating func take() {
    switch equations.cell {
    case .rnn: hidden = gate(0, 0)
    case .gru: takeGRU()
    case .lstm: takeLSTM()
    }
  }

  /// Gates z, r, h: H = (1 - z)·h + z·H.
  private mutating func takeGRU() {
    let z = gate(0, 0)
    let r = gate(1, 0)
    let candidate: [T]
    if equations.appliesResetLater {
      let product = recurrentProduct(2, hidden)
      candidate = gate(2, 1, adding: zip(r, product).map { $0 * $1 }, isWhole: true)
    } else {
      candidate = gate(
        2, 1, adding: recurrentProduct(2, zip(r, hidden).map { $0 * $1 }),
        isWhole: true)
    }
    for unit in 0..<size { hidden[unit] = (1 - z[unit]) * candidate[unit] + z[unit] * hidden[unit] }
  }

  /// Gates i, o, f, c: C = f·C + i·c, H = o·h(C); peepholes show C to i, f and then o.
  private mutating func takeLSTM() {
    let i = gate(0, 0, adding: peephole(0))
    let f = equations.couplesForget ? i.map { 1 - $0 } : gate(2, 0, adding: peephole(2))
    let c = gate(3, 1)
    for unit in 0..<size { cell[unit] = f[unit] * cell[unit] + i[unit] * c[unit] }
    let o = gate(1, 0, adding: peephole(1))
    hidden = zip(o, cell).map { $0 * apply(2, $1) }
  }

  private func peephole(_ index: Int) -> [T] {
    (0..<size).map { weights.peepholes[index * size + $0] * cell[$0] }
  }

  /// f(W·x + R·H + Wb + Rb + `addend`) of a gate; R·H + Rb is left to the addend if it is whole.
  private func gate(
    _ gate: Int, _ function: Int, adding addend: [T]? = nil, isWhole: Bool = false
  ) -> [T] {
    let product = isWhole ? nil : recurrentProduct(gate, hidden)
    return (0..<size).map { unit in
      let row = gate * size + unit
      var sum = fromInput[row] + weights.bias[row]
      if let product { sum += product[unit] }
      if let addend { sum += addend[unit] }
      return apply(function, sum)
    }
  }

  /// R·state of a gate, and Rb.
  private func recurrentProduct(_ gate: Int, _ state: [T]) -> [T] {
    (0..<size).map { unit in
      let row = gate * size + unit
      var sum = weights.bias[weights.bias.count / 2 + row]
      for (index, value) in state.enumerated() {
        sum += weights.recurrent[row * size + index] * value
      }
      return sum
    }
  }

  private func apply(_ function: Int, _ value: T) -> T {
    value.through { functions[function].real(min(max($0, -equations.clip), equations.clip)) }
  }
}
