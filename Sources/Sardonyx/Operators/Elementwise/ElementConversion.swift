/// How elements are converted to another type by ONNX's rules for Cast.
struct ElementConversion: Sendable {
  /// Where a number goes that lies between two powers of two.
  enum RoundMode: String, CaseIterable { case up, down, nearest }

  let target: ElementType
  /// Whether numbers out of range become the largest finite one of an 8-bit float type.
  var saturates = true
  /// For float8e8m0, whose numbers are powers of two.
  var roundMode = RoundMode.up

  /// Stores the converted elements.
  /// - Throws: ``ModelError`` (mismatch) where a text is not a number.
  func apply(_ x: Tensor, to y: Destination, on crew: Crew) throws(ModelError) {
    precondition(y.type == target && target != .string)
    if x.type == target { return y.copy(x) }
    if x.type.computed == nil { return try parse(x.strings(), to: y) }
    crew.performRanges(of: x.elementCount, by: UnaryFunction.stretch) { range in
      convert(x.part(range), to: y.part(range))
    }
  }

  private func convert(_ x: Tensor, to y: Destination) {
    switch x.type.computed {
    case is Int64.Type: store(x.converted(to: Int64.self), to: y)
    case is UInt64.Type: store(x.converted(to: UInt64.self), to: y)
    // Halves, too, hold no more than single precision does.
    case is Float.Type where target == .float || target == .float16 || target == .bfloat16:
      y.store(x.converted(to: Float.self))
    default: store(x.converted(to: Double.self), to: y)
    }
  }

  private func store<T: Number>(_ numbers: [T], to y: Destination) {
    switch target {
    case .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz:
      let format = target.smallFloat!
      y.store(bits: numbers.map { UInt8(format.encode($0.asDouble, saturate: saturates)) })
    case .float8e8m0: y.store(bits: numbers.map { power(Float($0.asDouble)) })
    case .float: y.store(numbers)
    default: y.store(numbers)
    }
  }

  /// The bits of a power of two near `number`: its exponent plus 127, or 255 for NaN.
  ///
  /// Negative numbers have no conversion; their sign is ignored.
  private func power(_ number: Float) -> UInt8 {
    let exponent = UInt8(number.exponentBitPattern)
    guard number.isFinite else { return saturates && !number.isNaN ? 254 : 255 }
    let rest = number.significandBitPattern
    let isRaised =
      switch roundMode {
      case .up: rest > 0
      case .down: false
      case .nearest: rest > 0x400000 || rest == 0x400000 && exponent > 0
      }
    return isRaised && !(saturates && exponent == 254) ? exponent + 1 : exponent
  }

  private func parse(_ texts: [String], to y: Destination) throws(ModelError) {
    switch target.computed {
    case is Int64.Type: y.store(try texts.map(orThrow(Self.integer)))
    case is UInt64.Type: y.store(try texts.map(orThrow(Self.unsigned)))
    case is Float.Type where target == .float: y.store(try texts.map(orThrow { Float($0) }))
    default: store(try texts.map(orThrow { Double($0) }), to: y)
    }
  }

  private func orThrow<T>(_ parse: @escaping (Substring) -> T?) -> (String) throws(ModelError) -> T
  {
    { text throws(ModelError) in
      let trimmed = text.drop(while: \.isWhitespace)
      guard let number = parse(trimmed) else {
        throw .unexpected("a text to cast to \(target)", expected: "a number", got: "\"\(text)\"")
      }
      return number
    }
  }

  private static func integer(_ text: Substring) -> Int64? {
    Int64(text) ?? Double(text).map { Int64(converting: $0) }
  }

  private static func unsigned(_ text: Substring) -> UInt64? {
    UInt64(text) ?? Double(text).map { UInt64(converting: $0) }
  }
}

extension Destination {
  /// Stores elements of one byte by their bits.
  fileprivate func store(bits: [UInt8]) {
    Destination(self, as: .uint8).store(elements: bits)
  }
}
