extension StringProtocol {
  /// The text as it may be shown to people: what would steer a terminal, end a line or turn the
  /// direction of writing stands as `\u{1b}`.
  ///
  /// These are the control characters (C0, DEL, C1), the separators of lines and paragraphs, and the
  /// marks of bidirectional text.
  package var visible: String { escaped { scalars, index in scalars[index].steers } }

  /// The same for text of several lines, whose further lines are indented: a line that begins at the
  /// margin would pass for one of ours.
  package var visibleLines: String {
    escaped { scalars, index in
      let isIndented = scalars[index...].starts(with: "\n  ".unicodeScalars)
      return scalars[index].steers && !isIndented
    }
  }

  private func escaped(_ isHidden: ([Unicode.Scalar], Int) -> Bool) -> String {
    guard unicodeScalars.contains(where: \.steers) else { return String(self) }
    let scalars = Array(unicodeScalars)
    var result = ""
    for (index, scalar) in scalars.enumerated() {
      if isHidden(scalars, index) {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

extension Unicode.Scalar {
  /// Whether it acts on a terminal or on the text around it instead of being seen.
  package var steers: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0, 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
}
