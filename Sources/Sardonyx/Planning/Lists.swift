/// Lists one behind the other in one array, where many short ones would take a block of memory each.
struct Lists<Element: Sendable>: Sendable {
  /// Where each list begins, and at last where the last one ends.
  private var starts: [Int] = [0]
  private var elements: [Element] = []

  init() {}

  /// No lists yet.
  /// - Parameters:
  ///   - count: lists to make room for.
  ///   - elementCount: elements in all of them.
  init(expecting count: Int, elementCount: Int) {
    starts.reserveCapacity(count + 1)
    elements.reserveCapacity(elementCount)
  }

  /// Lists of elements that are told in any order, those of one list in theirs.
  /// - Parameter count: how many lists.
  init(_ members: some Collection<(list: Int, element: Element)>, count: Int) {
    starts = Array(repeating: 0, count: count + 1)
    for (list, _) in members { starts[list + 1] += 1 }
    for list in 0..<count { starts[list + 1] += starts[list] }
    guard let any = members.first?.element else { return }
    elements = Array(repeating: any, count: members.count)
    var next = starts
    for (list, element) in members {
      elements[next[list]] = element
      next[list] += 1
    }
  }

  /// How many lists.
  var count: Int { starts.count - 1 }

  subscript(_ list: Int) -> ArraySlice<Element> { elements[starts[list]..<starts[list + 1]] }

  subscript(_ list: Int, _ index: Int) -> Element {
    get { elements[starts[list] + index] }
    set { elements[starts[list] + index] = newValue }
  }

  /// Adds a list behind the others.
  mutating func append(_ list: some Sequence<Element>) {
    elements += list
    starts.append(elements.count)
  }
}
