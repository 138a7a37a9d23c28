/// The equations of RNN, GRU and LSTM.
struct RecurrentEquations: Sendable {
  let cell: RecurrentCell
  /// The bound of what goes into a function.
  let clip: Double
  /// GRU's `linear_before_reset`: the reset gate multiplies the product with R, not the state.
  let appliesResetLater: Bool
  /// LSTM's `input_forget`: f = 1 - i.
  let couplesForget: Bool
  /// Whether X as a whole, and each step's states, are rounded to uint8 before the products.
  var quantizesFactors = false

  /// What the products see of X or of the states.
  /// - Parameter count: how many of the numbers set the range; nil for all.
  func factor<T: RealNumber>(_ numbers: [T], rangeOf count: Int? = nil) -> [T] {
    guard quantizesFactors else { return numbers }
    var results = numbers
    var (low, high): (Float, Float) = (0, 0)
    var interruption = Interruption()
    for number in numbers.prefix(count ?? numbers.count) {
      if interruption.isDue(after: 4) { return results }
      (low, high) = (min(low, number.asFloat), max(high, number.asFloat))
    }
    let range = DynamicRange(low: low, high: high)
    for index in results.indices {
      if interruption.isDue(after: 8) { return results }
      results[index] = T(range.rounded(results[index].asFloat))
    }
    return results
  }
}

/// The states of one direction.
struct RecurrentStates<T: RealNumber> {
  /// batch×hidden.
  var hidden: [T]
  var cell: [T]
}

/// What is computed of all directions, as the outputs hold it.
struct RecurrentResults<T: RealNumber> {
  var sequence: [T]
  var hidden: [T]
  var cell: [T]

  /// The initial states, and a sequence of zeros.
  init(_ extents: RecurrentExtents, _ hidden: Tensor?, _ cell: Tensor?) {
    let count = extents.stateShape.elementCount
    sequence = Array(zerosUntilDue: extents.outputShape.elementCount)
    self.hidden = hidden?.converted() ?? Array(repeating: 0, count: count)
    self.cell = cell?.converted() ?? Array(repeating: 0, count: count)
  }

  func states(_ extents: RecurrentExtents, _ direction: Int) -> RecurrentStates<T> {
    var interruption = Interruption()
    func picked(_ numbers: [T]) -> [T] {
      var picked = [T](zerosUntilDue: extents.batch * extents.hidden)
      for sample in 0..<extents.batch {
        let place = extents.state(direction, sample)
        for unit in 0..<extents.hidden {
          if interruption.isDue(after: 4) { return picked }
          picked[sample * extents.hidden + unit] = numbers[place + unit]
        }
      }
      return picked
    }
    return RecurrentStates(hidden: picked(hidden), cell: picked(cell))
  }

  mutating func store(
    _ states: RecurrentStates<T>, _ extents: RecurrentExtents, _ direction: Int
  ) {
    var interruption = Interruption()
    for sample in 0..<extents.batch {
      let place = extents.state(direction, sample)
      for unit in 0..<extents.hidden {
        if interruption.isDue(after: 8) { return }
        hidden[place + unit] = states.hidden[sample * extents.hidden + unit]
        cell[place + unit] = states.cell[sample * extents.hidden + unit]
      }
    }
  }
}

/// A matrix that many vectors are multiplied with: y = W·x + b.
struct Projection<T: RealNumber>: Sendable {
  private let weights: [T]
  private let bias: [T]
  private let depth: Int
  private let packed: PackedMatrix?

  /// - Parameter weights: a row of `depth` numbers for each number of `bias`.
  init(_ weights: [T], bias: [T], depth: Int) {
    self.weights = weights
    self.bias = bias
    self.depth = depth
    packed = (weights as Any as? [Float]).map {
      PackedMatrix(
        right: $0, MatrixView(columns: depth, isTransposed: true), columns: bias.count,
        depth: depth)
    }
  }

  /// The results for `count` vectors that lie one after the other.
  func apply(to x: [T], count: Int, on crew: Crew) -> [T] {
    let product = ProductBatch(
      m: count, n: bias.count, k: depth, left: MatrixView(columns: depth),
      right: MatrixView(columns: depth, isTransposed: true))
    var y = product.multiply(x, weights, packedRight: packed, on: crew)
    addBias(to: &y)
    return y
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  private func addBias(to y: inout [T]) {
    var interruption = Interruption()
    for first in stride(from: 0, to: y.count, by: max(bias.count, 1)) {
      if interruption.isDue(after: bias.count &+ 2) { return }
      for index in bias.indices { y[first + index] += bias[index] }
    }
  }
}

/// The weights of one direction.
struct RecurrentWeights<T: RealNumber>: Sendable {
  /// W and Wb of all gates.
  let input: Projection<T>
  /// R and Rb of the gates that see the state as it is.
  let recurrent: Projection<T>
  /// R and Rb of GRU's gate h where that sees the state after the reset gate.
  let reset: Projection<T>?
  /// Of the input, output and forget gate of an LSTM: 3·hidden; nil where there are none.
  let peepholes: [T]?

  /// - Parameter tensor: the input of the node with an index, nil where it is left out.
  init(
    _ extents: RecurrentExtents, _ equations: RecurrentEquations, direction: Int,
    _ tensor: (Int) -> Tensor?
  ) {
    func part(_ index: Int, _ count: Int) -> [T]? {
      tensor(index).map { $0.part(direction * count..<(direction + 1) * count).converted() }
    }
    let hidden = extents.hidden
    let rows = extents.gates * hidden
    let bias = part(3, 2 * rows) ?? Array(repeating: 0, count: 2 * rows)
    let r = part(2, rows * hidden) ?? []
    let isSplit = equations.cell == .gru && !equations.appliesResetLater
    let seeing = isSplit ? 2 * hidden : rows
    input = Projection(
      part(1, rows * extents.input) ?? [], bias: Array(bias[..<rows]), depth: extents.input)
    recurrent = Projection(
      Array(r[..<(seeing * hidden)]), bias: Array(bias[rows..<rows + seeing]), depth: hidden)
    reset =
      isSplit
      ? Projection(
        Array(r[(seeing * hidden)...]), bias: Array(bias[(rows + seeing)...]), depth: hidden)
      : nil
    peepholes = part(7, 3 * hidden)
  }
}
