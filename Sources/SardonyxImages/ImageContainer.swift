private import CImages

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension Image {
  /// Whether a file begins as one of a known image format does.
  public static func isKnown(_ bytes: [UInt8]) -> Bool { ImageContainer(bytes) != nil }
}

/// The file formats, told apart by their first bytes.
enum ImageContainer {
  case png, jpeg, tiff, webp, jpeg2000, bmp, pnm

  init?(_ bytes: [UInt8]) {
    let starts = { (signature: [UInt8]) in bytes.starts(with: signature) }
    if starts([0x89, 0x50, 0x4E, 0x47]) {
      self = .png
    } else if starts([0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if starts([0x49, 0x49, 0x2A, 0]) || starts([0x4D, 0x4D, 0, 0x2A])
      || starts([0x49, 0x49, 0x2B, 0]) || starts([0x4D, 0x4D, 0, 0x2B])
    {
      self = .tiff
    } else if starts(Array("RIFF".utf8)), bytes.dropFirst(8).starts(with: "WEBP".utf8) {
      self = .webp
    } else if starts([0, 0, 0, 12, 0x6A, 0x50, 0x20, 0x20]) || starts([0xFF, 0x4F, 0xFF, 0x51]) {
      self = .jpeg2000
    } else if starts(Array("BM".utf8)) {
      self = .bmp
    } else if bytes.count > 2, bytes[0] == UInt8(ascii: "P"),
      (UInt8(ascii: "1")...UInt8(ascii: "6")).contains(bytes[1])
    {
      self = .pnm
    } else {
      return nil
    }
  }

  func decode(_ bytes: [UInt8], pixelLimit: Int) throws(ImageError) -> RGBRaster {
    switch self {
    case .png: try unsafe decode("PNG", bytes, pixelLimit, decode_png)
    case .jpeg: try unsafe decode("JPEG", bytes, pixelLimit, decode_jpeg)
    case .tiff: try unsafe decode("TIFF", bytes, pixelLimit, decode_tiff)
    case .webp: try unsafe decode("WebP", bytes, pixelLimit, decode_webp)
    case .jpeg2000: try unsafe decode("JPEG 2000", bytes, pixelLimit, decode_jpeg2000)
    case .bmp: try BMPReader(bytes, pixelLimit: pixelLimit).image()
    case .pnm: try PNMReader(bytes).image(pixelLimit: pixelLimit)
    }
  }

  private typealias Decoder = (
    UnsafePointer<UInt8>?, Int, Int, UnsafeMutablePointer<raster>?
  ) -> Bool

  /// Decodes with one of the C libraries.
  private func decode(
    _ name: String, _ bytes: [UInt8], _ pixelLimit: Int, _ decoder: Decoder
  ) throws(ImageError) -> RGBRaster {
    var image = unsafe raster()
    let decoded = unsafe bytes.withUnsafeBufferPointer { source in
      unsafe decoder(source.baseAddress, source.count, pixelLimit, &image)
    }
    guard decoded, let samples = unsafe image.samples else {
      let reason = unsafe withUnsafeBytes(of: &image.reason) { characters in
        unsafe String(decoding: characters.prefix { $0 != 0 }, as: UTF8.self)
      }
      throw ImageError("\(name) image: \(reason)")
    }
    defer { unsafe free(samples) }
    let (width, height) = unsafe (Int(image.width), Int(image.height))
    let pixels = unsafe UnsafeBufferPointer(start: samples, count: width * height * 3)
    return RGBRaster(width: width, height: height, samples: unsafe Array(pixels))
  }
}
