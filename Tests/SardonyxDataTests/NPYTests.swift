import Testing

@testable import Sardonyx
@testable import SardonyxData

/// A NumPy array file of the given header and data.
func npy(_ header: String, _ data: [UInt8], version: UInt8 = 1) -> [UInt8] {
  let length = header.utf8.count
  let size = version == 1 ? [UInt8(length), 0] : [UInt8(length), 0, 0, 0]
  return [0x93] + Array("NUMPY".utf8) + [version, 0] + size + Array(header.utf8) + data
}

@Suite struct NPYTests {
  private func read(_ type: String, _ data: [UInt8], shape: String = "(2,)") throws -> Tensor {
    try NPY.read(npy("{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }", data))
  }

  @Test(
    "Every type that NumPy has is read back as it was written",
    arguments: [
      ElementType.float, .double, .float16, .int8, .int16, .int32, .int64, .uint8, .uint16,
      .uint32, .uint64, .bool,
    ])
  func writesTypes(type: ElementType) throws {
    let tensor = try Tensor([0, 1, 1, 0, 1, 0] as [Int64], shape: [3, 2]).converted(to: type)
    let copy = try NPY.read(NPY.write(tensor))
    #expect(copy.type == type)
    #expect(copy.shape == [3, 2])
    #expect(copy.rawBytes == tensor.rawBytes)
  }

  @Test(
    "Types that NumPy lacks are written as the narrowest that holds them",
    arguments: [
      (ElementType.bfloat16, ElementType.float), (.float8e4m3fn, .float), (.int4, .int8),
      (.uint2, .uint8),
    ])
  func writesStandIns(type: ElementType, standIn: ElementType) throws {
    let tensor = try Tensor([0, 1] as [Int64], shape: [2]).converted(to: type)
    let copy = try NPY.read(NPY.write(tensor))
    #expect(copy.type == standIn)
    let input = ValueDefinition(name: "x", type: .tensor(type), shape: nil)
    #expect(try copy.adapted(to: input).rawBytes == tensor.rawBytes)
  }

  @Test("Texts are read back with all their scalars", arguments: [[], ["", "a", "zwölf 🎲"]])
  func writesTexts(texts: [String]) throws {
    let copy = try NPY.read(NPY.write(Tensor(strings: texts, shape: [texts.count, 1])))
    #expect(copy.shape == [texts.count, 1])
    #expect(try copy.strings() == texts)
  }

  @Test("A scalar and an empty array keep their shapes", arguments: [[], [0], [2, 0, 3], [1]])
  func writesShapes(shape: Shape) throws {
    let count = shape.reduce(1, *)
    let tensor = try Tensor([Float](repeating: 1, count: count), shape: shape)
    #expect(try NPY.read(NPY.write(tensor)).shape == shape)
  }

  @Test("Data starts at a multiple of 64 bytes")
  func alignsData() throws {
    let file = try NPY.write(Tensor([1] as [Float], shape: [1]))
    #expect(file.count == 128 + 4)
  }

  @Test("Versions 2 and 3 state the header's length in four bytes", arguments: [2, 3] as [UInt8])
  func readsVersions(version: UInt8) throws {
    let header = "{'shape': (), 'fortran_order': False, 'descr': '<i2'}"
    let tensor = try NPY.read(npy(header, [7, 1], version: version))
    #expect(try tensor.elements(of: Int16.self) == [263])
  }

  @Test("Fortran order is turned into row-major order")
  func readsFortran() throws {
    let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }"
    let tensor = try NPY.read(npy(header, [1, 4, 2, 5, 3, 6]))
    #expect(try tensor.elements(of: UInt8.self) == [1, 2, 3, 4, 5, 6])
  }

  @Test("Bytes strings lose the zeros that pad them")
  func readsByteStrings() throws {
    let tensor = try read("|S3", Array("a\0\0bcd".utf8))
    #expect(try tensor.strings() == ["a", "bcd"])
  }

  @Test("Any byte but 0 is true")
  func readsBooleans() throws {
    #expect(try read("|b1", [0, 9]).elements(of: Bool.self) == [false, true])
  }

  @Test(
    "What cannot be read is refused with the reason",
    arguments: [
      (">f4", "NumPy array of big-endian elements (>f4)"),
      ("|O", "NumPy array of elements of type |O"),
      ("|V2", "NumPy array of elements of type |V2"),
      ("<M8[s]", "NumPy array of elements of type <M8[s]"),
      ("<f4", "data of the array: expected [2] elements of 4 bytes, got 3 bytes"),
    ])
  func refuses(type: String, message: String) {
    let error = #expect(throws: ModelError.self) { try read(type, [0, 0, 0]) }
    #expect(error?.message == message)
  }

  @Test(
    "Malformed headers are refused",
    arguments: [
      "", "{", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
    ])
  func refusesHeaders(header: String) {
    #expect(throws: ModelError.self) { try NPY.read(npy(header, [])) }
  }

  @Test("Texts of no letters are read up to a million, not to the end of memory")
  func limitsEmptyTexts() throws {
    #expect(
      try NPY.read(npy("{'descr': '|S0', 'fortran_order': False, 'shape': (2,), }", []))
        .strings() == ["", ""])
    let header = "{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000000,), }"
    let error = #expect(throws: ModelError.self) { try NPY.read(npy(header, [])) }
    #expect(error?.code == .limit)
  }

  @Test("A header that nests without end is refused")
  func refusesDeepHeaders() {
    let header = String(repeating: "{'a': ", count: 50000)
    #expect(throws: ModelError.self) { try NPYHeader(npyOfVersion2(header)) }
  }

  private func npyOfVersion2(_ header: String) -> [UInt8] {
    let length = header.utf8.count
    let digits = (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    return [0x93] + Array("NUMPY".utf8) + [2, 0] + digits + Array(header.utf8)
  }

  @Test("A tensor of more axes than a short header can name is written and read")
  func writesManyAxes() throws {
    let tensor = try Tensor([1] as [Float], shape: [Int](repeating: 1, count: 30000))
    #expect(try NPY.read(NPY.write(tensor)).shape == tensor.shape)
  }

  @Test("A file truncated at any byte never traps")
  func survivesTruncation() throws {
    let file = try NPY.write(Tensor([1, 2] as [Float], shape: [2]))
    for count in file.indices {
      #expect(throws: ModelError.self) { try NPY.read(Array(file.prefix(count))) }
    }
  }
}
