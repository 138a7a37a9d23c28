import Testing

@testable import SardonyxImages

@Suite struct BMPReaderTests {
  /// A file with a palette of 16 shades of gray, or with three masks.
  private func file(
    bits: UInt8, compression: UInt8, width: UInt8, height: Int8, masks: [UInt32] = [],
    _ data: [UInt8]
  ) -> [UInt8] {
    let table: [UInt8] =
      masks.isEmpty
      ? (0..<16).flatMap { shade -> [UInt8] in [shade * 17, shade * 17, shade * 17, 0] }
      : masks.flatMap { mask in (0..<4).map { UInt8(truncatingIfNeeded: mask >> (8 * $0)) } }
    let sign: UInt8 = height < 0 ? 0xFF : 0
    let header: [UInt8] =
      [0x42, 0x4D, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(54 + table.count), 0, 0, 0, 40, 0, 0, 0]
      + [width, 0, 0, 0, UInt8(bitPattern: height), sign, sign, sign, 1, 0, bits, 0, compression]
      + [0, 0, 0] + Array(repeating: 0, count: 12) + [masks.isEmpty ? 16 : 0]
      + Array(repeating: 0, count: 7)
    return header + table + data
  }

  private func gray(_ bytes: [UInt8]) throws -> [UInt8] {
    try Image(decoding: bytes, as: .grayscale).samples.map { $0 / 17 }
  }

  @Test("Rows are stored from the bottom, unless the height is negative")
  func readsRows() throws {
    let rows: [UInt8] = [0x12, 0, 0, 0, 0x34, 0, 0, 0]
    #expect(try gray(file(bits: 4, compression: 0, width: 2, height: 2, rows)) == [3, 4, 1, 2])
    #expect(try gray(file(bits: 4, compression: 0, width: 2, height: -2, rows)) == [1, 2, 3, 4])
  }

  @Test("Runs of bytes: counts, literals, moves, ends of rows")
  func readsRuns8() throws {
    let data: [UInt8] = [2, 5, 0, 0, 0, 2, 1, 0, 1, 7, 0, 0, 0, 3, 1, 2, 3, 0, 0, 1]
    let image = file(bits: 8, compression: 1, width: 3, height: 3, data)
    #expect(try gray(image) == [1, 2, 3, 0, 7, 0, 5, 5, 0])
  }

  @Test("Runs of half bytes alternate two colours")
  func readsRuns4() throws {
    let data: [UInt8] = [5, 0x12, 0, 0, 0, 5, 0x34, 0x56, 0x70, 0, 0, 1]
    let image = file(bits: 4, compression: 2, width: 5, height: 2, data)
    #expect(try gray(image) == [3, 4, 5, 6, 7, 1, 2, 1, 2, 1])
  }

  @Test("Fields of bits are stretched to 0…255")
  func readsFields() throws {
    let masks: [UInt32] = [0xF800, 0x07E0, 0x001F]
    let image = file(
      bits: 16, compression: 3, width: 2, height: 1, masks: masks, [0x00, 0xF8, 0xFF, 0x87])
    #expect(try Image(decoding: image, as: .rgb).samples == [255, 0, 0, 131, 255, 255])
  }

  @Test("A pixel outside of the image or the palette is left out")
  func ignoresOutside() throws {
    let image = file(bits: 8, compression: 1, width: 1, height: 1, [9, 3, 1, 200, 0, 1])
    #expect(try gray(image) == [3])
  }

  @Test("Kinds that are not read are refused by name")
  func refuses() {
    let deep = file(bits: 7, compression: 0, width: 1, height: 1, [0, 0, 0, 0])
    let error = #expect(throws: ImageError.self) { try Image(decoding: deep, as: .rgb) }
    #expect(error?.description == "BMP image: 7 bits a pixel are not supported")
    let png = file(bits: 8, compression: 5, width: 1, height: 1, [])
    let other = #expect(throws: ImageError.self) { try Image(decoding: png, as: .rgb) }
    #expect(other?.description == "BMP image: its compression is not supported")
  }
}
