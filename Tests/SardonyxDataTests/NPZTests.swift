import Foundation
import Testing

@testable import Sardonyx
@testable import SardonyxData

@Suite struct NPZTests {
  private func arrays() throws -> [(name: String, tensor: Tensor)] {
    [
      ("in:x", try Tensor([1, 2, 3] as [Float], shape: [3])),
      ("/model/layer.0/Conv_output_0", try Tensor([4] as [Int64], shape: [])),
      ("größe", try Tensor(strings: ["a"], shape: [1])),
    ]
  }

  @Test("Names keep colons, slashes and letters of any script")
  func writesNames() throws {
    let copies = try NPZ.read(NPZ.write(arrays()))
    #expect(copies.map(\.name) == (try arrays().map(\.name)))
    #expect(copies.map(\.tensor.rawBytes.count) == [12, 8, 8])
    #expect(try copies[0].tensor.elements(of: Float.self) == [1, 2, 3])
    #expect(try copies[2].tensor.strings() == ["a"])
  }

  @Test("No member's name leads out of a folder; the index tells the names")
  func cleansNames() throws {
    let one = try Tensor([1] as [Float], shape: [])
    let names = ["../../a", "..", "/b/c", "_b_c", "d\u{1B}e", "f"]
    let bytes = try NPZ.write(names.map { ($0, one) })
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(!text.contains("../") && !text.contains("/b/c.npy"))
    #expect(text.contains("_b_c_2.npy") && text.contains("sardonyx.names.npy"))
    #expect(try NPZ.read(bytes).map(\.name) == names)
  }

  @Test("Only the arrays that are wanted are read")
  func readsSome() throws {
    let copies = try NPZ.read(NPZ.write(arrays())) { $0.hasPrefix("in:") }
    #expect(copies.map(\.name) == ["in:x"])
  }

  @Test("Equal arrays make equal archives")
  func isReproducible() throws {
    #expect(try NPZ.write(arrays()) == NPZ.write(arrays()))
  }

  @Test("An archive that NumPy compressed is read")
  func readsCompressed() throws {
    let archive = try #require(Data(base64Encoded: Self.compressed))
    let copies = try NPZ.read([UInt8](archive))
    #expect(copies.map(\.name) == ["a"])
    #expect(try copies[0].tensor.elements(of: Int32.self) == [0, 1, 2, 3, 4])
  }

  @Test("An archive truncated at any byte never traps")
  func survivesTruncation() throws {
    let archive = try NPZ.write(arrays())
    for count in archive.indices.dropFirst() {
      #expect(throws: ModelError.self) { try NPZ.read(Array(archive.prefix(count))) }
    }
  }

  @Test("A fault inside names its array")
  func namesArray() throws {
    let error = #expect(throws: ModelError.self) {
      try NPZ.read([UInt8](try #require(Data(base64Encoded: Self.broken))))
    }
    #expect(error?.message == "array \"a\": NumPy array: its first bytes")
  }

  /// numpy.savez_compressed(…, a=numpy.arange(5, dtype="<i4"))
  private static let compressed =
    "UEsDBC0AAAAIAAAAIQA1/GVj//////////8FABQAYS5ucHkBABAAlAAAAAAAAABRAAAAAAAAAJvsF+obEMnIUMZQ"
    + "rZ6SWpxcpG6loG6TaaKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GqY6mjoKtQoUAC4GIGAEYiYgZgZi"
    + "FiAGAFBLAQItAy0AAAAIAAAAIQA1/GVjUQAAAJQAAAAFAAAAAAAAAAAAAACAAQAAAABhLm5weVBLBQYAAAAAAQAB"
    + "ADMAAACIAAAAAAA="
  /// A zip file of a.npy, which holds the text "no array".
  private static let broken =
    "UEsDBBQAAAAAAAAAIQBwTT+9CAAAAAgAAAAFAAAAYS5ucHlubyBhcnJheVBLAQIUAxQAAAAAAAAAIQBwTT+9CAAA"
    + "AAgAAAAFAAAAAAAAAAAAAACAAQAAAABhLm5weVBLBQYAAAAAAQABADMAAAArAAAAAAA="
}
