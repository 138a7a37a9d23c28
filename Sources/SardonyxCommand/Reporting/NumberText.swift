#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension Double {
  /// The number in at most this many significant digits, as C's `%g` writes it.
  func text(digits: Int = 4) -> String { formatted("%.*g", digits) }

  /// The number with this many digits after the point.
  func text(decimals: Int) -> String { formatted("%.*f", decimals) }

  private func formatted(_ format: String, _ precision: Int) -> String {
    var buffer = [CChar](repeating: 0, count: 400)
    let count = unsafe withVaList([Int32(precision), self]) { values in
      unsafe vsnprintf(&buffer, buffer.count, format, values)
    }
    return String(decoding: buffer[..<Int(count)].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

extension Int {
  /// `12345678` as `12,345,678`.
  var grouped: String {
    let digits = String(magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { text += "," }
      text.append(digit)
    }
    return (self < 0 ? "-" : "") + text
  }

  /// A count of bytes in the unit that people read easily.
  var byteText: String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(self)
    var unit = 0
    while value >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    return "\(unit == 0 ? "\(self)" : value.text(digits: 4)) \(units[unit])"
  }
}
