/// Operators on strings.
let texts: OperatorFamily = [
  "RegexFullMatch": RegexFullMatch.init,
  "StringConcat": StringConcat.init,
  "StringNormalizer": StringNormalizer.init,
  "StringSplit": StringSplit.init,
  "TfIdfVectorizer": TfIdfVectorizer.init,
]

/// Operators on strings of the domain com.microsoft.
let microsoftTexts: OperatorFamily = ["Tokenizer": Tokenizer.init]

/// Each string of the first input followed by that of the second, broadcast.
struct StringConcat: Operator {
  init(_ node: inout NodeReader) {}

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.string, try Shape.broadcast([inputs.shape(0), inputs.shape(1)]))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = try Shape.broadcast([inputs[0].shape, inputs[1].shape])
    let (left, right) = (try inputs[0].strings(), try inputs[1].strings())
    var texts = TextList(outputs.context)
    let pairs = zip(
      Region(inputs[0].shape).broadcast(to: shape).offsets,
      Region(inputs[1].shape).broadcast(to: shape).offsets)
    try Interruption.check()
    var interruption = Interruption()
    for (first, second) in pairs {
      if interruption.isDue(after: 100) { try Interruption.check() }
      try texts.append(left[first], followedBy: right[second])
    }
    outputs.set(0, .tensor(try texts.tensor(shape)))
  }
}

/// The pieces of each string between delimiters, filled up with "" to the longest list, and their
/// number.
struct StringSplit: Operator {
  let delimiter: [UInt8]
  let limit: Int

  init(_ node: inout NodeReader) throws(ModelError) {
    delimiter = Array(try node.string("delimiter", default: "").utf8)
    let limit = try node.int("maxsplit", default: .max, within: NodeReader.any)
    self.limit = limit < 0 ? .max : limit
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    [Fact(.string, nil), Fact(.int64, try inputs.shape(0))]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    var texts = TextList(outputs.context)
    var counts: [Int] = []
    var interruption = Interruption()
    for text in try inputs[0].strings() {
      if interruption.isDue(after: 200 &+ 10 &* text.utf8.count) { try Interruption.check() }
      let list = delimiter.isEmpty ? words(text) : pieces(text)
      for piece in list { try texts.append(piece) }
      counts.append(list.count)
    }
    let filled = shape + [counts.max() ?? 0]
    outputs.set(0, .tensor(try texts.tensor(lists: counts, filledWith: "", filled)))
    outputs.set(1, .tensor(Tensor(counts.map(Int64.init), shape)))
  }

  /// The pieces between delimiters, empty ones too.
  private func pieces(_ text: String) -> [String] {
    var rest = Array(text.utf8)[...]
    var pieces: [String] = []
    while pieces.count < limit, let found = rest.firstRange(of: delimiter) {
      pieces.append(String(decoding: rest[..<found.lowerBound], as: UTF8.self))
      rest = rest[found.upperBound...]
    }
    return pieces + [String(decoding: rest, as: UTF8.self)]
  }

  /// The pieces between white space, as Python's `split` sees it; what is left after the last
  /// split keeps its trailing space.
  private func words(_ text: String) -> [String] {
    func isSpace(_ scalar: Unicode.Scalar) -> Bool {
      scalar.properties.isWhitespace || ("\u{1C}"..."\u{1F}") ~= scalar
    }
    var rest = text.unicodeScalars[...].drop(while: isSpace)
    var words: [String] = []
    while words.count < limit, !rest.isEmpty {
      let word = rest.prefix { !isSpace($0) }
      words.append(String(word))
      rest = rest[word.endIndex...].drop(while: isSpace)
    }
    return rest.isEmpty ? words : words + [String(rest)]
  }
}

/// The strings of a list that are not stop words, in lower, upper or unchanged case.
struct StringNormalizer: Operator {
  enum CaseChange: String, CaseIterable {
    case lower = "LOWER"
    case upper = "UPPER"
    case none = "NONE"
  }

  let change: CaseChange
  let isCaseSensitive: Bool
  let stopWords: Set<String>

  init(_ node: inout NodeReader) throws(ModelError) {
    change = try node.choice("case_change_action", default: .none)
    let isCaseSensitive = try node.bool("is_case_sensitive")
    self.isCaseSensitive = isCaseSensitive
    let words = try node.strings("stopwords") ?? []
    stopWords = Set(isCaseSensitive ? words : words.map { $0.lowercased() })
    // Case follows Unicode everywhere, so that results do not depend on the machine.
    node.ignore("locale")
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count == 1 || (shape.count == 2 && shape[0] == 1) else {
      throw .unexpected("shape of X", expected: "[C] or [1,C]", got: "[\(shape.joined)]")
    }
    return [Fact(.string, nil)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    var kept = TextList(outputs.context)
    var interruption = Interruption()
    for text in try inputs[0].strings() {
      if interruption.isDue(after: 200 &+ 10 &* text.utf8.count) { try Interruption.check() }
      if !stopWords.isEmpty, stopWords.contains(isCaseSensitive ? text : text.lowercased()) {
        continue
      }
      switch change {
      case .lower: try kept.append(text.lowercased())
      case .upper: try kept.append(text.uppercased())
      case .none: try kept.append(text)
      }
    }
    if kept.count == 0 { try kept.append("") }
    let shape = inputs[0].shape.dropLast() + [kept.count]
    outputs.set(0, .tensor(try kept.tensor(Array(shape))))
  }
}

/// Whether the pattern matches each string as a whole.
struct RegexFullMatch: Operator {
  let pattern: RegularExpression

  init(_ node: inout NodeReader) throws(ModelError) {
    guard let pattern = try node.string("pattern") else { throw node.missing("pattern") }
    self.pattern = try RegularExpression(pattern)
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] { [Fact(.bool, try inputs.shape(0))] }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    var interruption = Interruption()
    let matches = try inputs[0].strings().map { text throws(ModelError) in
      if interruption.isDue(after: 1000) { try Interruption.check() }
      return pattern.matches(whole: text)
    }
    outputs[0].store(elements: matches)
  }
}
