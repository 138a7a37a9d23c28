#if Server
  import Sardonyx

  /// A value of JSON that is read where its text lies, so that long lists of numbers never become a tree.
  ///
  /// Each level is checked as it is read; of what nobody reads, only quotes and brackets are.
  struct JSONText {
    private let bytes: [UInt8]
    private let range: Range<Int>

    /// The one value that these bytes are.
    /// - Throws: ``ModelError`` (malformed).
    init(_ bytes: [UInt8], in range: Range<Int>) throws(ModelError) {
      var scanner = JSONScanner(bytes, range)
      self = try scanner.value()
      guard scanner.isAtEnd else { throw scanner.fault("the end", scanner.position) }
    }

    fileprivate init(_ bytes: [UInt8], value range: Range<Int>) {
      self.bytes = bytes
      self.range = range
    }

    private var scanner: JSONScanner { JSONScanner(bytes, range) }

    /// The members of an object.
    func members() throws(ModelError) -> [String: JSONText] {
      var scanner = scanner
      var members: [String: JSONText] = [:]
      try scanner.list("{", "}", "an object") { scanner throws(ModelError) in
        let key = try scanner.string()
        try scanner.expect(":")
        members[key] = try scanner.value()
      }
      return members
    }

    /// The elements of an array.
    func elements() throws(ModelError) -> [JSONText] {
      var scanner = scanner
      var elements: [JSONText] = []
      try scanner.list("[", "]", "an array") { scanner throws(ModelError) in
        elements.append(try scanner.value())
      }
      return elements
    }

    func string() throws(ModelError) -> String {
      var scanner = scanner
      return try scanner.string()
    }

    func bool() throws(ModelError) -> Bool {
      var scanner = scanner
      return try scanner.bool()
    }

    func integer() throws(ModelError) -> Int {
      var scanner = scanner
      return try scanner.integer()
    }

    /// The numbers of an array and of the arrays in it, in order.
    func integers<T: FixedWidthInteger>(of _: T.Type = T.self) throws(ModelError) -> [T] {
      try leaves { scanner throws(ModelError) in try scanner.integer() }
    }

    /// The same for numbers with a fraction, with "NaN", "Infinity" and "-Infinity" among them.
    func fractions<T: BinaryFloatingPoint>(of _: T.Type = T.self) throws(ModelError) -> [T] {
      try leaves { scanner throws(ModelError) in T(try scanner.double()) }
    }

    func bools() throws(ModelError) -> [Bool] {
      try leaves { scanner throws(ModelError) in try scanner.bool() }
    }

    func strings() throws(ModelError) -> [String] {
      try leaves { scanner throws(ModelError) in try scanner.string() }
    }

    private func leaves<T>(
      _ read: (inout JSONScanner) throws(ModelError) -> T
    ) throws(ModelError) -> [T] {
      var scanner = scanner
      var leaves: [T] = []
      try scanner.leaves { scanner throws(ModelError) in leaves.append(try read(&scanner)) }
      return leaves
    }
  }

  /// Goes through the text of JSON once.
  private struct JSONScanner {
    let bytes: [UInt8]
    let end: Int
    private(set) var position: Int

    /// How deep arrays and objects may lie in one another.
    private static let largestDepth = 64

    init(_ bytes: [UInt8], _ range: Range<Int>) {
      self.bytes = bytes
      position = range.lowerBound
      end = range.upperBound
    }

    func fault(_ expected: String, _ position: Int) -> ModelError {
      let found =
        position < end
        ? "\"\(String(decoding: bytes[position..<min(end, position + 16)], as: UTF8.self).visible)\""
        : "the end"
      return .unexpected("JSON, byte \(position)", expected: expected, got: found, code: .malformed)
    }

    private mutating func skipSpace() {
      while position < end, bytes[position] == 0x20 || (9...13).contains(bytes[position]) {
        position += 1
      }
    }

    /// The next byte that is not space; 0 at the end.
    private mutating func next() -> UInt8 {
      skipSpace()
      return position < end ? bytes[position] : 0
    }

    var isAtEnd: Bool {
      mutating get {
        skipSpace()
        return position == end
      }
    }

    mutating func expect(_ character: Character) throws(ModelError) {
      guard next() == character.asciiValue else { throw fault("\"\(character)\"", position) }
      position += 1
    }

    /// What lies between two brackets, separated by commas.
    mutating func list(
      _ open: Character, _ close: Character, _ name: String,
      _ element: (inout JSONScanner) throws(ModelError) -> Void
    ) throws(ModelError) {
      guard next() == open.asciiValue else { throw fault(name, position) }
      position += 1
      if next() == close.asciiValue {
        position += 1
        return
      }
      while true {
        try element(&self)
        if next() == close.asciiValue { break }
        try expect(",")
      }
      position += 1
    }

    /// What is no array, in an array and the arrays in it.
    mutating func leaves(
      _ leaf: (inout JSONScanner) throws(ModelError) -> Void
    ) throws(ModelError) {
      guard next() == UInt8(ascii: "[") else { throw fault("an array", position) }
      var depth = 0
      var mayValue = true
      var mayClose = false
      repeat {
        switch next() {
        case UInt8(ascii: "[") where mayValue:
          guard depth < Self.largestDepth else { throw fault("fewer arrays in arrays", position) }
          depth += 1
          position += 1
          mayClose = true
        case UInt8(ascii: "]") where mayClose:
          depth -= 1
          position += 1
          mayValue = false
        case UInt8(ascii: ",") where !mayValue:
          position += 1
          mayValue = true
          mayClose = false
        default:
          guard mayValue else { throw fault("\",\" or \"]\"", position) }
          try leaf(&self)
          mayValue = false
          mayClose = true
        }
      } while depth > 0
    }

    /// Passes one value.
    mutating func value() throws(ModelError) -> JSONText {
      let first = next()
      let start = position
      switch first {
      case UInt8(ascii: "\""): try skipString()
      case UInt8(ascii: "{"), UInt8(ascii: "["): try skipBrackets()
      default:
        skipWord()
        guard position > start else { throw fault("a value", position) }
      }
      return JSONText(bytes, value: start..<position)
    }

    private mutating func skipWord() {
      while position < end {
        switch bytes[position] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "+"), UInt8(ascii: "-"),
          UInt8(ascii: "."):
          position += 1
        default: return
        }
      }
    }

    private mutating func skipBrackets() throws(ModelError) {
      var closing: [UInt8] = []
      repeat {
        guard position < end else { throw fault("a bracket that closes", position) }
        switch bytes[position] {
        case UInt8(ascii: "\""):
          try skipString()
          continue
        case UInt8(ascii: "{"): closing.append(UInt8(ascii: "}"))
        case UInt8(ascii: "["): closing.append(UInt8(ascii: "]"))
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          guard closing.popLast() == bytes[position] else {
            throw fault("the other bracket", position)
          }
        default: break
        }
        guard closing.count <= Self.largestDepth else {
          throw fault("fewer arrays and objects in one another", position)
        }
        position += 1
      } while !closing.isEmpty
    }

    private mutating func skipString() throws(ModelError) {
      let start = position
      position += 1
      while position < end {
        switch bytes[position] {
        case UInt8(ascii: "\""):
          position += 1
          return
        case UInt8(ascii: "\\"): position += 2
        default: position += 1
        }
      }
      position = end
      throw fault("a string that ends", start)
    }

    mutating func string() throws(ModelError) -> String {
      guard next() == UInt8(ascii: "\"") else { throw fault("a string", position) }
      let start = position
      try skipString()
      let text = bytes[start + 1..<position - 1]
      guard text.contains(UInt8(ascii: "\\")) else { return String(decoding: text, as: UTF8.self) }
      return try unescaped(text, at: start)
    }

    private func unescaped(_ text: ArraySlice<UInt8>, at start: Int) throws(ModelError) -> String {
      var result: [UInt8] = []
      var index = text.startIndex
      func unit(at index: Int) -> UInt16? {
        guard index + 6 <= text.endIndex, text[index] == UInt8(ascii: "\\"),
          text[index + 1] == UInt8(ascii: "u"),
          text[index + 2..<index + 6].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit })
        else { return nil }
        return UInt16(String(decoding: text[index + 2..<index + 6], as: UTF8.self), radix: 16)
      }
      while index < text.endIndex {
        guard text[index] == UInt8(ascii: "\\") else {
          result.append(text[index])
          index += 1
          continue
        }
        let escapes: [UInt8: Character] = [
          UInt8(ascii: "b"): "\u{8}", UInt8(ascii: "f"): "\u{C}", UInt8(ascii: "n"): "\n",
          UInt8(ascii: "r"): "\r", UInt8(ascii: "t"): "\t", UInt8(ascii: "\""): "\"",
          UInt8(ascii: "\\"): "\\", UInt8(ascii: "/"): "/",
        ]
        if let character = escapes[text[index + 1]] {
          result += character.utf8
          index += 2
        } else if let first = unit(at: index) {
          var units = [first]
          if UTF16.isLeadSurrogate(first), let second = unit(at: index + 6),
            UTF16.isTrailSurrogate(second)
          {
            units.append(second)
          }
          result += String(decoding: units, as: UTF16.self).utf8
          index += 6 * units.count
        } else {
          throw fault("an escape that JSON has", index)
        }
      }
      return String(decoding: result, as: UTF8.self)
    }

    private mutating func take(_ word: StaticString) -> Bool {
      let length = word.utf8CodeUnitCount
      guard position + length <= end,
        bytes[position..<position + length].elementsEqual("\(word)".utf8)
      else { return false }
      position += length
      return true
    }

    mutating func bool() throws(ModelError) -> Bool {
      switch next() {
      case UInt8(ascii: "t") where take("true"), UInt8(ascii: "1") where take("1"): return true
      case UInt8(ascii: "f") where take("false"), UInt8(ascii: "0") where take("0"): return false
      default: throw fault("true or false", position)
      }
    }

    mutating func integer<T: FixedWidthInteger>() throws(ModelError) -> T {
      let first = next()
      let start = position
      if first == UInt8(ascii: "-") { position += 1 }
      var magnitude: UInt64 = 0
      var overflows = false
      let digits = position
      while position < end, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10 {
        let (product, carry) = magnitude.multipliedReportingOverflow(by: 10)
        let (sum, carries) = product.addingReportingOverflow(UInt64(digit))
        overflows = overflows || carry || carries
        magnitude = sum
        position += 1
      }
      let isWhole =
        position > digits
        && (position == end
          || ![UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[position]))
      let value =
        first == UInt8(ascii: "-") ? T(exactly: -Int128(magnitude)) : T(exactly: Int128(magnitude))
      guard isWhole, !overflows, let value else {
        throw fault("an integer from \(T.min) to \(T.max)", start)
      }
      return value
    }

    mutating func double() throws(ModelError) -> Double {
      let first = next()
      let start = position
      if first == UInt8(ascii: "\"") {
        switch try string() {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default: throw fault("a number", start)
        }
      }
      if let exact = shortDouble() { return exact }
      position = start
      skipWord()
      switch String(decoding: bytes[start..<position], as: UTF8.self) {
      case "NaN": return .nan
      case "Infinity": return .infinity
      case "-Infinity": return -.infinity
      case let text:
        guard first == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first),
          !text.contains(where: { "xXpPnNiI".contains($0) }), let value = Double(text)
        else { throw fault("a number", start) }
        return value
      }
    }

    /// A number whose digits and whose power of ten a double holds exactly, so that one operation rounds it right.
    private mutating func shortDouble() -> Double? {
      var isNegative = false
      if position < end, bytes[position] == UInt8(ascii: "-") {
        isNegative = true
        position += 1
      }
      var digits: UInt64 = 0
      var count = 0
      var fraction = 0
      var isInFraction = false
      while position < end {
        let byte = bytes[position]
        let digit = byte &- UInt8(ascii: "0")
        if digit < 10 {
          guard count < 18 else { return nil }
          digits = digits &* 10 &+ UInt64(digit)
          count += 1
          if isInFraction { fraction += 1 }
        } else if byte == UInt8(ascii: "."), !isInFraction, count > 0 {
          isInFraction = true
        } else {
          break
        }
        position += 1
      }
      guard count > 0, digits <= 1 << 53, !isInFraction || fraction > 0,
        fraction < Self.powers.count
      else { return nil }
      if position < end {
        let byte = bytes[position]
        if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") { return nil }
      }
      let value = Double(digits) / Self.powers[fraction]
      return isNegative ? -value : value
    }

    private static let powers: [Double] = (0...22).map { power in
      (0..<power).reduce(1) { value, _ in value * 10 }
    }
  }
#endif
