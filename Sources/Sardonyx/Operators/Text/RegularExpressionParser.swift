/// Reads RE2's syntax. Source: RE2, "Syntax", without scripts in `\p` and without `\C`.
struct RegularExpressionParser {
  private let text: [Unicode.Scalar]
  private var place = 0
  private var flags = Flags()
  private var depth = 0

  private struct Flags {
    var ignoresCase = false
    /// `^` and `$` match at lines.
    var isMultiline = false
    /// `.` matches the line feed.
    var dotIsAll = false
    /// Repetitions prefer few, and `?` after them makes them prefer many.
    var isUngreedy = false
  }

  private static let depthLimit = 200
  private static let repetitionLimit = 1000

  init(_ pattern: String) { text = Array(pattern.unicodeScalars) }

  /// The whole pattern.
  mutating func pattern() throws(ModelError) -> RegularExpressionTree {
    let tree = try choice()
    guard place == text.count else { throw malformed("a ) without (") }
    return tree
  }

  private func malformed(_ what: String) -> ModelError {
    let pattern = String(String.UnicodeScalarView(text))
    return ModelError(.invalid, "pattern \"\(pattern)\" has \(what) at place \(place)")
  }

  private var next: Unicode.Scalar? { place < text.count ? text[place] : nil }

  private mutating func take(_ expected: String) -> Bool {
    let scalars = Array(expected.unicodeScalars)
    guard text[place...].starts(with: scalars) else { return false }
    place += scalars.count
    return true
  }

  /// The text up to `end`, which is taken too.
  private mutating func take(upTo end: String) throws(ModelError) -> String {
    let start = place
    while place < text.count {
      let last = place
      if take(end) { return String(String.UnicodeScalarView(text[start..<last])) }
      place += 1
    }
    throw malformed("no \(end) to what is open")
  }

  private mutating func choice() throws(ModelError) -> RegularExpressionTree {
    depth += 1
    defer { depth -= 1 }
    guard depth < Self.depthLimit else { throw malformed("too many open groups") }
    var parts = [try sequence()]
    while take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .choice(parts)
  }

  private mutating func sequence() throws(ModelError) -> RegularExpressionTree {
    var parts: [RegularExpressionTree] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      if take("\\Q") {
        let end = text[place...].indices.first { text[$0...].starts(with: "\\E".unicodeScalars) }
        parts += text[place..<(end ?? text.count)].map { literal($0) }
        place = end.map { $0 + 2 } ?? text.count
        // A repetition applies to the last scalar of the quotation.
        if let last = parts.popLast() { parts.append(try repeated(last)) }
      } else if let part = try atom() {
        parts.append(try repeated(part))
      }
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  /// A group, class, escape, assertion or scalar; nil for a group that only sets flags.
  private mutating func atom() throws(ModelError) -> RegularExpressionTree? {
    let scalar = text[place]
    place += 1
    switch scalar {
    case "(": return try group()
    case "[": return .scalar(try scalarClass())
    case ".": return .scalar(ScalarSet(any: flags.dotIsAll))
    case "^": return .assertion(flags.isMultiline ? .lineStart : .textStart)
    case "$": return .assertion(flags.isMultiline ? .lineEnd : .textEnd)
    case "\\": return try escape()
    case "*", "+", "?": throw malformed("nothing to repeat")
    default: return literal(scalar)
    }
  }

  private func literal(_ scalar: Unicode.Scalar) -> RegularExpressionTree {
    var set = ScalarSet(scalar)
    set.ignoresCase = flags.ignoresCase
    return .scalar(set)
  }

  // MARK: Groups

  private mutating func group() throws(ModelError) -> RegularExpressionTree? {
    let outer = flags
    if take("?P<") || take("?<") {
      let name = try take(upTo: ">")
      guard !name.isEmpty else { throw malformed("a group with an empty name") }
    } else if take("?"), try !readFlags() {
      return nil
    }
    let tree = try choice()
    guard take(")") else { throw malformed("a ( without )") }
    flags = outer
    return tree
  }

  /// Reads `i-s:` or `i-s)`.
  /// - Returns: whether a group follows, for which alone the flags hold.
  private mutating func readFlags() throws(ModelError) -> Bool {
    var isSet = true
    while let scalar = next {
      place += 1
      switch scalar {
      case "i": flags.ignoresCase = isSet
      case "m": flags.isMultiline = isSet
      case "s": flags.dotIsAll = isSet
      case "U": flags.isUngreedy = isSet
      case "-" where isSet: isSet = false
      case ":": return true
      case ")": return false
      default: throw malformed("an unknown flag \(scalar)")
      }
    }
    throw malformed("a ( without )")
  }

  // MARK: Repetitions

  private mutating func repeated(_ part: RegularExpressionTree) throws(ModelError)
    -> RegularExpressionTree
  {
    var tree = part
    var count = 0
    while let (least, most) = try bounds() {
      count += 1
      guard count < Self.depthLimit else { throw malformed("too many repetitions") }
      let isGreedy = take("?") == flags.isUngreedy
      tree = .repetition(tree, least: least, most: most, isGreedy: isGreedy)
    }
    return tree
  }

  private mutating func bounds() throws(ModelError) -> (least: Int, most: Int?)? {
    if take("*") { return (0, nil) }
    if take("+") { return (1, nil) }
    if take("?") { return (0, 1) }
    let start = place
    // Braces that do not hold numbers stand for themselves.
    guard take("{"), let least = number() else {
      place = start
      return nil
    }
    let most = take(",") ? number() : least
    guard take("}") else {
      place = start
      return nil
    }
    guard least <= Self.repetitionLimit, most ?? least <= Self.repetitionLimit,
      most ?? least >= least
    else { throw malformed("a repetition other than {n,m} up to \(Self.repetitionLimit)") }
    return (least, most)
  }

  private mutating func number() -> Int? {
    let start = place
    while let scalar = next, ScalarSet.digits.contains(scalar) { place += 1 }
    guard place > start else { return nil }
    return Int(String(String.UnicodeScalarView(text[start..<place]))) ?? .max
  }

  // MARK: Escapes

  private mutating func escape() throws(ModelError) -> RegularExpressionTree {
    let assertions: [Unicode.Scalar: RegularExpression.Assertion] = [
      "A": .textStart, "z": .textEnd, "b": .wordBoundary, "B": .noWordBoundary,
    ]
    if let scalar = next, let assertion = assertions[scalar] {
      place += 1
      return .assertion(assertion)
    }
    if let set = try classEscape() { return .scalar(set) }
    return literal(try scalarEscape())
  }

  /// The class after a backslash, where it is one.
  private mutating func classEscape() throws(ModelError) -> ScalarSet? {
    guard let letter = next else { throw malformed("a \\ at the end") }
    if var set = ScalarSet(escape: letter) {
      place += 1
      set.ignoresCase = flags.ignoresCase
      return set
    }
    guard letter == "p" || letter == "P" else { return nil }
    place += 1
    var name = ""
    if take("{") {
      name = try take(upTo: "}")
    } else if let scalar = next {
      name = String(scalar)
      place += 1
    }
    let isInverted = name.hasPrefix("^")
    guard let set = ScalarSet(category: isInverted ? String(name.dropFirst()) : name) else {
      throw malformed("an unknown category \(name)")
    }
    return (letter == "P") != isInverted ? set.inverted() : set
  }

  /// The scalar after a backslash.
  private mutating func scalarEscape() throws(ModelError) -> Unicode.Scalar {
    let named: [Unicode.Scalar: Unicode.Scalar] = [
      "a": "\u{7}", "f": "\u{C}", "t": "\t", "n": "\n", "r": "\r", "v": "\u{B}",
    ]
    let scalar = text[place]
    place += 1
    if let control = named[scalar] { return control }
    if scalar == "x" { return try hexadecimal() }
    // A single digit from 1 would be a back reference.
    if scalar == "0" || ("1"..."7" ~= scalar && next.map { "0"..."7" ~= $0 } ?? false) {
      return octal(from: scalar)
    }
    guard !ScalarSet.wordScalars.contains(scalar) else {
      throw malformed("an unknown escape \\\(scalar)")
    }
    return scalar
  }

  /// Up to three octal digits.
  private mutating func octal(from first: Unicode.Scalar) -> Unicode.Scalar {
    var value = first.value - 48
    for _ in 0..<2 {
      guard let digit = next, "0"..."7" ~= digit else { break }
      value = value * 8 + digit.value - 48
      place += 1
    }
    return Unicode.Scalar(value) ?? first
  }

  private mutating func hexadecimal() throws(ModelError) -> Unicode.Scalar {
    var digits = ""
    if take("{") {
      digits = try take(upTo: "}")
    } else {
      digits = String(String.UnicodeScalarView(text[place...].prefix(2)))
      place += digits.unicodeScalars.count
    }
    guard let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) else {
      throw malformed("an unknown scalar \\x\(digits)")
    }
    return scalar
  }

  // MARK: Classes

  /// What follows an opening bracket.
  private mutating func scalarClass() throws(ModelError) -> ScalarSet {
    var set = ScalarSet()
    set.isInverted = take("^")
    set.ignoresCase = flags.ignoresCase
    var isFirst = true
    while isFirst || next != "]" {
      isFirst = false
      guard next != nil else { throw malformed("a [ without ]") }
      if take("[:") {
        let name = try take(upTo: ":]")
        let isInverted = name.hasPrefix("^")
        guard let named = ScalarSet(asciiClass: isInverted ? String(name.dropFirst()) : name)
        else { throw malformed("an unknown class \(name)") }
        set.formUnion(isInverted ? named.inverted() : named)
      } else {
        try insertRange(into: &set)
      }
    }
    place += 1
    return set
  }

  private mutating func insertRange(into set: inout ScalarSet) throws(ModelError) {
    let isEscaped = take("\\")
    if isEscaped, let escaped = try classEscape() { return set.formUnion(escaped) }
    let first = try classScalar(afterBackslash: isEscaped)
    guard place + 1 < text.count, text[place] == "-", text[place + 1] != "]" else {
      return set.insert(first, through: first)
    }
    place += 1
    let last = try classScalar(afterBackslash: take("\\"))
    guard first <= last else { throw malformed("a range that runs backwards") }
    set.insert(first, through: last)
  }

  private mutating func classScalar(afterBackslash: Bool) throws(ModelError) -> Unicode.Scalar {
    guard let scalar = next else { throw malformed("a [ without ]") }
    if afterBackslash { return try scalarEscape() }
    place += 1
    return scalar
  }
}
