import Testing

@testable import Sardonyx

@Suite struct ShapeTests {
  @Test func shapesBroadcastFromTheRight() throws {
    #expect(try Shape.broadcast([[2, 1, 4], [3, 1], []]) == [2, 3, 4])
    #expect(try Shape.broadcast([[0], [1]]) == [0])
  }

  @Test func shapesThatDifferDoNotBroadcast() {
    let error = #expect(throws: ModelError.self) { try Shape.broadcast([[2, 3], [2]]) }
    #expect(
      error?.message
        == "shapes: expected extents that are equal or 1 on each axis from the right, got [2,3] and [2]"
    )
  }

  @Test func elementCountsThatOverflowOrAreNegativeAreFound() {
    #expect([Int.max, 2].checkedElementCount == nil)
    #expect([3, -1].checkedElementCount == nil)
    #expect([1 << 31, 0].checkedElementCount == 0)
    #expect([1 << 58, 0].checkedElementCount == nil)
    #expect([Int.max, 0].checkedElementCount == nil)
    #expect(Shape().checkedElementCount == 1)
  }

  @Test func stridesAreThoseOfARowMajorArray() {
    #expect([2, 3, 4].strides == [12, 4, 1])
    #expect(Shape().strides == [])
  }

  @Test func longShapesAreShownShort() {
    #expect([2, 3, 4].joined == "2,3,4")
    #expect(Shape(repeating: 1, count: 32).joined.hasSuffix(",1"))
    #expect(Shape(repeating: 1, count: 30_000).joined.hasSuffix(",1,… (30000 axes)"))
  }
}
