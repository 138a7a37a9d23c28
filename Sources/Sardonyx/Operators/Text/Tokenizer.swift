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
    var tokens = TextList(outputs.context)
    var counts: [Int] = []
    var interruption = Interruption()
    for text in try inputs[0].strings() {
      if interruption.isDue(after: 200) { try Interruption.check() }
      let first = tokens.count
      if isMarked { try tokens.append("\u{2}") }
      try append(tokensOf: text, to: &tokens)
      if isMarked { try tokens.append("\u{3}") }
      counts.append(tokens.count - first)
    }
    // An input without strings keeps its shape.
    let filled = counts.isEmpty ? shape : shape + [counts.max() ?? 0]
    outputs.set(
      0, .tensor(try tokens.tensor(lists: counts, filledWith: padding, filled)))
  }

  private func append(tokensOf text: String, to tokens: inout TextList) throws(ModelError) {
    switch rule {
    case .characters:
      try append(text.unicodeScalars.lazy.map { String($0) }, length: 1, to: &tokens)
    case .tokens(let expression):
      if let run = expression.run { return try append(runsOf: run, in: text, to: &tokens) }
      let scalars = Array(text.unicodeScalars)
      try append(expression.matches(in: scalars, 0..<scalars.count), of: scalars, to: &tokens)
    case .separators(let expressions):
      let scalars = Array(text.unicodeScalars)
      let ranges = expressions.reduce([0..<scalars.count]) { pieces, separator in
        pieces.flatMap { separator.pieces(of: scalars, $0) }
      }
      try append(ranges, of: scalars, to: &tokens)
    }
  }

  private func append(
    _ ranges: [Range<Int>], of text: [Unicode.Scalar], to tokens: inout TextList
  ) throws(ModelError) {
    for range in ranges {
      let token = String(String.UnicodeScalarView(text[range]))
      try append(CollectionOfOne(token), length: range.count, to: &tokens)
    }
  }

  private func append(_ found: some Sequence<String>, length: Int, to tokens: inout TextList)
    throws(ModelError)
  {
    guard length >= shortest else { return }
    for token in found where stopWords.isEmpty || !stopWords.contains(token) {
      try tokens.append(token)
    }
  }

  /// The longest runs of scalars that pass a test, found in UTF-8.
  private func append(runsOf test: ScalarTest, in text: String, to tokens: inout TextList)
    throws(ModelError)
  {
    var text = text
    var interruption = Interruption()
    var fault: ModelError?
    text.withUTF8 { bytes in
      var place = 0
      while place < bytes.count {
        let first = place
        var length = 0
        while place < bytes.count {
          let (isMember, width) = unsafe Self.member(of: test, bytes, place)
          guard isMember else { break }
          place += width
          length += 1
        }
        if interruption.isDue(after: place - first + 20) { return }
        if length > 0 {
          let token = unsafe String(decoding: bytes[first..<place], as: UTF8.self)
          do throws(ModelError) {
            try append(CollectionOfOne(token), length: length, to: &tokens)
          } catch {
            fault = error
            return
          }
        } else {
          place += unsafe Self.member(of: test, bytes, place).width
        }
      }
    }
    if let fault { throw fault }
  }

  /// Whether the scalar at a place of well-formed UTF-8 passes a test, and how many bytes it takes.
  private static func member(
    of test: ScalarTest, _ bytes: UnsafeBufferPointer<UInt8>, _ place: Int
  ) -> (isMember: Bool, width: Int) {
    let lead = unsafe bytes[place]
    if lead < 0x80 { return (test.contains(ascii: lead), 1) }
    let width = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    guard place + width <= bytes.count else { return (false, bytes.count - place) }
    var value = UInt32(lead) & (0xFF >> UInt32(width + 1))
    for index in 1..<width { value = unsafe value << 6 | UInt32(bytes[place + index] & 0x3F) }
    return (Unicode.Scalar(value).map(test.contains) ?? false, width)
  }
}

extension RegularExpression {
  /// The matches in a part of a text, one after the other, empty ones left out.
  fileprivate func matches(in text: [Unicode.Scalar], _ part: Range<Int>) -> [Range<Int>] {
    let text = Array(text[part])
    var matches: [Range<Int>] = []
    var place = 0
    var machine = machine
    while place < text.count, let match = firstMatch(in: text, from: place, &machine) {
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
