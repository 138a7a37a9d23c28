import Testing

@testable import Sardonyx

@Suite struct RegularExpressionTests {
  @Test(arguments: [
    ("abc", ["abc"], ["ab", "abcd", ""]), ("a|bc|", ["a", "bc", ""], ["b", "abc"]),
    ("a*b+c?", ["b", "aabbc"], ["a", "bcc"]),
    ("(ab){2,3}", ["abab", "ababab"], ["ab", "abababab"]),
    ("a{2}", ["aa"], ["a", "aaa"]), ("a{,2}", ["a{,2}"], ["a"]), ("a{2,}?", ["aaa"], ["a"]),
    (".", ["é", "x"], ["", "\n", "xy"]), ("(?s).", ["\n"], []), ("(?i)Ä[b-d]", ["äC"], ["äe"]),
    ("[^a-c\\d]", ["x", "-"], ["a", "7"]), ("[]a-]+", ["]a-"], ["b"]), ("\\d{3}", ["123"], ["12x"]),
    ("[[:alpha:]_]+", ["ab_"], ["a1"]), ("\\p{Lu}\\pN", ["É4"], ["é4"]), ("\\PL", ["1"], ["a"]),
    ("\\Qa.b\\E+", ["a.bb"], ["axb"]), ("\\x41\\x{1F600}\\t", ["A😀\t"], ["A"]),
    ("(?P<name>a)(?:b)(?<other>c)", ["abc"], ["ab"]), ("^a$", ["a"], ["a\n"]),
    ("\\bfoo\\b.*", ["foo bar"], ["food"]), ("a(?i:b)c", ["aBc"], ["abC"]),
    ("(a*)*", ["", "aaa"], ["b"]),
    ("(?m)a$\n^b", ["a\nb"], []), ("\\.\\-\\/", [".-/"], ["x"]), ("", [""], ["a"]),
  ])
  func wholeTexts(pattern: String, matching: [String], others: [String]) throws {
    let expression = try RegularExpression(pattern)
    for text in matching { #expect(expression.matches(whole: text), "\(pattern) on \(text)") }
    for text in others { #expect(!expression.matches(whole: text), "\(pattern) on \(text)") }
  }

  @Test(arguments: [
    ("a+", "xaay", 1..<3), ("a+?", "xaay", 1..<2), ("a|ab", "xab", 1..<2), ("ab|a", "xab", 1..<3),
    ("b*", "ab", 0..<0), ("\\w+$", "one two", 4..<7), ("(?U)a+", "aa", 0..<1),
  ])
  func firstMatchesPreferWhatPerlPrefers(pattern: String, text: String, expected: Range<Int>) throws
  {
    let expression = try RegularExpression(pattern)
    var machine = expression.machine
    // A machine that has been used finds the same.
    for _ in 0..<2 {
      let found = expression.firstMatch(in: Array(text.unicodeScalars), from: 0, &machine)
      #expect(found == expected)
    }
  }

  @Test(arguments: [
    ("(a", "a ( without ) at place 2"), ("a)", "a ) without ( at place 1"),
    ("[a", "a [ without ] at place 2"), ("*a", "nothing to repeat at place 1"),
    ("a\\", "a \\ at the end at place 2"), ("[z-a]", "a range that runs backwards at place 4"),
    ("\\1", "an unknown escape \\1 at place 2"), ("\\p{Xy}", "an unknown category Xy at place 6"),
    ("a{2,1}", "a repetition other than {n,m} up to 1000 at place 6"),
  ])
  func malformedPatternsAreNamed(pattern: String, what: String) {
    #expect(throws: ModelError(.invalid, "pattern \"\(pattern)\" has \(what)")) {
      try RegularExpression(pattern)
    }
  }

  @Test func hostilePatternsCostLittle() throws {
    let text = String(repeating: "a", count: 2000) + "b"
    #expect(try !RegularExpression("(a*)*(a|aa)*c").matches(whole: text))
    #expect(throws: ModelError(.limit, "the pattern needs more than 20000 steps")) {
      try RegularExpression("((a{1000}){1000}){1000}")
    }
    #expect(throws: ModelError.self) {
      try RegularExpression(String(repeating: "(", count: 100_000))
    }
  }
}
