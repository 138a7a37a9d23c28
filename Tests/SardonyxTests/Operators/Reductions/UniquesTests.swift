import Testing

@testable import Sardonyx

@Suite struct UniquesTests {
  @Test func uniqueSortsOrKeepsTheOrder() throws {
    let row = Value.tensor(Tensor([Float(2), 1, 1, 3, 4, 3]))
    let sorted = try run("Unique", [row], outputs: 4).map { $0!.tensor! }
    #expect(try sorted[0].elements() == [Float(1), 2, 3, 4])
    #expect(try sorted[1].elements() == [Int64(1), 0, 3, 4])
    #expect(try sorted[2].elements() == [Int64(1), 0, 0, 2, 3, 2])
    #expect(try sorted[3].elements() == [Int64(2), 1, 2, 1])
    let kept = try run("Unique", [row], ["sorted": .int(0)], outputs: 4).map { $0!.tensor! }
    #expect(try kept[0].elements() == [Float(2), 1, 3, 4])
    #expect(try kept[2].elements() == [Int64(0), 1, 1, 2, 3, 2])
  }

  @Test func uniqueOfSlicesTextsAndNothing() throws {
    let matrix = Tensor([Int16(1), 0, 0, 1, 0, 0, 2, 3, 4], [3, 3])
    #expect(
      try run("Unique", [matrix], ["axis": .int(0)]).elements() == [Int16(1), 0, 0, 2, 3, 4])
    #expect(
      try run("Unique", [Tensor(strings: ["b", "é", "Z", "b"], [4])]).strings() == ["Z", "b", "é"])
    #expect(try run("Unique", [Tensor([Float]())]).shape == [0])
  }
}
