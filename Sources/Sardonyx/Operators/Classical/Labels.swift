/// Labels of one type, as keys to look up or as values to choose from.
enum Labels: Sendable {
  case texts([String])
  case integers([Int64])
  case reals([Double])

  /// A label as a key; all NaN are one.
  enum Key: Hashable {
    case text(String)
    case integer(Int64)
    case real(Double)
    case notANumber
  }

  /// The elements of a string or numeric tensor.
  init(_ tensor: Tensor) throws(ModelError) {
    guard !tensor.type.isComplex else {
      throw .unexpected("labels", expected: "texts or numbers", got: "\(tensor.type)")
    }
    switch tensor.type {
    case .string: self = .texts(try tensor.strings())
    case let type where type.isFloatingPoint: self = .reals(tensor.converted())
    default: self = .integers(tensor.converted(asPlaces: false))
    }
  }

  /// Reads the attribute that is given of the two.
  /// - Throws: ``ModelError`` (invalid) where both or neither are.
  init(_ node: inout NodeReader, texts: String, integers: String, of what: String)
    throws(ModelError)
  {
    let (names, numbers) = (
      try node.strings(texts) ?? [],
      try node.ints(integers, within: NodeReader.any) ?? []
    )
    guard names.isEmpty != numbers.isEmpty else {
      throw node.invalid(
        texts, expected: "\(what), or \(integers), and not both",
        got: names.isEmpty ? "neither" : "both")
    }
    self = names.isEmpty ? .integers(numbers.map(Int64.init)) : .texts(names)
  }

  var count: Int {
    switch self {
    case .texts(let texts): texts.count
    case .integers(let integers): integers.count
    case .reals(let reals): reals.count
    }
  }

  /// The type such labels have where nothing else is said.
  var elementType: ElementType {
    switch self {
    case .texts: .string
    case .integers: .int64
    case .reals: .float
    }
  }

  /// Fewer where the run is to end.
  var keys: [Key] {
    switch self {
    case .texts(let texts): texts.interruptibleMap(cost: 20, Key.text)
    case .integers(let integers): integers.interruptibleMap(cost: 20, Key.integer)
    case .reals(let reals):
      reals.interruptibleMap(cost: 20) { $0.isNaN ? .notANumber : .real($0) }
    }
  }

  /// The position of each key; a repeated key has its last.
  var positions: [Key: Int] {
    Dictionary(zip(keys, 0...), uniquingKeysWith: { $1 })
  }

  /// A tensor of the labels at the given positions.
  /// - Throws: ``ModelError`` (limit or cancelled) where the run is to end.
  func choose(_ positions: [Int], as type: ElementType? = nil, _ shape: Shape) throws(ModelError)
    -> Tensor
  {
    func chosen<T>(of all: [T]) throws(ModelError) -> [T] {
      let labels = positions.interruptibleMap(cost: 8) { all[$0] }
      try Interruption.check()
      return labels
    }
    let type = type ?? elementType
    switch self {
    case .texts(let all): return Tensor(strings: try chosen(of: all), shape)
    case .integers(let all): return Tensor(converting: try chosen(of: all), to: type, shape)
    case .reals(let all): return Tensor(converting: try chosen(of: all), to: type, shape)
    }
  }
}

/// The labels a classifier answers with: integers or texts.
struct ClassLabels: Sendable {
  private let labels: Labels
  /// How many classes the model tells apart.
  let count: Int

  /// Reads the attribute that is given of the two; without either, classes are numbered.
  init(_ node: inout NodeReader, integers: String, texts: String) throws(ModelError) {
    let numbers = try node.ints(integers, within: NodeReader.any) ?? []
    let names = try node.strings(texts) ?? []
    guard numbers.isEmpty || names.isEmpty else {
      throw node.invalid(texts, expected: "none beside \(integers)", got: names)
    }
    count = max(numbers.count, names.count)
    // A lone class is told from "not that class" by 1 and 0, as in onnxruntime.
    switch count {
    case 0...1: labels = names.isEmpty ? .integers([0, 1]) : .texts(["0", "1"])
    default: labels = names.isEmpty ? .integers(numbers.map(Int64.init)) : .texts(names)
    }
  }

  var elementType: ElementType { labels.elementType }

  /// The labels of the classes, where they are integers.
  var numbers: [Int64]? {
    if case .integers(let numbers) = labels { numbers } else { nil }
  }

  /// Puts out the label of each row's class.
  func put(_ classes: [Int], _ outputs: Outputs) throws(ModelError) {
    guard outputs.wants(0) else { return }
    outputs.set(0, .tensor(try labels.choose(classes, [classes.count])))
  }
}
