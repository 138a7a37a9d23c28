/// Reads Windows and OS/2 bitmaps of 1, 4, 8, 16, 24 and 32 bits, plain or run-length encoded.
///
/// Source: Microsoft's BITMAPCOREHEADER, BITMAPINFOHEADER and their successors.
struct BMPReader {
  private enum Compression: Int {
    case none = 0
    case runs8, runs4, fields
  }

  private let bytes: [UInt8]
  private let width: Int
  private let height: Int
  private let isTopDown: Bool
  private let bits: Int
  private let compression: Compression
  /// Where the pixels start.
  private let dataOffset: Int
  /// Colours of images of up to 8 bits.
  private var palette: [(red: UInt8, green: UInt8, blue: UInt8)] = []
  /// Where red, green and blue lie in a pixel of 16 or 32 bits.
  private var masks: [UInt32] = []
  private let pixelLimit: Int

  init(_ bytes: [UInt8], pixelLimit: Int) throws(ImageError) {
    self.bytes = bytes
    self.pixelLimit = pixelLimit
    dataOffset = try bytes.little32(10)
    let headerSize = try bytes.little32(14)
    let isCore = headerSize == 12
    guard isCore || (40...1024).contains(headerSize) else {
      throw ImageError("BMP image: size of header: expected 12 or 40 to 1024, got \(headerSize)")
    }
    width = isCore ? try bytes.little16(18) : try bytes.little32(18)
    let signedHeight =
      isCore ? try bytes.little16(20) : Int(Int32(truncatingIfNeeded: try bytes.little32(22)))
    height = abs(signedHeight)
    isTopDown = signedHeight < 0
    bits = try bytes.little16(isCore ? 24 : 28)
    guard let compression = Compression(rawValue: isCore ? 0 : try bytes.little32(30)) else {
      throw ImageError("BMP image: its compression is not supported")
    }
    self.compression = compression
    guard [1, 4, 8, 16, 24, 32].contains(bits), compression != .runs8 || bits == 8,
      compression != .runs4 || bits == 4
    else { throw ImageError("BMP image: \(bits) bits a pixel are not supported") }
    masks = try readMasks()
    palette = try readPalette(headerSize, isCore: isCore)
  }

  private func readMasks() throws(ImageError) -> [UInt32] {
    guard bits == 16 || bits == 32 else { return [] }
    guard compression == .fields else {
      return bits == 16 ? [0x7C00, 0x3E0, 0x1F] : [0xFF0000, 0xFF00, 0xFF]
    }
    // Fields follow a header of 40 bytes and lie inside longer ones: at the same place.
    var masks: [UInt32] = []
    for index in 0..<3 { masks.append(UInt32(try bytes.little32(54 + 4 * index))) }
    guard !masks.contains(0) else { throw ImageError("BMP image: a colour has no bits") }
    return masks
  }

  private func readPalette(
    _ headerSize: Int, isCore: Bool
  ) throws(ImageError) -> [(red: UInt8, green: UInt8, blue: UInt8)] {
    guard bits <= 8 else { return [] }
    let stated = isCore ? 0 : try bytes.little32(46)
    let count = stated == 0 ? 1 << bits : min(stated, 1 << bits)
    let size = isCore ? 3 : 4
    var palette: [(red: UInt8, green: UInt8, blue: UInt8)] = []
    for index in 0..<count {
      let color = 14 + headerSize + index * size
      palette.append(
        (try bytes.byte(color + 2), try bytes.byte(color + 1), try bytes.byte(color)))
    }
    return palette
  }

  func image() throws(ImageError) -> RGBRaster {
    var raster = try RGBRaster(width: width, height: height, pixelLimit: pixelLimit)
    switch compression {
    case .runs8, .runs4: try readRuns(into: &raster)
    case .none, .fields:
      let rowSize = (width * bits + 31) / 32 * 4
      guard dataOffset + rowSize * height <= bytes.count else {
        throw ImageError("BMP image: the file is truncated")
      }
      for row in 0..<height {
        for x in 0..<width { try setPixel(x, row, dataOffset + row * rowSize, &raster) }
      }
    }
    return raster
  }

  /// The row from the top that is stored as `row`.
  private func fromTop(_ row: Int) -> Int { isTopDown ? row : height - 1 - row }

  private func setPixel(
    _ x: Int, _ row: Int, _ start: Int, _ raster: inout RGBRaster
  ) throws(ImageError) {
    let y = fromTop(row)
    switch bits {
    case 24:
      let first = start + x * 3
      raster.set(x, y, bytes[first + 2], bytes[first + 1], bytes[first])
    case 16, 32:
      let pixel =
        bits == 16 ? try bytes.little16(start + x * 2) : try bytes.little32(start + x * 4)
      let color = masks.map { Self.field(UInt32(pixel), $0) }
      raster.set(x, y, color[0], color[1], color[2])
    default:
      let bit = x * bits
      let shift = 8 - bits - bit % 8
      let index = Int(bytes[start + bit / 8]) >> shift & ((1 << bits) - 1)
      setColor(x, y, index, &raster)
    }
  }

  private func setColor(_ x: Int, _ y: Int, _ index: Int, _ raster: inout RGBRaster) {
    guard index < palette.count, x < width, (0..<height).contains(y) else { return }
    raster.set(x, y, palette[index].red, palette[index].green, palette[index].blue)
  }

  /// The bits of `mask`, stretched to 0…255.
  private static func field(_ pixel: UInt32, _ mask: UInt32) -> UInt8 {
    let shift = UInt32(mask.trailingZeroBitCount)
    let maximum = UInt64(mask >> shift)
    return UInt8(clamping: UInt64((pixel & mask) >> shift) * 255 / maximum)
  }

  /// Run-length encoding: a count and a colour (two of 4 bits each), or 0 and an escape: 0 ends the
  /// row, 1 the image, 2 moves, more are that many literal pixels padded to two bytes.
  private func readRuns(into raster: inout RGBRaster) throws(ImageError) {
    var position = dataOffset
    var (x, row) = (0, 0)
    while row < height {
      let (count, value) = (Int(try bytes.byte(position)), Int(try bytes.byte(position + 1)))
      position += 2
      switch (count, value) {
      case (0, 0): (x, row) = (0, row + 1)
      case (0, 1): return
      case (0, 2):
        x += Int(try bytes.byte(position))
        row += Int(try bytes.byte(position + 1))
        position += 2
      case (0, _):
        for index in 0..<value {
          let byte = Int(try bytes.byte(position + index * bits / 8))
          setColor(x, fromTop(row), color(byte, index), &raster)
          x += 1
        }
        position += ((value * bits + 7) / 8 + 1) & ~1
      default:
        for index in 0..<count {
          setColor(x, fromTop(row), color(value, index), &raster)
          x += 1
        }
      }
    }
  }

  /// The colour number of the `index`-th pixel of a run, in the upper bits first.
  private func color(_ byte: Int, _ index: Int) -> Int {
    guard bits == 4 else { return byte }
    return index.isMultiple(of: 2) ? byte >> 4 : byte & 15
  }
}

extension [UInt8] {
  fileprivate func byte(_ offset: Int) throws(ImageError) -> UInt8 {
    guard offset < count else { throw ImageError("BMP image: the file is truncated") }
    return self[offset]
  }

  fileprivate func little16(_ offset: Int) throws(ImageError) -> Int {
    Int(try byte(offset)) | Int(try byte(offset + 1)) << 8
  }

  fileprivate func little32(_ offset: Int) throws(ImageError) -> Int {
    try little16(offset) | little16(offset + 2) << 16
  }
}
