/// Numbers for texts in order of arrival. Texts are equal where their UTF-8 is.
struct TextNumbers: Sendable {
  /// Where a text's bytes begin, and last where the next text's would.
  private var starts = [0]
  private var bytes: [UInt8] = []
  private var hashes: [UInt64] = []
  /// The number of a text that belongs here or before, plus 1; 0 where free. A power of two long, at
  /// most half of it taken.
  private var slots = [UInt32](repeating: 0, count: 16)
  /// Random, so that nobody can write a file whose texts all collide.
  private let seed = UInt64.random(in: .min ... .max)

  var count: Int { hashes.count }

  /// The number of a text, a new one where it is not here yet.
  mutating func insert(_ text: String) -> Int {
    var text = text
    return text.withUTF8 { text in
      let hash = unsafe hash(text)
      let slot = unsafe slot(of: text, hash)
      if slots[slot] > 0 { return Int(slots[slot]) - 1 }
      unsafe bytes.append(contentsOf: text)
      starts.append(bytes.count)
      hashes.append(hash)
      slots[slot] = UInt32(count)
      if 2 * count > slots.count { grow() }
      return count - 1
    }
  }

  /// The number of a text that is here.
  func number(of text: UnsafeBufferPointer<UInt8>) -> Int? {
    let found = unsafe slots[slot(of: text, hash(text))]
    return found > 0 ? Int(found) - 1 : nil
  }

  /// The slot of a text, or a free one for it.
  private func slot(of text: UnsafeBufferPointer<UInt8>, _ hash: UInt64) -> Int {
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] > 0 {
      let number = Int(slots[slot]) - 1
      if hashes[number] == hash,
        unsafe text.elementsEqual(bytes[starts[number]..<starts[number + 1]])
      {
        break
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private mutating func grow() {
    slots = Array(repeating: 0, count: 2 * slots.count)
    for (number, hash) in hashes.enumerated() {
      var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
      while slots[slot] > 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(number + 1)
    }
  }

  /// Eight bytes at a time, each time the two halves of a product laid over one another.
  private func hash(_ text: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var hash = seed ^ UInt64(text.count)
    var place = 0
    while place < text.count {
      var word: UInt64 = 0
      for index in place..<min(place + 8, text.count) {
        word = unsafe word << 8 | UInt64(text[index])
      }
      let (high, low) = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
      hash = high ^ low
      place += 8
    }
    return hash
  }
}
