/// Changes models: their bytes, or what they say.
struct Mutator {
  private var random: Random
  /// What parts are taken from.
  private let seeds: [[UInt8]]
  private let operators: [String]

  /// - Parameter seeds: files of models; at least one.
  init(seed: UInt64, _ seeds: [[UInt8]], operators: [String]) {
    random = Random(state: seed)
    self.seeds = seeds
    self.operators = operators
  }

  /// The file that a number stands for: the same for the same number, seed and seeds.
  mutating func file(_ number: Int) -> [UInt8] {
    random.restart(number)
    let source = seeds[random.below(seeds.count)]
    if random.below(8) == 0 { return changedBytes(source) }
    guard var model = Message(source[...], kind: .model) else { return changedBytes(source) }
    let donor = Message(seeds[random.below(seeds.count)][...], kind: .model)
    // One change is often the last that a model survives.
    for _ in 0...random.below(1 + random.below(5)) { change(&model, donor) }
    let bytes = model.bytes
    return random.below(20) == 0 ? changedBytes(bytes) : bytes
  }

  // MARK: - Bytes

  private mutating func changedBytes(_ source: [UInt8]) -> [UInt8] {
    var bytes = source
    for _ in 0...random.below(6) {
      guard !bytes.isEmpty else { return bytes }
      let place = random.below(bytes.count)
      switch random.below(6) {
      case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes[place] ^= 1 << UInt8(random.below(8))
      case 2: bytes.remove(at: place)
      case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
      case 4: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(64)))
      default:
        let end = min(bytes.count, place + 1 + random.below(64))
        bytes.insert(contentsOf: Array(bytes[place..<end]), at: random.below(bytes.count))
      }
    }
    return bytes
  }

  // MARK: - Messages

  private mutating func change(_ model: inout Message, _ donor: Message?) {
    var paths: [[Int]] = []
    Self.collect(model, [], &paths)
    guard !paths.isEmpty else { return }
    let path = paths[random.below(paths.count)]
    let names = Self.names(model)
    let spare = donor.flatMap { donor -> Message.Field? in
      var places: [[Int]] = []
      Self.collect(donor, [], &places)
      return places.isEmpty ? nil : Self.field(donor, places[random.below(places.count)][...])
    }
    // A constant in place of an input, so that folding meets it.
    if random.below(12) == 0, let name = names.randomElement(using: &random) {
      return addConstant(name, to: &model)
    }
    if random.below(64) == 0 { return chainNode(of: &model) }
    apply(&model, path[...], names, spare)
  }

  /// The paths of all fields.
  private static func collect(_ message: Message, _ path: [Int], _ paths: inout [[Int]]) {
    for (index, field) in message.fields.enumerated() {
      paths.append(path + [index])
      if case .message(let inner) = field.content { collect(inner, path + [index], &paths) }
    }
  }

  private static func field(_ message: Message, _ path: ArraySlice<Int>) -> Message.Field? {
    guard let first = path.first else { return nil }
    let field = message.fields[first]
    guard path.count > 1 else { return field }
    guard case .message(let inner) = field.content else { return nil }
    return self.field(inner, path.dropFirst())
  }

  private static func names(_ message: Message) -> [[UInt8]] {
    message.fields.flatMap { field -> [[UInt8]] in
      switch field.content {
      case .bytes(let bytes) where message.kind.isName(field.number): [bytes]
      case .message(let inner): names(inner)
      default: []
      }
    }
  }

  private mutating func apply(
    _ message: inout Message, _ path: ArraySlice<Int>, _ names: [[UInt8]], _ spare: Message.Field?
  ) {
    let index = path.first!
    guard path.count > 1, case .message(var inner) = message.fields[index].content else {
      return applyHere(&message, index, names, spare)
    }
    apply(&inner, path.dropFirst(), names, spare)
    message.fields[index].content = .message(inner)
  }

  private mutating func applyHere(
    _ message: inout Message, _ index: Int, _ names: [[UInt8]], _ spare: Message.Field?
  ) {
    switch random.below(14) {
    case 0: message.fields.remove(at: index)
    case 1: message.fields.insert(message.fields[index], at: random.below(message.fields.count + 1))
    case 2: message.fields.swapAt(index, random.below(message.fields.count))
    case 3:
      guard let spare else { return }
      message.fields.insert(spare, at: random.below(message.fields.count + 1))
    case 4 where random.below(16) == 0:
      let copies = Array(repeating: message.fields[index], count: many())
      message.fields.insert(contentsOf: copies, at: index)
    default: changeContent(&message, index, names)
    }
  }

  private mutating func changeContent(_ message: inout Message, _ index: Int, _ names: [[UInt8]]) {
    let field = message.fields[index]
    switch field.content {
    case .varint:
      let value = message.kind.isElementType(field.number) ? elementType() : number()
      message.fields[index].content = .varint(value)
    case .bytes(let bytes):
      if message.kind.isName(field.number), let name = names.randomElement(using: &random) {
        message.fields[index].content = .bytes(random.below(8) == 0 ? [] : name)
      } else if message.kind == .node, field.number == 4,
        let name = operators.randomElement(using: &random)
      {
        message.fields[index].content = .bytes(Array(name.utf8))
      } else {
        message.fields[index].content = .bytes(changedBytes(bytes))
      }
    case .fixed32:
      let values: [Float] = [0, -1, 1e30, -1e30, .nan, .infinity, 0.5, 1e-30]
      let bits = values[random.below(values.count)].bitPattern
      message.fields[index].content = .fixed32(
        (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) })
    case .fixed64(let bytes):
      message.fields[index].content = .fixed64(bytes.shuffled(using: &random))
    case .message: message.fields.remove(at: index)
    }
  }

  /// A count up to a thousand, smaller ones as often as larger ones.
  private mutating func many() -> Int { 1 + random.below(1 << random.below(11)) }

  /// Lets a node of the graph be followed by many like it, each reading what the one before it makes.
  private mutating func chainNode(of model: inout Message) {
    guard let place = model.fields.firstIndex(where: { $0.number == 7 }),
      case .message(var graph) = model.fields[place].content
    else { return }
    let positions = graph.fields.indices.filter { graph.fields[$0].number == 1 }
    guard !positions.isEmpty else { return }
    let position = positions[random.below(positions.count)]
    guard case .message(let node) = graph.fields[position].content,
      let input = node.fields.firstIndex(where: { $0.number == 1 }),
      let output = node.fields.firstIndex(where: { $0.number == 2 })
    else { return }
    let count = many()
    let chain = (0...count).map { index in
      var copy = node
      if index > 0 { copy.fields[input].content = .bytes(Array("link \(index)".utf8)) }
      if index < count { copy.fields[output].content = .bytes(Array("link \(index + 1)".utf8)) }
      return Message.Field(number: 1, content: .message(copy))
    }
    graph.fields.replaceSubrange(position...position, with: chain)
    model.fields[place].content = .message(graph)
  }

  private mutating func elementType() -> UInt64 { UInt64(random.below(30)) }

  /// Numbers at which arithmetic and allocations break.
  private mutating func number() -> UInt64 {
    let values: [Int] = [
      0, 1, 2, 3, 7, -1, -2, 255, 65536, 1 << 20, Int(Int32.max), Int(Int32.max) + 1,
      -Int(Int32.max) - 1, 1 << 40, 1 << 62, .max, .min,
    ]
    let isLarge = random.below(3) == 0
    return UInt64(
      bitPattern: Int64(isLarge ? values[random.below(values.count)] : random.below(12) - 2))
  }

  private mutating func addConstant(_ name: [UInt8], to model: inout Message) {
    guard let place = model.fields.firstIndex(where: { $0.number == 7 }),
      case .message(var graph) = model.fields[place].content
    else { return }
    var tensor = Message(kind: .tensor)
    var count = 1
    for _ in 0..<random.below(4) {
      let extent = random.below(5)
      count *= extent
      tensor.fields.append(Message.Field(number: 1, content: .varint(UInt64(extent))))
    }
    tensor.fields.append(Message.Field(number: 2, content: .varint(elementType())))
    tensor.fields.append(Message.Field(number: 8, content: .bytes(name)))
    let size = [1, 2, 4, 8, 16][random.below(5)]
    let data = (0..<count * size).map { _ in UInt8(random.below(4)) }
    tensor.fields.append(Message.Field(number: 9, content: .bytes(data)))
    graph.fields.append(Message.Field(number: 5, content: .message(tensor)))
    // No input of that name, else it is only a default.
    graph.fields.removeAll { field in
      guard field.number == 11, case .message(let info) = field.content else { return false }
      return info.fields.contains {
        if case .bytes(let bytes) = $0.content { $0.number == 1 && bytes == name } else { false }
      }
    }
    model.fields[place].content = .message(graph)
  }
}

/// SplitMix64: small, seedable, the same everywhere.
struct Random: RandomNumberGenerator {
  private let seed: UInt64
  private var state: UInt64

  init(state: UInt64) {
    seed = state
    self.state = state
  }

  /// Starts the sequence of a file anew.
  mutating func restart(_ number: Int) {
    state = seed &+ UInt64(bitPattern: Int64(number)) &* 0xD134_2543_DE82_EF95
    _ = next()
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }

  mutating func below(_ bound: Int) -> Int { bound <= 0 ? 0 : Int(next() % UInt64(bound)) }
}
