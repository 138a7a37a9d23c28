import Testing

@testable import Sardonyx

@Suite struct SelectionsTests {
  private let x = Tensor((0..<6).map(Float.init), [2, 3])

  @Test func compressKeepsWhatTheConditionNames() throws {
    let condition = Tensor([false, true, true, true])
    #expect(try run("Compress", [x, condition]).elements() == [Float(1), 2, 3])
    let columns = try run("Compress", [x, Tensor([true])], ["axis": .int(1)])
    #expect(try columns.elements() == [Float(0), 3])
  }

  @Test func conditionsMayBeLong() throws {
    let count = (1 << 20) + 1
    let condition = Tensor(Array(repeating: false, count: count - 1) + [true])
    let x = Tensor(Array(repeating: Float(0), count: count - 1) + [3])
    #expect(try run("Compress", [x, condition]).elements() == [Float(3)])
  }

  @Test func nonZeroListsCoordinates() throws {
    let y = try run("NonZero", [Tensor([Int8(0), 3, 4, 0], [2, 2])])
    #expect(try y.shape == [2, 2] && y.elements() == [Int64(0), 1, 1, 0])
    #expect(try run("NonZero", [Tensor(strings: ["", "x"], [2])]).elements() == [Int64(1)])
    #expect(try run("NonZero", [Tensor(scalar: true)]).shape == [0, 1])
  }

  @Test func oneHotIgnoresIndicesOutOfRange() throws {
    let values = Tensor([Int8(0), 1])
    let y = try run("OneHot", [ints(0, -1, 5), Tensor(scalar: Int64(3)), values])
    #expect(
      try y.shape == [3, 3]
        && y.elements()
          == [Int8](
            [1, 0, 0, 0, 0, 1, 0, 0, 0])
    )
    let first = try run("OneHot", [ints(1), ints(2), values], ["axis": .int(0)])
    #expect(try first.shape == [2, 1] && first.elements() == [Int8(0), 1])
    #expect(
      message { try run("OneHot", [ints(1), ints(-2), values]) }
        == "depth: expected one number from 0, got [-2.0]")
  }
}
