internal import Synchronization

/// What ONNX states of one version of an operator: its inputs, outputs, types and attributes.
///
/// The lines of ``table`` hold all versions as text; only those a model uses are ever parsed.
struct Schema: Sendable {
  let domain: String
  let name: String
  /// The first version of the operator set that has this version of the operator.
  let since: Int
  let isDeprecated: Bool
  let inputs: [Parameter]
  let outputs: [Parameter]
  /// The allowed types by type variable.
  let constraints: [Substring: TypeSet]
  let attributes: [AttributeRule]

  /// An input or an output.
  struct Parameter: Sendable {
    let name: Substring
    let isOptional: Bool
    /// How often a variadic parameter must be given; nil for one that is given once.
    let repetitions: Int?
    /// Whether all values of a variadic parameter have one type.
    let isHomogeneous: Bool
    /// The type variable, or nil where `types` states the types itself.
    let variable: Substring?
    let types: TypeSet
  }

  /// An attribute a node may or must have.
  struct AttributeRule: Sendable {
    let name: Substring
    let isRequired: Bool
    let kind: UInt8
  }

  /// `Conv-11`, as messages name it.
  var label: String { "\(domain.isEmpty ? "" : domain + ".")\(name)-\(since)" }
}

// MARK: - Finding

extension Schema {
  /// The schema in force at an operator-set version: that of the newest version not above it.
  ///
  /// - Returns: nil for operators and domains unknown to ONNX and for ones that came later.
  static func find(_ name: String, domain: String, operatorSet: Int) -> Schema? {
    let key = Key(name: name, domain: domain, operatorSet: operatorSet)
    if let schema = parsed.withLock({ $0[key] }) { return schema }
    let lines = lines(of: "\(domain):\(name)")
    guard let line = lines.last(where: { $0.since <= operatorSet })?.line else { return nil }
    let schema = Schema(line: line)
    parsed.withLock { schemas in
      // Hostile models may ask for any number of operator sets.
      if schemas.count > 4096 { schemas.removeAll() }
      schemas[key] = schema
    }
    return schema
  }

  private struct Key: Hashable {
    let name: String
    let domain: String
    let operatorSet: Int
  }

  /// All versions of an operator, oldest first.
  static func sinceVersions(of name: String, domain: String = "") -> [Int] {
    lines(of: "\(domain):\(name)").map(\.since)
  }

  /// Whether the operators of this domain are known here.
  static func knows(domain: String) -> Bool {
    index.keys.contains { $0.utf8.starts(with: "\(domain):".utf8) }
  }

  /// The newest operator set of a domain that is known here; 1 for domains that are not.
  static func newestOperatorSet(of domain: String) -> Int {
    index.keys.filter { $0.utf8.starts(with: "\(domain):".utf8) }
      .compactMap { lines(of: $0).last?.since }.max() ?? 1
  }

  /// Every operator, as `domain:Name`.
  static var operators: [String] { index.keys.map { String($0) } }

  private static let parsed = Mutex<[Key: Schema]>([:])

  /// The lines of an operator, `domain:Name`, oldest version first.
  private static func lines(of path: Substring) -> [(since: Int, line: Substring)] {
    let lines = index[path, default: []].flatMap { $0.fields(UInt8(ascii: "\n")) }
    return lines.map { line in
      let head = line.utf8.prefix { $0 != UInt8(ascii: "|") }
      let since = head.dropFirst(path.utf8.count + 1).prefix { $0 != UInt8(ascii: "!") }
      return (Int(Substring(since))!, line)
    }.sorted { $0.since < $1.since }
  }

  /// Where the lines of each operator stand, by `domain:Name`: in one stretch of a table, or of two.
  ///
  /// Made byte by byte, as every process that loads a model does it: a small one loads in 2.7 ms, and took 4.2 while all lines were
  /// split (Cascade Lake).
  private static let index: [Substring: [Substring]] = {
    var index: [Substring: [Substring]] = [:]
    for table in [table, onnxRuntimeTable, derivativeTable] {
      let bytes = table.utf8.span
      func text(_ range: Range<Int>) -> Substring {
        Substring(table.utf8.dropFirst(range.lowerBound).prefix(range.count))
      }
      func end(of start: Int, _ separator: UInt8) -> Int {
        var end = start
        while end < bytes.count, bytes[end] != separator { end += 1 }
        return end
      }
      var path = 0..<0
      var start = 0
      while start < bytes.count {
        let next = start..<end(of: start, UInt8(ascii: " "))
        let isAnother =
          next.count != path.count
          || next.indices.contains { bytes[$0] != bytes[path.lowerBound + $0 - start] }
        if isAnother {
          if !path.isEmpty { index[text(path), default: []].append(text(path.lowerBound..<start)) }
          path = next
        }
        start = end(of: next.upperBound, UInt8(ascii: "\n")) + 1
      }
      index[text(path), default: []].append(text(path.lowerBound..<bytes.count))
    }
    return index
  }()
}

// MARK: - Parsing

extension Schema {
  /// Reads a line of ``table``, whose form is told there.
  private init(line: Substring) {
    let fields = line.utf8.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
    let head = Substring(fields[0]).fields(UInt8(ascii: " "))
    let path = head[0].fields(UInt8(ascii: ":"), omittingEmpty: false)
    domain = String(path[0])
    name = String(path[1])
    isDeprecated = head[1].utf8.last == UInt8(ascii: "!")
    since = Int(isDeprecated ? head[1].dropLast() : head[1])!
    var constraints: [Substring: TypeSet] = [:]
    for word in Substring(fields[3]).fields(UInt8(ascii: " ")) {
      let sides = word.fields(UInt8(ascii: "="))
      constraints[sides[0]] = TypeSet(text: sides[1])
    }
    func parameters(_ field: Substring.UTF8View) -> [Parameter] {
      Substring(field).fields(UInt8(ascii: " ")).map { Parameter(word: $0, constraints) }
    }
    inputs = parameters(fields[1])
    outputs = parameters(fields[2])
    attributes = Substring(fields[4]).fields(UInt8(ascii: " ")).map(AttributeRule.init)
    self.constraints = constraints
  }
}

extension Schema.Parameter {
  /// Reads `name`, perhaps `?`, `*n` or `~n`, then `:variable` or `=types`.
  fileprivate init(word: Substring, _ constraints: [Substring: TypeSet]) {
    let marks = "?*~:=".utf8
    let nameEnd = word.utf8.firstIndex(where: marks.contains)!
    let typeMark = word.utf8.firstIndex { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "=") }!
    let types = word[word.utf8.index(after: typeMark)...]
    let mark = word.utf8[nameEnd]
    name = word[..<nameEnd]
    isOptional = mark == UInt8(ascii: "?")
    let isVariadic = mark == UInt8(ascii: "*") || mark == UInt8(ascii: "~")
    repetitions = isVariadic ? Int(word[word.utf8.index(after: nameEnd)..<typeMark])! : nil
    isHomogeneous = mark != UInt8(ascii: "~")
    variable = word.utf8[typeMark] == UInt8(ascii: ":") ? types : nil
    self.types = variable.map { constraints[$0]! } ?? TypeSet(text: types)
  }
}

extension Schema.AttributeRule {
  /// Reads `name:kind`, with `?` behind the name where it may be left out.
  fileprivate init(word: Substring) {
    let sides = word.fields(UInt8(ascii: ":"))
    isRequired = sides[0].utf8.last != UInt8(ascii: "?")
    name = isRequired ? sides[0] : sides[0].dropLast()
    kind = sides[1].utf8.first!
  }
}

extension StringProtocol where SubSequence == Substring {
  /// The pieces between separators, found byte by byte.
  fileprivate func fields(_ separator: UInt8, omittingEmpty: Bool = true) -> [Substring] {
    Substring(self).utf8.split(separator: separator, omittingEmptySubsequences: omittingEmpty)
      .map { Substring($0) }
  }
}
