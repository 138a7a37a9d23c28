/// An element of a string tensor in memory: the address of a ``TextPool`` entry, 0 for "".
///
/// Eight plain bytes, so that every operator that only moves elements moves strings unchanged; the
/// pools that own the texts travel beside the tensor.
typealias TextReference = UInt

/// The texts that the elements of one or more string tensors refer to, in one block of memory.
@safe final class TextPool: @unchecked Sendable {
  private let texts: UnsafeMutablePointer<String>
  private let count: Int

  /// The texts of strings; where the run is to end, of the first ones.
  init(_ strings: [String]) {
    let block = UnsafeMutablePointer<String>.allocate(capacity: max(strings.count, 1))
    var count = 0
    Interruption.inStretches(of: strings.count) { range in
      for index in range { unsafe (block + index).initialize(to: strings[index]) }
      count = range.upperBound
    }
    unsafe texts = block
    self.count = count
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
