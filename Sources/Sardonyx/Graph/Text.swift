/// An element of a string tensor in memory: the address of a ``TextPool`` entry, 0 for "".
///
/// Eight plain bytes, so that every operator that only moves elements moves strings unchanged; the
/// pools that own the texts travel beside the tensor.
typealias TextReference = UInt

/// The texts that the elements of one or more string tensors refer to, in one block of memory.
@safe final class TextPool: @unchecked Sendable {
  private let texts: UnsafeMutablePointer<String>
  private let count: Int
  /// What the texts count against a run's memory limit.
  private let claim: MemoryClaim?

  /// The texts of strings; where the run is to end, of the first ones.
  init(_ strings: [String], claim: MemoryClaim? = nil) {
    let block = UnsafeMutablePointer<String>.allocate(capacity: max(strings.count, 1))
    var count = 0
    Interruption.inStretches(of: strings.count) { range in
      for index in range { unsafe (block + index).initialize(to: strings[index]) }
      count = range.upperBound
    }
    unsafe texts = block
    self.count = count
    self.claim = claim
  }

  deinit {
    unsafe texts.deinitialize(count: count)
    unsafe texts.deallocate()
  }

  /// The element that stands for text `index`.
  func reference(_ index: Int) -> TextReference {
    index < count ? unsafe UInt(bitPattern: texts + index) : 0
  }

  /// The text behind an element; its pool must be alive.
  static func text(_ reference: TextReference) -> String {
    guard let place = unsafe UnsafePointer<String>(bitPattern: reference) else { return "" }
    return unsafe place.pointee
  }
}

/// The pools a string tensor keeps alive, each once.
struct TextPools: Sendable {
  /// nil for none, so that copying a tensor of numbers counts no reference to them.
  private var held: [TextPool]?

  static var none: TextPools { TextPools([]) }

  init(_ pools: [TextPool]) { held = pools.isEmpty ? nil : pools }

  var isEmpty: Bool { held == nil }

  /// Adds those of `other` that are not here yet.
  mutating func formUnion(_ other: TextPools) {
    guard let added = other.held else { return }
    guard var pools = held else {
      held = added
      return
    }
    for pool in added where !pools.contains(where: { $0 === pool }) { pools.append(pool) }
    held = pools
  }
}

/// Texts that an operator makes, counted against the run's memory limit while they come and as long as
/// a tensor holds them.
struct TextList {
  private(set) var texts: [String] = []
  private let context: RunContext
  private let claim: MemoryClaim
  private var interruption = Interruption()

  init(_ context: RunContext) {
    self.context = context
    claim = MemoryClaim(on: context.account)
  }

  var count: Int { texts.count }

  /// Bytes that Swift keeps in a string itself, and takes for the block of a longer one.
  private static let (inlineByteCount, blockByteCount) = (15, 32)

  /// - Throws: ``ModelError``: limit where memory or time does not allow it, cancelled.
  mutating func append(_ text: String) throws(ModelError) {
    try makeRoom(for: text.utf8.count)
    texts.append(text)
  }

  mutating func append(_ text: String, followedBy rest: String) throws(ModelError) {
    try makeRoom(for: text.utf8.count + rest.utf8.count)
    texts.append(text + rest)
  }

  private mutating func makeRoom(for length: Int) throws(ModelError) {
    let block = length > Self.inlineByteCount ? length + Self.blockByteCount : 0
    try claim.grow(by: MemoryLayout<String>.stride + block, for: "\(texts.count + 1) texts")
    if interruption.isDue(after: 50 + length / 8) { try Interruption.check() }
  }

  /// The texts as a tensor of as many elements.
  func tensor(_ shape: Shape) throws(ModelError) -> Tensor {
    try tensor(lists: Array(repeating: 1, count: texts.count), filledWith: "", [texts.count, 1])
      .reshaped(shape)
  }

  /// Lists of them, each filled up to the longest along the last axis.
  /// - Parameter counts: how many of the texts, one after the other, belong to each list.
  func tensor(lists counts: [Int], filledWith filler: String, _ shape: Shape) throws(ModelError)
    -> Tensor
  {
    Tensor(
      lists: counts, of: texts, filledWith: filler, shape,
      storage: try context.allocate(.string, shape), claim: claim)
  }
}
