/// How often each n-gram of a pool occurs in a row of tokens, or whether it does, or either weighted.
///
/// The tokens of an n-gram may lie up to `max_skip_count` tokens apart.
struct TfIdfVectorizer: Operator {
  private enum Mode: String {
    case frequency = "TF"
    case presence = "IDF"
    case weightedFrequency = "TFIDF"
  }

  private let mode: Mode
  private let lengths: ClosedRange<Int>
  private let largestSkip: Int
  private let grams: Grams
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
    grams = try Self.grams(&node, indexes)
    weights = try node.floats("weights").flatMap { $0.isEmpty ? nil : $0 }
    if let weights, weights.count < columnCount {
      throw node.invalid("weights", expected: "\(columnCount) numbers", got: weights.count)
    }
  }

  /// Cuts the pool into its n-grams: first those of one token, then those of two, and so on.
  private static func grams(_ node: inout NodeReader, _ indexes: [Int]) throws(ModelError) -> Grams
  {
    let texts = try node.strings("pool_strings") ?? []
    let numbers = try node.ints("pool_int64s", within: NodeReader.any) ?? []
    guard texts.isEmpty || numbers.isEmpty else {
      throw ModelError(.invalid, "attributes pool_strings and pool_int64s: expected one, got both")
    }
    var grams = Grams()
    let pool = texts.map { grams.insert($0) } + numbers.map { grams.insert(Int64($0)) }
    let starts = (try node.ints("ngram_counts") ?? []) + [pool.count]
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
        grams.insert(pool[first..<first + length], column: indexes[gram])
        gram += 1
      }
    }
    return grams
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count <= 2 else {
      throw .unexpected("rank of X", expected: "at most 2", got: "\(shape.count)")
    }
    return [Fact(.float, (shape.count == 2 ? [shape[0]] : []) + [columnCount])]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let tokens = grams.tokens(of: inputs[0])
    guard tokens.count == inputs[0].elementCount else { return }
    let rowLength = inputs[0].shape.last ?? 1
    let count = outputs[0].elementCount
    // Numbers of occurrences, then what becomes of them in the same place.
    let (counts, values) = unsafe (
      outputs[0].pointer(as: Int32.self), outputs[0].pointer(as: Float.self)
    )
    outputs[0].clear()
    var interruption = Interruption()
    for row in 0..<count / columnCount {
      if interruption.isDue(after: 20 &* rowLength &+ 20) { return }
      unsafe self.count(
        tokens[row * rowLength..<(row + 1) * rowLength], into: counts + row * columnCount)
    }
    for row in stride(from: 0, to: count, by: columnCount) {
      if interruption.isDue(after: 4 &* columnCount &+ 4) { return }
      for column in 0..<columnCount {
        unsafe values[row + column] = value(column, counts[row + column])
      }
    }
  }

  private func value(_ column: Int, _ count: Int32) -> Float {
    switch mode {
    case .frequency: Float(count)
    case .presence: count == 0 ? 0 : weights?[column] ?? 1
    case .weightedFrequency: count == 0 ? 0 : Float(count) * (weights?[column] ?? 1)
    }
  }

  /// Counts the n-grams of each column in a row.
  private func count(_ row: ArraySlice<Int32>, into counts: UnsafeMutablePointer<Int32>) {
    var interruption = Interruption()
    // A single token has nothing to skip.
    for step in 1...(lengths.upperBound == 1 ? 1 : largestSkip + 1) {
      guard (lengths.lowerBound - 1) * step < row.count else { return }
      for first in row.indices {
        var gram: Int32?
        var place = first
        for length in 1...lengths.upperBound where place < row.endIndex {
          gram = grams.next(gram, row[place])
          guard let gram else { break }
          if lengths.contains(length), length > 1 || step == 1, let column = grams.column(gram) {
            unsafe counts[column] &+= 1
          }
          place += step
        }
        if interruption.isDue(after: 20 + 10 * (place - first) / step) { return }
      }
    }
  }
}

/// The n-grams of a pool as a tree: behind each one, those that are longer by a token.
private struct Grams: Sendable {
  private var texts = TextNumbers()
  private var numbers: [Int64: Int32] = [:]
  /// By token, the gram of it alone, or -1.
  private var single: [Int32] = []
  /// By gram and token, the gram that is longer by the token.
  private var longer: [UInt64: Int32] = [:]
  /// By gram, its output column, or -1 where it is only the beginning of others.
  private var columns: [Int32] = []

  private static let none: Int32 = -1

  mutating func insert(_ text: String) -> Int32 { Int32(texts.insert(text)) }

  mutating func insert(_ number: Int64) -> Int32 {
    let known = numbers[number] ?? Int32(numbers.count)
    numbers[number] = known
    return known
  }

  mutating func insert(_ tokens: ArraySlice<Int32>, column: Int) {
    var gram: Int32?
    for token in tokens { gram = next(gram, token) ?? add(behind: gram, token) }
    if let gram { columns[Int(gram)] = Int32(column) }
  }

  private mutating func add(behind gram: Int32?, _ token: Int32) -> Int32 {
    let new = Int32(columns.count)
    columns.append(Self.none)
    if let gram {
      longer[Self.key(gram, token)] = new
    } else {
      while single.count <= token { single.append(Self.none) }
      single[Int(token)] = new
    }
    return new
  }

  private static func key(_ gram: Int32, _ token: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: gram)) << 32 | UInt64(UInt32(bitPattern: token))
  }

  /// The gram that one, or nothing, becomes by a token.
  func next(_ gram: Int32?, _ token: Int32) -> Int32? {
    guard token >= 0 else { return nil }
    if let gram { return longer[Self.key(gram, token)] }
    guard token < single.count, single[Int(token)] >= 0 else { return nil }
    return single[Int(token)]
  }

  func column(_ gram: Int32) -> Int? {
    let column = columns[Int(gram)]
    return column < 0 ? nil : Int(column)
  }

  /// The tokens of a tensor, -1 for one that is in no gram; fewer where the run is to end.
  func tokens(of tensor: Tensor) -> [Int32] {
    guard tensor.type == .string else {
      return tensor.converted(to: Int64.self).interruptibleMap(cost: 20) {
        numbers[$0] ?? Self.none
      }
    }
    let references = unsafe tensor.pointer(as: TextReference.self)
    var last: (reference: TextReference, token: Int32)?
    return (0..<tensor.elementCount).interruptibleMap(cost: 10) { index in
      let reference = unsafe references[index]
      if let last, last.reference == reference { return last.token }
      var text = TextPool.text(reference)
      let token = text.withUTF8 { unsafe texts.number(of: $0).map { Int32($0) } } ?? Self.none
      last = (reference, token)
      return token
    }
  }
}
