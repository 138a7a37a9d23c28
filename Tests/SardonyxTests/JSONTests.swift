import Foundation
import Testing

@testable import Sardonyx

@Suite struct JSONTests {
  @Test(
    "Texts are escaped so that any reader gives them back", arguments: ["", "a\"b\\c\n\u{1}é🎲"])
  func escapes(text: String) throws {
    let json = JSON.array([.string(text)]).description
    let copy = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String]
    #expect(copy == [text])
  }

  @Test("Objects take a line a member, lists of scalars one line")
  func breaksLines() {
    let json = JSON.object([
      ("a", .array([.number(1), .number(Float(0.1))])), ("b", .object([("c", .null)])),
      ("d", .array([.object([("e", .bool(true))])])), ("f", .object([])),
    ])
    #expect(
      json.description == """
        {
          "a": [1, 0.1],
          "b": {
            "c": null
          },
          "d": [
            {
              "e": true
            }
          ],
          "f": {}
        }
        """)
  }

  @Test("Numbers that JSON lacks become texts")
  func namesNonNumbers() {
    let numbers: [JSON] = [.number(Double.nan), .number(Float.infinity), .number(-Double.infinity)]
    #expect(numbers.map(\.description) == ["\"NaN\"", "\"Infinity\"", "\"-Infinity\""])
  }
}
