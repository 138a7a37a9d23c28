/// A way through all sequences of a batch in one direction.
struct RecurrentPass<T: RealNumber> {
  let equations: RecurrentEquations
  let functions: [UnaryFunction]
  let weights: RecurrentWeights<T>
  let extents: RecurrentExtents
  let direction: Int
  let isReverse: Bool
  /// Steps of each sequence, if not all.
  let lengths: [Int]?
  let crew: Crew

  private var size: Int { extents.hidden }

  /// Goes from the initial states in `results` to the last ones, and notes the states between.
  func run(over x: [T], _ results: inout RecurrentResults<T>) {
    // What no sequence reaches does not count.
    let reached = (lengths?.max() ?? extents.steps) * extents.batch * extents.input
    let fromInput = weights.input.apply(
      to: equations.factor(x, rangeOf: reached), count: extents.steps * extents.batch, on: crew)
    var states = results.states(extents, direction)
    var interruption = Interruption(of: crew)
    for index in 0..<extents.steps {
      if crew.isCancelled { return }
      var samples: [Int] = []
      var places: [(sample: Int, input: Int, output: Int)] = []
      for sample in 0..<extents.batch where index < length(of: sample) {
        if interruption.isDue(after: 16) { return }
        let step = isReverse ? length(of: sample) - 1 - index : index
        samples.append(sample)
        places.append(
          (
            sample: sample, input: extents.inputRow(step, sample) * extents.gates * size,
            output: extents.output(step, direction, sample)
          ))
      }
      let gates = Gates(
        fromInput: fromInput, states: states, inputs: places.map(\.input), samples: samples)
      let new = take(gates)
      for (position, place) in places.enumerated() {
        if interruption.isDue(after: 16 &* size) { return }
        for unit in 0..<size {
          let value = new.hidden[position * size + unit]
          states.hidden[place.sample * size + unit] = value
          results.sequence[place.output + unit] = value
          states.cell[place.sample * size + unit] = new.cell[position * size + unit]
        }
      }
    }
    results.store(states, extents, direction)
  }

  private func length(of sample: Int) -> Int { lengths?[sample] ?? extents.steps }

  /// What a step starts from, for the sequences that are not at their end.
  private struct Gates {
    /// W·x + Wb of all steps.
    let fromInput: [T]
    /// The states of all sequences.
    let states: RecurrentStates<T>
    /// Where the step begins in `fromInput`, for each sequence that goes on.
    let inputs: [Int]
    let samples: [Int]

    func picked(_ state: [T], _ size: Int) -> [T] {
      if samples.count * size == state.count { return state }
      return samples.flatMap { state[$0 * size..<($0 + 1) * size] }
    }
  }

  private func take(_ gates: Gates) -> RecurrentStates<T> {
    let hidden = gates.picked(gates.states.hidden, size)
    let cell = gates.picked(gates.states.cell, size)
    let product = weights.recurrent.apply(
      to: equations.factor(hidden), count: gates.samples.count, on: crew)
    switch equations.cell {
    case .rnn:
      return RecurrentStates(hidden: gate(0, 0, gates, addend(0, product)), cell: cell)
    case .gru:
      return RecurrentStates(hidden: takeGRU(gates, product, hidden), cell: cell)
    case .lstm:
      return takeLSTM(gates, product, cell)
    }
  }

  /// Gates z, r, h: H = (1 - z)·h + z·H.
  private func takeGRU(_ gates: Gates, _ product: [T], _ hidden: [T]) -> [T] {
    let z = gate(0, 0, gates, addend(0, product))
    let r = gate(1, 0, gates, addend(1, product))
    let seen =
      weights.reset?.apply(to: times(r, hidden), count: gates.samples.count, on: crew)
      ?? times(r, addend(2, product))
    let h = gate(2, 1, gates, seen)
    return hidden.indices.map { (1 - z[$0]) * h[$0] + z[$0] * hidden[$0] }
  }

  /// Gates i, o, f, c: C = f·C + i·c, H = o·h(C); peepholes show C to i, f and then o.
  private func takeLSTM(_ gates: Gates, _ product: [T], _ cell: [T]) -> RecurrentStates<T> {
    let i = gate(0, 0, gates, peeping(0, cell, addend(0, product)))
    let f =
      equations.couplesForget
      ? i.map { 1 - $0 } : gate(2, 0, gates, peeping(2, cell, addend(2, product)))
    let c = gate(3, 1, gates, addend(3, product))
    let new = cell.indices.map { f[$0] * cell[$0] + i[$0] * c[$0] }
    let o = gate(1, 0, gates, peeping(1, new, addend(1, product)))
    var hidden = new
    apply(2, to: &hidden)
    return RecurrentStates(hidden: times(o, hidden), cell: new)
  }

  /// A gate's part of the products with R.
  @_specialize(where T == Float)
  @_specialize(where T == Double)
  private func addend(_ gate: Int, _ product: [T]) -> [T] {
    let width = weights.reset == nil ? extents.gates * size : 2 * size
    if width == size { return product }
    var part: [T] = []
    part.reserveCapacity(product.count / max(width, 1) * size)
    for first in stride(from: gate * size, to: product.count, by: max(width, 1)) {
      part.append(contentsOf: product[first..<first + size])
    }
    return part
  }

  /// `sums` with what a peephole shows of the cell.
  private func peeping(_ hole: Int, _ cell: [T], _ sums: [T]) -> [T] {
    guard let peepholes = weights.peepholes else { return sums }
    return sums.indices.map { sums[$0] + peepholes[hole * size + $0 % size] * cell[$0] }
  }

  /// f(W·x + Wb + `addend`) of a gate.
  @_specialize(where T == Float)
  @_specialize(where T == Double)
  private func gate(_ gate: Int, _ function: Int, _ gates: Gates, _ addend: [T]) -> [T] {
    var sums = addend
    var interruption = Interruption(of: crew)
    for (position, first) in gates.inputs.enumerated() {
      if interruption.isDue(after: size &+ 4) { break }
      let place = first + gate * size
      for unit in 0..<size { sums[position * size + unit] += gates.fromInput[place + unit] }
    }
    apply(function, to: &sums)
    return sums
  }

  private func apply(_ function: Int, to numbers: inout [T]) {
    if equations.clip < .infinity {
      let bound = T(converting: equations.clip)
      for index in numbers.indices { numbers[index] = min(max(numbers[index], -bound), bound) }
    }
    functions[function].apply(to: &numbers, on: crew)
  }

  private func times(_ left: [T], _ right: [T]) -> [T] { zip(left, right).map { $0 * $1 } }
}
