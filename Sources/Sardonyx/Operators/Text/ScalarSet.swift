/// A set of Unicode scalars, as a class of a regular expression names it.
struct ScalarSet: Sendable {
  private enum Member: Sendable {
    case range(ClosedRange<UInt32>)
    /// Scalars whose general category is named by one or two letters, such as `L` or `Lu`.
    case category(String)
    case set(ScalarSet)
  }

  private var members: [Member] = []
  var isInverted = false
  /// Whether a scalar counts as a member when its other case is one.
  var ignoresCase = false

  init() {}

  init(_ ranges: ClosedRange<Unicode.Scalar>...) {
    for range in ranges { insert(range.lowerBound, through: range.upperBound) }
  }

  init(_ scalar: Unicode.Scalar) { insert(scalar, through: scalar) }

  /// All scalars, or all but the line feed.
  init(any includesLineFeed: Bool) {
    if !includesLineFeed { insert("\n", through: "\n") }
    isInverted = true
  }

  mutating func insert(_ first: Unicode.Scalar, through last: Unicode.Scalar) {
    members.append(.range(first.value...last.value))
  }

  mutating func formUnion(_ other: ScalarSet) { members.append(.set(other)) }

  func inverted() -> ScalarSet {
    var copy = self
    copy.isInverted.toggle()
    return copy
  }

  func contains(_ scalar: Unicode.Scalar) -> Bool {
    var isMember = holds(scalar)
    if !isMember && ignoresCase {
      isMember = Self.otherCases(of: scalar).contains { holds($0) }
    }
    return isMember != isInverted
  }

  private func holds(_ scalar: Unicode.Scalar) -> Bool {
    members.contains { member in
      switch member {
      case .range(let range): range.contains(scalar.value)
      case .category(let name): scalar.properties.generalCategory.code.hasPrefix(name)
      case .set(let set): set.contains(scalar)
      }
    }
  }

  private static func otherCases(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
    let properties = scalar.properties
    return [properties.lowercaseMapping, properties.uppercaseMapping].compactMap { mapping in
      let scalars = mapping.unicodeScalars
      return scalars.count == 1 ? scalars.first : nil
    }
  }
}

/// Membership in a set, by a table of bits for ASCII.
struct ScalarTest: Sendable {
  private let set: ScalarSet
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  init(_ set: ScalarSet) {
    self.set = set
    for value in UInt8(0)..<64 where set.contains(Unicode.Scalar(value)) { low |= 1 << value }
    for value in UInt8(64)..<128 where set.contains(Unicode.Scalar(value)) {
      high |= 1 << (value - 64)
    }
  }

  func contains(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 128 ? contains(ascii: UInt8(scalar.value)) : set.contains(scalar)
  }

  func contains(ascii value: UInt8) -> Bool {
    (value < 64 ? low : high) >> UInt64(value & 63) & 1 == 1
  }
}

// MARK: - Named classes

extension ScalarSet {
  static let digits = ScalarSet("0"..."9")
  static let wordScalars = ScalarSet("0"..."9", "A"..."Z", "_"..."_", "a"..."z")
  /// Those of `\s`; the vertical tab is not among them, unlike in `[[:space:]]`.
  static let spaces = ScalarSet("\t"..."\n", "\u{C}"..."\r", " "..." ")

  /// The class of `\d`, `\s`, `\w` or, in upper case, all but that.
  init?(escape letter: Unicode.Scalar) {
    switch letter {
    case "d": self = .digits
    case "D": self = Self.digits.inverted()
    case "s": self = .spaces
    case "S": self = Self.spaces.inverted()
    case "w": self = .wordScalars
    case "W": self = Self.wordScalars.inverted()
    default: return nil
    }
  }

  /// The class of `[[:name:]]`.
  init?(asciiClass name: String) {
    switch name {
    case "alnum": self.init("0"..."9", "A"..."Z", "a"..."z")
    case "alpha": self.init("A"..."Z", "a"..."z")
    case "ascii": self.init("\0"..."\u{7F}")
    case "blank": self.init("\t"..."\t", " "..." ")
    case "cntrl": self.init("\0"..."\u{1F}", "\u{7F}"..."\u{7F}")
    case "digit": self = .digits
    case "graph": self.init("!"..."~")
    case "lower": self.init("a"..."z")
    case "print": self.init(" "..."~")
    case "punct": self.init("!"..."/", ":"..."@", "["..."`", "{"..."~")
    case "space": self.init("\t"..."\r", " "..." ")
    case "upper": self.init("A"..."Z")
    case "word": self = .wordScalars
    case "xdigit": self.init("0"..."9", "A"..."F", "a"..."f")
    default: return nil
    }
  }

  /// The class of `\p{name}`, a general category.
  init?(category name: String) {
    guard Unicode.GeneralCategory.codes.contains(where: { $0.hasPrefix(name) }), !name.isEmpty
    else { return nil }
    members = [.category(name)]
  }
}

extension Unicode.GeneralCategory {
  fileprivate static let codes = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
    "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]

  /// The two letters that Unicode gives the category.
  fileprivate var code: String {
    switch self {
    case .uppercaseLetter: "Lu"
    case .lowercaseLetter: "Ll"
    case .titlecaseLetter: "Lt"
    case .modifierLetter: "Lm"
    case .otherLetter: "Lo"
    case .nonspacingMark: "Mn"
    case .spacingMark: "Mc"
    case .enclosingMark: "Me"
    case .decimalNumber: "Nd"
    case .letterNumber: "Nl"
    case .otherNumber: "No"
    case .connectorPunctuation: "Pc"
    case .dashPunctuation: "Pd"
    case .openPunctuation: "Ps"
    case .closePunctuation: "Pe"
    case .initialPunctuation: "Pi"
    case .finalPunctuation: "Pf"
    case .otherPunctuation: "Po"
    case .mathSymbol: "Sm"
    case .currencySymbol: "Sc"
    case .modifierSymbol: "Sk"
    case .otherSymbol: "So"
    case .spaceSeparator: "Zs"
    case .lineSeparator: "Zl"
    case .paragraphSeparator: "Zp"
    case .control: "Cc"
    case .format: "Cf"
    case .surrogate: "Cs"
    case .privateUse: "Co"
    default: "Cn"
    }
  }
}
