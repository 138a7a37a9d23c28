import Testing

@testable import Sardonyx

@Suite struct BroadcastTests {
  @Test func axesAlongWhichAllInputsGoOnBecomeOneRow() throws {
    let plain = try Broadcast([[2, 3, 4], [2, 3, 4]])
    #expect((plain.rowCount, plain.rowLength) == (1, 24))
    let channels = try Broadcast([[2, 3, 4, 5], [3, 1, 1]])
    #expect((channels.rowCount, channels.rowLength) == (6, 20))
    #expect((channels.step(of: 0), channels.step(of: 1)) == (1, 0))
    #expect((0..<6).map { channels.start(ofRow: $0, in: 1) } == [0, 1, 2, 0, 1, 2])
    let scalar = try Broadcast([[2, 3], []])
    #expect((scalar.rowCount, scalar.rowLength) == (1, 6))
  }

  @Test func bothSidesMayBeRepeated() throws {
    let broadcast = try Broadcast([[2, 1], [1, 3]])
    #expect(broadcast.shape == [2, 3])
    #expect(broadcast.combine([10, 20], [1, 2, 3], +) == [11, 12, 13, 21, 22, 23])
  }

  @Test func scalarsAndEmptyTensorsHaveRowsToo() throws {
    #expect(try Broadcast([[], []]).combine([2], [3], *) == [6])
    #expect(try Broadcast([[0, 3], [1, 3]]).combine([], [1, 2, 3], *) == [])
    #expect(try Broadcast([[1, 1], [1]]).combine([2], [3], *) == [6])
  }

  @Test func shapesThatDoNotFitAreNamed() {
    let error = #expect(throws: ModelError.self) { try Broadcast([[2, 3], [4]]) }
    #expect(
      error?.message
        == "shapes: expected extents that are equal or 1 on each axis from the right, "
        + "got [2,3] and [4]")
  }
}
