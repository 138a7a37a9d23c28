/// How often each n-gram of a pool occurs in a row of tokens, or whether it does, or either weighted.
///
/// The tokens of an n-gram may lie up to `max_skip_count` tokens apart.
struct TfIdfVectorizer: Operator {
  private enum Token: Hashable {
    case number(Int64)
    case text(String)
  }

  private enum Mode: String {
    case frequency = "TF"
    case presence = "IDF"
    case weightedFrequency = "TFIDF"
  }

  private let mode: Mode
  private let lengths: ClosedRange<Int>
  private let largestSkip: Int
  /// The output column of each n-gram.
  private let columns: [[Token]: Int]
  private let columnCount: Int
  /// By column.
  private let weights: [Float]?

  init(_ node: inout NodeReader) throws(ModelError) {
    let name = try node.string("mode", default: "")
    guard let mode = Mode(rawValue: name) else {
      throw node.invalid("mode", expected: "TF, IDF or TFIDF", got: name)
    }
    self.mode = mode
    let shortest = try node.int("min_gram_length", default: 1)
    let longest = try node.int("max_gram_length", default: 1)
    guard shortest > 0, longest >= shortest, longest < 1 << 20 else {
      throw node.invalid("max_gram_length", expected: "at least \(max(shortest, 1))", got: longest)
    }
    lengths = shortest...longest
    largestSkip = try node.int("max_skip_count", default: 0)
    guard largestSkip >= 0, largestSkip < 1 << 20 else {
      throw node.invalid("max_skip_count", expected: "a number from 0", got: largestSkip)
    }
    let indexes = try node.ints("ngram_indexes") ?? []
    guard indexes.allSatisfy({ $0 >= 0 && $0 < 1 << 31 }), let last = indexes.max() else {
      throw node.invalid("ngram_indexes", expected: "numbers from 0", got: indexes.joined)
    }
    columnCount = last + 1
    columns = try Self.columns(&node, indexes)
    weights = try node.floats("weights").flatMap { $0.isEmpty ? nil : $0 }
    if let weights, weights.count < columnCount {
      throw node.invalid("weights", expected: "\(columnCount) numbers", got: weights.count)
    }
  }

  /// Cuts the pool into its n-grams: first those of one token, then those of two, and so on.
  private static func columns(_ node: inout NodeReader, _ indexes: [Int]) throws(ModelError)
    -> [[Token]: Int]
  {
    let texts = (try node.strings("pool_strings") ?? []).map { Token.text($0) }
    let numbers = (try node.ints("pool_int64s", within: NodeReader.any) ?? []).map {
      Token.number(Int64($0))
    }
    guard texts.isEmpty || numbers.isEmpty else {
      throw ModelError(.invalid, "attributes pool_strings and pool_int64s: expected one, got both")
    }
    let pool = texts + numbers
    let starts = (try node.ints("ngram_counts") ?? []) + [pool.count]
    var columns: [[Token]: Int] = [:]
    var gram = 0
    for (index, (start, end)) in zip(starts, starts.dropFirst()).enumerated() {
      let length = index + 1
      guard start >= 0, end >= start, end <= pool.count else {
        throw node.invalid(
          "ngram_counts", expected: "ascending places in the pool", got: starts.joined)
      }
      for first in stride(from: start, to: end - length + 1, by: length) {
        guard gram < indexes.count else {
          throw node.invalid(
            "ngram_indexes", expected: "a number for each n-gram", got: indexes.count)
        }
        columns[Array(pool[first..<first + length])] = indexes[gram]
        gram += 1
      }
    }
    return columns
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count <= 2 else {
      throw .unexpected("rank of X", expected: "at most 2", got: "\(shape.count)")
    }
    return [Fact(.float, (shape.count == 2 ? [shape[0]] : []) + [columnCount])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tokens =
      inputs[0].type == .string
      ? try inputs[0].strings().map { Token.text($0) }
      : inputs[0].converted(to: Int64.self).map { Token.number($0) }
    let rowLength = inputs[0].shape.last ?? 1
    var result = [Float](repeating: 0, count: outputs[0].elementCount)
    for row in 0..<result.count / columnCount {
      let counts = counts(tokens[row * rowLength..<(row + 1) * rowLength])
      for (column, count) in counts { result[row * columnCount + column] = value(column, count) }
    }
    outputs[0].store(elements: result)
  }

  private func value(_ column: Int, _ count: Int) -> Float {
    switch mode {
    case .frequency: Float(count)
    case .presence: weights?[column] ?? 1
    case .weightedFrequency: Float(count) * (weights?[column] ?? 1)
    }
  }

  /// How often the n-grams of each column occur in a row.
  private func counts(_ row: ArraySlice<Token>) -> [Int: Int] {
    var counts: [Int: Int] = [:]
    var interruption = Interruption()
    for length in lengths where length <= row.count {
      // A single token has nothing to skip.
      for step in 1...(length == 1 ? 1 : largestSkip + 1) {
        let span = (length - 1) * step
        guard span < row.count else { break }
        for first in row.startIndex..<row.endIndex - span {
          if interruption.isDue(after: 100) { return counts }
          let gram = stride(from: first, through: first + span, by: step).map { row[$0] }
          if let column = columns[gram] { counts[column, default: 0] += 1 }
        }
      }
    }
    return counts
  }
}
