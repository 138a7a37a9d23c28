import Testing

@testable import Sardonyx

@Suite struct TextsTests {
  private func texts(_ strings: String...) -> Tensor { Tensor(strings: strings, [strings.count]) }

  @Test func concatBroadcasts() throws {
    let y = try run("StringConcat", [texts("a", "b"), Tensor(strings: ["!"], [])])
    #expect(try y.strings() == ["a!", "b!"])
  }

  @Test(arguments: [
    ("a  b c ", nil as String?, nil as Int?, ["a", "b", "c"]), ("", nil, nil, []),
    (" a b  c ", "", 1, ["a", "b  c "]), ("a,,b", ",", nil, ["a", "", "b"]), ("", ",", nil, [""]),
    ("a,b,c", ",", 1, ["a", "b,c"]), ("a,b", ",", 0, ["a,b"]), ("é--ü", "--", nil, ["é", "ü"]),
  ])
  func splitFollowsItsDelimiter(
    text: String, delimiter: String?, limit: Int?, expected: [String]
  ) throws {
    var attributes: [String: Attribute] = [:]
    attributes["delimiter"] = delimiter.map { .string($0) }
    attributes["maxsplit"] = limit.map { .int($0) }
    let y = try run("StringSplit", [.tensor(texts(text))], attributes, outputs: 2)
    #expect(try y[0]!.tensor!.strings() == expected)
    #expect(try y[1]!.tensor!.elements() == [Int64(expected.count)])
  }

  @Test func splitFillsUpShorterLists() throws {
    let y = try run("StringSplit", [.tensor(texts("a b", "c"))], outputs: 2)[0]!.tensor!
    #expect(try y.shape == [2, 2] && y.strings() == ["a", "b", "c", ""])
  }

  @Test func normalizerDropsStopWordsAndChangesCase() throws {
    let days = texts("Monday", "monday", "Tuesday")
    let attributes: [String: Attribute] = [
      "case_change_action": .string("UPPER"), "stopwords": .strings(["monday"]),
    ]
    #expect(try run("StringNormalizer", [days], attributes).strings() == ["TUESDAY"])
    var sensitive = attributes
    sensitive["is_case_sensitive"] = .int(1)
    #expect(try run("StringNormalizer", [days], sensitive).strings() == ["MONDAY", "TUESDAY"])
    let all = try run(
      "StringNormalizer", [texts("monday").reshaped([1, 1])], attributes)
    #expect(try all.shape == [1, 1] && all.strings() == [""])
  }

  @Test func tokenizerMatchesOrSeparates() throws {
    func tokens(_ tensor: Tensor, _ attributes: [String: Attribute]) throws -> Tensor {
      var all: [String: Attribute] = [
        "mark": .int(0), "mincharnum": .int(1), "pad_value": .string("#"),
      ]
      all.merge(attributes) { $1 }
      return try run("Tokenizer", domain: "com.microsoft", opset: 1, [tensor], all)
    }
    let words = try tokens(texts("to be, or", "not"), ["tokenexp": .string("[a-z]+")])
    #expect(try words.shape == [2, 3] && words.strings() == ["to", "be", "or", "not", "#", "#"])
    let separated = try tokens(
      texts("a;b c"), ["separators": .strings([";", " "]), "mark": .int(1)])
    #expect(try separated.strings() == ["\u{2}", "a", "b", "c", "\u{3}"])
    let long = try tokens(texts("a bcd"), ["separators": .strings([" "]), "mincharnum": .int(2)])
    #expect(try long.strings() == ["bcd"])
    #expect(try tokens(texts("aé"), ["separators": .strings([""])]).strings() == ["a", "é"])
    #expect(try tokens(texts("?"), ["tokenexp": .string("[a-z]+")]).shape == [1, 0])
    #expect(try tokens(texts(), ["tokenexp": .string("[a-z]+")]).shape == [0])
  }

  @Test(arguments: [
    ("TF", 0, [Float(1), 0, 2, 1]), ("TF", 1, [Float(1), 1, 2, 1]),
    ("IDF", 0, [Float(0.5), 0, 3, 7]),
    ("TFIDF", 0, [Float(0.5), 0, 6, 7]),
  ])
  func vectorizerCountsGrams(mode: String, skip: Int, expected: [Float]) throws {
    let attributes: [String: Attribute] = [
      "mode": .string(mode), "min_gram_length": .int(1), "max_gram_length": .int(2),
      "max_skip_count": .int(skip), "ngram_counts": .ints([0, 2]),
      "ngram_indexes": .ints([0, 2, 3, 1]), "pool_int64s": .ints([5, 7, 7, 5, 7, 7]),
      "weights": .floats([0.5, 2, 3, 7]),
    ]
    let row = Tensor([Int64(7), 5, 7])
    #expect(try run("TfIdfVectorizer", [row], attributes).elements() == expected)
    #expect(try run("TfIdfVectorizer", [Tensor([Int64](), [2, 0])], attributes).shape == [2, 4])
  }

  /// Grams counted by comparing tokens, row by row.
  private func plainCounts(
    _ row: [String], _ grams: [[String]], _ lengths: ClosedRange<Int>, skip: Int
  ) -> [Float] {
    grams.map { gram in
      guard lengths.contains(gram.count) else { return 0 }
      var count: Float = 0
      for step in 1...(gram.count == 1 ? 1 : skip + 1) {
        for first in row.indices where first + (gram.count - 1) * step < row.count {
          if gram.indices.allSatisfy({ row[first + $0 * step] == gram[$0] }) { count += 1 }
        }
      }
      return count
    }
  }

  @Test(arguments: [(1...1, 0), (1...2, 0), (2...3, 1), (1...3, 2), (3...3, 0)])
  func vectorizerCountsAsComparingTokensDoes(lengths: ClosedRange<Int>, skip: Int) throws {
    var random = SystemRandomNumberGenerator()
    let words = ["", "a", "b", "é", "e\u{301}", "a long token of more than fifteen bytes", "#"]
    var grams: [[String]] = []
    for length in 1...3 {
      for _ in 0..<12 {
        let gram = (0..<length).map { _ in words.randomElement(using: &random)! }
        if !grams.contains(where: { $0.map { Array($0.utf8) } == gram.map { Array($0.utf8) } }) {
          grams.append(gram)
        }
      }
    }
    let starts = (1...3).map { length in
      grams.filter { $0.count < length }.reduce(0) { $0 + $1.count }
    }
    let rows = (0..<5).map { _ in (0..<20).map { _ in words.randomElement(using: &random)! } }
    let attributes: [String: Attribute] = [
      "mode": .string("TF"), "min_gram_length": .int(lengths.lowerBound),
      "max_gram_length": .int(lengths.upperBound), "max_skip_count": .int(skip),
      "ngram_counts": .ints(starts), "ngram_indexes": .ints(Array(grams.indices)),
      "pool_strings": .strings(grams.flatMap { $0 }),
    ]
    // Swift holds composed and decomposed letters for equal, the operator compares bytes.
    func spelt(_ text: String) -> String { text.utf8.map(String.init).joined(separator: ",") }
    let expected = rows.flatMap { row in
      plainCounts(row.map(spelt), grams.map { $0.map(spelt) }, lengths, skip: skip)
    }
    let input = Tensor(strings: rows.flatMap { $0 }, [5, 20])
    #expect(try run("TfIdfVectorizer", [input], attributes).elements() == expected)
  }

  @Test func runsAreTokenizedAsByTheMachine() throws {
    let texts = ["", "abc", "ab c,déf  x", "日本a語", "   ", "é", "a\u{301}b🙂c", "x"]
    func tokens(_ pattern: String) throws -> [String] {
      try run(
        "Tokenizer", domain: "com.microsoft", [Tensor(strings: texts, [8])],
        [
          "mark": .int(0), "mincharnum": .int(1), "tokenexp": .string(pattern),
          "pad_value": .string("-"),
        ]
      ).strings()
    }
    for set in ["[a-zé]", "[^a]", "\\pL", "[日-語]", "."] {
      #expect(try RegularExpression(set + "+").run != nil)
      #expect(try RegularExpression(set + set + "*").run == nil)
      #expect(try tokens(set + "+") == tokens(set + set + "*"), "\(set)")
    }
  }

  @Test func numbersOfTextsAreThoseOfTheirArrival() {
    var numbers = TextNumbers()
    let texts = (0..<1000).map { "\($0 * 7919)" } + ["", "é", "e\u{301}"]
    for (index, text) in texts.enumerated() { #expect(numbers.insert(text) == index) }
    for (index, text) in texts.enumerated() {
      var text = text
      #expect(numbers.insert(text) == index)
      #expect(text.withUTF8 { unsafe numbers.number(of: $0) } == index)
    }
    #expect(numbers.count == texts.count)
    var other = "no such text"
    #expect(other.withUTF8 { unsafe numbers.number(of: $0) } == nil)
  }
}
