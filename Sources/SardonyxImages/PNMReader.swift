/// Reads portable bitmaps, graymaps and pixmaps, plain (P1, P2, P3) and raw (P4, P5, P6).
///
/// Source: the netpbm formats. Other maxima than 255 are scaled to it, rounded to nearest even.
struct PNMReader {
  private let bytes: [UInt8]
  private var position = 2
  private let kind: Int

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    kind = Int(bytes[1]) - Int(UInt8(ascii: "0"))
  }

  private var isPlain: Bool { kind <= 3 }
  private var isBitmap: Bool { kind % 3 == 1 }
  private var channels: Int { kind % 3 == 0 ? 3 : 1 }

  consuming func image(pixelLimit: Int) throws(ImageError) -> RGBRaster {
    let width = try number()
    let height = try number()
    let maximum = isBitmap ? 1 : try number()
    guard (1...65535).contains(maximum) else {
      throw ImageError("PNM image: maximum: expected 1 to 65535, got \(maximum)")
    }
    var raster = try RGBRaster(width: width, height: height, pixelLimit: pixelLimit)
    // One white space ends the header of a raw file, whatever follows.
    if !isPlain { position += 1 }
    for y in 0..<height {
      for x in 0..<width {
        let red = try sample(x, maximum)
        let green = channels == 3 ? try sample(x, maximum) : red
        let blue = channels == 3 ? try sample(x, maximum) : red
        raster.set(x, y, red, green, blue)
      }
      if kind == 4 { position += (width + 7) / 8 }
    }
    return raster
  }

  private static let truncated = ImageError("PNM image: the file is truncated")

  /// The next sample, brought to 8 bits; 1 of a bitmap is black.
  private mutating func sample(_ x: Int, _ maximum: Int) throws(ImageError) -> UInt8 {
    let value: Int
    switch kind {
    case 1: return try digit() == 0 ? 255 : 0
    case 4: return try byte(at: position + x / 8) >> UInt8(7 - x % 8) & 1 == 0 ? 255 : 0
    case 2, 3: value = try number()
    default:
      value = maximum < 256 ? Int(try next()) : Int(try next()) << 8 | Int(try next())
    }
    if maximum == 255 { return UInt8(clamping: value) }
    let scaled = Double(value) / Double(maximum) * 255
    return UInt8(clamping: Int(scaled.rounded(.toNearestOrEven)))
  }

  private func byte(at index: Int) throws(ImageError) -> UInt8 {
    guard index < bytes.count else { throw Self.truncated }
    return bytes[index]
  }

  private mutating func next() throws(ImageError) -> UInt8 {
    let byte = try byte(at: position)
    position += 1
    return byte
  }

  private mutating func skipSpace() throws(ImageError) {
    while true {
      switch try byte(at: position) {
      case UInt8(ascii: "#"):
        while try byte(at: position) != UInt8(ascii: "\n") { position += 1 }
      case 9...13, 32: position += 1
      default: return
      }
    }
  }

  /// The next digit of a plain bitmap, whose digits need no space between them.
  private mutating func digit() throws(ImageError) -> Int {
    try skipSpace()
    let digit = Int(try next()) - Int(UInt8(ascii: "0"))
    guard digit == 0 || digit == 1 else { throw ImageError("PNM image: a bit is not 0 or 1") }
    return digit
  }

  private mutating func number() throws(ImageError) -> Int {
    try skipSpace()
    var value = 0
    var digits = 0
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
    {
      value = value * 10 + Int(bytes[position] - UInt8(ascii: "0"))
      digits += 1
      position += 1
      guard digits < 10 else { throw ImageError("PNM image: a number is too long") }
    }
    guard digits > 0 else { throw ImageError("PNM image: a number is malformed") }
    return value
  }
}
