import CKernels

/// The weights of one direction of a recurrent network with its standard functions, in the order in
/// which kernels read them: units in blocks of a vector's lanes, the gates of a block side by side.
struct PackedRecurrence: Sendable {
  private let equations: RecurrentEquations
  private let hidden: Int
  private let gates: Int
  private let instructions: InstructionSet
  private let factors: Factors
  /// Wb, with Rb where that is added to the same sum: [blocks][gates][lanes].
  private let bias: [Float]
  /// R of GRU's gate h where that sees the state after the reset gate.
  private let reset: [Float]
  private let resetBias: [Float]
  private let peepholes: [Float]

  private enum Factors {
    /// W of all gates, and R of those that see the state as it is: [blocks][hidden][gates][lanes].
    case floats(input: PackedMatrix, recurrent: [Float])
    /// W and R of an LSTM whose products see bytes: columns are [blocks][gates][lanes].
    case bytes(input: QuantizedFactor, recurrent: QuantizedFactor)
  }

  /// An LSTM that sees X with one range of uint8 over all of it, and the states with one at each step
  /// over the sequences that go on.
  /// - Parameters:
  ///   - w: input×(gates·hidden) numbers.
  ///   - r: hidden×(gates·hidden).
  ///   - b: 2·gates·hidden, or empty.
  ///   - p: 3·hidden, or empty.
  init(
    _ extents: RecurrentExtents, _ equations: RecurrentEquations, w: QuantizedMatrix,
    r: QuantizedMatrix, b: [Float], p: [Float], for instructions: InstructionSet = .current
  ) {
    precondition(equations.cell == .lstm)
    self.equations = equations
    self.instructions = instructions
    (hidden, gates) = (extents.hidden, extents.gates)
    let blocking = Blocking(hidden: hidden, lanes: unsafe instructions.kernels.lanes)
    let places = blocking.places(of: gates)
    factors = .bytes(
      input: QuantizedFactor(w, places, for: instructions),
      recurrent: QuantizedFactor(r, places, for: instructions))
    let half = gates * hidden
    bias = places.map { $0.map { b.isEmpty ? 0 : b[$0] + b[half + $0] } ?? 0 }
    peepholes = p.isEmpty ? [] : blocking.places(of: 3).map { $0.map { p[$0] } ?? 0 }
    (reset, resetBias) = ([], [])
  }

  /// - Parameters:
  ///   - w: (gates·hidden)×input.
  ///   - r: (gates·hidden)×hidden.
  ///   - b: 2·gates·hidden, or empty.
  ///   - p: 3·hidden, or empty.
  init(
    _ extents: RecurrentExtents, _ equations: RecurrentEquations, w: [Float], r: [Float],
    b: [Float], p: [Float], for instructions: InstructionSet = .current
  ) {
    self.equations = equations
    self.instructions = instructions
    (hidden, gates) = (extents.hidden, extents.gates)
    let blocking = Blocking(hidden: hidden, lanes: unsafe instructions.kernels.lanes)
    let depth = extents.input
    let places = blocking.places(of: gates)
    var rows = [Float](zerosUntilDue: places.count * depth)
    var interruption = Interruption()
    for (column, source) in places.enumerated() {
      guard let source else { continue }
      if interruption.isDue(after: depth) { break }
      Interruption.inStretches(of: depth) { range in
        for k in range { rows[column * depth + k] = w[source * depth + k] }
      }
    }
    let input = PackedMatrix(
      right: rows, MatrixView(columns: depth, isTransposed: true), columns: places.count,
      depth: depth)
    let keepsResetBias = equations.cell == .gru && equations.appliesResetLater
    let (half, size) = (gates * hidden, hidden)
    bias = places.map { source in
      guard let source, !b.isEmpty else { return 0 }
      let isApart = keepsResetBias && source >= 2 * size
      return isApart ? b[source] : b[source] + b[half + source]
    }
    resetBias =
      keepsResetBias && !b.isEmpty
      ? blocking.places(of: 1).map { $0.map { b[half + 2 * size + $0] } ?? 0 } : []
    peepholes = p.isEmpty ? [] : blocking.places(of: 3).map { $0.map { p[$0] } ?? 0 }
    let isSplit = equations.cell == .gru && !equations.appliesResetLater
    factors = .floats(
      input: input, recurrent: blocking.packed(r, gates: 0..<(isSplit ? 2 : gates)))
    reset = isSplit ? blocking.packed(r, gates: 2..<3) : []
  }

  /// How units are blocked.
  private struct Blocking {
    let hidden: Int
    let lanes: Int

    var blocks: Int { (hidden + lanes - 1) / lanes }

    /// For each place of [blocks][gates][lanes], the row of [gates][hidden]; nil where it is filled up.
    func places(of gates: Int) -> [Int?] {
      (0..<blocks).flatMap { block in
        (0..<gates).flatMap { gate in
          (0..<lanes).map { lane in
            let unit = block * lanes + lane
            return unit < hidden ? gate * hidden + unit : nil
          }
        }
      }
    }

    /// Rows of R as [blocks][hidden][gates][lanes]; not all are at hand where the run is to end.
    func packed(_ r: [Float], gates: Range<Int>) -> [Float] {
      var packed = [Float](zerosUntilDue: blocks * hidden * gates.count * lanes)
      var interruption = Interruption()
      for gate in gates {
        for unit in 0..<hidden {
          // Each goes to a cache line of its own.
          if interruption.isDue(after: 8 &* hidden) { return packed }
          let row = (gate * hidden + unit) * hidden
          let (block, lane) = (unit / lanes, unit % lanes)
          let step = gates.count * lanes
          let first = block * hidden * step + (gate - gates.lowerBound) * lanes + lane
          for k in 0..<hidden { packed[first + k * step] = r[row + k] }
        }
      }
      return packed
    }
  }

  private var blocks: Int {
    let lanes = unsafe instructions.kernels.lanes
    return (hidden + lanes - 1) / lanes
  }

  /// Floats in the state of a sequence, filled up to whole blocks.
  private var stateWidth: Int { unsafe blocks * instructions.kernels.lanes }
  /// Multiply-adds of a step of a sequence.
  private var depthOfStep: Int { sumWidth * hidden }
  /// Floats that the input gives for a step of a sequence.
  private var sumWidth: Int { gates * stateWidth }
}

/// Where the tensors of a recurrent network lie.
@unsafe struct RecurrentOperands {
  let x: UnsafePointer<Float>
  /// Steps of each sequence, if not all.
  let lengths: UnsafePointer<Int32>?
  let hidden: UnsafePointer<Float>?
  let cell: UnsafePointer<Float>?
  let sequence: UnsafeMutablePointer<Float>?
  let lastHidden: UnsafeMutablePointer<Float>?
  let lastCell: UnsafeMutablePointer<Float>?
}

extension PackedRecurrence {
  /// Sequences that one thread takes through all steps together.
  private static let rowsAtOnce = 4

  /// Runs all directions over all sequences, some sequences of a direction at a time in each chunk.
  static func run(
    _ directions: [PackedRecurrence], _ extents: RecurrentExtents, isReverse: [Bool],
    _ operands: RecurrentOperands, on crew: Crew
  ) {
    let rows = extents.steps * extents.batch
    let width = directions[0].sumWidth
    if unsafe operands.lengths != nil, let sequence = unsafe operands.sequence {
      Interruption.inStretches(of: extents.outputShape.elementCount) {
        unsafe (sequence + $0.lowerBound).update(repeating: 0, count: $0.count)
      }
    }
    // Sequences that share the range of a step go together.
    let group = directions[0].seesBytes ? max(1, extents.batch) : rowsAtOnce
    unsafe crew.scratch.withFloats(max(1, directions.count * rows * width)) { sums in
      nonisolated(unsafe) let (sums, operands) = unsafe (sums, operands)
      for (index, direction) in directions.enumerated() {
        unsafe direction.project(operands, rows, extents, into: sums + index * rows * width, crew)
      }
      let groups = (extents.batch + group - 1) / group
      crew.perform(directions.count * groups) { chunk in
        let index = chunk / groups
        let first = chunk % groups * group
        let samples = first..<min(first + group, extents.batch)
        unsafe directions[index].walk(
          samples, extents, direction: index, isReverse: isReverse[index],
          sums: sums + index * rows * width, operands, crew)
      }
    }
  }

  /// W·x and the biases for all steps.
  private func project(
    _ operands: RecurrentOperands, _ rows: Int, _ extents: RecurrentExtents,
    into sums: UnsafeMutablePointer<Float>, _ crew: Crew
  ) {
    guard rows > 0 else { return }
    unsafe bias.withUnsafeBufferPointer { bias in
      switch factors {
      case .floats(let input, _):
        unsafe MatrixProduct.multiply(
          MatrixProduct.Parts(
            left: .strided(operands.x, laneStep: extents.input, depthStep: 1),
            right: .packed(input), result: sums, resultStep: sumWidth,
            epilogue: MatrixProduct.Epilogue(columnBias: bias.baseAddress)),
          MatrixProduct.Shape(rows: rows, columns: sumWidth, depth: extents.input), on: crew)
      case .bytes(let input, _):
        guard let bias = bias.baseAddress else { return }
        var (low, high): (Float, Float) = (0, 0)
        Interruption.inStretches(of: unsafe operands.reach(extents) * extents.input) {
          let own = unsafe crew.instructions.extremes($0.count, operands.x + $0.lowerBound)
          (low, high) = (min(low, own.low), max(high, own.high))
        }
        unsafe input.multiply(
          operands.x, rows: rows, DynamicRange(low: low, high: high), adding: bias, into: sums,
          on: crew)
      }
    }
  }

  /// Takes some sequences through their steps.
  private func walk(
    _ samples: Range<Int>, _ extents: RecurrentExtents, direction: Int, isReverse: Bool,
    sums: UnsafePointer<Float>, _ operands: RecurrentOperands, _ crew: Crew
  ) {
    let width = stateWidth
    let count = samples.count
    var bytesOfStep = 0
    if case .bytes(_, let factor) = factors { bytesOfStep = factor.room(forStates: count) }
    unsafe crew.scratch.withFloats(max(1, 3 * count * width + bytesOfStep / 4)) { room in
      var interruption = Interruption(of: crew)
      for row in 0..<3 * count {
        if interruption.isDue(after: width) { return }
        unsafe (room + row * width).update(repeating: 0, count: width)
      }
      let rest = unsafe UnsafeMutableRawPointer(room + 3 * count * width)
      // Per sequence the state, the next state and the cell.
      typealias State = UnsafeMutablePointer<Float>
      var states = unsafe [(now: State, next: State, cell: State)]()
      for (row, sample) in samples.enumerated() {
        if interruption.isDue(after: hidden &+ 20) { return }
        let now = unsafe room + 3 * row * width
        unsafe states.append((now, now + width, now + 2 * width))
        let place = extents.state(direction, sample)
        if let start = unsafe operands.hidden {
          unsafe states[row].now.update(from: start + place, count: hidden)
        }
        if let start = unsafe operands.cell {
          unsafe states[row].cell.update(from: start + place, count: hidden)
        }
      }
      unsafe withUnsafeTemporaryAllocation(of: State.self, capacity: 4 * count) { table in
        for index in 0..<extents.steps {
          if interruption.isDue(after: depthOfStep &* count / 8 &+ 1) { return }
          var active = 0
          for (row, sample) in samples.enumerated() {
            if interruption.isDue(after: 8) { return }
            let length = unsafe operands.lengths.map { unsafe Int($0[sample]) } ?? extents.steps
            guard index < length else { continue }
            let step = isReverse ? length - 1 - index : index
            unsafe table[active] = State(
              mutating: sums + extents.inputRow(step, sample) * sumWidth)
            unsafe table[count + active] = states[row].now
            unsafe table[2 * count + active] = states[row].next
            unsafe table[3 * count + active] = states[row].cell
            active += 1
          }
          guard active > 0 else { break }
          unsafe take(rows: active, table, count, rest, &interruption)
          for (row, sample) in samples.enumerated() {
            if interruption.isDue(after: hidden &+ 20) { return }
            let length = unsafe operands.lengths.map { unsafe Int($0[sample]) } ?? extents.steps
            guard index < length else { continue }
            if !isSplit {
              let state = unsafe states[row]
              unsafe (states[row].now, states[row].next) = (state.next, state.now)
            }
            let step = isReverse ? length - 1 - index : index
            unsafe operands.sequence?.advanced(by: extents.output(step, direction, sample))
              .update(from: states[row].now, count: hidden)
          }
        }
      }
      for (row, sample) in samples.enumerated() {
        if interruption.isDue(after: hidden &+ 20) { return }
        let place = extents.state(direction, sample)
        unsafe operands.lastHidden?.advanced(by: place)
          .update(from: states[row].now, count: hidden)
        unsafe operands.lastCell?.advanced(by: place)
          .update(from: states[row].cell, count: hidden)
      }
    }
  }

  private var seesBytes: Bool { if case .bytes = factors { true } else { false } }

  private var isSplit: Bool { equations.cell == .gru && !equations.appliesResetLater }

  private typealias Table = UnsafeMutableBufferPointer<UnsafeMutablePointer<Float>>

  /// One step of `rows` sequences, whose sums, states, next states and cells the table holds; what a
  /// product of bytes needs besides goes to `room`.
  private func take(
    rows: Int, _ table: Table, _ count: Int, _ room: UnsafeMutableRawPointer,
    _ interruption: inout Interruption
  ) {
    let start = table.baseAddress!
    switch factors {
    case .floats(_, let weights):
      unsafe weights.withUnsafeBufferPointer { weights in
        guard let weights = weights.baseAddress else { return }
        unsafe take(rows: rows, start, count, weights, depth: hidden)
      }
    case .bytes(_, let factor):
      unsafe factor.add(productsOf: start + count, rows: rows, to: start, room, &interruption)
      // The gates alone are left, whose product has no terms.
      let most = 1024
      for first in stride(from: 0, to: rows, by: most) {
        let rows = min(most, rows - first)
        if interruption.isDue(after: 4 &* rows &* hidden) { return }
        unsafe take(rows: rows, start + first, count, table[0], depth: 0)
      }
    }
  }

  private func take(
    rows: Int, _ start: UnsafeMutablePointer<UnsafeMutablePointer<Float>>, _ count: Int,
    _ weights: UnsafePointer<Float>, depth: Int
  ) {
    let constants = unsafe UnsafeRawPointer(start).assumingMemoryBound(
      to: UnsafePointer<Float>.self)
    unsafe resetBias.withUnsafeBufferPointer { resetBias in
      unsafe peepholes.withUnsafeBufferPointer { peepholes in
        var step = unsafe RecurrentStep(
          rows: rows, blocks: blocks, depth: depth, weights: weights, sums: constants,
          hidden: constants + count, next: start + 2 * count, cell: start + 3 * count,
          peepholes: peepholes.isEmpty ? nil : peepholes.baseAddress,
          reset_bias: resetBias.isEmpty ? nil : resetBias.baseAddress,
          clip: Float(equations.clip), couples_forget: equations.couplesForget)
        switch equations.cell {
        case .rnn: unsafe instructions.kernels.step_rnn(&step)
        case .lstm: unsafe instructions.kernels.step_lstm(&step)
        case .gru where !isSplit: unsafe instructions.kernels.step_gru(&step)
        case .gru:
          unsafe instructions.kernels.step_gru_gates(&step)
          unsafe reset.withUnsafeBufferPointer { reset in
            unsafe step.weights = reset.baseAddress!
            unsafe step.hidden = constants + 2 * count
            unsafe step.next = UnsafePointer(start + count)
            unsafe instructions.kernels.step_gru_state(&step)
          }
        }
      }
    }
  }
}

extension RecurrentOperands {
  /// Those of a node whose tensors are of single precision.
  init(_ inputs: Inputs, _ sequence: Destination?, _ hidden: Destination?, _ cell: Destination?) {
    unsafe self.init(
      x: inputs[0].pointer(as: Float.self), lengths: inputs.tensor(4)?.pointer(as: Int32.self),
      hidden: inputs.tensor(5)?.pointer(as: Float.self),
      cell: inputs.tensor(6)?.pointer(as: Float.self),
      sequence: sequence?.pointer(as: Float.self), lastHidden: hidden?.pointer(as: Float.self),
      lastCell: cell?.pointer(as: Float.self))
  }

  /// Rows of X, in the order in which they lie, of which the longest sequence sees any.
  fileprivate func reach(_ extents: RecurrentExtents) -> Int {
    let steps = unsafe lengths.map { lengths in
      (0..<extents.batch).reduce(0) { unsafe max($0, Int(lengths[$1])) }
    }
    return (steps ?? extents.steps) * extents.batch
  }
}
