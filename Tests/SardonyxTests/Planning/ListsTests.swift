import Testing

@testable import Sardonyx

@Suite struct ListsTests {
  @Test func listsAreAppendedAndChanged() {
    var lists = Lists<Int>(expecting: 3, elementCount: 3)
    lists.append([1, 2])
    lists.append([])
    lists.append([3])
    #expect(lists.count == 3)
    #expect((0..<3).map { Array(lists[$0]) } == [[1, 2], [], [3]])
    lists[0, 1] = 5
    #expect(lists[0] == [1, 5] && lists[2, 0] == 3)
  }

  @Test func membersOfAListKeepTheirOrder() {
    let members = [(2, 7), (0, 1), (2, 5), (0, 9)].map { (list: $0.0, element: $0.1) }
    let lists = Lists(members, count: 4)
    #expect((0..<4).map { Array(lists[$0]) } == [[1, 9], [], [7, 5], []])
    let empty = Lists(members.prefix(0), count: 2)
    #expect(empty.count == 2 && empty[1].isEmpty)
  }
}
