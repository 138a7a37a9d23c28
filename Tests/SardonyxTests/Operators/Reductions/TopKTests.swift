import Testing

@testable import Sardonyx

@Suite struct TopKTests {
  @Test func topKPrefersTheFirstOfEquals() throws {
    let row = Tensor([Float(3), 1, 3, 2, 3])
    let largest = try run("TopK", [.tensor(row), .tensor(ints(2))], outputs: 2)
    #expect(try largest[0]!.tensor!.elements() == [Float(3), 3])
    #expect(try largest[1]!.tensor!.elements() == [Int64(0), 2])
    let smallest = try run(
      "TopK", [.tensor(row), .tensor(ints(3))], ["largest": .int(0)], outputs: 2)
    #expect(try smallest[1]!.tensor!.elements() == [Int64(1), 3, 0])
    let old = try run("TopK", opset: 1, [.tensor(row)], ["k": .int(1)], outputs: 2)
    #expect(try old[1]!.tensor!.elements() == [Int64(0)])
    #expect(
      message { try run("TopK", [.tensor(row), .tensor(ints(6))], outputs: 2)[0]!.tensor! }
        == "K: expected 0 to 5, got 6")
  }

  @Test func topKAlongAnAxisInTheMiddle() throws {
    let cube = Tensor([Float(1), 8, 5, 2, 3, 4, 7, 6], [2, 2, 2])
    let y = try run("TopK", [.tensor(cube), .tensor(ints(1))], ["axis": .int(1)], outputs: 2)
    #expect(try y[0]!.tensor!.elements() == [Float(5), 8, 7, 6])
    #expect(try y[1]!.tensor!.elements() == [Int64(1), 0, 1, 1])
  }

  @Test func topKOfALongRowIsThatOfSorting() throws {
    let numbers = (0..<1000).map { Float(($0 * 7919) % 1009) }
    let y = try run("TopK", [.tensor(Tensor(numbers)), .tensor(ints(40))], outputs: 2)
    #expect(try y[0]!.tensor!.elements() == Array(numbers.sorted(by: >).prefix(40)))
  }
}
