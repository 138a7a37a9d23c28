import Testing

@testable import SardonyxImages

@Suite struct PNMReaderTests {
  private func gray(_ text: String, _ data: [UInt8] = []) throws -> [UInt8] {
    try Image(decoding: Array(text.utf8) + data, as: .grayscale).samples
  }

  @Test("Plain files may have comments and any white space")
  func readsPlain() throws {
    #expect(try gray("P2\n# a comment\n2 2\t255\n0 1\n\n2 255") == [0, 1, 2, 255])
  }

  @Test("1 of a bitmap is black, and plain bits need no space between them")
  func readsBits() throws {
    #expect(try gray("P1 3 1\n101") == [0, 255, 0])
    #expect(try gray("P4 3 1\n", [0b1010_0000]) == [0, 255, 0])
  }

  @Test("Other maxima are scaled to 255, rounded to nearest even")
  func scales() throws {
    #expect(try gray("P2 3 1 10\n0 5 10") == [0, 128, 255])
    #expect(try gray("P5 2 1 65535\n", [0, 0, 0x80, 0]) == [0, 128])
  }

  @Test(
    "Malformed files are refused",
    arguments: [
      ("P2 2 x", "PNM image: a number is malformed"),
      ("P2 1 1 99999999999 1", "PNM image: a number is too long"),
      ("P5 1 1 0\n1", "PNM image: maximum: expected 1 to 65535, got 0"),
      ("P5 0 1 255\n1", "its width or height is out of bounds"),
      ("P1 1 1\n7", "PNM image: a bit is not 0 or 1"),
      ("P2 2 1 255\n1", "PNM image: the file is truncated"),
    ])
  func refuses(text: String, message: String) {
    let error = #expect(throws: ImageError.self) { try gray(text) }
    #expect(error?.description == message)
  }
}
