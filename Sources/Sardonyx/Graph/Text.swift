/// An element of a string tensor in memory: the address of a ``TextPool`` entry, 0 for "".
///
/// Eight plain bytes, so that every operator that only moves elements moves strings unchanged; the
/// pools that own the texts travel beside the tensor.
typealias TextReference = UInt

/// The texts that the elements of one or more string tensors refer to.
final class TextPool: Sendable {
  private final class Text: Sendable {
    let value: String
    init(_ value: String) { self.value = value }
  }

  private let texts: [Text]

  /// The texts of strings; where the run is to end, of the first ones.
  init(_ strings: [String]) { texts = strings.interruptibleMap(cost: 100, Text.init) }

  /// The element that stands for text `index`.
  func reference(_ index: Int) -> TextReference {
    guard index < texts.count else { return 0 }
    return unsafe UInt(bitPattern: Unmanaged.passUnretained(texts[index]).toOpaque())
  }

  /// The text behind an element; its pool must be alive.
  static func text(_ reference: TextReference) -> String {
    guard let address = unsafe UnsafeRawPointer(bitPattern: reference) else { return "" }
    return unsafe Unmanaged<Text>.fromOpaque(address).takeUnretainedValue().value
  }
}

/// The pools a string tensor keeps alive, each once.
struct TextPools: Sendable {
  private(set) var pools: [TextPool]

  static let none = TextPools([])

  init(_ pools: [TextPool]) { self.pools = pools }

  /// Adds those of `other` that are not here yet.
  mutating func formUnion(_ other: TextPools) {
    for pool in other.pools where !pools.contains(where: { $0 === pool }) { pools.append(pool) }
  }
}
