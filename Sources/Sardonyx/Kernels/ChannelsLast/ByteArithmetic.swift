import CKernels

/// The sum or the product of what unsigned bytes stand for, as bytes.
struct ByteArithmetic: Sendable {
  let operation: Binary
  let a: ByteScale
  let b: ByteScale
  /// Of the results.
  let scale: Float
  let bounds: ChannelsLastPooling.Bounds
  /// The instructions that are known to combine such bytes plainly, if any.
  private var plainWith: InstructionSet?

  init(
    operation: Binary, a: ByteScale, b: ByteScale, scale: Float,
    bounds: ChannelsLastPooling.Bounds
  ) {
    (self.operation, self.a, self.b) = (operation, a, b)
    (self.scale, self.bounds) = (scale, bounds)
    let instructions = InstructionSet.current
    if unsafe instructions.combinesPlainly(operation, combination) { plainWith = instructions }
  }

  /// Of arrays of the same length.
  func run(
    _ count: Int, _ x: UnsafePointer<UInt8>, _ y: UnsafePointer<UInt8>,
    into z: UnsafeMutablePointer<UInt8>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, z) = unsafe (x, y, z)
    crew.performRanges(of: count, by: 1 << 15) { range in
      unsafe combine(
        range.count, x + range.lowerBound, y + range.lowerBound, into: z + range.lowerBound,
        crew.instructions)
    }
  }

  /// Of [images, places, channels] and [images, channels].
  func run(
    images: Int, places: Int, channels: Int, _ x: UnsafePointer<UInt8>,
    _ y: UnsafePointer<UInt8>, into z: UnsafeMutablePointer<UInt8>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y, z) = unsafe (x, y, z)
    let atOnce = max(1, Self.bytesOfTile / max(1, channels))
    let tiles = (places + atOnce - 1) / atOnce
    // A chunk makes its row of factors once, for as many tiles as there are in 32 KiB.
    let tilesAtOnce = max(1, (1 << 15) / max(1, atOnce * channels))
    let chunks = (tiles + tilesAtOnce - 1) / tilesAtOnce
    crew.perform(images * chunks) { chunk in
      let (image, part) = chunk.quotientAndRemainder(dividingBy: chunks)
      let range =
        part * tilesAtOnce * atOnce..<min(places, (part + 1) * tilesAtOnce * atOnce)
      unsafe crew.scratch.withBytes(atOnce * channels) { room in
        let factors = unsafe room.assumingMemoryBound(to: UInt8.self)
        for place in 0..<min(atOnce, range.count) {
          unsafe (factors + place * channels).update(from: y + image * channels, count: channels)
        }
        for first in stride(from: range.lowerBound, to: range.upperBound, by: atOnce) {
          let start = (image * places + first) * channels
          unsafe combine(
            min(atOnce, range.upperBound - first) * channels, x + start, factors,
            into: z + start, crew.instructions)
        }
      }
    }
  }

  /// Bytes of factors that lie side by side, enough for a call.
  private static let bytesOfTile = 1 << 11

  private func combine(
    _ count: Int, _ x: UnsafePointer<UInt8>, _ y: UnsafePointer<UInt8>,
    into z: UnsafeMutablePointer<UInt8>, _ instructions: InstructionSet
  ) {
    var combination = unsafe combination(x, y, into: z)
    unsafe combination.is_plain = plainWith === instructions
    unsafe instructions.combine(count, operation, &combination)
  }

  private func combination(
    _ x: UnsafePointer<UInt8>, _ y: UnsafePointer<UInt8>, into z: UnsafeMutablePointer<UInt8>
  ) -> ByteCombination {
    unsafe ByteCombination(
      a: x, b: y, y: z, flip: 0, a_zero: a.zero, b_zero: b.zero, zero: bounds.zero,
      low: bounds.low, high: bounds.high, a_scale: a.scale, b_scale: b.scale, scale: scale,
      is_plain: false)
  }

  /// y[i] = table[x[i]].
  static func lookUp(
    _ count: Int, _ x: UnsafePointer<UInt8>, _ table: [UInt8],
    into y: UnsafeMutablePointer<UInt8>, on crew: Crew
  ) {
    nonisolated(unsafe) let (x, y) = unsafe (x, y)
    crew.performRanges(of: count, by: 1 << 14) { range in
      unsafe table.withUnsafeBufferPointer { table in
        unsafe crew.instructions.kernels.look_up_bytes(
          range.count, x + range.lowerBound, table.baseAddress!, y + range.lowerBound)
      }
    }
  }
}

/// Bytes with their channels last put side by side, each part through a table where it has one.
struct ByteConcatenation: Sendable {
  struct Part: Sendable {
    let channels: Int
    let table: [UInt8]?
    fileprivate(set) var first = 0

    init(channels: Int, table: [UInt8]?) { (self.channels, self.table) = (channels, table) }
  }

  let parts: [Part]
  private let places: Int
  private let channels: Int

  init(places: Int, parts: [Part]) {
    self.places = places
    var placed = parts
    var channels = 0
    for index in placed.indices {
      placed[index].first = channels
      channels += placed[index].channels
    }
    (self.parts, self.channels) = (placed, channels)
  }

  /// Puts one part in its place.
  func put(
    _ index: Int, _ x: UnsafePointer<UInt8>, into y: UnsafeMutablePointer<UInt8>, on crew: Crew
  ) {
    let part = parts[index]
    nonisolated(unsafe) let (x, y) = unsafe (x, y + part.first)
    let (step, count) = (channels, part.channels)
    crew.performRanges(of: count > 0 ? places : 0, by: max(1, (1 << 15) / max(1, count))) { range in
      guard let table = part.table else {
        for place in range {
          unsafe (y + place * step).update(from: x + place * count, count: count)
        }
        return
      }
      unsafe table.withUnsafeBufferPointer { table in
        for place in range {
          unsafe crew.instructions.kernels.look_up_bytes(
            count, x + place * count, table.baseAddress!, y + place * step)
        }
      }
    }
  }
}
