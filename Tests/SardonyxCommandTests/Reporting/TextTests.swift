import Testing

@testable import Sardonyx
@testable import SardonyxCommand

@Suite struct TextTests {
  @Test("Numbers are rounded to what people read")
  func roundsNumbers() {
    #expect(0.123456.text() == "0.1235")
    #expect(1e-9.text(digits: 2) == "1e-09")
    #expect(12.3456.text(decimals: 1) == "12.3")
    #expect((-1_234_567).grouped == "-1,234,567")
    #expect(1536.byteText == "1.5 KiB")
    #expect(12.byteText == "12 B")
  }

  @Test("Columns are as wide as their widest entry, without spaces at the end")
  func alignsColumns() {
    var table = Table([("name", .left), ("ms", .right)])
    table.append("a", "10.5")
    table.append("longer", "1")
    #expect(table.text == "name      ms\na       10.5\nlonger     1")
    var last = Table([("a", .left)])
    last.append("bcd")
    #expect(last.text == "a\nbcd")
  }

  @Test("A summary tells type, shape, range and first elements")
  func summarizes() throws {
    let tensor = Value.tensor(try Tensor([1, -2, .nan] as [Float], shape: [3]))
    #expect(tensor.summary() == "float[3]  min -2  mean -0.5  max 1  not finite 1\n  1, -2, nan")
    let texts = Value.tensor(try Tensor(strings: ["a"], shape: []))
    #expect(texts.summary() == "string[]\n  \"a\"")
    let list = Value.sequence([texts], of: .tensor(.string))
    #expect(list.summary() == "seq(tensor(string)) of 1\n  [0] string[]\n    \"a\"")
    #expect(Value.optional(nil, of: .tensor(.float)).summary() == "optional(tensor(float)), empty")
  }

  @Test("A ranking shows the best of each row, equal ones in order")
  func ranks() throws {
    let scores = Value.tensor(try Tensor([1, 3, 3, 0, 5, 2] as [Float], shape: [2, 3]))
    let ranking = try Ranking("y", scores, count: 2, labels: ["a", "b", "c"])
    #expect(ranking.rows.map { $0.map(\.index) } == [[1, 2], [1, 2]])
    #expect(ranking.text == "  row 0\n    b  3\n    c  3\n  row 1\n    b  5\n    c  2")
    // Labels tell which axis has the classes.
    let columns = try Ranking("y", scores, count: 1, labels: ["a", "b"])
    #expect(columns.rows.map { $0.map(\.index) } == [[0], [1], [0]])
  }

  @Test("Axes of extent 1 are no classes, and softmax makes shares")
  func ranksSqueezed() throws {
    let scores = Value.tensor(try Tensor([0, 1, 0] as [Float], shape: [1, 3, 1, 1]))
    let ranking = try Ranking("y", scores, count: 1, labels: nil, isSoftmax: true)
    #expect(ranking.rows.count == 1 && ranking.rows[0][0].index == 1)
    #expect(abs(ranking.rows[0][0].score - 0.5761168847658291) < 1e-12)
  }

  @Test("What is no list of classes is refused with advice")
  func refusesRankings() throws {
    func fault(_ shape: Shape, _ labels: [String]? = nil) throws -> ModelError? {
      let count = shape.reduce(1, *)
      let value = Value.tensor(try Tensor([Float](repeating: 0, count: count), shape: shape))
      return #expect(throws: ModelError.self) {
        try Ranking("y", value, count: 1, labels: labels)
      }
    }
    let map = try fault([1, 2, 16, 16])
    #expect(
      map?.message
        == "--top: output \"y\" is float[1,2,16,16], no list of scores for classes")
    #expect(map?.hint == "leave --top out to see a summary, or write it with --output FILE.npz")
    let labels = try fault([1, 3], ["a", "b", "c", "d"])
    #expect(labels?.message == "--top: output \"y\" has 3 classes, and there are 4 labels")
    #expect(
      labels?.hint
        == "a first label for the background, or an empty last line, may be too many")
    #expect(
      try fault([1001, 2])?.message == "--top: output \"y\" is float[1001,2], 1001 rows of scores")
  }
}
