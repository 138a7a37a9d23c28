/// The tokens of each string along one more axis, filled up to the longest list.
///
/// Tokens are what `tokenexp` matches, or what lies between matches of `separators`; a single empty
/// separator makes every character a token. Source: ONNX Runtime, "Contrib Operators".
struct Tokenizer: Operator {
  private enum Rule {
    case characters
    case tokens(RegularExpression)
    case separators([RegularExpression])
  }

  private let rule: Rule
  private let isMarked: Bool
  private let padding: String
  private let shortest: Int
  private let stopWords: Set<String>

  init(_ node: inout NodeReader) throws(ModelError) {
    isMarked = try node.bool("mark")
    padding = try node.string("pad_value", default: "")
    shortest = try node.int("mincharnum", default: 1)
    stopWords = Set(try node.strings("stopwords") ?? [])
    guard shortest > 0 else {
      throw node.invalid("mincharnum", expected: "a positive number", got: shortest)
    }
    let separators = try node.strings("separators") ?? []
    let expression = try node.string("tokenexp", default: "")
    guard separators.isEmpty != expression.isEmpty else {
      throw .unexpected(
        "attributes tokenexp and separators", expected: "one of them",
        got: expression.isEmpty ? "none" : "both", code: .invalid)
    }
    if separators == [""] {
      rule = .characters
    } else if separators.isEmpty {
      rule = .tokens(try RegularExpression(expression))
    } else {
      rule = .separators(
        try separators.map { (pattern) throws(ModelError) in try RegularExpression(pattern) })
    }
  }

  func outputs(_ inputs: Facts) throws(ModelError) -> [Fact] {
    let shape = try inputs.shape(0)
    guard shape.count == 1 || shape.count == 2 else {
      throw .unexpected("rank of X", expected: "1 or 2", got: "\(shape.count)")
    }
    return [Fact(.string, nil)]
  }

  func run(_ inputs: Inputs, _ outputs: Outputs) throws(ModelError) {
    let shape = inputs[0].shape
    var lists = try inputs[0].strings().map { text in
      tokens(Array(text.unicodeScalars)).filter { !stopWords.contains($0) }
    }
    if isMarked { lists = lists.map { ["\u{2}"] + $0 + ["\u{3}"] } }
    let longest = lists.map(\.count).max() ?? 0
    let filled = lists.flatMap { $0 + Array(repeating: padding, count: longest - $0.count) }
    // An input without strings keeps its shape.
    outputs.set(
      0, .tensor(Tensor(strings: filled, lists.isEmpty ? shape : shape + [longest])))
  }

  private func tokens(_ text: [Unicode.Scalar]) -> [String] {
    let ranges =
      switch rule {
      case .characters: text.indices.map { $0..<$0 + 1 }
      case .tokens(let expression): expression.matches(in: text, 0..<text.count)
      case .separators(let expressions):
        expressions.reduce([0..<text.count]) { pieces, separator in
          pieces.flatMap { separator.pieces(of: text, $0) }
        }
      }
    return ranges.filter { $0.count >= shortest }.map {
      String(String.UnicodeScalarView(text[$0]))
    }
  }
}

extension RegularExpression {
  /// The matches in a part of a text, one after the other, empty ones left out.
  fileprivate func matches(in text: [Unicode.Scalar], _ part: Range<Int>) -> [Range<Int>] {
    let text = Array(text[part])
    var matches: [Range<Int>] = []
    var place = 0
    while place < text.count, let match = firstMatch(in: text, from: place) {
      if !match.isEmpty {
        matches.append(match.lowerBound + part.lowerBound..<match.upperBound + part.lowerBound)
      }
      place = max(match.upperBound, match.lowerBound + 1)
    }
    return matches
  }

  /// What lies between the matches in a part of a text.
  fileprivate func pieces(of text: [Unicode.Scalar], _ part: Range<Int>) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var start = part.lowerBound
    for match in matches(in: text, part) {
      pieces.append(start..<match.lowerBound)
      start = match.upperBound
    }
    return pieces + [start..<part.upperBound]
  }
}
