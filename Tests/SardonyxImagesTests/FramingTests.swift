import Foundation
import Testing

@testable import SardonyxImages

@Suite struct FramingTests {
  private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures")

  private static func image(_ name: String) throws -> Image {
    try Image(decoding: [UInt8](Data(contentsOf: fixtures.appending(path: name))), as: .rgb)
  }

  @Test(
    "Resizing gives Pillow's bits",
    arguments: [(16, 9), (60, 41), (37, 10), (11, 23), (1, 1), (36, 24), (200, 3), (5, 90)])
  func resizes(width: Int, height: Int) throws {
    let source = try Self.image("resizing/source.ppm")
    let expected = try Self.image("resizing/\(width)x\(height).ppm")
    #expect(source.resized(width: width, height: height) == expected)
  }

  @Test func theSameSizeIsTheSamePicture() throws {
    let source = try Self.image("resizing/source.ppm")
    #expect(source.resized(width: 37, height: 23) == source)
  }

  @Test(
    "Pictures are turned as EXIF says",
    arguments: (1...8).map { "\($0).png" } + ["6.jpg", "6.webp"])
  func turns(name: String) throws {
    let path = Self.fixtures.appending(path: "orientation/\(name)")
    let bytes = [UInt8](try Data(contentsOf: path))
    let orientation = Image.orientation(of: bytes)
    #expect(orientation == Int(name.prefix(1)))
    let turned = try Image(decoding: bytes, as: .rgb).oriented(orientation)
    #expect(turned == (try Self.image("orientation/\(name).ppm")))
  }

  @Test("A file cut off at any byte still has an orientation")
  func survivesTruncation() throws {
    for name in ["6.png", "6.jpg", "6.webp"] {
      let path = Self.fixtures.appending(path: "orientation/\(name)")
      let bytes = [UInt8](try Data(contentsOf: path))
      for count in bytes.indices {
        #expect((1...8).contains(Image.orientation(of: Array(bytes.prefix(count)))))
      }
    }
  }

  @Test func theShorterSideIsMadeToMeasure() throws {
    let source = try Self.image("resizing/source.ppm")
    let wide = source.resized(shorterSide: 10)
    #expect((wide.width, wide.height) == (16, 10))
    let tall = Image(width: 2, height: 5, format: .grayscale, samples: Array(0..<10))
      .resized(shorterSide: 3)
    #expect((tall.width, tall.height) == (3, 7))
  }

  @Test func theMiddleIsCutOut() throws {
    let source = Image(width: 5, height: 4, format: .grayscale, samples: Array(0..<20))
    #expect(source.cropped(width: 2, height: 2)?.samples == [7, 8, 12, 13])
    #expect(source.cropped(width: 5, height: 4) == source)
    #expect(source.cropped(width: 6, height: 1) == nil)
  }

  @Test func theWholeIsFramedInGray() throws {
    let source = Image(
      width: 4, height: 2, format: .grayscale, samples: Array(repeating: 9, count: 8))
    let framed = source.letterboxed(width: 4, height: 5)
    #expect(framed.samples.prefix(4).allSatisfy { $0 == 114 })
    #expect(framed.samples[4..<12].allSatisfy { $0 == 9 })
    #expect(framed.samples[12...].allSatisfy { $0 == 114 })
    let smaller = source.letterboxed(width: 2, height: 2)
    #expect(smaller.samples == [9, 9, 114, 114])
  }
}
