/// The types that a type variable of a schema allows, in the letters of ``Schema/table``.
struct TypeSet: Sendable, Equatable {
  /// Words joined by `+`: the constructors' capitals, then a letter per element type.
  let text: Substring
  /// The plain tensors among them, a bit per raw value of ``ElementType``.
  private let tensors: UInt32

  init(text: Substring) {
    self.text = text
    let plain = text.utf8.split(separator: UInt8(ascii: "+")).first {
      !Self.isCapital($0.first)
    }
    tensors = (plain ?? "".utf8[...]).reduce(0) { set, letter in
      set | 1 << UInt32(Self.letters.firstIndex(of: letter)! + 1)
    }
  }

  /// In the order of ``ElementType``'s raw values.
  private static let letters = Array("abcdefghijklmnopqrstuvwxyz01".utf8)

  func contains(_ type: ValueType) -> Bool {
    if case .tensor(let element) = type { return tensors >> UInt32(element.rawValue) & 1 == 1 }
    let (constructors, elements) = Self.spell(type)
    return words.contains { word in
      guard word.utf8.starts(with: constructors) else { return false }
      let listed = word.utf8.dropFirst(constructors.count)
      // The pair of a map stands as it is; other words list alternatives.
      return elements.count > 1
        ? listed.elementsEqual(elements)
        : listed.contains(elements[0]) && !Self.isCapital(listed.first)
    }
  }

  private var words: [Substring] {
    text.utf8.split(separator: UInt8(ascii: "+")).map { Substring($0) }
  }

  private static func isCapital(_ byte: UInt8?) -> Bool {
    byte.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) } ?? false
  }

  /// The capitals and letters of a type: `seq(tensor(float))` is `S` and `a`.
  private static func spell(_ type: ValueType) -> (constructors: [UInt8], elements: [UInt8]) {
    switch type {
    case .tensor(let element), .sparseTensor(let element):
      return ([], [letters[Int(element.rawValue) - 1]])
    case .sequence(let inner):
      let (constructors, elements) = spell(inner)
      return ([UInt8(ascii: "S")] + constructors, elements)
    case .optional(let inner):
      let (constructors, elements) = spell(inner)
      return ([UInt8(ascii: "O")] + constructors, elements)
    case .map(let key, let value):
      let (constructors, elements) = spell(value)
      return ([UInt8(ascii: "M")] + constructors, [letters[Int(key.rawValue) - 1]] + elements)
    }
  }
}

extension TypeSet: CustomStringConvertible {
  /// `float, double or float16`; containers as ONNX spells them.
  var description: String {
    let names = words.flatMap { word in
      let constructors = word.utf8.prefix(while: Self.isCapital)
      let elements = word.utf8.dropFirst(constructors.count).map(Self.name)
      if constructors.last == UInt8(ascii: "M") {
        return [wrap("map(\(elements.joined(separator: ",")))", in: constructors.dropLast())]
      }
      return elements.map { constructors.isEmpty ? $0 : wrap("tensor(\($0))", in: constructors) }
    }
    guard let last = names.last, names.count > 1 else { return names.joined() }
    return names.dropLast().joined(separator: ", ") + " or " + last
  }

  private func wrap(_ inner: String, in constructors: Substring.UTF8View) -> String {
    constructors.reversed().reduce(inner) { text, constructor in
      "\(constructor == UInt8(ascii: "S") ? "seq" : "optional")(\(text))"
    }
  }

  private static func name(_ letter: UInt8) -> String {
    letters.firstIndex(of: letter)
      .flatMap { ElementType(rawValue: Int32($0 + 1)) }.map(\.description) ?? "?"
  }
}
