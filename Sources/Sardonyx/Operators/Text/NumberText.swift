extension Tensor {
  /// The elements as texts: integers in digits, reals as the shortest plain decimal that reads back
  /// as the same number, and `NaN`, `INF`, `-INF`, `True`, `False`.
  func spelled() throws(ModelError) -> [String] {
    let texts = try allSpelled()
    try Interruption.check()
    return texts
  }

  /// The same; fewer where the run is to end.
  private func allSpelled() throws(ModelError) -> [String] {
    switch type {
    case .bool: return converted(to: Int64.self).map { $0 == 0 ? "False" : "True" }
    case .float:
      return array(of: Float.self).interruptibleMap(cost: 400) {
        plainDecimal($0.description, Double($0))
      }
    case .double:
      return array(of: Double.self).interruptibleMap(cost: 400) { plainDecimal($0.description, $0) }
    default: break
    }
    switch type.computed {
    case nil: return try strings()
    case is Int64.Type:
      return converted(to: Int64.self).interruptibleMap(cost: 100) { $0.description }
    case is UInt64.Type:
      return converted(to: UInt64.self).interruptibleMap(cost: 100) { $0.description }
    default: return converted(to: Double.self).interruptibleMap(cost: 10_000, shortText)
    }
  }

  /// The decimal of fewest digits that this tensor's type rounds to `number`.
  private func shortText(_ number: Double) -> String {
    guard number.isFinite, number != 0 else { return plainDecimal("\(number)", number) }
    for digits in 1..<17 {
      let text = scientific(number, digits: digits)
      guard let candidate = Double(text) else { break }
      let rounded = Tensor(converting: [candidate], to: type, [])
      if rounded.converted(to: Double.self) == [number] { return plainDecimal(text, number) }
    }
    return plainDecimal("\(number)", number)
  }

  /// `number` rounded to some digits, as `dde±x`.
  private func scientific(_ number: Double, digits: Int) -> String {
    let parts = DecimalParts("\(abs(number))")
    var kept = Array(parts.digits.prefix(digits))
    if parts.digits.count > digits, parts.digits[digits] >= 5 {
      var place = digits - 1
      while place >= 0, kept[place] == 9 {
        kept[place] = 0
        place -= 1
      }
      if place >= 0 { kept[place] += 1 } else { kept.insert(1, at: 0) }
    }
    let extra = kept.count > digits ? 1 : 0
    let exponent = parts.point + extra - kept.count
    return (number < 0 ? "-" : "") + kept.map(String.init).joined() + "e\(exponent)"
  }
}

/// The digits of a decimal, without zeros in front, and where its point lies among them.
private struct DecimalParts {
  var digits: [Int] = []
  /// 0 in front of the first digit.
  var point = 0

  init(_ text: String) {
    let sides = text.split(separator: "e")
    let mantissa = sides[0].drop { $0 == "-" }
    let whole = mantissa.prefix { $0 != "." }
    digits = mantissa.compactMap(\.wholeNumberValue)
    point = whole.count + (sides.count > 1 ? Int(sides[1]) ?? 0 : 0)
    let zeros = digits.prefix { $0 == 0 }.count
    digits.removeFirst(zeros)
    point -= zeros
    while digits.last == 0 { digits.removeLast() }
  }
}

/// A decimal as Swift writes it, without exponent.
private func plainDecimal(_ text: String, _ number: Double) -> String {
  if number.isNaN { return "NaN" }
  if number.isInfinite { return number < 0 ? "-INF" : "INF" }
  guard text.contains("e") else { return text }
  let parts = DecimalParts(text)
  let digits = parts.digits.map(String.init).joined()
  let sign = number.sign == .minus ? "-" : ""
  if digits.isEmpty { return sign + "0.0" }
  if parts.point <= 0 {
    return sign + "0." + String(repeating: "0", count: -parts.point) + digits
  }
  guard parts.point < digits.utf8.count else {
    return sign + digits + String(repeating: "0", count: parts.point - digits.utf8.count) + ".0"
  }
  return sign + digits.prefix(parts.point) + "." + digits.dropFirst(parts.point)
}
