import Foundation
import Testing

@testable import SardonyxImages

/// Images of 7 × 5 pixels written by Pillow 13, each with the RGB bytes that it decodes them to.
enum Fixture {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures")

  static let names = [
    "alpha.png", "bits.png", "palette.png", "rgb.png", "palette.bmp", "rgb.bmp", "bits.pbm",
    "rgb.ppm", "alpha.tiff", "rgb.tiff", "lossless.webp", "lossy.webp", "rgb.j2k", "rgb.jp2",
    "cmyk.jpg", "gray.jpg", "progressive.jpg", "rgb.jpg",
  ]

  static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appending(path: name)))
  }
}

@Suite struct ImageTests {
  @Test("Decoding gives the bytes that Pillow gives", arguments: Fixture.names)
  func agreesWithPillow(name: String) throws {
    let image = try Image(decoding: Fixture.bytes(name), as: .rgb)
    #expect((image.width, image.height) == (7, 5))
    #expect(try image.samples == Fixture.bytes("\(name).pixels"))
  }

  @Test("BGR is RGB with red and blue exchanged")
  func swapsChannels() throws {
    let rgb = try Image(decoding: Fixture.bytes("rgb.png"), as: .rgb).samples
    let bgr = try Image(decoding: Fixture.bytes("rgb.png"), as: .bgr).samples
    #expect(rgb.prefix(3).reversed() == Array(bgr.prefix(3)))
    #expect(rgb.suffix(3).reversed() == Array(bgr.suffix(3)))
  }

  @Test("Gray weighs red, green and blue and rounds")
  func weighsChannels() {
    let raster = RGBRaster(
      width: 4, height: 1, samples: [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    let gray = Image(raster, as: .grayscale)
    #expect(gray.samples == [76, 150, 29, 9])
    #expect(gray.format.channels == 1)
  }

  @Test(
    "An image truncated at any byte, or with any byte changed, never traps",
    arguments: Fixture.names)
  func survivesDamage(name: String) throws {
    let bytes = try Fixture.bytes(name)
    for index in bytes.indices {
      _ = try? Image(decoding: Array(bytes.prefix(index)), as: .rgb)
      var damaged = bytes
      damaged[index] ^= 0x55
      _ = try? Image(decoding: damaged, as: .rgb, pixelLimit: 1 << 16)
    }
  }

  @Test(
    "A file that ends early is refused with the reason",
    arguments: [
      ("rgb.png", "PNG image: the file is truncated"),
      ("rgb.bmp", "BMP image: the file is truncated"),
      ("rgb.ppm", "PNM image: the file is truncated"),
      ("rgb.jpg", "JPEG image: Premature end of JPEG file"),
      ("lossy.webp", "WebP image: its data is malformed or truncated"),
      ("rgb.jp2", "JPEG 2000 image: its data is malformed or truncated"),
    ])
  func tellsTruncation(name: String, message: String) throws {
    let bytes = try Fixture.bytes(name)
    let half = name == "rgb.jpg" ? bytes.count - 40 : bytes.count - 30
    let error = #expect(throws: ImageError.self) {
      try Image(decoding: Array(bytes.prefix(half)), as: .rgb)
    }
    #expect(error?.description == message)
  }

  @Test("More pixels than allowed are refused before memory is taken", arguments: Fixture.names)
  func keepsToLimit(name: String) throws {
    let error = #expect(throws: ImageError.self) {
      try Image(decoding: Fixture.bytes(name), as: .rgb, pixelLimit: 34)
    }
    #expect(error?.description.contains("7 × 5 pixels are over the limit of 34") == true)
  }

  @Test("What begins as no image is refused")
  func refusesOthers() {
    let error = #expect(throws: ImageError.self) { try Image(decoding: [1, 2, 3], as: .rgb) }
    #expect(error?.description == "not an image of a known format")
    #expect(!Image.isKnown([]))
  }
}
