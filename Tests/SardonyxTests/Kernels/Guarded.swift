/// Memory that begins off any alignment and ends with numbers that nobody may touch.
@safe final class Guarded<Element: BitwiseCopyable> {
  private let memory: UnsafeMutableRawBufferPointer
  let count: Int
  private static var margin: Int { 64 * MemoryLayout<Element>.stride }

  init(_ elements: [Element]) {
    count = elements.count
    let size = count * MemoryLayout<Element>.stride
    unsafe memory = .allocate(byteCount: size + 2 * Self.margin, alignment: 64)
    for index in unsafe memory.indices { unsafe memory[index] = 0xA5 }
    for (index, element) in elements.enumerated() { unsafe start[index] = element }
  }

  convenience init(count: Int) where Element: Numeric {
    self.init([Element](repeating: 0, count: count))
  }

  deinit { unsafe memory.deallocate() }

  /// One element off the alignment.
  var start: UnsafeMutablePointer<Element> {
    unsafe (memory.baseAddress! + MemoryLayout<Element>.stride)
      .assumingMemoryBound(to: Element.self)
  }

  var elements: [Element] { (0..<count).map { unsafe start[$0] } }

  /// Whether nothing around the elements was written.
  var isIntact: Bool {
    let first = MemoryLayout<Element>.stride
    let end = first + count * MemoryLayout<Element>.stride
    return unsafe memory.indices.allSatisfy {
      unsafe (first..<end).contains($0) || memory[$0] == 0xA5
    }
  }
}
